local function case(name, spec)
  spec.tool, spec.effect, spec.user = spec.tool or "flights.cancel", "write", spec.user or "tr-1"
  spec.args = { booking_id = "b-1" }
  spec.facts = spec.facts or { booking = { traveller_id = "tr-1", status = spec.status or "booked" } }
  spec.status = nil
  test(name)(spec)
end

local BOOKING = "00000000-0000-7000-8000-00000000000f"   -- the call that booked

case("the traveller confirms", { expect = "ask", rule = "cancels/traveller-confirms" })
case("of a hotel too", { tool = "hotels.cancel", expect = "ask", rule = "cancels/traveller-confirms" })
case("the engine takes back at once", { compensates = BOOKING, expect = "allow", rule = "cancels/half-trips-go-back" })
case("the engine too takes back only what is the traveller's", { compensates = BOOKING, user = "tr-2", expect = "deny", code = "NOT_YOURS" })
case("another's booking", { user = "tr-2", expect = "deny", code = "NOT_YOURS" })
case("nobody's", { user = "", expect = "deny", code = "NOT_YOURS" })
case("another's booking that was cancelled", { user = "tr-2", status = "cancelled", expect = "deny", code = "NOT_YOURS" })
case("what does not exist is answered like another's", { facts = { booking = failed("NOT_FOUND") }, expect = "deny", code = "NOT_YOURS", rule = "cancels/own-booking" })
case("nor does the engine take it back", { compensates = BOOKING, facts = { booking = failed("NOT_FOUND") }, expect = "deny", code = "NOT_YOURS" })
case("a booking that could not be looked up is doubt", { facts = { booking = failed("BUSY") }, expect = "deny", code = "RULE_ERROR" })
case("once", { status = "cancelled", expect = "deny", code = "NOT_BOOKED" })
case("what was given back already is the gate's to say", { compensates = BOOKING, status = "cancelled", expect = "allow", rule = "cancels/half-trips-go-back" })
