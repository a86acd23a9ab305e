// Tools that change the shop. Each checks everything first and writes after, so a refusal has
// changed nothing.
#pragma once

#include "shop.h"

namespace retail {

Answer CancelOrder(Database& shop, const Json& args, const example::CallContext& call);
Answer ModifyOrderAddress(Database& shop, const Json& args, const example::CallContext& call);
Answer ModifyOrderPayment(Database& shop, const Json& args, const example::CallContext& call);
Answer ModifyOrderItems(Database& shop, const Json& args, const example::CallContext& call);
Answer ExchangeItems(Database& shop, const Json& args, const example::CallContext& call);
Answer ReturnItems(Database& shop, const Json& args, const example::CallContext& call);
Answer ModifyUserAddress(Database& shop, const Json& args, const example::CallContext& call);

}  // namespace retail
