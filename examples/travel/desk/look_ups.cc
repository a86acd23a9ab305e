#include "desk.h"

namespace travel {

using example::Done;
using example::Refused;
using example::TextArg;

namespace {

constexpr char kFlightColumns[] =
    "id, origin, destination, carrier, departs_at, minutes, class, price_minor, seats, remark";

// 21400 is "214.00 USD".
std::string Usd(std::int64_t minor) {
  const std::string cents = std::to_string(minor % 100);
  return std::to_string(minor / 100) + (cents.size() < 2 ? ".0" : ".") + cents + " USD";
}

Json FlightJson(const example::Statement& row) {
  return {{"flight_id", row.Text(0)}, {"origin", row.Text(1)},     {"destination", row.Text(2)},
          {"carrier", row.Text(3)},   {"departs_at", row.Text(4)}, {"minutes", row.Int(5)},
          {"class", row.Text(6)},     {"price_minor", row.Int(7)}, {"seats", row.Int(8)},
          {"remark", row.Text(9)},    {"price", Usd(row.Int(7))}};
}

Json HotelJson(const example::Statement& row) {
  return {{"hotel_id", row.Text(0)},   {"city", row.Text(1)}, {"name", row.Text(2)},
          {"night_minor", row.Int(3)}, {"rooms", row.Int(4)}, {"night", Usd(row.Int(3))}};
}

Json BookingsOf(Database& desk, const std::string& trip_id, std::int64_t& spent_minor) {
  Json bookings = Json::array();
  auto rows = desk.Query(
      "SELECT id, kind, item_id, price_minor, status FROM bookings WHERE trip_id = ? ORDER BY id",
      {trip_id});
  while (rows.Next()) {
    if (rows.Text(4) == "booked") spent_minor += rows.Int(3);
    bookings.push_back({{"booking_id", "b-" + std::to_string(rows.Int(0))},
                        {"kind", rows.Text(1)},
                        {"item_id", rows.Text(2)},
                        {"price_minor", rows.Int(3)},
                        {"status", rows.Text(4)}});
  }
  return bookings;
}

}  // namespace

Answer GetTraveller(Database& desk, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "traveller_id");
  auto row = desk.Query("SELECT name, home_airport FROM travellers WHERE id = ?", {id});
  if (!row.Next()) return Refused("NOT_FOUND", "there is no such traveller");
  return Done({{"traveller_id", id}, {"name", row.Text(0)}, {"home_airport", row.Text(1)}});
}

Answer GetTrip(Database& desk, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "trip_id");
  auto row = desk.Query(
      "SELECT traveller_id, purpose, airport, city, first_day, nights, budget_minor FROM trips"
      " WHERE id = ?",
      {id});
  if (!row.Next()) return Refused("NOT_FOUND", "there is no such trip");
  std::int64_t spent_minor = 0;
  Json bookings = BookingsOf(desk, id, spent_minor);
  return Done({{"trip_id", id},
               {"traveller_id", row.Text(0)},
               {"purpose", row.Text(1)},
               {"airport", row.Text(2)},
               {"city", row.Text(3)},
               {"first_day", row.Text(4)},
               {"nights", row.Int(5)},
               {"budget_minor", row.Int(6)},
               {"left_minor", row.Int(6) - spent_minor},
               {"currency", "USD"},
               {"bookings", std::move(bookings)}});
}

Answer GetFlight(Database& desk, const Json& args, const CallContext&) {
  auto row = desk.Query(std::string("SELECT ") + kFlightColumns + " FROM flights WHERE id = ?",
                        {TextArg(args, "flight_id")});
  return row.Next() ? Done(FlightJson(row)) : Refused("NOT_FOUND", "there is no such flight");
}

Answer GetHotel(Database& desk, const Json& args, const CallContext&) {
  auto row = desk.Query("SELECT id, city, name, night_minor, rooms FROM hotels WHERE id = ?",
                        {TextArg(args, "hotel_id")});
  return row.Next() ? Done(HotelJson(row)) : Refused("NOT_FOUND", "there is no such hotel");
}

Answer GetBooking(Database& desk, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "booking_id");
  auto row = desk.Query(
      "SELECT b.trip_id, t.traveller_id, b.kind, b.item_id, b.price_minor, b.status FROM bookings b"
      " JOIN trips t ON t.id = b.trip_id WHERE 'b-' || b.id = ?",
      {id});
  if (!row.Next()) return Refused("NOT_FOUND", "there is no such booking");
  return Done({{"booking_id", id},
               {"trip_id", row.Text(0)},
               {"traveller_id", row.Text(1)},
               {"kind", row.Text(2)},
               {"item_id", row.Text(3)},
               {"price_minor", row.Int(4)},
               {"status", row.Text(5)}});
}

Answer SearchFlights(Database& desk, const Json& args, const CallContext&) {
  Json flights = Json::array();
  auto rows =
      desk.Query(std::string("SELECT ") + kFlightColumns +
                     " FROM flights WHERE origin = ? AND destination = ?"
                     " AND substr(departs_at, 1, 10) = ? AND seats > 0"
                     " ORDER BY price_minor, departs_at, id LIMIT 3",
                 {TextArg(args, "origin"), TextArg(args, "destination"), TextArg(args, "day")});
  while (rows.Next()) flights.push_back(FlightJson(rows));
  return Done({{"flights", std::move(flights)}});
}

Answer SearchHotels(Database& desk, const Json& args, const CallContext&) {
  Json hotels = Json::array();
  auto rows = desk.Query(
      "SELECT id, city, name, night_minor, rooms FROM hotels WHERE city = ? AND rooms > 0"
      " ORDER BY night_minor, id LIMIT 3",
      {TextArg(args, "city")});
  while (rows.Next()) hotels.push_back(HotelJson(rows));
  return Done({{"hotels", std::move(hotels)}});
}

Answer FindDone(Database& desk, const Json& args, const CallContext&) {
  auto row = desk.Query("SELECT answer FROM done WHERE idempotency_key = ?",
                        {TextArg(args, "idempotency_key")});
  if (!row.Next()) return Done({{"done", false}});
  Json answer = Json::parse(row.Text(0), nullptr, /*allow_exceptions=*/false);
  answer["done"] = true;
  return Done(std::move(answer));
}

}  // namespace travel
