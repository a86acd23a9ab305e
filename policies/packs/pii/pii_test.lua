test "a letter is left to the other policies" {
  tool = "mail.send", effect = "egress", expect = "deny", code = "DEFAULT_DENY",
  args = { to = "jane@corp.example", body = "Your order 4711 of 2026-05-01 for 129.90 USD is on its way." },
}

test "a card number does not go out" {
  tool = "mail.send", effect = "egress", args = { body = "It was paid with 4666 1760 3137 2159." },
  expect = "deny", rule = "pii/no-account-or-identity-numbers-out", code = "PII_OUT",
}

test "nor one in full width digits, deep in the arguments" {
  tool = "http.post", effect = "egress",
  args = { data = { rows = { { note = "４６６６ １７６０ ３１３７ ２１５９" } } } },
  expect = "deny", rule = "pii/no-account-or-identity-numbers-out", code = "PII_OUT",
}

test "a number is known by its field" {
  tool = "http.post", effect = "egress", args = { ssn = "536228127" },
  expect = "deny", rule = "pii/no-account-or-identity-numbers-out", code = "PII_OUT",
}

test "writes inside are not asked" {
  tool = "cards.store", effect = "write", args = { card = "4666176031372159" }, expect = "deny", code = "DEFAULT_DENY",
}

test "a list of customers asks" {
  tool = "mail.send", effect = "egress", expect = "ask", rule = "pii/contact-lists-ask",
  args = { body = "a@x.example b@x.example c@x.example d@x.example e@x.example f@x.example" },
}

test "five do not" {
  tool = "mail.send", effect = "egress", expect = "deny", code = "DEFAULT_DENY",
  args = { body = "a@x.example b@x.example c@x.example d@x.example e@x.example" },
}
