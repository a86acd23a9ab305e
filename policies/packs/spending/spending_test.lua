-- The pack allows nothing, so what it lets through ends as DEFAULT_DENY: another policy would allow it.
local function pay(name, sum, spec)
  spec.tool, spec.effect, spec.user = "refunds.create", "money", spec.user or "u1"
  spec.args = { amount = sum }
  test(name)(spec)
end

pay("a small sum is left to the other policies", 20, { expect = "deny", code = "DEFAULT_DENY" })
pay("200 is small", 200, { expect = "deny", code = "DEFAULT_DENY" })
pay("a cent more is asked about", 200.01, { expect = "ask", rule = "spending/large-sums-ask" })
pay("nothing is no sum", 0, { expect = "deny", rule = "spending/more-than-nothing", code = "AMOUNT" })
pay("nor is less", -5, { expect = "deny", rule = "spending/more-than-nothing", code = "AMOUNT" })
pay("a cent is one", 0.01, { expect = "deny", code = "DEFAULT_DENY" })
pay("a sum must be stated", nil, { expect = "deny", rule = "spending/states-an-amount", code = "NO_AMOUNT" })
pay("half a cent is doubt", 0.005, { expect = "deny", code = "RULE_ERROR" })

pay("the run's last dollar", 20, { used = { ["spending.run"] = usd(480) }, expect = "deny", code = "DEFAULT_DENY" })
pay("a cent more than the run has", 20, { used = { ["spending.run"] = usd(480.01) }, expect = "deny", code = "BUDGET" })
pay("half a dollar counts too", 0.5, { used = { ["spending.run"] = usd(499.51) }, expect = "deny", code = "BUDGET" })
pay("the user's last dollar", 20, { used = { ["spending.user"] = usd(980) }, expect = "deny", code = "DEFAULT_DENY" })
pay("a cent more than the user has", 20, { used = { ["spending.user"] = usd(980.01) }, expect = "deny", code = "BUDGET" })
pay("the day's last dollar", 20, { used = { ["spending.all"] = usd(9980) }, expect = "deny", code = "DEFAULT_DENY" })
pay("a cent more than the day has", 20, { used = { ["spending.all"] = usd(9980.01) }, expect = "deny", code = "BUDGET" })

pay("the tenth within the hour", 20, { counts = { ["spending/ten-an-hour/u1"] = 9 }, expect = "deny", code = "DEFAULT_DENY" })
pay("the eleventh", 20, { counts = { ["spending/ten-an-hour/u1"] = 10 }, expect = "deny", code = "LIMIT" })

test "without a user the run and the day still count" {
  tool = "refunds.create", effect = "money", args = { amount = 20 }, counts = { ["spending/ten-an-hour/nobody"] = 10 },
  expect = "deny", code = "LIMIT",
}
test "reading costs nothing" { tool = "orders.get", effect = "read", expect = "deny", code = "DEFAULT_DENY" }
