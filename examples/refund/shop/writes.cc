#include <algorithm>

#include "kit/repeats.h"
#include "shop.h"

namespace refund {

using example::IntArg;
using example::kSqlNow;
using example::Refused;
using example::Remember;
using example::Repeated;
using example::TextArg;

namespace {

Answer NoSuchOrder() { return Refused("NOT_FOUND", "there is no such order"); }

// The item on a line that nobody asked to exchange or return yet; nullptr when there is none.
const Json* FreeItem(const Json& order, std::int64_t line) {
  const Json& items = order["items"];
  const auto item = std::find_if(items.begin(), items.end(), [&](const Json& candidate) {
    return candidate["line"] == line && candidate["status"] == "ordered";
  });
  return item == items.end() ? nullptr : &*item;
}

void SetItem(Database& shop, const std::string& order_id, std::int64_t line, const char* status,
             example::Value new_sku) {
  shop.Write("UPDATE order_items SET status = ?, new_sku = ? WHERE order_id = ? AND line = ?",
             {status, std::move(new_sku), order_id, line});
}

}  // namespace

Answer CreateRefund(Database& shop, const Json& args, const CallContext& call) {
  const std::string order_id = TextArg(args, "order_id");
  const std::string payment_id = TextArg(args, "payment_id");
  const std::int64_t amount = IntArg(args, "amount_minor");
  const std::string reason = TextArg(args, "reason");
  if (auto before = Repeated(shop, call)) return *before;
  const auto order = OrderJson(shop, order_id);
  if (!order) return NoSuchOrder();
  const auto payment = (*order)["payments"].find(payment_id);
  if (payment == (*order)["payments"].end()) {
    return Refused("NO_SUCH_PAYMENT", "the order was not paid with this payment");
  }
  const std::int64_t left = (*payment)["amount_minor"].get<std::int64_t>() -
                            (*payment)["refunded_minor"].get<std::int64_t>();
  if (amount <= 0 || amount > left) {
    return Refused("OVER_REFUND", "at most " + std::to_string(left) + " minor units are left");
  }
  shop.Write(std::string("INSERT INTO refunds (order_id, payment_id, amount_minor, reason,"
                         " idempotency_key, created_at) VALUES (?, ?, ?, ?, ?, ") +
                 kSqlNow + ")",
             {order_id, payment_id, amount, reason, call.idempotency_key});
  return Remember(shop, call,
                  {{"refund_id", "r-" + std::to_string(shop.last_id())},
                   {"order_id", order_id},
                   {"payment_id", payment_id},
                   {"amount_minor", amount},
                   {"currency", (*order)["currency"]},
                   {"left_minor", left - amount}});
}

Answer ExchangeItem(Database& shop, const Json& args, const CallContext& call) {
  const std::string order_id = TextArg(args, "order_id");
  const std::int64_t line = IntArg(args, "line");
  const std::string new_sku = TextArg(args, "new_sku");
  if (auto before = Repeated(shop, call)) return *before;
  const auto order = OrderJson(shop, order_id);
  if (!order) return NoSuchOrder();
  if (FreeItem(*order, line) == nullptr) {
    return Refused("NO_SUCH_LINE", "no item on this line can be exchanged");
  }
  auto taken = shop.Query(
      "UPDATE catalogue SET stock = stock - 1 WHERE sku = ? AND stock > 0 RETURNING 1", {new_sku});
  if (!taken.Next()) return Refused("OUT_OF_STOCK", "this is not in stock");
  taken.Next();
  SetItem(shop, order_id, line, "exchange requested", new_sku);
  return Remember(shop, call, {{"order_id", order_id}, {"line", line}, {"new_sku", new_sku}});
}

Answer ReturnItems(Database& shop, const Json& args, const CallContext& call) {
  const std::string order_id = TextArg(args, "order_id");
  const Json lines = args.value("lines", Json::array());
  if (auto before = Repeated(shop, call)) return *before;
  const auto order = OrderJson(shop, order_id);
  if (!order) return NoSuchOrder();
  const bool all_free = std::all_of(lines.begin(), lines.end(), [&](const Json& line) {
    return line.is_number_integer() && FreeItem(*order, line.get<std::int64_t>()) != nullptr;
  });
  if (lines.empty() || !all_free) {
    return Refused("NO_SUCH_LINE", "no item on one of these lines can be returned");
  }
  for (const Json& line : lines) {
    SetItem(shop, order_id, line.get<std::int64_t>(), "return requested", nullptr);
  }
  return Remember(shop, call, {{"order_id", order_id}, {"lines", lines}});
}

Answer CancelOrder(Database& shop, const Json& args, const CallContext& call) {
  const std::string order_id = TextArg(args, "order_id");
  if (auto before = Repeated(shop, call)) return *before;
  const auto order = OrderJson(shop, order_id);
  if (!order) return NoSuchOrder();
  if ((*order)["status"] != "placed") {
    return Refused("NOT_PLACED", "only an order that was not shipped can be cancelled");
  }
  shop.Write("UPDATE orders SET status = 'cancelled' WHERE id = ?", {order_id});
  return Remember(shop, call, {{"order_id", order_id}, {"status", "cancelled"}});
}

Answer CreateHandover(Database& shop, const Json& args, const CallContext& call) {
  const std::string customer_id = TextArg(args, "customer_id");
  const std::string summary = TextArg(args, "summary");
  if (auto before = Repeated(shop, call)) return *before;
  shop.Write(
      std::string("INSERT INTO handovers (customer_id, summary, created_at) VALUES (?, ?, ") +
          kSqlNow + ")",
      {customer_id, summary});
  return Remember(shop, call, {{"handover_id", "h-" + std::to_string(shop.last_id())}});
}

}  // namespace refund
