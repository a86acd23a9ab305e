-- For an agent at whose side nobody sits: where `untrusted` asks a person, this says no. It allows nothing; it only adds
-- demands to what other policies allow. Copy it into a tenant's folder of policies, beside `baseline`.
policy "unattended" { version = "1", owner = "security", tools = { "*" }, default = "deny" }

local function asked_for(c)
  local named = false
  for _ in pairs(c.args) do named = true end
  return named and trusted(c.args)
end

-- What is to be changed is decided before anything of somebody else's is read.
on({ effect "write", effect "money", effect "egress" }, "no-changes", {
  doc = "After untrusted text nothing is changed, paid or sent.",
}, function(c)
  if c.flow.untrusted then
    return deny {
      code = "UNTRUSTED_PLAN",
      say = "What was read since may have asked for this, and nobody is here to say. Change first, and read then.",
    }
  end
end)

on(effect "read", "only-named-looks", {
  doc = "After untrusted text, only what the user named is read.",
}, function(c)
  if c.flow.untrusted and not asked_for(c) then
    return deny {
      code = "UNTRUSTED_PLAN", say = "What was read since may have asked for this look, and nobody is here to say.",
    }
  end
end)

invariant "untrusted-text-moves-nothing" {
  on = { effect "write", effect "money", effect "egress" },
  never = function(c, d) return c.flow.untrusted and d.verdict ~= "deny" end,
}
