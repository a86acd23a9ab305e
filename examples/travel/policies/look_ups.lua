--- Looking around. Travellers see their own trips and bookings; what can be bought is for everybody here.

policy "look_ups" {
  version = "1", owner = "travel-desk", default = "deny",
  tools = {
    "travellers.get", "trips.get", "bookings.get", "flights.search", "flights.get", "hotels.search", "hotels.get",
  },
}

local OFFERS = { "flights.search", "flights.get", "hotels.search", "hotels.get" }

fact "trip" { tool = "trips.get", args = { trip_id = "{args.trip_id}" }, on = "trips.get" }
fact "booking" { tool = "bookings.get", args = { booking_id = "{args.booking_id}" }, on = "bookings.get" }

-- The look-up said that there is no such thing: the tool will say so itself.
local function unknown(c, name) return fact_error(c.facts, name) == "NOT_FOUND" end

local function is_user(c, traveller_id) return present(c, "user") and traveller_id == c.user end

on(OFFERS, "offers-are-public", { doc = "Everybody at the company may see what can be booked." }, function(c)
  return allow()
end)

on("travellers.get", "own-profile", { doc = "A traveller sees his own profile only." }, function(c)
  if not is_user(c, c.args.traveller_id) then
    return deny { code = "NOT_YOURS", say = "This profile belongs to somebody else." }
  end
  return allow()
end)

on("trips.get", "own-trip", { doc = "A traveller sees his own trips only." }, function(c)
  if not unknown(c, "trip") and not is_user(c, c.facts.trip.traveller_id) then
    return deny { code = "NOT_YOURS", say = "This trip belongs to somebody else." }
  end
  return allow()
end)

on("bookings.get", "own-booking", { doc = "A traveller sees his own bookings only." }, function(c)
  if not unknown(c, "booking") and not is_user(c, c.facts.booking.traveller_id) then
    return deny { code = "NOT_YOURS", say = "This booking belongs to somebody else." }
  end
  return allow()
end)
