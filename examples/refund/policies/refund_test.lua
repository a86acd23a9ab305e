-- One payment of 82.00 USD, nothing refunded yet, unless a test says otherwise.
local function order(changes)
  local base = {
    customer_id = "c-101", status = "delivered", currency = "USD",
    payments = { ["p-1001"] = { amount_minor = 8200, refunded_minor = 0 } },
  }
  for key, value in pairs(changes or {}) do base[key] = value end
  return base
end

local function refund(amount_minor, payment_id)
  return { order_id = "o-1001", payment_id = payment_id or "p-1001", amount_minor = amount_minor, reason = "broken" }
end

local function case(name, spec)
  spec.tool, spec.effect, spec.user = "refunds.create", "money", spec.user or "c-101"
  spec.now = "2026-05-01T10:00:00Z"
  spec.facts = spec.facts or { order = order(spec.order) }
  spec.order = nil
  test(name)(spec)
end

case("a small refund goes out", { args = refund(1850), expect = "allow", rule = "refund/small-refund" })
case("50.00 needs nobody", { args = refund(5000), expect = "allow" })
case("50.01 needs a manager", { args = refund(5001), expect = "ask", rule = "refund/manager-above-50" })
case("a payment can be refunded whole", { args = refund(8200), expect = "ask" })
case("one cent more than was paid is denied", { args = refund(8201), expect = "deny", code = "OVER_REFUND", rule = "refund/never-more-than-paid" })

case("what was refunded before counts", {
  args = refund(3201), expect = "deny", code = "OVER_REFUND",
  order = { payments = { ["p-1001"] = { amount_minor = 8200, refunded_minor = 5000 } } },
})
case("a payment that is refunded whole gives nothing more", {
  args = refund(1), expect = "deny", code = "OVER_REFUND",
  order = { payments = { ["p-1001"] = { amount_minor = 8200, refunded_minor = 8200 } } },
})

local LARGE = { payments = { ["p-1001"] = { amount_minor = 74900, refunded_minor = 0 } } }
case("500.00 needs one manager", { args = refund(50000), order = LARGE, expect = "ask", rule = "refund/manager-above-50" })
case("500.01 needs two people", { args = refund(50001), order = LARGE, expect = "ask", rule = "refund/two-people-above-500" })

case("another customer's order is denied", { args = refund(1850), user = "c-102", expect = "deny", code = "NOT_YOURS" })
case("a payment of another order is denied", { args = refund(1850, "p-1004"), expect = "deny", code = "NO_SUCH_PAYMENT" })
case("an order on its way is denied", { args = refund(1850), order = { status = "shipped" }, expect = "deny", code = "NOT_REFUNDABLE" })
case("a lost order is refunded", { args = refund(1850), order = { status = "lost" }, expect = "allow" })
case("euros are denied", { args = refund(1850), order = { currency = "EUR" }, expect = "deny", code = "CURRENCY" })
case("an unknown order is denied", { args = refund(1850), facts = { order = failed("NOT_FOUND") }, expect = "deny", code = "NO_SUCH_ORDER" })
case("a look-up that failed is doubt", { args = refund(1850), facts = { order = failed("BUSY") }, expect = "deny", code = "RULE_ERROR" })

case("the last dollars of the day go out", { args = refund(1000), used = { ["refund.daily"] = usd(4990) }, expect = "allow" })
case("one cent above the day's budget is denied", { args = refund(1001), used = { ["refund.daily"] = usd(4990) }, expect = "deny", code = "BUDGET" })
case("a second refund within the hour is denied", {
  args = refund(1000), counts = { ["refund/one-per-order-per-hour/o-1001"] = 1 }, expect = "deny", code = "LIMIT",
})
