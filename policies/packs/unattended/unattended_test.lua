-- The pack allows nothing, so what it lets through ends as DEFAULT_DENY: another policy would allow it.
local USERS = { ["args.day"] = { trusted = true, from = { "user" } } }

test "a change before anything was read" {
  tool = "files.delete", effect = "write", args = { id = "13" }, expect = "deny", code = "DEFAULT_DENY",
}
test "a change after untrusted text" {
  tool = "files.delete", effect = "write", args = { id = "13" }, untrusted = true,
  expect = "deny", code = "UNTRUSTED_PLAN", rule = "unattended/no-changes",
}
test "also with the user's own words" {
  tool = "calendar.add", effect = "write", args = { day = "2026-05-01" }, labels = USERS, untrusted = true,
  expect = "deny", code = "UNTRUSTED_PLAN", rule = "unattended/no-changes",
}
test "money" {
  tool = "refunds.create", effect = "money", user = "u1", untrusted = true,
  expect = "deny", code = "UNTRUSTED_PLAN", rule = "unattended/no-changes",
}
test "money before anything was read" {
  tool = "refunds.create", effect = "money", user = "u1", expect = "deny", code = "DEFAULT_DENY",
}
test "mail" {
  tool = "mail.send", effect = "egress", untrusted = true,
  expect = "deny", code = "UNTRUSTED_PLAN", rule = "unattended/no-changes",
}
test "a look before anything was read" {
  tool = "mail.list", effect = "read", expect = "deny", code = "DEFAULT_DENY",
}
test "a look that the user named" {
  tool = "calendar.day", effect = "read", args = { day = "2026-05-01" }, labels = USERS, untrusted = true,
  expect = "deny", code = "DEFAULT_DENY",
}
test "a look that nobody named" {
  tool = "calendar.day", effect = "read", args = { day = "2026-05-01" }, untrusted = true,
  expect = "deny", code = "UNTRUSTED_PLAN", rule = "unattended/only-named-looks",
}
test "a look at everything" {
  tool = "mail.list", effect = "read", untrusted = true,
  expect = "deny", code = "UNTRUSTED_PLAN", rule = "unattended/only-named-looks",
}
test "one word of two" {
  tool = "mail.find", effect = "read", args = { day = "2026-05-01", text = "code" }, labels = USERS, untrusted = true,
  expect = "deny", code = "UNTRUSTED_PLAN", rule = "unattended/only-named-looks",
}
