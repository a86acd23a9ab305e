// Tools that change nothing. Each takes the arguments that the suite's tools.json names.
#pragma once

#include "shop.h"

namespace retail {

Answer FindUserByEmail(Database& shop, const Json& args, const example::CallContext& call);
Answer FindUserByNameZip(Database& shop, const Json& args, const example::CallContext& call);
Answer GetUser(Database& shop, const Json& args, const example::CallContext& call);
Answer GetOrder(Database& shop, const Json& args, const example::CallContext& call);
Answer GetProduct(Database& shop, const Json& args, const example::CallContext& call);
Answer GetItem(Database& shop, const Json& args, const example::CallContext& call);
Answer ListProducts(Database& shop, const Json& args, const example::CallContext& call);
Answer Calculate(Database& shop, const Json& args, const example::CallContext& call);
Answer Transfer(Database& shop, const Json& args, const example::CallContext& call);

// For the policy, not for the planner: {"item_ids": […]} -> {"<id>": {"product_id", "available",
// "price"}}. Ids that the shop does not know are left out.
Answer LookUpItems(Database& shop, const Json& args, const example::CallContext& call);

}  // namespace retail
