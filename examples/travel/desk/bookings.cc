#include <string>

#include "desk.h"
#include "kit/repeats.h"

namespace travel {

using example::IntArg;
using example::kSqlNow;
using example::Refused;
using example::Remember;
using example::Repeated;
using example::TextArg;

namespace {

struct Item {
  std::string kind;
  std::string id;
  std::int64_t price_minor = 0;
};

Answer Book(Database& desk, const CallContext& call, const std::string& trip_id, const Item& item) {
  auto trip = desk.Query("SELECT 1 FROM trips WHERE id = ?", {trip_id});
  if (!trip.Next()) return Refused("NOT_FOUND", "there is no such trip");
  desk.Write(std::string("INSERT INTO bookings (trip_id, kind, item_id, price_minor,"
                         " idempotency_key, created_at) VALUES (?, ?, ?, ?, ?, ") +
                 kSqlNow + ")",
             {trip_id, item.kind, item.id, item.price_minor, call.idempotency_key});
  return Remember(desk, call,
                  {{"booking_id", "b-" + std::to_string(desk.last_id())},
                   {"trip_id", trip_id},
                   {"item_id", item.id},
                   {"price_minor", item.price_minor},
                   {"currency", "USD"}});
}

// `give_back`: the statement that makes the item free again.
Answer Cancel(Database& desk, const Json& args, const CallContext& call, const std::string& kind,
              const char* give_back) {
  const std::string booking_id = TextArg(args, "booking_id");
  if (auto before = Repeated(desk, call)) return *before;
  auto cancelled = desk.Query(
      "UPDATE bookings SET status = 'cancelled' WHERE 'b-' || id = ? AND kind = ?"
      " AND status = 'booked' RETURNING item_id, price_minor",
      {booking_id, kind});
  if (!cancelled.Next()) return Refused("NOT_BOOKED", "there is no such booking any more");
  const std::string item_id = cancelled.Text(0);
  const std::int64_t price_minor = cancelled.Int(1);
  cancelled.Next();
  desk.Write(give_back, {item_id});
  return Remember(desk, call,
                  {{"booking_id", booking_id},
                   {"item_id", item_id},
                   {"price_minor", price_minor},
                   {"status", "cancelled"}});
}

}  // namespace

Answer BookFlight(Database& desk, const Json& args, const CallContext& call) {
  const std::string trip_id = TextArg(args, "trip_id");
  const Item item{"flight", TextArg(args, "flight_id"), IntArg(args, "price_minor")};
  if (auto before = Repeated(desk, call)) return *before;
  auto taken = desk.Query(
      "UPDATE flights SET seats = seats - 1 WHERE id = ? AND price_minor = ? AND seats > 0"
      " RETURNING 1",
      {item.id, item.price_minor});
  if (!taken.Next()) return Refused("NOT_AVAILABLE", "no seat is left at this price");
  taken.Next();
  return Book(desk, call, trip_id, item);
}

Answer BookHotel(Database& desk, const Json& args, const CallContext& call) {
  const std::string trip_id = TextArg(args, "trip_id");
  const std::int64_t nights = IntArg(args, "nights");
  const Item item{"hotel", TextArg(args, "hotel_id"), IntArg(args, "price_minor")};
  if (auto before = Repeated(desk, call)) return *before;
  auto taken = desk.Query(
      "UPDATE hotels SET rooms = rooms - 1, really = really - 1"
      " WHERE id = ? AND night_minor * ? = ? AND really > 0 RETURNING 1",
      {item.id, nights, item.price_minor});
  if (!taken.Next()) return Refused("SOLD_OUT", "the house has no room left at this price");
  taken.Next();
  return Book(desk, call, trip_id, item);
}

Answer CancelFlight(Database& desk, const Json& args, const CallContext& call) {
  return Cancel(desk, args, call, "flight", "UPDATE flights SET seats = seats + 1 WHERE id = ?");
}

Answer CancelHotel(Database& desk, const Json& args, const CallContext& call) {
  return Cancel(desk, args, call, "hotel",
                "UPDATE hotels SET rooms = rooms + 1, really = really + 1 WHERE id = ?");
}

}  // namespace travel
