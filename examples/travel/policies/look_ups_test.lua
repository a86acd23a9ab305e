local function case(name, tool, spec)
  spec.tool, spec.effect, spec.user = tool, "read", spec.user or "tr-1"
  test(name)(spec)
end

local TRIP = { traveller_id = "tr-1" }

case("offers are for everybody", "flights.search", { args = { origin = "HAM", destination = "LIS", day = "2026-05-22" }, expect = "allow" })
case("hotels too", "hotels.get", { args = { hotel_id = "h-51" }, expect = "allow" })
case("own profile", "travellers.get", { args = { traveller_id = "tr-1" }, expect = "allow" })
case("another profile", "travellers.get", { args = { traveller_id = "tr-2" }, expect = "deny", code = "NOT_YOURS" })
case("nobody's profile", "travellers.get", { args = { traveller_id = "tr-1" }, user = "", expect = "deny", code = "NOT_YOURS" })
case("own trip", "trips.get", { args = { trip_id = "t-11" }, facts = { trip = TRIP }, expect = "allow" })
case("another's trip", "trips.get", { args = { trip_id = "t-11" }, facts = { trip = TRIP }, user = "tr-2", expect = "deny", code = "NOT_YOURS" })
case("a trip that does not exist is answered like another's", "trips.get", { args = { trip_id = "t-99" }, facts = { trip = failed("NOT_FOUND") }, expect = "deny", code = "NOT_YOURS", rule = "look_ups/own-trip" })
case("a trip that could not be looked up is not shown", "trips.get", { args = { trip_id = "t-11" }, facts = { trip = failed("BUSY") }, expect = "deny", code = "RULE_ERROR" })
case("own booking", "bookings.get", { args = { booking_id = "b-1" }, facts = { booking = TRIP }, expect = "allow" })
case("another's booking", "bookings.get", { args = { booking_id = "b-1" }, facts = { booking = TRIP }, user = "tr-2", expect = "deny", code = "NOT_YOURS" })
case("a booking that does not exist is answered like another's", "bookings.get", { args = { booking_id = "b-9" }, facts = { booking = failed("NOT_FOUND") }, expect = "deny", code = "NOT_YOURS", rule = "look_ups/own-booking" })
case("a booking that could not be looked up is not shown", "bookings.get", { args = { booking_id = "b-1" }, facts = { booking = failed("BUSY") }, expect = "deny", code = "RULE_ERROR" })
