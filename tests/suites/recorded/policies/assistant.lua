--- An assistant that does what its user asks. The packs beside this file add their demands: labels decide what needs
--- the user's word, no tool or task is named here but for look-ups in public directories.
policy "assistant" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }

on({ effect "read", effect "write", effect "egress" }, "as-asked", { doc = "What no pack objects to." }, function(c)
  return allow()
end)

-- A travel agency's catalogue is no secret of the user: whoever makes him look something up there learns nothing.
exception "public-catalogues" {
  rule = "untrusted/reads-ask", owner = "tests", ticket = "ILK-4", expires = "2036-01-01",
  doc = "Public catalogues",
  on = { "travel.get_*", "travel.check_*" }, where = { ["call.tool"] = none_of("travel.get_user_information") },
}
