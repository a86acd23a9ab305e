-- Money has ceilings that stop. It allows nothing; it only adds demands to what other policies allow.
-- Copy it into a tenant's folder of policies and set the figures: they are for a small shop.
policy "spending" { version = "1", owner = "finance", tools = { "*" }, default = "deny" }

-- Every tool of effect money names its sum in `amount`, in this currency; change both where yours do not.
local CURRENCY = "USD"
local function amount(c) return money_of(c.args.amount, CURRENCY) end
local function stated(c) return present(c.args, "amount") end
local function counts(c) return stated(c) and amount(c) > usd(0) end

local RUN = budget "spending.run" { unit = "USD", limit = usd(500), per = "run" }
local USER = budget "spending.user" { unit = "USD", limit = usd(1000), per = "user", window = "1d" }
local ALL = budget "spending.all" { unit = "USD", limit = usd(10000), per = "tenant", window = "1d" }

on(effect "money", "states-an-amount", {
  doc = "What has no sum cannot be counted.",
}, function(c)
  if not stated(c) then return deny { code = "NO_AMOUNT", say = "Name the sum in `amount`." } end
end)

on(effect "money", "more-than-nothing", {
  doc = "A negative sum would give money back to the budgets.",
}, function(c)
  if stated(c) and amount(c) <= usd(0) then
    return deny { code = "AMOUNT", say = "The sum must be more than nothing.", because = "asked for " .. amount(c) }
  end
end)

on(effect "money", "large-sums-ask", { doc = "One person looks at what is above 200." }, function(c)
  if stated(c) and amount(c) > usd(200) then
    return require_approval { approvers = { "role:finance", "role:approver" }, expires = "8h", say = "Pays out " .. amount(c) .. "." }
  end
end)

on(effect "money", "per-run", { doc = "One conversation moves 500 at most." }, function(c)
  if counts(c) then return reserve(RUN, amount(c)) end
end)

on(effect "money", "per-user-and-day", { doc = "One customer gets 1000 a day at most." }, function(c)
  if counts(c) and present(c, "user") then return reserve(USER, amount(c)) end
end)

on(effect "money", "per-day", { doc = "All agents together move 10000 a day at most." }, function(c)
  if counts(c) then return reserve(ALL, amount(c)) end
end)

on(effect "money", "ten-an-hour", { doc = "Many small sums are a large one." }, function(c)
  return limit { key = get(c, "user", "nobody"), max = 10, per = "1h" }
end)

invariant "large-sums-never-alone" {
  on = effect "money", never = function(c, d) return stated(c) and amount(c) > usd(200) and d.verdict == "allow" end,
}
