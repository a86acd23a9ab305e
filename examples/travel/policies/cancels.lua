--- Giving a booking back.

policy "cancels" {
  version = "1", owner = "travel-desk", default = "deny",
  tools = { "flights.cancel", "hotels.cancel" },
}

local CANCEL = { "flights.cancel", "hotels.cancel" }

fact "booking" { tool = "bookings.get", args = { booking_id = "{args.booking_id}" }, on = CANCEL }

local function is_users(c)
  if fact_error(c.facts, "booking") == "NOT_FOUND" then return false end
  return present(c, "user") and c.facts.booking.traveller_id == c.user
end

-- What does not exist is answered like what is another's: nobody learns which bookings there are.
on(CANCEL, "own-booking", { doc = "Only what was booked for the traveller at hand is cancelled." }, function(c)
  if not is_users(c) then
    return deny { code = "NOT_YOURS", say = "There is no such booking of yours." }
  end
end)

-- Of what the engine takes back the gate sees to that: DUPLICATE_EFFECT, and it counts as taken back.
on(CANCEL, "still-booked", { doc = "A booking is cancelled once." }, function(c)
  if present(c.call, "compensates") or not is_users(c) then return end
  if c.facts.booking.status ~= "booked" then
    return deny { code = "NOT_BOOKED", say = "This was cancelled already." }
  end
end)

-- The traveller asked for the whole trip, and a part of it would be of no use to him: nobody needs to be asked.
on(CANCEL, "half-trips-go-back", { doc = "What the engine takes back of a trip that failed goes back at once." },
  function(c)
    if present(c.call, "compensates") then return allow() end
  end)

on(CANCEL, "traveller-confirms", { doc = "The traveller says yes before anything else is given back." }, function(c)
  if present(c.call, "compensates") then return end
  return require_approval { approvers = { "run-user" }, expires = "24h", say = "Cancel this booking?" }
end)
