-- What a plan does after it has read somebody else's text. It allows nothing; it only adds demands to what other
-- policies allow. Copy it into a tenant's folder of policies, beside `baseline`, which speaks of money and egress.
policy "untrusted" { version = "1", owner = "security", tools = { "*" }, default = "deny" }

local function asked_for(c)
  local named = false
  for _ in pairs(c.args) do named = true end
  return named and trusted(c.args)
end

-- The arguments may be the user's own words; the choice to change something may still be somebody else's.
on(effect "write", "changes-ask", { doc = "After untrusted text the user sees every change first." }, function(c)
  if c.flow.untrusted then
    return require_approval {
      approvers = { "run-user", "role:approver" }, expires = "1h",
      say = "What was read since may have asked for this change, so a person confirms it.",
    }
  end
end)

-- A look at what the user named is his wish. Any other look, after untrusted text, may be the first half of a theft.
on(effect "read", "reads-ask", {
  doc = "After untrusted text, only what the user named is read without asking; except public directories.",
}, function(c)
  if c.flow.untrusted and not asked_for(c) then
    return require_approval {
      approvers = { "run-user", "role:approver" }, expires = "1h",
      say = "What was read since may have asked for this look, so a person confirms it.",
    }
  end
end)

invariant "no-unseen-change" {
  on = effect "write", never = function(c, d) return c.flow.untrusted and d.verdict == "allow" end,
}
