test "the pack alone allows nothing" {
  tool = "orders.get", effect = "read", user = "u1", expect = "deny", code = "DEFAULT_DENY",
}

test "money after untrusted text asks" {
  tool = "refunds.create", effect = "money", user = "u1", untrusted = true,
  expect = "ask", rule = "baseline/untrusted-plans-ask",
}

test "so does sending something out" {
  tool = "email.send", effect = "egress", untrusted = true,
  expect = "ask", rule = "baseline/untrusted-plans-ask",
}

test "a clean plan is left to the other policies" {
  tool = "refunds.create", effect = "money", user = "u1", expect = "deny", code = "DEFAULT_DENY",
}

test "money needs a user" {
  tool = "refunds.create", effect = "money", expect = "deny", code = "NO_USER",
}

test "a secret does not go out" {
  tool = "mail.send", effect = "egress", args = { body = "the password is tr0ub4dor&3x" },
  expect = "deny", rule = "baseline/no-secrets-out", code = "SECRET_OUT",
}

test "talk about passwords does" {
  tool = "mail.send", effect = "egress", args = { body = "I forgot the password, please reset it." },
  expect = "deny", code = "DEFAULT_DENY",
}
