--- Money for travel. Within the rules the traveller confirms and it is booked; outside them the travel manager is told
--- by how much, and decides; some things nobody may.

policy "bookings" {
  version = "1", owner = "travel-desk", default = "deny",
  tools = { "flights.book", "hotels.book" },
}

local BOOK = { "flights.book", "hotels.book" }
local LONG_MINUTES = 360                            -- from here on a flight is long
local SHORT_FARE, LONG_FARE = usd(400), usd(1250)   -- what a flight may cost
local NIGHT = usd(160)                              -- what a night may cost
local NOTICE_DAYS = 7                               -- how long before the journey it is booked

local MONTH = budget "travel.month" { unit = "USD", limit = usd(20000), per = "tenant", window = "30d" }

fact "trip" { tool = "trips.get", args = { trip_id = "{args.trip_id}" }, on = BOOK }
fact "flight" { tool = "flights.get", args = { flight_id = "{args.flight_id}" }, on = "flights.book" }
fact "hotel" { tool = "hotels.get", args = { hotel_id = "{args.hotel_id}" }, on = "hotels.book" }

-- Any other failed look-up is doubt: the rules below then read an absent fact, which is an error and denies the call.
local function unknown(c, name) return fact_error(c.facts, name) == "NOT_FOUND" end

local function is_this_trip(c) return present(c, "user") and c.args.trip_id == c.session.trip end

-- What another's trip looks like no denial tells: rules compare with a trip of this conversation and its traveller alone.
local function is_own_trip(c)
  return is_this_trip(c) and not unknown(c, "trip") and c.facts.trip.traveller_id == c.user
end

local function price(c) return money_minor(c.args.price_minor, "USD") end

local function text(amount) return tostring(amount) end

-- ---------------------------------------------------------------- what nobody may

on(BOOK, "own-trip", { doc = "Bookings are for the trip of this conversation, by its traveller." }, function(c)
  if is_own_trip(c) then return end
  if is_this_trip(c) and unknown(c, "trip") then
    return deny { code = "NO_SUCH_TRIP", say = "There is no such trip." }
  end
  return deny { code = "NOT_YOURS", say = "This is not the trip of this conversation." }
end)

on("flights.book", "flight-as-seen", { doc = "A flight is booked at the price that it has, to where the trip goes." },
  function(c)
    if unknown(c, "flight") then
      return deny { code = "NO_SUCH_FLIGHT", say = "There is no such flight." }
    end
    if c.args.price_minor ~= c.facts.flight.price_minor then
      return deny {
        code = "OTHER_PRICE", fix = { ["args.price_minor"] = c.facts.flight.price_minor },
        say = "This flight costs " .. text(money_minor(c.facts.flight.price_minor, "USD")) .. ".",
      }
    end
    if is_own_trip(c) and c.facts.flight.destination ~= c.facts.trip.airport then
      return deny { code = "OTHER_PLACE", say = "This flight does not go where the trip goes." }
    end
  end)

on("hotels.book", "hotel-as-seen", { doc = "A hotel is booked at its price, where the trip goes, for its nights." },
  function(c)
    if unknown(c, "hotel") then
      return deny { code = "NO_SUCH_HOTEL", say = "There is no such hotel." }
    end
    local total = c.facts.hotel.night_minor * c.args.nights
    if c.args.price_minor ~= total then
      return deny {
        code = "OTHER_PRICE", fix = { ["args.price_minor"] = total },
        say = "These nights cost " .. text(money_minor(total, "USD")) .. ".",
      }
    end
    if not is_own_trip(c) then return end
    if c.facts.hotel.city ~= c.facts.trip.city then
      return deny { code = "OTHER_PLACE", say = "This hotel is not where the trip goes." }
    end
    if c.args.nights > c.facts.trip.nights then
      return deny {
        code = "TOO_LONG", say = "The trip has " .. tostring(c.facts.trip.nights) .. " nights.",
      }
    end
  end)

on("flights.book", "not-departed", { doc = "What has left cannot be booked." }, function(c)
  if not unknown(c, "flight") and time(c.facts.flight.departs_at) <= c.now then
    return deny { code = "DEPARTED", say = "This flight has left." }
  end
end)

-- ---------------------------------------------------------------- by how much a booking is outside

local function class_excess(flight)
  if flight.class == "economy" then return nil end
  if flight.class == "premium" and flight.minutes >= LONG_MINUTES then return nil end
  if flight.class == "premium" then return "premium on a flight of less than 6 hours" end
  return "business class"
end

local function fare_excess(flight, paid)
  local most = SHORT_FARE
  if flight.minutes >= LONG_MINUTES then most = LONG_FARE end
  if paid <= most then return nil end
  return text(paid - most) .. " above the fare of " .. text(most)
end

local function night_excess(hotel)
  local night = money_minor(hotel.night_minor, "USD")
  if night <= NIGHT then return nil end
  return text(night - NIGHT) .. " a night above " .. text(NIGHT)
end

local function notice_excess(c, day)
  local days = days_between(c.now, day)
  if days >= NOTICE_DAYS then return nil end
  return tostring(NOTICE_DAYS - days) .. " days later than " .. tostring(NOTICE_DAYS) .. " days before the journey"
end

local function budget_excess(c)
  local left = c.facts.trip.left_minor
  if c.args.price_minor <= left then return nil end
  return text(money_minor(c.args.price_minor - left, "USD")) .. " above what the trip has left"
end

local function also(said, part)
  if part == nil then return said end
  if said == "" then return part end
  return said .. "; " .. part
end

-- Empty: within the rules.
local function excess(c)
  if c.call.tool == "hotels.book" then
    return also(also(also("", night_excess(c.facts.hotel)), notice_excess(c, c.facts.trip.first_day)), budget_excess(c))
  end
  local flight = c.facts.flight
  local said = also(also("", class_excess(flight)), fare_excess(flight, price(c)))
  return also(also(said, notice_excess(c, flight.departs_at)), budget_excess(c))
end

local function complete(c)
  if not is_own_trip(c) then return false end
  if c.call.tool == "hotels.book" then return not unknown(c, "hotel") end
  return not unknown(c, "flight")
end

-- ---------------------------------------------------------------- who agrees

on(BOOK, "traveller-confirms", { doc = "Within the rules the traveller says yes, and it is booked." }, function(c)
  if complete(c) and excess(c) == "" then
    return require_approval {
      approvers = { "run-user" }, expires = "24h",
      say = "Within the travel rules. Book this for " .. text(price(c)) .. "?",
    }
  end
end)

on(BOOK, "manager-decides-outside", { doc = "Outside the rules the travel manager decides on exactly this." }, function(c)
  if not complete(c) then return end
  local outside = excess(c)
  if outside ~= "" then
    return require_approval {
      approvers = { "role:travel-manager" }, expires = "72h",
      say = "Outside the travel rules: " .. outside .. ". The travel manager is asked.",
    }
  end
end)

on(BOOK, "budget-of-the-month", { doc = "The company spends at most 20000 USD on travel in 30 days." }, function(c)
  return reserve(MONTH, price(c))
end)
