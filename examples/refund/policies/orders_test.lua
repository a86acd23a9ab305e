local DELIVERED = {
  order_id = "o-1001", customer_id = "c-101", status = "delivered", delivered_at = "2026-04-26T10:00:00Z",
  items = {
    { line = 1, sku = "mug-blue", product = "mug", price_minor = 1850, status = "ordered" },
    { line = 2, sku = "scale", product = "scale", price_minor = 4500, status = "return requested" },
  },
}
local GREEN = { sku = "mug-green", product = "mug", price_minor = 1850, stock = 3 }

local function with(base, changes)
  local result = {}
  for key, value in pairs(base) do result[key] = value end
  for key, value in pairs(changes) do result[key] = value end
  return result
end

local function case(name, tool, effect, spec)
  spec.tool, spec.effect, spec.user = tool, effect, spec.user or "c-101"
  spec.now = spec.now or "2026-05-01T10:00:00Z"
  test(name)(spec)
end

local GET = { order_id = "o-1001" }
case("own orders are shown", "orders.get", "read", { args = GET, facts = { order = DELIVERED }, expect = "allow" })
case("other people's orders are not", "orders.get", "read", { args = GET, user = "c-102", facts = { order = DELIVERED }, expect = "deny", code = "NOT_YOURS" })
case("the tool itself says that an order does not exist", "orders.get", "read", { args = GET, facts = { order = failed("NOT_FOUND") }, expect = "allow" })
case("an order that could not be looked up is not shown", "orders.get", "read", { args = GET, facts = { order = failed("BUSY") }, expect = "deny", code = "RULE_ERROR" })
case("own list", "orders.list", "read", { args = { customer_id = "c-101" }, expect = "allow" })
case("another list", "orders.list", "read", { args = { customer_id = "c-102" }, expect = "deny", code = "NOT_YOURS" })
case("own profile", "customers.find", "read", { args = { email = "m@x.example" }, facts = { customer = { customer_id = "c-101" } }, expect = "allow" })
case("another profile", "customers.find", "read", { args = { email = "t@x.example" }, facts = { customer = { customer_id = "c-102" } }, expect = "deny", code = "NOT_YOURS" })
case("the catalogue is public", "catalogue.find", "read", { args = { sku = "scale" }, expect = "allow" })

local CANCEL = { order_id = "o-1001", reason = "ordered twice" }
case("a placed order is cancelled with the customer's yes", "orders.cancel", "write", { args = CANCEL, facts = { order = with(DELIVERED, { status = "placed" }) }, expect = "ask", rule = "orders/customer-says-yes" })
case("a delivered order is not cancelled", "orders.cancel", "write", { args = CANCEL, facts = { order = DELIVERED }, expect = "deny", code = "ALREADY_SHIPPED" })
case("nobody cancels other people's orders", "orders.cancel", "write", { args = CANCEL, user = "c-102", facts = { order = with(DELIVERED, { status = "placed" }) }, expect = "deny", code = "NOT_YOURS" })
case("what does not exist is not cancelled", "orders.cancel", "write", { args = CANCEL, facts = { order = failed("NOT_FOUND") }, expect = "deny", code = "NO_SUCH_ORDER" })

local function give_back(lines) return { order_id = "o-1001", lines = lines, reason = "too small" } end
case("an item comes back with the customer's yes", "orders.return", "write", { args = give_back { 1 }, facts = { order = DELIVERED }, expect = "ask" })
case("an item comes back once", "orders.return", "write", { args = give_back { 1, 2 }, facts = { order = DELIVERED }, expect = "deny", code = "NO_SUCH_LINE" })
case("only items of the order come back", "orders.return", "write", { args = give_back { 7 }, facts = { order = DELIVERED }, expect = "deny", code = "NO_SUCH_LINE" })
case("what did not arrive does not come back", "orders.return", "write", { args = give_back { 1 }, facts = { order = with(DELIVERED, { status = "shipped" }) }, expect = "deny", code = "NOT_DELIVERED" })
case("the 29th day is in time", "orders.return", "write", { args = give_back { 1 }, facts = { order = DELIVERED }, now = "2026-05-26T09:59:59Z", expect = "ask" })
case("the 30th day is too late", "orders.return", "write", { args = give_back { 1 }, facts = { order = DELIVERED }, now = "2026-05-26T10:00:00Z", expect = "deny", code = "TOO_LATE" })

local function swap(line, sku) return { order_id = "o-1001", line = line, new_sku = sku } end
case("another colour with the customer's yes", "orders.exchange", "write", { args = swap(1, "mug-green"), facts = { order = DELIVERED, new_item = GREEN }, expect = "ask" })
case("another product is a new order", "orders.exchange", "write", { args = swap(1, "scale"), facts = { order = DELIVERED, new_item = { sku = "scale", product = "scale", price_minor = 100, stock = 3 } }, expect = "deny", code = "OTHER_PRODUCT" })
case("a dearer one is a new order", "orders.exchange", "write", { args = swap(1, "mug-copper"), facts = { order = DELIVERED, new_item = with(GREEN, { price_minor = 1851 }) }, expect = "deny", code = "DEARER" })
case("what is not in stock cannot be had", "orders.exchange", "write", { args = swap(1, "mug-green"), facts = { order = DELIVERED, new_item = with(GREEN, { stock = 0 }) }, expect = "deny", code = "OUT_OF_STOCK" })
case("what is not sold cannot be had", "orders.exchange", "write", { args = swap(1, "mug-gold"), facts = { order = DELIVERED, new_item = failed("NOT_FOUND") }, expect = "deny", code = "NO_SUCH_PRODUCT" })
case("an item is exchanged once", "orders.exchange", "write", { args = swap(2, "mug-green"), facts = { order = DELIVERED, new_item = GREEN }, expect = "deny", code = "NO_SUCH_LINE" })

local HAND_OVER = { customer_id = "c-101", summary = "wants to talk to a person" }
case("a person helps", "handover.create", "write", { args = HAND_OVER, expect = "allow" })
case("a person helps this customer only", "handover.create", "write", { args = HAND_OVER, user = "c-102", expect = "deny", code = "NOT_YOURS" })
