// retail-tools TOOL <ARGUMENTS.json        one tool call; the database is SHOP_DB
// retail-tools export DB [users|orders|products ID]…   the objects as JSON, in the outside
// database's form
#include <cstdio>
#include <optional>
#include <string_view>

#include "reads.h"
#include "writes.h"

namespace {

using example::Access;
using retail::Json;

int Export(int argc, char** argv) {
  retail::Database shop(argv[2]);
  shop.BeginRead();
  Json objects = Json::object();
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string_view kind = argv[i];
    const std::string id = argv[i + 1];
    std::optional<Json> object;
    if (kind == "users") object = retail::UserJson(shop, id);
    if (kind == "orders") object = retail::OrderJson(shop, id);
    if (kind == "products") object = retail::ProductJson(shop, id);
    if (object) objects[std::string(kind)][id] = *std::move(object);
  }
  std::printf("%s\n", objects.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 3 && std::string_view(argv[1]) == "export") return Export(argc, argv);
  return example::RunTool(
      argc, argv,
      {
          {"calculate", {retail::Calculate, Access::kRead}},
          {"find_user_id_by_email", {retail::FindUserByEmail, Access::kRead}},
          {"find_user_id_by_name_zip", {retail::FindUserByNameZip, Access::kRead}},
          {"get_item_details", {retail::GetItem, Access::kRead}},
          {"get_order_details", {retail::GetOrder, Access::kRead}},
          {"get_product_details", {retail::GetProduct, Access::kRead}},
          {"get_user_details", {retail::GetUser, Access::kRead}},
          {"list_all_product_types", {retail::ListProducts, Access::kRead}},
          {"look_up_items", {retail::LookUpItems, Access::kRead}},
          {"transfer_to_human_agents", {retail::Transfer, Access::kRead}},
          {"cancel_pending_order", {retail::CancelOrder, Access::kWrite}},
          {"exchange_delivered_order_items", {retail::ExchangeItems, Access::kWrite}},
          {"modify_pending_order_address", {retail::ModifyOrderAddress, Access::kWrite}},
          {"modify_pending_order_items", {retail::ModifyOrderItems, Access::kWrite}},
          {"modify_pending_order_payment", {retail::ModifyOrderPayment, Access::kWrite}},
          {"modify_user_address", {retail::ModifyUserAddress, Access::kWrite}},
          {"return_delivered_order_items", {retail::ReturnItems, Access::kWrite}},
      });
}
