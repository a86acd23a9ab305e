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

local function is_user(c, traveller_id) return present(c, "user") and traveller_id == c.user end

-- What does not exist is answered like another's: nobody finds out by trying which ids there are. Any other failed
-- look-up is doubt, and reading the absent fact then denies the call.
local function is_own(c, name)
  return fact_error(c.facts, name) ~= "NOT_FOUND" and is_user(c, c.facts[name].traveller_id)
end

on(OFFERS, "offers-are-public", { doc = "Everybody at the company may see what can be booked." }, function(c)
  return allow()
end)

on("travellers.get", "own-profile", { doc = "A traveller sees his own profile only." }, function(c)
  if not is_user(c, c.args.traveller_id) then
    return deny { code = "NOT_YOURS", say = "This is not the traveller of this conversation." }
  end
  return allow()
end)

on("trips.get", "own-trip", { doc = "A traveller sees his own trips only." }, function(c)
  if not is_own(c, "trip") then
    return deny { code = "NOT_YOURS", say = "This traveller has no such trip." }
  end
  return allow()
end)

on("bookings.get", "own-booking", { doc = "A traveller sees his own bookings only." }, function(c)
  if not is_own(c, "booking") then
    return deny { code = "NOT_YOURS", say = "This traveller has no such booking." }
  end
  return allow()
end)
