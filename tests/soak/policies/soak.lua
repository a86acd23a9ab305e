--- Every refund holds its amount; nothing else is in the way.
policy "soak" { version = "1", owner = "tests", tools = { "refunds.*", "agent.soak" }, default = "deny" }

local ALL = budget "soak.all" { unit = "USD", limit = usd(1000000), per = "tenant" }
local REFUNDS = { "refunds.idempotent", "refunds.reconciled", "refunds.blind" }

on(REFUNDS, "go", function(c) return allow() end)
on("agent.soak", "ask-another", function(c) return allow() end)
on(REFUNDS, "hold", function(c) return reserve(ALL, money_minor(c.args.amount_minor, "USD")) end)
