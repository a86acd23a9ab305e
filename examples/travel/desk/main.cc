// travel-tools TOOL <ARGUMENTS.json: one tool call; the database is SHOP_DB.
#include "desk.h"
#include "kit/repeats.h"

int main(int argc, char** argv) {
  using example::Access;
  return example::RunTool(argc, argv,
                          {
                              {"travellers.get", {travel::GetTraveller, Access::kRead}},
                              {"trips.get", {travel::GetTrip, Access::kRead}},
                              {"flights.get", {travel::GetFlight, Access::kRead}},
                              {"flights.search", {travel::SearchFlights, Access::kRead}},
                              {"hotels.get", {travel::GetHotel, Access::kRead}},
                              {"hotels.search", {travel::SearchHotels, Access::kRead}},
                              {"bookings.get", {travel::GetBooking, Access::kRead}},
                              {"bookings.find", {travel::FindDone, Access::kRead}},
                              {"flights.book", {travel::BookFlight, Access::kWrite}},
                              {"flights.cancel", {travel::CancelFlight, Access::kWrite}},
                              {"hotels.book", {travel::BookHotel, Access::kWrite}},
                              {"hotels.cancel", {travel::CancelHotel, Access::kWrite}},
                          },
                          example::LogAttempt);
}
