-- A user with a gift card of 40.00 and a card; one pending and one delivered order of two items.
local ACCOUNT = {
  user_id = "ana_1",
  payment_methods = {
    card_1 = { id = "card_1", source = "credit_card" },
    card_2 = { id = "card_2", source = "credit_card" },
    gift_1 = { id = "gift_1", source = "gift_card", balance = 40.0 },
  },
}
local function order(status, changes)
  local result = {
    order_id = "#W1", user_id = "ana_1", status = status,
    items = {
      { item_id = "11", product_id = "shirt", price = 50.88 },
      { item_id = "21", product_id = "lamp", price = 100.0 },
    },
    payment_history = { { transaction_type = "payment", amount = 150.88, payment_method_id = "card_1" } },
  }
  for key, value in pairs(changes or {}) do result[key] = value end
  return result
end
local SHOP = {
  ["12"] = { product_id = "shirt", available = true, price = 49.67 },
  ["13"] = { product_id = "shirt", available = false, price = 40.0 },
  ["22"] = { product_id = "lamp", available = true, price = 140.0 },
  ["23"] = { product_id = "lamp", available = true, price = 140.01 },
}

local function case(name, tool, spec)
  spec.tool = tool
  if spec.user == nil then spec.user = "ana_1" end
  if spec.user == "" then spec.user = nil end
  spec.now = "2026-05-01T10:00:00Z"
  spec.effect = spec.effect or "write"
  test(name)(spec)
end

-- ---------------------------------------------------------------- who the user is
local EMAIL = { email = "ana@example.com" }
local NAME = { first_name = "Ana", last_name = "Silva", zip = "10001" }
case("anybody can be looked for", "find_user_id_by_email", { user = "", effect = "read", args = EMAIL, facts = { found_by_email = "ana_1" }, expect = "allow" })
case("the user himself can be found again", "find_user_id_by_email", { effect = "read", args = EMAIL, facts = { found_by_email = "ana_1" }, expect = "allow" })
case("a second user is not helped", "find_user_id_by_email", { effect = "read", args = EMAIL, facts = { found_by_email = "ben_2" }, expect = "deny", code = "OTHER_USER" })
case("the tool says that nobody was found", "find_user_id_by_email", { effect = "read", args = EMAIL, facts = { found_by_email = failed("USER_NOT_FOUND") }, expect = "allow" })
case("a failed look-up is doubt", "find_user_id_by_email", { effect = "read", args = EMAIL, facts = { found_by_email = failed("BUSY") }, expect = "deny", code = "RULE_ERROR" })
case("the user by name", "find_user_id_by_name_zip", { effect = "read", args = NAME, facts = { found_by_name = "ana_1" }, expect = "allow" })
case("a second user by name", "find_user_id_by_name_zip", { effect = "read", args = NAME, facts = { found_by_name = "ben_2" }, expect = "deny", code = "OTHER_USER" })
case("anybody can be looked for by name", "find_user_id_by_name_zip", { user = "", effect = "read", args = NAME, facts = { found_by_name = "ana_1" }, expect = "allow" })
case("the tool says that nobody has this name", "find_user_id_by_name_zip", { effect = "read", args = NAME, facts = { found_by_name = failed("USER_NOT_FOUND") }, expect = "allow" })
case("own profile", "get_user_details", { effect = "read", args = { user_id = "ana_1" }, expect = "allow" })
case("another profile", "get_user_details", { effect = "read", args = { user_id = "ben_2" }, expect = "deny", code = "OTHER_USER" })
case("no profile before sign-in", "get_user_details", { user = "", effect = "read", args = { user_id = "ana_1" }, expect = "deny", code = "NOT_AUTHENTICATED" })
case("products after sign-in", "get_product_details", { effect = "read", args = { product_id = "1" }, expect = "allow" })
case("no products before sign-in", "get_product_details", { user = "", effect = "read", args = { product_id = "1" }, expect = "deny", code = "NOT_AUTHENTICATED" })
case("one variant", "get_item_details", { effect = "read", args = { item_id = "1" }, expect = "allow" })
case("all products", "list_all_product_types", { effect = "read", args = {}, expect = "allow" })
case("sums", "calculate", { effect = "read", args = { expression = "1 + 1" }, expect = "allow" })
case("a person helps", "transfer_to_human_agents", { args = { summary = "cannot help" }, expect = "allow" })
case("own order", "get_order_details", { effect = "read", args = { order_id = "#W1" }, facts = { order = order("pending") }, expect = "allow" })
case("another order", "get_order_details", { user = "ben_2", effect = "read", args = { order_id = "#W1" }, facts = { order = order("pending") }, expect = "deny", code = "OTHER_USER" })
case("the tool says that there is no such order", "get_order_details", { effect = "read", args = { order_id = "#W1" }, facts = { order = failed("ORDER_NOT_FOUND") }, expect = "allow" })
case("an order that could not be looked up", "get_order_details", { effect = "read", args = { order_id = "#W1" }, facts = { order = failed("BUSY") }, expect = "deny", code = "RULE_ERROR" })

-- ---------------------------------------------------------------- cancel
local function cancel(reason) return { order_id = "#W1", reason = reason } end
local NO_NEED = cancel("no longer needed")
case("a pending order is cancelled with a yes", "cancel_pending_order", { args = NO_NEED, facts = { order = order("pending") }, expect = "ask", rule = "retail/user-says-yes" })
case("ordered by mistake is a reason", "cancel_pending_order", { args = cancel("ordered by mistake"), facts = { order = order("pending") }, expect = "ask" })
case("other reasons are not", "cancel_pending_order", { args = cancel("found it cheaper"), facts = { order = order("pending") }, expect = "deny", code = "BAD_REASON" })
case("processed is too late", "cancel_pending_order", { args = NO_NEED, facts = { order = order("processed") }, expect = "deny", code = "NOT_PENDING" })
case("modified items cannot be cancelled", "cancel_pending_order", { args = NO_NEED, facts = { order = order("pending (item modified)") }, expect = "deny", code = "NOT_PENDING" })
case("other people's orders stay", "cancel_pending_order", { user = "ben_2", args = NO_NEED, facts = { order = order("pending") }, expect = "deny", code = "OTHER_USER" })
case("nothing before sign-in", "cancel_pending_order", { user = "", args = NO_NEED, facts = { order = order("pending") }, expect = "deny", code = "NOT_AUTHENTICATED" })
case("no order, no cancel", "cancel_pending_order", { args = NO_NEED, facts = { order = failed("ORDER_NOT_FOUND") }, expect = "deny", code = "NO_SUCH_ORDER" })

-- ---------------------------------------------------------------- addresses
local PLACE = { address1 = "1 Main St", address2 = "", city = "Lyon", state = "NY", country = "USA", zip = "10001" }
local function at(key, value)
  local result = { [key] = value }
  for name, part in pairs(PLACE) do result[name] = part end
  return result
end
case("own address", "modify_user_address", { args = at("user_id", "ana_1"), expect = "ask" })
case("another address", "modify_user_address", { args = at("user_id", "ben_2"), expect = "deny", code = "OTHER_USER" })
case("a pending order goes elsewhere", "modify_pending_order_address", { args = at("order_id", "#W1"), facts = { order = order("pending") }, expect = "ask" })
case("a delivered one does not", "modify_pending_order_address", { args = at("order_id", "#W1"), facts = { order = order("delivered") }, expect = "deny", code = "NOT_PENDING" })
case("one with modified items does not", "modify_pending_order_address", { args = at("order_id", "#W1"), facts = { order = order("pending (item modified)") }, expect = "deny", code = "NOT_PENDING" })

-- ---------------------------------------------------------------- payment
local function pay(method) return { order_id = "#W1", payment_method_id = method } end
local function payment(name, method, spec)
  spec.args = pay(method)
  spec.facts = { order = order(spec.status or "pending", spec.order), account = ACCOUNT }
  spec.status, spec.order = nil, nil
  case(name, "modify_pending_order_payment", spec)
end
payment("another card", "card_2", { expect = "ask" })
payment("the same card", "card_1", { expect = "deny", code = "SAME_METHOD" })
payment("somebody's card", "card_9", { expect = "deny", code = "NO_SUCH_METHOD" })
payment("a gift card with too little", "gift_1", { expect = "deny", code = "GIFT_CARD_BALANCE" })
payment("a gift card with just enough", "gift_1", { expect = "ask", order = { payment_history = { { amount = 40.0, payment_method_id = "card_1" } } } })
payment("a gift card that lacks a cent", "gift_1", { expect = "deny", code = "GIFT_CARD_BALANCE", order = { payment_history = { { amount = 40.01, payment_method_id = "card_1" } } } })
payment("a second change", "card_2", { expect = "deny", code = "PAYMENT_CHANGED", order = { payment_history = {
  { amount = 40.0, payment_method_id = "gift_1" }, { amount = 40.0, payment_method_id = "card_1" }, { amount = 40.0, payment_method_id = "gift_1" } } } })
payment("after delivery", "card_2", { status = "delivered", expect = "deny", code = "NOT_PENDING" })

-- ---------------------------------------------------------------- items: modify and exchange
local function swap(name, tool, status, old, new, method, spec)
  spec.args = { order_id = "#W1", item_ids = old, new_item_ids = new, payment_method_id = method }
  spec.facts = { order = order(status), account = ACCOUNT, new_items = SHOP }
  case(tool .. ": " .. name, tool, spec)
end
for _, kind in ipairs { { "modify_pending_order_items", "pending", "NOT_PENDING" }, { "exchange_delivered_order_items", "delivered", "NOT_DELIVERED" } } do
  local tool, status, wrong_status = kind[1], kind[2], kind[3]
  swap("another option", tool, status, { "11" }, { "12" }, "card_1", { expect = "ask" })
  swap("two at once", tool, status, { "11", "21" }, { "12", "22" }, "card_1", { expect = "ask" })
  swap("a gift card that just covers it", tool, status, { "21" }, { "22" }, "gift_1", { expect = "ask" })
  swap("a gift card that lacks a cent", tool, status, { "21" }, { "23" }, "gift_1", { expect = "deny", code = "GIFT_CARD_BALANCE" })
  swap("a cheaper item helps to cover", tool, status, { "11", "21" }, { "12", "23" }, "gift_1", { expect = "ask" })
  swap("the same item", tool, status, { "11" }, { "11" }, "card_1", { expect = "deny", code = "SAME_ITEM" })
  swap("another product", tool, status, { "11" }, { "22" }, "card_1", { expect = "deny", code = "OTHER_PRODUCT" })
  swap("out of stock", tool, status, { "11" }, { "13" }, "card_1", { expect = "deny", code = "NOT_AVAILABLE" })
  swap("unknown to the shop", tool, status, { "11" }, { "99" }, "card_1", { expect = "deny", code = "NOT_AVAILABLE" })
  swap("not in the order", tool, status, { "31" }, { "12" }, "card_1", { expect = "deny", code = "NOT_IN_ORDER" })
  swap("more than the order holds", tool, status, { "11", "11" }, { "12", "12" }, "card_1", { expect = "deny", code = "NOT_IN_ORDER" })
  swap("one of two is not in the order", tool, status, { "11", "31" }, { "12", "22" }, "card_1", { expect = "deny", code = "NOT_IN_ORDER" })
  swap("one of two is out of stock", tool, status, { "11", "21" }, { "13", "22" }, "card_1", { expect = "deny", code = "NOT_AVAILABLE" })
  swap("one of two is another product", tool, status, { "11", "21" }, { "22", "22" }, "card_1", { expect = "deny", code = "OTHER_PRODUCT" })
  swap("lists of two lengths", tool, status, { "11", "21" }, { "12" }, "card_1", { expect = "deny", code = "COUNT_MISMATCH" })
  swap("no items", tool, status, {}, {}, "card_1", { expect = "deny", code = "NO_ITEMS" })
  swap("somebody's card", tool, status, { "11" }, { "12" }, "card_9", { expect = "deny", code = "NO_SUCH_METHOD" })
  swap("a second time", tool, status == "pending" and "pending (item modified)" or "exchange requested", { "11" }, { "12" }, "card_1", { expect = "deny", code = wrong_status })
end

-- ---------------------------------------------------------------- return
local function give_back(name, status, items, method, spec)
  spec.args = { order_id = "#W1", item_ids = items, payment_method_id = method }
  spec.facts = { order = order(status), account = ACCOUNT }
  case(name, "return_delivered_order_items", spec)
end
give_back("back to the card it was paid with", "delivered", { "11" }, "card_1", { expect = "ask" })
give_back("back to a gift card", "delivered", { "11", "21" }, "gift_1", { expect = "ask" })
give_back("back to a third method", "delivered", { "11" }, "card_2", { expect = "deny", code = "NOT_ORIGINAL_METHOD" })
give_back("back to somebody's card", "delivered", { "11" }, "card_9", { expect = "deny", code = "NO_SUCH_METHOD" })
give_back("not delivered yet", "pending", { "11" }, "card_1", { expect = "deny", code = "NOT_DELIVERED" })
give_back("after an exchange", "exchange requested", { "11" }, "card_1", { expect = "deny", code = "NOT_DELIVERED" })
give_back("items of another order", "delivered", { "31" }, "card_1", { expect = "deny", code = "NOT_IN_ORDER" })
give_back("no items to return", "delivered", {}, "card_1", { expect = "deny", code = "NO_ITEMS" })
