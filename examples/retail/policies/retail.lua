--- What the retail agent may do. `doc` names the line of the shop's written policy (policy.md) that a rule enforces.
--- Read it from the top: who the user is, whose things these are, what may be changed, and with whose money.

policy "retail" {
  version = "1", owner = "customer-service", default = "deny",
  tools = {
    "find_user_*", "get_*", "list_*", "calculate", "transfer_*",
    "cancel_*", "modify_*", "return_*", "exchange_*",
  },
}

-- ---------------------------------------------------------------- names used below

local LOOK_UPS = {
  "get_order_details", "get_user_details", "get_product_details", "get_item_details",
  "list_all_product_types",
}
local SWAPS = { "modify_pending_order_items", "exchange_delivered_order_items" }
local WRITES = { "cancel_*", "modify_*", "return_*", "exchange_*" }
local FOR_A_KNOWN_USER = { "get_*", "list_*", "cancel_*", "modify_*", "return_*", "exchange_*" }
local ORDER_WRITES = {
  "cancel_pending_order", "modify_pending_order_*", "return_delivered_order_items",
  "exchange_delivered_order_items",
}
local ORDER_TOOLS = {
  "get_order_details", "cancel_pending_order", "modify_pending_order_*",
  "return_delivered_order_items", "exchange_delivered_order_items",
}
local WITH_ITEMS = {
  "modify_pending_order_items", "exchange_delivered_order_items", "return_delivered_order_items",
}
local WITH_PAYMENT = {
  "modify_pending_order_payment", "modify_pending_order_items", "return_delivered_order_items",
  "exchange_delivered_order_items",
}
local REASONS = { "no longer needed", "ordered by mistake" }

-- ---------------------------------------------------------------- what must be known first

fact "order" { tool = "get_order_details", args = { order_id = "{args.order_id}" }, on = ORDER_TOOLS }
fact "account" { tool = "get_user_details", args = { user_id = "{user}" }, on = WITH_PAYMENT }
fact "new_items" { tool = "look_up_items", args = { item_ids = "{args.new_item_ids}" }, on = SWAPS }
fact "found_by_email" {
  tool = "find_user_id_by_email", args = { email = "{args.email}" }, on = "find_user_id_by_email",
}
fact "found_by_name" {
  tool = "find_user_id_by_name_zip", on = "find_user_id_by_name_zip",
  args = { first_name = "{args.first_name}", last_name = "{args.last_name}", zip = "{args.zip}" },
}

-- The shop says that there is no such thing. A look-up that failed in any other way is not known to be harmless:
-- the rule then reads an absent fact, which is an error and denies the call.
local function missing(c, name, code) return fact_error(c.facts, name) == code end

-- A rule that needs something which another rule already refuses to go on without says nothing.
local function known(c, ...)
  for _, name in ipairs({ ... }) do
    if not present(c.facts, name) then return false end
  end
  return true
end

local function first_payment(c) return c.facts.order.payment_history[1] end

local function payment_method(c)
  if not known(c, "account") then return nil end
  return get(c.facts.account.payment_methods, c.args.payment_method_id, nil)
end

local function ordered_item(c, id)
  return find(c.facts.order.items, function(item) return item.item_id == id end)
end

-- The pairs of old item (of the order) and new item (of the shop), as far as both exist.
local function swaps(c)
  local pairs_ = {}
  for i, old_id in ipairs(c.args.item_ids) do
    local new_id = i <= #c.args.new_item_ids and c.args.new_item_ids[i] or ""
    local old = ordered_item(c, old_id)
    if old and present(c.facts.new_items, new_id) then
      table.insert(pairs_, { old = old, new = c.facts.new_items[new_id] })
    end
  end
  return pairs_
end

local function added_cost(swap)
  return money_of(swap.new.price, "USD") - money_of(swap.old.price, "USD")
end

-- ---------------------------------------------------------------- who the user is

on(FOR_A_KNOWN_USER, "sign-in-first", { doc = "policy.md:10,12" }, function(c)
  if not present(c, "user") then
    return deny {
      code = "NOT_AUTHENTICATED",
      say = "Find out who the user is first, by e-mail or by name and zip code.",
    }
  end
end)

on("find_user_id_by_email", "one-user-by-email", { doc = "policy.md:14" }, function(c)
  if not present(c, "user") or missing(c, "found_by_email", "USER_NOT_FOUND") then return end
  if c.facts.found_by_email ~= c.user then
    return deny { code = "OTHER_USER", say = "Only the user of this conversation can be helped." }
  end
end)

on("find_user_id_by_name_zip", "one-user-by-name", { doc = "policy.md:14" }, function(c)
  if not present(c, "user") or missing(c, "found_by_name", "USER_NOT_FOUND") then return end
  if c.facts.found_by_name ~= c.user then
    return deny { code = "OTHER_USER", say = "Only the user of this conversation can be helped." }
  end
end)

on({ "get_user_details", "modify_user_address" }, "own-profile", { doc = "policy.md:14" }, function(c)
  if present(c, "user") and c.args.user_id ~= c.user then
    return deny { code = "OTHER_USER", say = "That profile belongs to somebody else." }
  end
end)

on(ORDER_TOOLS, "own-order", { doc = "policy.md:14" }, function(c)
  if not present(c, "user") or missing(c, "order", "ORDER_NOT_FOUND") then return end
  if c.facts.order.user_id ~= c.user then
    return deny { code = "OTHER_USER", say = "That order belongs to somebody else." }
  end
end)

on(ORDER_WRITES, "known-order", { doc = "policy.md:88,96,118,130" }, function(c)
  if missing(c, "order", "ORDER_NOT_FOUND") then
    return deny { code = "NO_SUCH_ORDER", say = "There is no such order." }
  end
end)

-- ---------------------------------------------------------------- what is free

on("find_user_*", "finding-the-user", { doc = "policy.md:10" }, function(c) return allow() end)
on(LOOK_UPS, "looking-things-up", { doc = "policy.md:12" }, function(c) return allow() end)
on("calculate", "arithmetic", { doc = "policy.md:18" }, function(c) return allow() end)
on("transfer_to_human_agents", "hand-over", { doc = "policy.md:24" }, function(c) return allow() end)

-- ---------------------------------------------------------------- what needs the user's yes

on(WRITES, "user-says-yes", { doc = "policy.md:16" }, function(c)
  return require_approval {
    approvers = { "run-user" }, expires = "30m", say = "Ask the user to confirm exactly this.",
  }
end)

-- ---------------------------------------------------------------- the state of the order

on("cancel_pending_order", "cancel-only-pending", { doc = "policy.md:88" }, function(c)
  if known(c, "order") and c.facts.order.status ~= "pending" then
    return deny { code = "NOT_PENDING", say = "Only a pending order can be cancelled." }
  end
end)

on("modify_pending_order_*", "modify-only-pending", { doc = "policy.md:96,110" }, function(c)
  if known(c, "order") and c.facts.order.status ~= "pending" then
    return deny { code = "NOT_PENDING", say = "Only a pending order can be modified, and not after its items were." }
  end
end)

on("return_delivered_order_items", "return-only-delivered", { doc = "policy.md:118" }, function(c)
  if known(c, "order") and c.facts.order.status ~= "delivered" then
    return deny { code = "NOT_DELIVERED", say = "Only a delivered order can be returned." }
  end
end)

on("exchange_delivered_order_items", "exchange-only-delivered", { doc = "policy.md:84,130" }, function(c)
  if known(c, "order") and c.facts.order.status ~= "delivered" then
    return deny { code = "NOT_DELIVERED", say = "Only a delivered order can be exchanged, and only once." }
  end
end)

on("cancel_pending_order", "two-reasons-to-cancel", { doc = "policy.md:90" }, function(c)
  if not contains(REASONS, c.args.reason) then
    return deny { code = "BAD_REASON", say = "The reason must be 'no longer needed' or 'ordered by mistake'." }
  end
end)

-- ---------------------------------------------------------------- the items

on(WITH_ITEMS, "names-an-item", { doc = "policy.md:84,120" }, function(c)
  if #c.args.item_ids == 0 then
    return deny { code = "NO_ITEMS", say = "Name the items." }
  end
end)

on(WITH_ITEMS, "items-of-this-order", { doc = "policy.md:112,120,132" }, function(c)
  if not known(c, "order") then return end
  local held = map(c.facts.order.items, function(item) return item.item_id end)
  local function too_many(id) return count_of(c.args.item_ids, id) > count_of(held, id) end
  if any(c.args.item_ids, too_many) then
    return deny { code = "NOT_IN_ORDER", say = "The order does not hold these items, or not so many of them." }
  end
end)

on(SWAPS, "one-new-item-each", { doc = "policy.md:112,132" }, function(c)
  if #c.args.item_ids ~= #c.args.new_item_ids then
    return deny { code = "COUNT_MISMATCH", say = "Name one new item for each old one." }
  end
end)

on(SWAPS, "another-option", { doc = "policy.md:112,132" }, function(c)
  for i, old_id in ipairs(c.args.item_ids) do
    if i <= #c.args.new_item_ids and c.args.new_item_ids[i] == old_id then
      return deny { code = "SAME_ITEM", say = "The new item is the old one." }
    end
  end
end)

on(SWAPS, "new-item-in-stock", { doc = "policy.md:112,132" }, function(c)
  local function out_of_stock(id)
    return not present(c.facts.new_items, id) or not c.facts.new_items[id].available
  end
  if any(c.args.new_item_ids, out_of_stock) then
    return deny { code = "NOT_AVAILABLE", say = "A new item does not exist or is not available." }
  end
end)

on(SWAPS, "same-product", { doc = "policy.md:112,132" }, function(c)
  if not known(c, "order", "new_items") then return end
  local function of_two_products(swap) return swap.old.product_id ~= swap.new.product_id end
  if any(swaps(c), of_two_products) then
    return deny { code = "OTHER_PRODUCT", say = "An item can only become another option of the same product." }
  end
end)

-- ---------------------------------------------------------------- the money

on(WITH_PAYMENT, "own-payment-method", { doc = "policy.md:14,114,122" }, function(c)
  if not present(c, "user") then return end
  if not present(c.facts.account.payment_methods, c.args.payment_method_id) then
    return deny { code = "NO_SUCH_METHOD", say = "The user has no such payment method." }
  end
end)

on("modify_pending_order_payment", "another-single-method", { doc = "policy.md:102" }, function(c)
  if not known(c, "order") then return end
  if #c.facts.order.payment_history ~= 1 then
    return deny { code = "PAYMENT_CHANGED", say = "The payment of this order was changed before." }
  end
  if first_payment(c).payment_method_id == c.args.payment_method_id then
    return deny { code = "SAME_METHOD", say = "The order is paid with this method already." }
  end
end)

on("modify_pending_order_payment", "gift-card-covers-the-total", { doc = "policy.md:104" }, function(c)
  local method = payment_method(c)
  if not method or not known(c, "order") or method.source ~= "gift_card" then return end
  if money_of(method.balance, "USD") < money_rounded(first_payment(c).amount, "USD") then
    return deny { code = "GIFT_CARD_BALANCE", say = "The gift card does not cover the order." }
  end
end)

on(SWAPS, "gift-card-covers-the-difference", { doc = "policy.md:114,134" }, function(c)
  local method = payment_method(c)
  if not method or not known(c, "order", "new_items") or method.source ~= "gift_card" then return end
  local list = swaps(c)
  if #list > 0 and money_of(method.balance, "USD") < sum(list, added_cost) then
    return deny { code = "GIFT_CARD_BALANCE", say = "The gift card does not cover the difference in price." }
  end
end)

on("return_delivered_order_items", "refund-where-it-came-from", { doc = "policy.md:124" }, function(c)
  local method = payment_method(c)
  if not method or not known(c, "order") or method.source == "gift_card" then return end
  if first_payment(c).payment_method_id ~= c.args.payment_method_id then
    return deny { code = "NOT_ORIGINAL_METHOD", say = "Refund to the original payment method or to a gift card." }
  end
end)
