// Reading and writing the retail shop: what every tool of the suite stands on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/tool_program.h"

namespace retail {

using example::Answer;
using example::Database;
using example::Json;

struct Item {
  std::int64_t position = 0;
  std::string item_id;
  std::string product_id;
  std::int64_t price_cents = 0;
};

struct Payment {
  std::string type;  // "payment" or "refund"
  std::int64_t amount_cents = 0;
  std::string method;
};

// What the rules and writes need of an order. The whole of it is OrderJson.
struct Order {
  std::string order_id;
  std::string user_id;
  std::string status;
  std::vector<Item> items;
  std::vector<Payment> payments;

  // The first item with this id, or nullptr.
  const Item* Find(std::string_view item_id) const;
  // How often the order holds it.
  std::int64_t Count(std::string_view item_id) const;
};

struct Variant {
  std::string item_id;
  std::string product_id;
  std::string options;  // JSON object
  bool available = false;
  std::int64_t price_cents = 0;
};

struct PaymentMethod {
  std::string source;  // "gift_card", "paypal", "credit_card"
  std::int64_t balance_cents = 0;

  bool is_gift_card() const { return source == "gift_card"; }
};

std::optional<Order> LoadOrder(Database& shop, const std::string& order_id);
std::optional<Variant> LoadVariant(Database& shop, const std::string& item_id);
std::optional<PaymentMethod> LoadPaymentMethod(Database& shop, const std::string& user_id,
                                               const std::string& id);

// Whole objects in the outside database's form; nullopt when there is none. Amounts are decimal
// numbers there.
std::optional<Json> OrderJson(Database& shop, const std::string& order_id);
std::optional<Json> UserJson(Database& shop, const std::string& user_id);
std::optional<Json> ProductJson(Database& shop, const std::string& product_id);
Json VariantJson(const Variant& variant);

// Adds to (or, negative, takes from) a gift card; does nothing for other methods.
void AddToGiftCard(Database& shop, const std::string& user_id, const std::string& method,
                   std::int64_t cents);
void AppendPayment(Database& shop, const std::string& order_id, const Payment& payment);

double FromCents(std::int64_t cents);

}  // namespace retail
