local function case(name, spec)
  spec.tool, spec.effect, spec.user = spec.tool or "flights.cancel", "write", spec.user or "tr-1"
  spec.args = { booking_id = "b-1" }
  spec.facts = spec.facts or { booking = { traveller_id = "tr-1", status = spec.status or "booked" } }
  spec.status = nil
  test(name)(spec)
end

case("the traveller confirms", { expect = "ask", rule = "cancels/traveller-confirms" })
case("of a hotel too", { tool = "hotels.cancel", expect = "ask", rule = "cancels/traveller-confirms" })
case("the engine takes back at once", { compensates = "00000000-0000-7000-8000-00000000000f", expect = "allow", rule = "cancels/half-trips-go-back" })
case("the engine too takes back only what is the traveller's", { compensates = "00000000-0000-7000-8000-00000000000f", user = "tr-2", expect = "deny", code = "NOT_YOURS" })
case("another's booking", { user = "tr-2", expect = "deny", code = "NOT_YOURS" })
case("nobody's", { user = "", expect = "deny", code = "NOT_YOURS" })
case("once", { status = "cancelled", expect = "deny", code = "NOT_BOOKED" })
case("a booking that could not be looked up", { facts = { booking = failed("NOT_FOUND") }, expect = "deny", code = "RULE_ERROR" })
