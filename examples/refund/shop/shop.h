// The shop behind the refund example: what its tools read and change.
#pragma once

#include <optional>
#include <string>

#include "kit/tool_program.h"

namespace refund {

using example::Answer;
using example::CallContext;
using example::Database;
using example::Json;

// An order with its items, payments and what was refunded of each; nullopt when there is none.
std::optional<Json> OrderJson(Database& shop, const std::string& order_id);

// --- look-ups
Answer FindCustomer(Database& shop, const Json& args, const CallContext& call);
Answer FindInCatalogue(Database& shop, const Json& args, const CallContext& call);
Answer GetOrder(Database& shop, const Json& args, const CallContext& call);
Answer ListOrders(Database& shop, const Json& args, const CallContext& call);
// What became of a write with this idempotency key: {"done": true, "answer": …} or {"done": false}.
Answer FindDone(Database& shop, const Json& args, const CallContext& call);

// --- writes: check first, write after; a repeat with the same idempotency key gets the first
// answer again
Answer CreateRefund(Database& shop, const Json& args, const CallContext& call);
Answer ExchangeItem(Database& shop, const Json& args, const CallContext& call);
Answer ReturnItems(Database& shop, const Json& args, const CallContext& call);
Answer CancelOrder(Database& shop, const Json& args, const CallContext& call);
Answer CreateHandover(Database& shop, const Json& args, const CallContext& call);

}  // namespace refund
