-- Calls that carry somebody else's commands. It allows nothing; it only adds demands to what other policies allow.
-- Copy it into a tenant's folder of policies.
policy "injection" { version = "1", owner = "security", tools = { "*" }, default = "deny" }

local CHANGES = { effect "write", effect "money", effect "egress" }

-- Text that a person cannot see has no place in a call that changes anything.
local HIDDEN = { "tag_characters", "variation_selectors", "bidi_control", "zero_width", "homoglyph_host" }

on(CHANGES, "no-hidden-text", function(c)
  local found = injection(c.args, HIDDEN)
  if #found > 0 then
    return deny {
      code = "HIDDEN_TEXT", say = "Write the arguments without invisible or lookalike characters.",
      because = found[1].kind .. " in " .. found[1].path,
    }
  end
end)

-- Orders to a model, copied into a call, would command whoever reads it next.
on(CHANGES, "commands-to-models-ask", function(c)
  local found = injection(c.args, "injection", "high")
  if #found > 0 then
    return require_approval {
      approvers = { "run-user", "role:approver" }, expires = "1h",
      say = "The arguments hold text that commands an assistant (" .. found[1].kind .. ").",
    }
  end
end)
