#include "shop.h"

namespace refund {

using example::Done;
using example::Refused;
using example::TextArg;

namespace {

Json ItemsJson(Database& shop, const std::string& order_id) {
  Json items = Json::array();
  auto rows = shop.Query(
      "SELECT line, sku, product, title, i.price_minor, status FROM order_items i"
      " JOIN catalogue USING (sku) WHERE order_id = ? ORDER BY line",
      {order_id});
  while (rows.Next()) {
    items.push_back({{"line", rows.Int(0)},
                     {"sku", rows.Text(1)},
                     {"product", rows.Text(2)},
                     {"title", rows.Text(3)},
                     {"price_minor", rows.Int(4)},
                     {"status", rows.Text(5)}});
  }
  return items;
}

Json PaymentsJson(Database& shop, const std::string& order_id) {
  Json payments = Json::object();
  auto rows = shop.Query(
      "SELECT id, method, amount_minor, (SELECT coalesce(sum(r.amount_minor), 0) FROM refunds r"
      " WHERE r.payment_id = p.id) FROM payments p WHERE order_id = ?",
      {order_id});
  while (rows.Next()) {
    payments[rows.Text(0)] = {
        {"method", rows.Text(1)}, {"amount_minor", rows.Int(2)}, {"refunded_minor", rows.Int(3)}};
  }
  return payments;
}

std::int64_t Total(const Json& payments, const char* member) {
  std::int64_t total = 0;
  for (const Json& payment : payments) total += payment[member].get<std::int64_t>();
  return total;
}

}  // namespace

std::optional<Json> OrderJson(Database& shop, const std::string& order_id) {
  auto row = shop.Query(
      "SELECT customer_id, status, currency, placed_at, delivered_at, note FROM orders WHERE id = "
      "?",
      {order_id});
  if (!row.Next()) return std::nullopt;
  Json payments = PaymentsJson(shop, order_id);
  Json order = {{"order_id", order_id},
                {"customer_id", row.Text(0)},
                {"status", row.Text(1)},
                {"currency", row.Text(2)},
                {"placed_at", row.Text(3)},
                {"note", row.Text(5)},
                {"items", ItemsJson(shop, order_id)},
                {"paid_minor", Total(payments, "amount_minor")},
                {"refunded_minor", Total(payments, "refunded_minor")}};
  if (!row.IsNull(4)) order["delivered_at"] = row.Text(4);
  order["payments"] = std::move(payments);
  return order;
}

Answer FindCustomer(Database& shop, const Json& args, const CallContext&) {
  auto row = shop.Query("SELECT id, name, email FROM customers WHERE lower(email) = lower(?)",
                        {TextArg(args, "email")});
  if (!row.Next()) return Refused("NOT_FOUND", "no customer has this e-mail address");
  return Done({{"customer_id", row.Text(0)}, {"name", row.Text(1)}, {"email", row.Text(2)}});
}

Answer FindInCatalogue(Database& shop, const Json& args, const CallContext&) {
  const std::string sku = TextArg(args, "sku");
  auto row =
      shop.Query("SELECT product, title, price_minor, stock FROM catalogue WHERE sku = ?", {sku});
  if (!row.Next()) return Refused("NOT_FOUND", "the shop does not sell this");
  return Done({{"sku", sku},
               {"product", row.Text(0)},
               {"title", row.Text(1)},
               {"price_minor", row.Int(2)},
               {"stock", row.Int(3)}});
}

Answer GetOrder(Database& shop, const Json& args, const CallContext&) {
  auto order = OrderJson(shop, TextArg(args, "order_id"));
  return order ? Done(*std::move(order)) : Refused("NOT_FOUND", "there is no such order");
}

Answer ListOrders(Database& shop, const Json& args, const CallContext&) {
  Json orders = Json::array();
  auto rows = shop.Query(
      "SELECT id, status, currency, placed_at FROM orders WHERE customer_id = ?"
      " ORDER BY placed_at DESC, id LIMIT 100",
      {TextArg(args, "customer_id")});
  while (rows.Next()) {
    orders.push_back({{"order_id", rows.Text(0)},
                      {"status", rows.Text(1)},
                      {"currency", rows.Text(2)},
                      {"placed_at", rows.Text(3)}});
  }
  return Done({{"orders", std::move(orders)}});
}

Answer FindDone(Database& shop, const Json& args, const CallContext&) {
  auto row = shop.Query("SELECT answer FROM done WHERE idempotency_key = ?",
                        {TextArg(args, "idempotency_key")});
  if (!row.Next()) return Done({{"done", false}});
  return Done({{"done", true}, {"answer", Json::parse(row.Text(0), nullptr, false)}});
}

}  // namespace refund
