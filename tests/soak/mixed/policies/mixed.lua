--- Everything at once: what is large is asked about, what a run may spend is less than it wants, and models are charged.
policy "mixed" { version = "1", owner = "tests", tools = { "refunds.*", "agent.*" }, default = "deny" }

local ALL = budget "mixed.all" { unit = "USD", limit = usd(1000000), per = "tenant" }
local TREE = budget "mixed.tree" { unit = "USD", limit = usd(100), per = "run" }
budget "mixed.tokens" { unit = "tokens", charges = "model", per = "tenant", limit = 2000000000 }
local REFUNDS = { "refunds.idempotent", "refunds.reconciled", "refunds.blind" }

on(REFUNDS, "go", function(c) return allow() end)
on({ "agent.soak", "agent.clerk" }, "ask-another", function(c) return allow() end)
on(REFUNDS, "hold", function(c) return reserve(ALL, money_minor(c.args.amount_minor, "USD")) end)
on(REFUNDS, "of-the-tree", function(c)
  if c.call.agent ~= "desk" and c.call.agent ~= "clerk" then return end
  return reserve(TREE, money_minor(c.args.amount_minor, "USD"))
end)
on(REFUNDS, "large", function(c)
  if c.args.amount_minor >= 4000 then
    return require_approval { approvers = { "role:approver" }, quorum = 2, expires = "7d" }
  end
  if c.args.amount_minor >= 2500 then return require_approval { approvers = { "role:approver" }, expires = "7d" } end
end)
