--- An assistant that does what its user asks, with nobody there to be asked. The packs beside this file object.
policy "assistant" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }

on({ effect "read", effect "write", effect "egress" }, "as-asked", { doc = "What no pack objects to." }, function(c)
  return allow()
end)
