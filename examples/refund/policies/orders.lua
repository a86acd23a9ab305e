--- Looking at orders and changing them. Everything here is about the customer's own things.

policy "orders" {
  version = "1", owner = "customer-service", default = "deny",
  tools = { "customers.find", "orders.*", "catalogue.find", "handover.create" },
}

local CHANGES = { "orders.exchange", "orders.return", "orders.cancel" }
local DELIVERED_ONLY = { "orders.exchange", "orders.return" }
local RETURN_DAYS = 30

fact "order" {
  tool = "orders.get", args = { order_id = "{args.order_id}" },
  on = { "orders.get", "orders.exchange", "orders.return", "orders.cancel" },
}
fact "customer" { tool = "customers.find", args = { email = "{args.email}" }, on = "customers.find" }
fact "new_item" { tool = "catalogue.find", args = { sku = "{args.new_sku}" }, on = "orders.exchange" }

-- The look-up said that there is no such thing: the tool will say so itself. Any other failed look-up is doubt, and
-- reading the absent fact then denies the call.
local function unknown(c, name) return fact_error(c.facts, name) == "NOT_FOUND" end

local function is_user(c, customer_id) return present(c, "user") and customer_id == c.user end

local function item_on(c, line)
  return find(c.facts.order.items, function(item) return item.line == line end)
end

-- ---------------------------------------------------------------- looking

on("catalogue.find", "catalogue-is-public", { doc = "Everybody may see what the shop sells." }, function(c)
  return allow()
end)

on("customers.find", "own-profile", { doc = "A customer sees his own profile only." }, function(c)
  if not unknown(c, "customer") and not is_user(c, c.facts.customer.customer_id) then
    return deny { code = "NOT_YOURS", say = "This profile belongs to somebody else." }
  end
  return allow()
end)

on("orders.list", "own-orders", { doc = "A customer sees his own orders only." }, function(c)
  if not is_user(c, c.args.customer_id) then
    return deny { code = "NOT_YOURS", say = "These orders belong to somebody else." }
  end
  return allow()
end)

on("orders.get", "own-order", { doc = "A customer sees his own orders only." }, function(c)
  if not unknown(c, "order") and not is_user(c, c.facts.order.customer_id) then
    return deny { code = "NOT_YOURS", say = "This order belongs to somebody else." }
  end
  return allow()
end)

-- ---------------------------------------------------------------- changing

on(CHANGES, "own-order-to-change", { doc = "A customer changes his own orders only." }, function(c)
  if unknown(c, "order") then
    return deny { code = "NO_SUCH_ORDER", say = "There is no such order." }
  end
  if not is_user(c, c.facts.order.customer_id) then
    return deny { code = "NOT_YOURS", say = "This order belongs to somebody else." }
  end
end)

on(CHANGES, "customer-says-yes", { doc = "Changes to an order need the customer's yes." }, function(c)
  return require_approval { approvers = { "run-user" }, expires = "30m", say = "Do you confirm this change?" }
end)

on("orders.cancel", "cancel-before-shipping", { doc = "What was shipped cannot be cancelled." }, function(c)
  if not unknown(c, "order") and c.facts.order.status ~= "placed" then
    return deny { code = "ALREADY_SHIPPED", say = "Only an order that was not shipped can be cancelled." }
  end
end)

on(DELIVERED_ONLY, "only-delivered", { doc = "Exchanges and returns are for orders that arrived." }, function(c)
  if not unknown(c, "order") and c.facts.order.status ~= "delivered" then
    return deny { code = "NOT_DELIVERED", say = "The order was not delivered." }
  end
end)

on(DELIVERED_ONLY, "within-30-days", { doc = "Exchanges and returns end 30 days after delivery." }, function(c)
  if unknown(c, "order") or not present(c.facts.order, "delivered_at") then return end
  if days_between(c.facts.order.delivered_at, c.now) >= RETURN_DAYS then
    return deny { code = "TOO_LATE", say = "The 30 days for exchanges and returns are over." }
  end
end)

on("orders.return", "lines-of-this-order", { doc = "Only items of the order come back, each once." }, function(c)
  if unknown(c, "order") then return end
  local function free(line)
    local item = item_on(c, line)
    return item ~= nil and item.status == "ordered"
  end
  if not all(c.args.lines, free) then
    return deny { code = "NO_SUCH_LINE", say = "The order has no such item, or it is on its way back already." }
  end
end)

on("orders.exchange", "line-of-this-order", { doc = "Only an item of the order is exchanged, once." }, function(c)
  if unknown(c, "order") then return end
  local item = item_on(c, c.args.line)
  if not item or item.status ~= "ordered" then
    return deny { code = "NO_SUCH_LINE", say = "The order has no such item, or it was exchanged already." }
  end
end)

on("orders.exchange", "same-product-in-stock", {
  doc = "An item becomes another option of the same product.",
}, function(c)
  if unknown(c, "new_item") then
    return deny { code = "NO_SUCH_PRODUCT", say = "The shop does not sell this." }
  end
  if c.facts.new_item.stock < 1 then
    return deny { code = "OUT_OF_STOCK", say = "This is not in stock." }
  end
  if unknown(c, "order") then return end
  local item = item_on(c, c.args.line)
  if item and item.product ~= c.facts.new_item.product then
    return deny { code = "OTHER_PRODUCT", say = "An item can only become another option of the same product." }
  end
end)

on("orders.exchange", "not-dearer", { doc = "Exchanges that cost more are new orders." }, function(c)
  if unknown(c, "order") or unknown(c, "new_item") then return end
  local item = item_on(c, c.args.line)
  if item and c.facts.new_item.price_minor > item.price_minor then
    return deny { code = "DEARER", say = "The new item costs more; place a new order for it." }
  end
end)

-- ---------------------------------------------------------------- people

on("handover.create", "people-help", {
  doc = "The desk may always call a person, for the customer at hand.",
}, function(c)
  if not is_user(c, c.args.customer_id) then
    return deny { code = "NOT_YOURS", say = "Hand over for the customer of this conversation only." }
  end
  return allow()
end)
