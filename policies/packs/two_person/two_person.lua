-- What one person must not do alone, an agent must not do with one person's yes. It allows nothing; it only adds
-- demands to what other policies allow. Copy it into a tenant's folder of policies and set the names and figures.
policy "two_person" { version = "1", owner = "risk", tools = { "*" }, default = "deny" }

-- `quorum` counts people, not roles, and whoever asked for the run is none of them.
local PEOPLE = 2
local TWO = { "role:manager", "role:finance", "role:approver" }
-- With and without a name of their server before them.
local GONE_FOR_GOOD = {
  "delete", "delete_*", "*.delete", "*.delete_*", "*_delete", "*_delete_*",
  "drop", "drop_*", "*.drop", "*.drop_*", "*_drop", "*_drop_*",
  "purge", "purge_*", "*.purge", "*.purge_*", "*_purge", "*_purge_*",
  "close_account", "*.close_account", "*_close_account",
}

on(effect "money", "large-sums", { doc = "Above 500, two people." }, function(c)
  if present(c.args, "amount") and money_of(c.args.amount, "USD") > usd(500) then
    return require_approval { approvers = TWO, quorum = PEOPLE, expires = "1d", say = "Two people decide about sums above 500." }
  end
end)

on(effect "money", "unknown-sums", { doc = "A sum that is not stated may be any." }, function(c)
  if not present(c.args, "amount") then
    return require_approval { approvers = TWO, quorum = PEOPLE, expires = "1d", say = "It does not say how much money it moves." }
  end
end)

rule "gone-for-good" {
  doc = "What cannot be taken back.",
  on = GONE_FOR_GOOD,
  require_approval = { approvers = TWO, quorum = PEOPLE, expires = "1d", say = "This cannot be taken back." },
  examples = {
    { tool = "customers.delete", effect = "write", args = { id = "c1" }, expect = "ask" },
    { tool = "tables.drop_column", effect = "write", args = {}, expect = "ask" },
    { tool = "delete_account", effect = "write", args = {}, expect = "ask" },
    { tool = "drive_delete_file", effect = "write", args = {}, expect = "ask" },
    { tool = "cache_purge", effect = "write", args = {}, expect = "ask" },
    { tool = "close_account", effect = "write", args = {}, expect = "ask" },
  },
}

-- A plan that has read somebody else's text and wants both things at once: money and the way out.
on(effect "money", "untrusted-sums", { doc = "Above 50 after untrusted text, two people." }, function(c)
  if c.flow.untrusted and present(c.args, "amount") and money_of(c.args.amount, "USD") > usd(50) then
    return require_approval { approvers = TWO, quorum = PEOPLE, expires = "1d", say = "What was read since may have asked for this." }
  end
end)

invariant "large-sums-never-alone" { on = effect "money", where = { ["args.amount"] = gt(usd(500)) }, never = "allow" }
