--- Money back. The order decides what can be refunded; the amount decides who must agree.

policy "refund" { version = "1", owner = "payments", tools = { "refunds.create" }, default = "deny" }

local ALONE, MANAGER = usd(50), usd(500)          -- up to here: nobody is asked; one manager; above: two people
local REFUNDABLE = { "delivered", "lost", "cancelled" }

local DAILY = budget "refund.daily" { unit = "USD", limit = usd(5000), per = "tenant", window = "1d" }

fact "order" { tool = "orders.get", args = { order_id = "{args.order_id}" }, on = "refunds.create" }

-- The look-up said that there is no such order. Any other failed look-up is doubt: the rules below then read an absent
-- fact, which is an error and denies the call.
local function unknown(c) return fact_error(c.facts, "order") == "NOT_FOUND" end

local function amount(c) return money_minor(c.args.amount_minor, "USD") end

-- The payment that would be refunded, or nil when the order was not paid with it.
local function payment(c) return get(c.facts.order.payments, c.args.payment_id, nil) end

on("refunds.create", "known-order", { doc = "There is no refund without an order." }, function(c)
  if unknown(c) then
    return deny { code = "NO_SUCH_ORDER", say = "There is no such order." }
  end
end)

on("refunds.create", "own-order", { doc = "A customer gets money back for his own orders only." }, function(c)
  if unknown(c) then return end
  if not present(c, "user") or c.facts.order.customer_id ~= c.user then
    return deny { code = "NOT_YOURS", say = "This order belongs to somebody else." }
  end
end)

on("refunds.create", "dollars-only", { doc = "Refunds in other currencies go through accounting." }, function(c)
  if not unknown(c) and c.facts.order.currency ~= "USD" then
    return deny { code = "CURRENCY", say = "Only orders in US dollars are refunded here; hand this one over." }
  end
end)

on("refunds.create", "refundable-state", {
  doc = "An order is refunded once it arrived, was lost or was cancelled.",
}, function(c)
  if not unknown(c) and not contains(REFUNDABLE, c.facts.order.status) then
    return deny { code = "NOT_REFUNDABLE", say = "The order is still on its way; cancel it or wait for it." }
  end
end)

on("refunds.create", "paid-with-this", { doc = "Money goes back the way it came." }, function(c)
  if not unknown(c) and not payment(c) then
    return deny { code = "NO_SUCH_PAYMENT", say = "The order was not paid with this payment." }
  end
end)

on("refunds.create", "never-more-than-paid", { doc = "No payment gives back more than it brought in." }, function(c)
  if unknown(c) then return end
  local paid = payment(c)
  if not paid then return end
  local left = paid.amount_minor - paid.refunded_minor
  if c.args.amount_minor > left then
    local fix = nil
    if left > 0 then fix = { ["args.amount_minor"] = left } end
    return deny {
      code = "OVER_REFUND", fix = fix,
      say = "Only " .. tostring(money_minor(left, "USD")) .. " of this payment is left to refund.",
    }
  end
end)

on("refunds.create", "small-refund", { doc = "Up to 50 USD the desk decides." }, function(c)
  if amount(c) <= ALONE then return allow() end
end)

on("refunds.create", "manager-above-50", { doc = "Above 50 and up to 500 USD a manager agrees." }, function(c)
  if amount(c) > ALONE and amount(c) <= MANAGER then
    return require_approval {
      approvers = { "role:cs-manager" }, quorum = 1, expires = "4h",
      show = { "args.order_id", "args.payment_id", "args.amount_minor", "args.reason" },
      say = "Refund of " .. tostring(amount(c)) .. ": a manager has to agree.",
    }
  end
end)

on("refunds.create", "two-people-above-500", { doc = "Above 500 USD two people agree." }, function(c)
  if amount(c) > MANAGER then
    return require_approval {
      approvers = { "role:cs-manager", "role:finance" }, quorum = 2, expires = "24h",
      show = { "args.order_id", "args.payment_id", "args.amount_minor", "args.reason" },
      say = "Refund of " .. tostring(amount(c)) .. ": two people have to agree.",
    }
  end
end)

on("refunds.create", "daily-budget", { doc = "The desk refunds at most 5000 USD a day." }, function(c)
  return reserve(DAILY, amount(c))
end)

on("refunds.create", "one-per-order-per-hour", { doc = "A second refund of an order waits an hour." }, function(c)
  return limit { key = c.args.order_id, max = 1, per = "1h" }
end)
