#include "writes.h"

#include <algorithm>

namespace retail {

using example::CallContext;
using example::Done;
using example::Refused;
using example::TextArg;
using example::TextListArg;

namespace {

constexpr char kPending[] = "pending";
constexpr char kDelivered[] = "delivered";

Answer OrderNotFound() { return Refused("ORDER_NOT_FOUND", "Order not found"); }
Answer MethodNotFound() { return Refused("PAYMENT_METHOD_NOT_FOUND", "Payment method not found"); }

Answer WholeOrder(Database& shop, const std::string& order_id) {
  auto order = OrderJson(shop, order_id);
  return order ? Done(*std::move(order)) : OrderNotFound();
}

std::string AddressText(const Json& args) {
  Json address;
  for (const char* part : {"address1", "address2", "city", "state", "country", "zip"}) {
    address[part] = TextArg(args, part);
  }
  return address.dump();
}

std::string SortedText(std::vector<std::string> ids) {
  std::sort(ids.begin(), ids.end());
  return Json(ids).dump();
}

// The first id that is asked for more often than the order holds it.
const std::string* MissingItem(const Order& order, const std::vector<std::string>& ids) {
  const auto missing = std::find_if(ids.begin(), ids.end(), [&](const std::string& id) {
    return std::count(ids.begin(), ids.end(), id) > order.Count(id);
  });
  return missing == ids.end() ? nullptr : &*missing;
}

// Old items for new ones of the same product, with the difference in price to be paid.
struct Swap {
  std::vector<Variant> variants;  // as long as the list of ids
  std::int64_t difference_cents = 0;
};

// Adds one pair to `swap`; an answer is a refusal.
std::optional<Answer> AddPair(Database& shop, const Order& order, const std::string& old_id,
                              const std::string& new_id, Swap& swap) {
  const Item* item = order.Find(old_id);
  if (item == nullptr) return Refused("ITEM_NOT_FOUND", "Item " + old_id + " not found");
  auto variant = LoadVariant(shop, new_id);
  if (!variant || variant->product_id != item->product_id) {
    return Refused("VARIANT_NOT_FOUND", "Variant not found");
  }
  if (!variant->available) {
    return Refused("UNAVAILABLE", "New item " + new_id + " not found or available");
  }
  swap.difference_cents += variant->price_cents - item->price_cents;
  swap.variants.push_back(*std::move(variant));
  return std::nullopt;
}

std::optional<Answer> PlanSwap(Database& shop, const Order& order,
                               const std::vector<std::string>& old_ids,
                               const std::vector<std::string>& new_ids, Swap& swap) {
  if (old_ids.size() != new_ids.size()) {
    return Refused("COUNT_MISMATCH", "The number of items to be exchanged should match");
  }
  for (std::size_t i = 0; i < old_ids.size(); ++i) {
    if (auto refusal = AddPair(shop, order, old_ids[i], new_ids[i], swap)) return refusal;
  }
  return std::nullopt;
}

// The suite's reference shop gives each changed item the price and options of the *last* new item
// (its recorded states show it); the price difference that is paid comes from each item's own
// price.
void ReplaceItems(Database& shop, Order& order, const std::vector<std::string>& old_ids,
                  const std::vector<Variant>& variants) {
  for (std::size_t i = 0; i < old_ids.size(); ++i) {
    auto item = std::find_if(order.items.begin(), order.items.end(),
                             [&](const Item& held) { return held.item_id == old_ids[i]; });
    if (item == order.items.end()) continue;
    item->item_id = variants[i].item_id;
    shop.Write(
        "UPDATE order_items SET item_id = ?, price_cents = ?, options = ?"
        " WHERE order_id = ? AND position = ?",
        {variants[i].item_id, variants.back().price_cents, variants.back().options, order.order_id,
         item->position});
  }
}

void SetStatus(Database& shop, const std::string& order_id, const std::string& status) {
  shop.Write("UPDATE orders SET status = ? WHERE order_id = ?", {status, order_id});
}

}  // namespace

Answer CancelOrder(Database& shop, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "order_id");
  const std::string reason = TextArg(args, "reason");
  const auto order = LoadOrder(shop, id);
  if (!order) return OrderNotFound();
  if (order->status != kPending) {
    return Refused("NOT_PENDING", "Non-pending order cannot be cancelled");
  }
  if (reason != "no longer needed" && reason != "ordered by mistake") {
    return Refused("BAD_REASON", "Invalid reason");
  }
  // Like the reference shop, every line of the history is paid back to its own method.
  for (const Payment& payment : order->payments) {
    AppendPayment(shop, id, {"refund", payment.amount_cents, payment.method});
    AddToGiftCard(shop, order->user_id, payment.method, payment.amount_cents);
  }
  shop.Write("UPDATE orders SET status = 'cancelled', cancel_reason = ? WHERE order_id = ?",
             {reason, id});
  return WholeOrder(shop, id);
}

Answer ModifyOrderAddress(Database& shop, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "order_id");
  const std::string address = AddressText(args);
  const auto order = LoadOrder(shop, id);
  if (!order) return OrderNotFound();
  if (order->status.find(kPending) == std::string::npos) {
    return Refused("NOT_PENDING", "Non-pending order cannot be modified");
  }
  shop.Write("UPDATE orders SET address = ? WHERE order_id = ?", {address, id});
  return WholeOrder(shop, id);
}

Answer ModifyOrderPayment(Database& shop, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "order_id");
  const std::string method_id = TextArg(args, "payment_method_id");
  const auto order = LoadOrder(shop, id);
  if (!order) return OrderNotFound();
  if (order->status.find(kPending) == std::string::npos) {
    return Refused("NOT_PENDING", "Non-pending order cannot be modified");
  }
  const auto method = LoadPaymentMethod(shop, order->user_id, method_id);
  if (!method) return MethodNotFound();
  if (order->payments.size() != 1 || order->payments[0].type != "payment") {
    return Refused("PAYMENT_COUNT", "There should be exactly one payment for a pending order");
  }
  const Payment paid = order->payments[0];
  if (paid.method == method_id) {
    return Refused("SAME_METHOD",
                   "The new payment method should be different from the current one");
  }
  if (method->is_gift_card() && method->balance_cents < paid.amount_cents) {
    return Refused("GIFT_CARD_BALANCE", "Insufficient gift card balance to pay for the order");
  }
  AppendPayment(shop, id, {"payment", paid.amount_cents, method_id});
  AppendPayment(shop, id, {"refund", paid.amount_cents, paid.method});
  AddToGiftCard(shop, order->user_id, method_id, -paid.amount_cents);
  AddToGiftCard(shop, order->user_id, paid.method, paid.amount_cents);
  return WholeOrder(shop, id);
}

Answer ModifyOrderItems(Database& shop, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "order_id");
  const auto old_ids = TextListArg(args, "item_ids");
  const auto new_ids = TextListArg(args, "new_item_ids");
  const std::string method_id = TextArg(args, "payment_method_id");
  auto order = LoadOrder(shop, id);
  if (!order) return OrderNotFound();
  if (order->status != kPending) {
    return Refused("NOT_PENDING", "Non-pending order cannot be modified");
  }
  if (const std::string* missing = MissingItem(*order, old_ids)) {
    return Refused("ITEM_NOT_FOUND", *missing + " not found");
  }
  for (std::size_t i = 0; i < std::min(old_ids.size(), new_ids.size()); ++i) {
    if (old_ids[i] == new_ids[i]) {
      return Refused("SAME_ITEM", "The new item id should be different from the old item id");
    }
  }
  Swap swap;
  if (auto refusal = PlanSwap(shop, *order, old_ids, new_ids, swap)) return *refusal;
  const auto method = LoadPaymentMethod(shop, order->user_id, method_id);
  if (!method) return MethodNotFound();
  if (method->is_gift_card() && method->balance_cents < swap.difference_cents) {
    return Refused("GIFT_CARD_BALANCE", "Insufficient gift card balance to pay for the new item");
  }
  const std::int64_t difference = swap.difference_cents;
  AppendPayment(shop, id, {difference > 0 ? "payment" : "refund", std::abs(difference), method_id});
  AddToGiftCard(shop, order->user_id, method_id, -difference);
  ReplaceItems(shop, *order, old_ids, swap.variants);
  SetStatus(shop, id, "pending (item modified)");
  return WholeOrder(shop, id);
}

Answer ExchangeItems(Database& shop, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "order_id");
  const auto old_ids = TextListArg(args, "item_ids");
  const auto new_ids = TextListArg(args, "new_item_ids");
  const std::string method_id = TextArg(args, "payment_method_id");
  const auto order = LoadOrder(shop, id);
  if (!order) return OrderNotFound();
  if (order->status != kDelivered) {
    return Refused("NOT_DELIVERED", "Non-delivered order cannot be exchanged");
  }
  if (const std::string* missing = MissingItem(*order, old_ids)) {
    return Refused("ITEM_NOT_FOUND", "Number of " + *missing + " not found.");
  }
  Swap swap;
  if (auto refusal = PlanSwap(shop, *order, old_ids, new_ids, swap)) return *refusal;
  const auto method = LoadPaymentMethod(shop, order->user_id, method_id);
  if (!method) return MethodNotFound();
  if (method->is_gift_card() && method->balance_cents < swap.difference_cents) {
    return Refused("GIFT_CARD_BALANCE",
                   "Insufficient gift card balance to pay for the price difference");
  }
  shop.Write(
      "UPDATE orders SET status = 'exchange requested', exchange_items = ?, exchange_new_items = ?,"
      " exchange_payment_method_id = ?, exchange_price_difference_cents = ? WHERE order_id = ?",
      {SortedText(old_ids), SortedText(new_ids), method_id, swap.difference_cents, id});
  return WholeOrder(shop, id);
}

Answer ReturnItems(Database& shop, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "order_id");
  const auto item_ids = TextListArg(args, "item_ids");
  const std::string method_id = TextArg(args, "payment_method_id");
  const auto order = LoadOrder(shop, id);
  if (!order) return OrderNotFound();
  if (order->status != kDelivered) {
    return Refused("NOT_DELIVERED", "Non-delivered order cannot be returned");
  }
  const auto method = LoadPaymentMethod(shop, order->user_id, method_id);
  if (!method) return MethodNotFound();
  const bool original = !order->payments.empty() && order->payments[0].method == method_id;
  if (!method->is_gift_card() && !original) {
    return Refused("NOT_ORIGINAL_METHOD", "Payment method should be the original payment method");
  }
  if (MissingItem(*order, item_ids) != nullptr) {
    return Refused("ITEM_NOT_FOUND", "Some item not found");
  }
  shop.Write(
      "UPDATE orders SET status = 'return requested', return_items = ?,"
      " return_payment_method_id = ? WHERE order_id = ?",
      {SortedText(item_ids), method_id, id});
  return WholeOrder(shop, id);
}

Answer ModifyUserAddress(Database& shop, const Json& args, const CallContext&) {
  const std::string id = TextArg(args, "user_id");
  const std::string address = AddressText(args);
  if (!UserJson(shop, id)) return Refused("USER_NOT_FOUND", "User not found");
  shop.Write("UPDATE users SET address = ? WHERE user_id = ?", {address, id});
  return Done(*UserJson(shop, id));
}

}  // namespace retail
