-- What every agent should start from. It allows nothing; it only adds demands to what other policies allow.
-- Copy it into a tenant's folder of policies.
policy "baseline" { version = "1", owner = "security", tools = { "*" }, default = "deny" }

-- A plan that has read text from outside (mail, web, a tool's output marked untrusted) does not move money or
-- send anything out by itself: the run's user, or an approver, sees the call first.
on({ effect "money", effect "egress" }, "untrusted-plans-ask", function(c)
  if c.flow.untrusted then
    return require_approval {
      approvers = { "run-user", "role:approver" }, expires = "1h",
      say = "What was read since may have asked for this, so a person confirms it.",
    }
  end
end)

-- Money moves for somebody: a run without an authenticated user does not move any.
on(effect "money", "money-needs-a-user", function(c)
  if not present(c, "user") then
    return deny { code = "NO_USER", say = "Money moves only for an authenticated user." }
  end
end)

-- Passwords, keys and tokens leave by nobody's hand.
on(effect "egress", "no-secrets-out", function(c)
  local found = secrets(c.args)
  if #found > 0 then
    return deny {
      code = "SECRET_OUT", say = "Take out what looks like a password, key or token.",
      because = found[1].kind .. " in " .. found[1].path,
    }
  end
end)
