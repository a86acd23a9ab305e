// shop-tools TOOL <ARGUMENTS.json: one tool call; the database is SHOP_DB.
#include "kit/repeats.h"
#include "shop.h"

int main(int argc, char** argv) {
  using example::Access;
  return example::RunTool(argc, argv,
                          {
                              {"customers.find", {refund::FindCustomer, Access::kRead}},
                              {"catalogue.find", {refund::FindInCatalogue, Access::kRead}},
                              {"orders.get", {refund::GetOrder, Access::kRead}},
                              {"orders.list", {refund::ListOrders, Access::kRead}},
                              {"refunds.find", {refund::FindDone, Access::kRead}},
                              {"changes.find", {refund::FindDone, Access::kRead}},
                              {"refunds.create", {refund::CreateRefund, Access::kWrite}},
                              {"orders.exchange", {refund::ExchangeItem, Access::kWrite}},
                              {"orders.return", {refund::ReturnItems, Access::kWrite}},
                              {"orders.cancel", {refund::CancelOrder, Access::kWrite}},
                              {"handover.create", {refund::CreateHandover, Access::kWrite}},
                          },
                          example::LogAttempt);
}
