local function pay(name, sum, spec)
  spec.tool, spec.effect = "refunds.create", "money"
  spec.args = { amount = sum }
  test(name)(spec)
end

pay("500 is left to the other policies", 500, { expect = "deny", code = "DEFAULT_DENY" })
pay("a cent more needs two people", 500.01, { expect = "ask", rule = "two_person/large-sums" })
pay("so does a sum that nobody knows", nil, { expect = "ask", rule = "two_person/unknown-sums" })
pay("a sum that is none is doubt", "much", { expect = "deny", code = "RULE_ERROR" })
pay("50 after untrusted text is left to the other policies", 50, { untrusted = true, expect = "deny", code = "DEFAULT_DENY" })
pay("a cent more needs two people then", 50.01, { untrusted = true, expect = "ask", rule = "two_person/untrusted-sums" })
pay("and is left alone without it", 50.01, { expect = "deny", code = "DEFAULT_DENY" })

test "deleting needs two people" { tool = "customers.delete", effect = "write", args = { id = "c1" }, expect = "ask", rule = "two_person/gone-for-good" }
test "a name without a dot hides nothing" { tool = "crm_delete", effect = "write", args = {}, expect = "ask", rule = "two_person/gone-for-good" }
test "a word that only begins so is another" { tool = "dropdown.list", effect = "read", args = {}, expect = "deny", code = "DEFAULT_DENY" }
test "changing does not" { tool = "customers.update", effect = "write", args = { id = "c1" }, expect = "deny", code = "DEFAULT_DENY" }
