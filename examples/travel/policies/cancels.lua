--- Giving a booking back.

policy "cancels" {
  version = "1", owner = "travel-desk", default = "deny",
  tools = { "flights.cancel", "hotels.cancel" },
}

local CANCEL = { "flights.cancel", "hotels.cancel" }

fact "booking" { tool = "bookings.get", args = { booking_id = "{args.booking_id}" }, on = CANCEL }

on(CANCEL, "own-booking", { doc = "Only what was booked for the traveller at hand is cancelled." }, function(c)
  if not present(c, "user") or c.facts.booking.traveller_id ~= c.user then
    return deny { code = "NOT_YOURS", say = "There is no such booking of yours." }
  end
end)

on(CANCEL, "still-booked", { doc = "A booking is cancelled once." }, function(c)
  if c.facts.booking.status ~= "booked" then
    return deny { code = "NOT_BOOKED", say = "This was cancelled already." }
  end
end)

on(CANCEL, "traveller-confirms", { doc = "The traveller says yes before anything is given back." }, function(c)
  return require_approval { approvers = { "run-user" }, expires = "24h", say = "Cancel this booking?" }
end)
