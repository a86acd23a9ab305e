// retail-import DB.json.gz OUT.db: the suite's shop as a SQLite database. OUT.db must not exist.
#include <unistd.h>
#include <zlib.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>

#include "kit/tool_program.h"
#include "schema.h"

namespace {

using example::Database;
using example::Json;
using example::Value;

constexpr std::size_t kDatabaseBytesMax = 64u << 20;

std::string Unzip(const char* path) {
  gzFile file = gzopen(path, "rb");
  if (file == nullptr) example::Die(std::string("cannot open ") + path);
  std::string text;
  char buffer[65536];
  int got = 0;
  while ((got = gzread(file, buffer, sizeof(buffer))) > 0 && text.size() <= kDatabaseBytesMax) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  if (gzclose(file) != Z_OK || got != 0) example::Die(std::string("cannot read ") + path);
  return text;
}

// The outside file writes dollars as JSON numbers with at most two places.
std::int64_t Cents(const Json& dollars) {
  const double exact = dollars.get<double>() * 100;
  const auto cents = static_cast<std::int64_t>(std::llround(exact));
  if (std::abs(exact - static_cast<double>(cents)) > 1e-6) example::Die("a fraction of a cent");
  return cents;
}

Value TextOrNull(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return nullptr;
  return found->is_string() ? found->get<std::string>() : found->dump();
}

Value CentsOrNull(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return nullptr;
  return Cents(*found);
}

std::string Text(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) example::Die(std::string("no member ") + key);
  return found->is_string() ? found->get<std::string>() : found->dump();
}

void ImportProducts(Database& shop, const Json& products) {
  for (const Json& product : products) {
    const std::string id = Text(product, "product_id");
    shop.Write("INSERT INTO products VALUES (?, ?)", {id, Text(product, "name")});
    for (const Json& variant : product["variants"]) {
      shop.Write("INSERT INTO variants VALUES (?, ?, ?, ?, ?)",
                 {Text(variant, "item_id"), id, Text(variant, "options"),
                  std::int64_t{variant["available"].get<bool>()}, Cents(variant["price"])});
    }
  }
}

// Order id -> its place in its user's list.
std::map<std::string, std::int64_t> ImportUsers(Database& shop, const Json& users) {
  std::map<std::string, std::int64_t> places;
  for (const Json& user : users) {
    const std::string id = Text(user, "user_id");
    shop.Write("INSERT INTO users VALUES (?, ?, ?, ?, ?)",
               {id, Text(user["name"], "first_name"), Text(user["name"], "last_name"),
                Text(user, "email"), Text(user, "address")});
    for (const Json& method : user["payment_methods"]) {
      shop.Write("INSERT INTO payment_methods VALUES (?, ?, ?, ?, ?, ?)",
                 {id, Text(method, "id"), Text(method, "source"), TextOrNull(method, "brand"),
                  TextOrNull(method, "last_four"), CentsOrNull(method, "balance")});
    }
    std::int64_t place = 0;
    for (const Json& order : user["orders"]) places[order.get<std::string>()] = place++;
  }
  return places;
}

void ImportLines(Database& shop, const std::string& id, const Json& order) {
  std::int64_t position = 0;
  for (const Json& item : order["items"]) {
    shop.Write("INSERT INTO order_items VALUES (?, ?, ?, ?, ?, ?, ?)",
               {id, position++, Text(item, "name"), Text(item, "product_id"), Text(item, "item_id"),
                Cents(item["price"]), Text(item, "options")});
  }
  position = 0;
  for (const Json& payment : order["payment_history"]) {
    shop.Write("INSERT INTO payments VALUES (?, ?, ?, ?, ?)",
               {id, position++, Text(payment, "transaction_type"), Cents(payment["amount"]),
                Text(payment, "payment_method_id")});
  }
}

void ImportOrders(Database& shop, const Json& orders,
                  const std::map<std::string, std::int64_t>& places) {
  for (const Json& order : orders) {
    const std::string id = Text(order, "order_id");
    const auto place = places.find(id);
    const Value position = place != places.end() ? Value(place->second) : Value(nullptr);
    shop.Write("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
               {id, Text(order, "user_id"), position, Text(order, "address"), Text(order, "status"),
                Text(order, "fulfillments"), TextOrNull(order, "cancel_reason"),
                TextOrNull(order, "exchange_items"), TextOrNull(order, "exchange_new_items"),
                TextOrNull(order, "exchange_payment_method_id"),
                CentsOrNull(order, "exchange_price_difference"), TextOrNull(order, "return_items"),
                TextOrNull(order, "return_payment_method_id")});
    ImportLines(shop, id, order);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) example::Die("usage: retail-import DB.json.gz OUT.db");
  if (access(argv[2], F_OK) == 0) example::Die(std::string(argv[2]) + " exists");
  const Json source = Json::parse(Unzip(argv[1]), nullptr, /*allow_exceptions=*/false);
  if (!source.is_object()) example::Die("the database is not a JSON object");
  for (const char* part : {"products", "users", "orders"}) {
    if (!source.contains(part)) example::Die(std::string("no ") + part + " in the database");
  }
  Database shop(argv[2], example::OpenMode::kCreate);
  shop.Script(std::string("PRAGMA page_size = 4096; BEGIN;") + retail::kSchema);
  ImportProducts(shop, source["products"]);
  const auto places = ImportUsers(shop, source["users"]);
  ImportOrders(shop, source["orders"], places);
  shop.Script("COMMIT");
  return 0;
}
