#include "shop.h"

#include <algorithm>
#include <cstdlib>

namespace retail {
namespace {

Json Stored(const std::string& text) {
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) example::Die("the shop holds text that is not JSON");
  return value;
}

std::vector<Item> LoadItems(Database& shop, const std::string& order_id) {
  std::vector<Item> items;
  auto rows = shop.Query(
      "SELECT position, item_id, product_id, price_cents FROM order_items WHERE order_id = ?"
      " ORDER BY position",
      {order_id});
  while (rows.Next()) items.push_back({rows.Int(0), rows.Text(1), rows.Text(2), rows.Int(3)});
  return items;
}

std::vector<Payment> LoadPayments(Database& shop, const std::string& order_id) {
  std::vector<Payment> payments;
  auto rows = shop.Query(
      "SELECT transaction_type, amount_cents, payment_method_id FROM payments WHERE order_id = ?"
      " ORDER BY position",
      {order_id});
  while (rows.Next()) payments.push_back({rows.Text(0), rows.Int(1), rows.Text(2)});
  return payments;
}

Json ItemsJson(Database& shop, const std::string& order_id) {
  Json items = Json::array();
  auto rows = shop.Query(
      "SELECT name, product_id, item_id, price_cents, options FROM order_items WHERE order_id = ?"
      " ORDER BY position",
      {order_id});
  while (rows.Next()) {
    items.push_back({{"name", rows.Text(0)},
                     {"product_id", rows.Text(1)},
                     {"item_id", rows.Text(2)},
                     {"price", FromCents(rows.Int(3))},
                     {"options", Stored(rows.Text(4))}});
  }
  return items;
}

Json PaymentsJson(const std::vector<Payment>& payments) {
  Json history = Json::array();
  for (const Payment& payment : payments) {
    history.push_back({{"transaction_type", payment.type},
                       {"amount", FromCents(payment.amount_cents)},
                       {"payment_method_id", payment.method}});
  }
  return history;
}

Json PaymentMethodsJson(Database& shop, const std::string& user_id) {
  Json methods = Json::object();
  auto rows = shop.Query(
      "SELECT id, source, brand, last_four, balance_cents FROM payment_methods WHERE user_id = ?",
      {user_id});
  while (rows.Next()) {
    Json& method = methods[rows.Text(0)];
    method = {{"id", rows.Text(0)}, {"source", rows.Text(1)}};
    if (!rows.IsNull(2)) method["brand"] = rows.Text(2);
    if (!rows.IsNull(3)) method["last_four"] = rows.Text(3);
    if (!rows.IsNull(4)) method["balance"] = FromCents(rows.Int(4));
  }
  return methods;
}

Json OrderIdsJson(Database& shop, const std::string& user_id) {
  Json ids = Json::array();
  auto rows = shop.Query(
      "SELECT order_id FROM orders WHERE user_id = ? AND user_position IS NOT NULL"
      " ORDER BY user_position",
      {user_id});
  while (rows.Next()) ids.push_back(rows.Text(0));
  return ids;
}

}  // namespace

double FromCents(std::int64_t cents) { return static_cast<double>(cents) / 100.0; }

const Item* Order::Find(std::string_view item_id) const {
  const auto found = std::find_if(items.begin(), items.end(),
                                  [&](const Item& item) { return item.item_id == item_id; });
  return found == items.end() ? nullptr : &*found;
}

std::int64_t Order::Count(std::string_view item_id) const {
  return std::count_if(items.begin(), items.end(),
                       [&](const Item& item) { return item.item_id == item_id; });
}

std::optional<Order> LoadOrder(Database& shop, const std::string& order_id) {
  auto row = shop.Query("SELECT user_id, status FROM orders WHERE order_id = ?", {order_id});
  if (!row.Next()) return std::nullopt;
  return Order{order_id, row.Text(0), row.Text(1), LoadItems(shop, order_id),
               LoadPayments(shop, order_id)};
}

std::optional<Variant> LoadVariant(Database& shop, const std::string& item_id) {
  auto row = shop.Query(
      "SELECT product_id, options, available, price_cents FROM variants WHERE item_id = ?",
      {item_id});
  if (!row.Next()) return std::nullopt;
  return Variant{item_id, row.Text(0), row.Text(1), row.Int(2) != 0, row.Int(3)};
}

std::optional<PaymentMethod> LoadPaymentMethod(Database& shop, const std::string& user_id,
                                               const std::string& id) {
  auto row = shop.Query(
      "SELECT source, coalesce(balance_cents, 0) FROM payment_methods WHERE user_id = ? AND id = ?",
      {user_id, id});
  if (!row.Next()) return std::nullopt;
  return PaymentMethod{row.Text(0), row.Int(1)};
}

std::optional<Json> OrderJson(Database& shop, const std::string& order_id) {
  auto row = shop.Query(
      "SELECT user_id, address, status, fulfillments, cancel_reason, exchange_items,"
      " exchange_new_items, exchange_payment_method_id, exchange_price_difference_cents,"
      " return_items, return_payment_method_id FROM orders WHERE order_id = ?",
      {order_id});
  if (!row.Next()) return std::nullopt;
  Json order = {{"order_id", order_id},
                {"user_id", row.Text(0)},
                {"address", Stored(row.Text(1))},
                {"items", ItemsJson(shop, order_id)},
                {"status", row.Text(2)},
                {"fulfillments", Stored(row.Text(3))},
                {"payment_history", PaymentsJson(LoadPayments(shop, order_id))}};
  if (!row.IsNull(4)) order["cancel_reason"] = row.Text(4);
  if (!row.IsNull(5)) order["exchange_items"] = Stored(row.Text(5));
  if (!row.IsNull(6)) order["exchange_new_items"] = Stored(row.Text(6));
  if (!row.IsNull(7)) order["exchange_payment_method_id"] = row.Text(7);
  if (!row.IsNull(8)) order["exchange_price_difference"] = FromCents(row.Int(8));
  if (!row.IsNull(9)) order["return_items"] = Stored(row.Text(9));
  if (!row.IsNull(10)) order["return_payment_method_id"] = row.Text(10);
  return order;
}

std::optional<Json> UserJson(Database& shop, const std::string& user_id) {
  auto row = shop.Query("SELECT first_name, last_name, email, address FROM users WHERE user_id = ?",
                        {user_id});
  if (!row.Next()) return std::nullopt;
  return Json{{"user_id", user_id},
              {"name", {{"first_name", row.Text(0)}, {"last_name", row.Text(1)}}},
              {"address", Stored(row.Text(3))},
              {"email", row.Text(2)},
              {"payment_methods", PaymentMethodsJson(shop, user_id)},
              {"orders", OrderIdsJson(shop, user_id)}};
}

Json VariantJson(const Variant& variant) {
  return {{"item_id", variant.item_id},
          {"options", Stored(variant.options)},
          {"available", variant.available},
          {"price", FromCents(variant.price_cents)}};
}

std::optional<Json> ProductJson(Database& shop, const std::string& product_id) {
  auto row = shop.Query("SELECT name FROM products WHERE product_id = ?", {product_id});
  if (!row.Next()) return std::nullopt;
  Json variants = Json::object();
  auto rows = shop.Query(
      "SELECT item_id, options, available, price_cents FROM variants WHERE product_id = ?",
      {product_id});
  while (rows.Next()) {
    variants[rows.Text(0)] =
        VariantJson({rows.Text(0), product_id, rows.Text(1), rows.Int(2) != 0, rows.Int(3)});
  }
  return Json{{"name", row.Text(0)}, {"product_id", product_id}, {"variants", variants}};
}

void AddToGiftCard(Database& shop, const std::string& user_id, const std::string& method,
                   std::int64_t cents) {
  shop.Write(
      "UPDATE payment_methods SET balance_cents = balance_cents + ?"
      " WHERE user_id = ? AND id = ? AND source = 'gift_card'",
      {cents, user_id, method});
}

void AppendPayment(Database& shop, const std::string& order_id, const Payment& payment) {
  shop.Write(
      "INSERT INTO payments SELECT ?1, count(*), ?2, ?3, ?4 FROM payments WHERE order_id = ?1",
      {order_id, payment.type, payment.amount_cents, payment.method});
}

}  // namespace retail
