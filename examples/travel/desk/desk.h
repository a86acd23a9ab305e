// The travel desk behind the example: what its tools look up, book and cancel.
#pragma once

#include "kit/tool_program.h"

namespace travel {

using example::Answer;
using example::CallContext;
using example::Database;
using example::Json;

// --- look-ups
Answer GetTraveller(Database& desk, const Json& args, const CallContext& call);
// A trip with what is booked for it and what is left of its budget.
Answer GetTrip(Database& desk, const Json& args, const CallContext& call);
Answer GetFlight(Database& desk, const Json& args, const CallContext& call);
Answer GetHotel(Database& desk, const Json& args, const CallContext& call);
Answer GetBooking(Database& desk, const Json& args, const CallContext& call);
// The three cheapest that can be had.
Answer SearchFlights(Database& desk, const Json& args, const CallContext& call);
Answer SearchHotels(Database& desk, const Json& args, const CallContext& call);
// What became of a write with this idempotency key: {"done": true, …the answer} or {"done": false}.
Answer FindDone(Database& desk, const Json& args, const CallContext& call);

// --- writes: check first, write after; a repeat with the same idempotency key gets the first
// answer again
Answer BookFlight(Database& desk, const Json& args, const CallContext& call);
Answer BookHotel(Database& desk, const Json& args, const CallContext& call);
Answer CancelFlight(Database& desk, const Json& args, const CallContext& call);
Answer CancelHotel(Database& desk, const Json& args, const CallContext& call);

}  // namespace travel
