local function with(base, changes)
  local result = {}
  for key, value in pairs(base) do result[key] = value end
  for key, value in pairs(changes or {}) do result[key] = value end
  return result
end

local TRIP = { traveller_id = "tr-1", airport = "LIS", city = "Lisbon", first_day = "2026-05-22", nights = 3, left_minor = 90000 }
local FLIGHT = { destination = "LIS", departs_at = "2026-05-22T07:10:00Z", minutes = 205, class = "economy", price_minor = 21400 }
local HOTEL = { city = "Lisbon", night_minor = 9800 }

local function case(name, spec)
  spec.user, spec.session, spec.effect = spec.user or "tr-1", { trip = spec.trip_now or "t-11" }, "money"
  spec.now = spec.now or "2026-05-01T10:00:00Z"
  spec.trip_now = nil
  test(name)(spec)
end

local function flight(name, spec)
  local found = with(FLIGHT, spec.flight)
  spec.tool = "flights.book"
  spec.args = { trip_id = "t-11", flight_id = "f-201", price_minor = spec.price or found.price_minor }
  spec.facts = spec.facts or { trip = with(TRIP, spec.trip), flight = found }
  spec.flight, spec.trip, spec.price = nil, nil, nil
  case(name, spec)
end

local function hotel(name, spec)
  local found = with(HOTEL, spec.hotel)
  local nights = spec.nights or 3
  spec.tool = "hotels.book"
  spec.args = { trip_id = "t-11", hotel_id = "h-51", nights = nights, price_minor = spec.price or found.night_minor * nights }
  spec.facts = spec.facts or { trip = with(TRIP, spec.trip), hotel = found }
  spec.hotel, spec.trip, spec.price, spec.nights = nil, nil, nil, nil
  case(name, spec)
end

local CONFIRM, MANAGER = "bookings/traveller-confirms", "bookings/manager-decides-outside"

flight("within the rules the traveller confirms", { expect = "ask", rule = CONFIRM })
flight("nobody books for another", { user = "tr-2", expect = "deny", code = "NOT_YOURS" })
flight("nobody books without being known", { user = "", expect = "deny", code = "NOT_YOURS" })
flight("another trip of one's own is another conversation", { trip_now = "t-12", expect = "deny", code = "NOT_YOURS" })
flight("whether another trip exists is not told", { trip_now = "t-12", facts = { trip = failed("NOT_FOUND"), flight = FLIGHT }, expect = "deny", code = "NOT_YOURS" })
flight("nor where it goes", { trip_now = "t-12", trip = { traveller_id = "tr-2", airport = "OSL" }, expect = "deny", code = "NOT_YOURS" })
flight("a trip that does not exist", { facts = { trip = failed("NOT_FOUND"), flight = FLIGHT }, expect = "deny", code = "NO_SUCH_TRIP" })
flight("a flight that does not exist", { facts = { trip = TRIP, flight = failed("NOT_FOUND") }, expect = "deny", code = "NO_SUCH_FLIGHT" })
flight("a look-up that failed is doubt", { facts = { trip = failed("BUSY"), flight = FLIGHT }, expect = "deny", code = "RULE_ERROR" })
flight("another price is not what was seen", { price = 21399, expect = "deny", code = "OTHER_PRICE", rule = "bookings/flight-as-seen" })
flight("another place is not where the trip goes", { flight = { destination = "OSL" }, expect = "deny", code = "OTHER_PLACE" })
flight("what has left is not booked", { now = "2026-05-22T07:10:00Z", expect = "deny", code = "DEPARTED" })
flight("a second before it leaves the manager decides", { now = "2026-05-22T07:09:59Z", expect = "ask", rule = MANAGER })

flight("400.00 is a fare within the rules", { flight = { price_minor = 40000 }, expect = "ask", rule = CONFIRM })
flight("400.01 is not", { flight = { price_minor = 40001 }, expect = "ask", rule = MANAGER })
flight("1250.00 is a fare for 6 hours", { flight = { price_minor = 125000, minutes = 360 }, trip = { left_minor = 200000 }, expect = "ask", rule = CONFIRM })
flight("1250.01 is not", { flight = { price_minor = 125001, minutes = 360 }, trip = { left_minor = 200000 }, expect = "ask", rule = MANAGER })
flight("400.01 for a minute less than 6 hours is not", { flight = { price_minor = 40001, minutes = 359 }, expect = "ask", rule = MANAGER })
flight("premium for 6 hours is within the rules", { flight = { class = "premium", minutes = 360 }, expect = "ask", rule = CONFIRM })
flight("premium for a minute less is not", { flight = { class = "premium", minutes = 359 }, expect = "ask", rule = MANAGER })
flight("business is not, however long", { flight = { class = "business", minutes = 800 }, expect = "ask", rule = MANAGER })
flight("seven days of notice", { now = "2026-05-15T07:10:00Z", expect = "ask", rule = CONFIRM })
flight("a second less", { now = "2026-05-15T07:10:01Z", expect = "ask", rule = MANAGER })
flight("the last cent of the trip", { trip = { left_minor = 21400 }, expect = "ask", rule = CONFIRM })
flight("one cent more than the trip has", { trip = { left_minor = 21399 }, expect = "ask", rule = MANAGER })

hotel("a hotel within the rules is confirmed", { expect = "ask", rule = CONFIRM })
hotel("nor how long another's trip is", { trip_now = "t-12", trip = { traveller_id = "tr-2", nights = 1 }, expect = "deny", code = "NOT_YOURS" })
hotel("a hotel that does not exist", { facts = { trip = TRIP, hotel = failed("NOT_FOUND") }, expect = "deny", code = "NO_SUCH_HOTEL" })
hotel("a hotel for a trip that does not exist", { facts = { trip = failed("NOT_FOUND"), hotel = HOTEL }, expect = "deny", code = "NO_SUCH_TRIP" })
hotel("another price for the nights", { price = 29399, expect = "deny", code = "OTHER_PRICE" })
hotel("a hotel elsewhere", { hotel = { city = "Oslo" }, expect = "deny", code = "OTHER_PLACE" })
hotel("fewer nights than the trip", { nights = 2, expect = "ask", rule = CONFIRM })
hotel("more nights than the trip", { nights = 4, expect = "deny", code = "TOO_LONG" })
hotel("160.00 a night", { hotel = { night_minor = 16000 }, expect = "ask", rule = CONFIRM })
hotel("160.01 a night", { hotel = { night_minor = 16001 }, expect = "ask", rule = MANAGER })
hotel("seven days before the first night", { now = "2026-05-15T00:00:00Z", expect = "ask", rule = CONFIRM })
hotel("six days before", { now = "2026-05-15T00:00:01Z", expect = "ask", rule = MANAGER })
hotel("a hotel above what the trip has left", { trip = { left_minor = 29399 }, expect = "ask", rule = MANAGER })

flight("the last dollars of the month", { used = { ["travel.month"] = usd(20000) - money_minor(21400, "USD") }, expect = "ask" })
flight("one cent more is over", { used = { ["travel.month"] = usd(20000) - money_minor(21399, "USD") }, expect = "deny", code = "BUDGET" })
