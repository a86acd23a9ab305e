// soak-tools KIND <ARGUMENTS.json: a refund that pauses before and after its write, so that a kill
// can hit it anywhere.
//
//   idempotent  looks its idempotency key up first, and answers a repeat alike
//   reconciled  writes whenever it is called; `find` tells whether it did
//   blind       writes whenever it is called; nobody can ask
//   find        {"idempotency_key"} -> {"done"}
//   init DB     makes the shop
//
// Every attempt is logged before its first pause. No table has a unique key: a double refund would
// be seen.
#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "kit/tool_program.h"

namespace {

using example::Answer;
using example::CallContext;
using example::Database;
using example::Json;

constexpr char kSchema[] = R"sql(
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, call_id TEXT NOT NULL, idempotency_key TEXT NOT NULL,
  order_id TEXT NOT NULL);
CREATE TABLE refunds (
  id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, amount_minor INTEGER NOT NULL,
  call_id TEXT NOT NULL, idempotency_key TEXT NOT NULL);
CREATE INDEX refunds_by_key ON refunds (idempotency_key);
)sql";

constexpr std::int64_t kPauseMsMax = 10'000;

void Pause(std::int64_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(std::min(ms, kPauseMsMax)));
}

bool WasDone(Database& shop, const std::string& key) {
  return shop.Query("SELECT 1 FROM refunds WHERE idempotency_key = ?", {key}).Next();
}

Answer Find(Database& shop, const Json& args, const CallContext&) {
  return example::Done({{"done", WasDone(shop, example::TextArg(args, "idempotency_key"))}});
}

// Commits by itself, so that the pauses lie outside the transaction.
void InTransaction(Database& shop, const auto& write) {
  if (!shop.BeginWrite()) example::Die("the shop is locked");
  write();
  if (!shop.Commit()) example::Die("the shop is locked");
}

Answer Refund(Database& shop, const Json& args, const CallContext& call) {
  const std::string order = example::TextArg(args, "order_id");
  const std::int64_t amount = example::IntArg(args, "amount_minor");
  const std::int64_t pause_before = example::IntArg(args, "pause_before_ms");
  const std::int64_t pause_after = example::IntArg(args, "pause_after_ms");
  InTransaction(shop, [&] {
    shop.Write(
        "INSERT INTO attempts (kind, call_id, idempotency_key, order_id) VALUES (?, ?, ?, ?)",
        {call.tool, call.call_id, call.idempotency_key, order});
  });
  Pause(pause_before);
  InTransaction(shop, [&] {
    if (call.tool == "idempotent" && WasDone(shop, call.idempotency_key)) return;
    shop.Write(
        "INSERT INTO refunds (order_id, amount_minor, call_id, idempotency_key)"
        " VALUES (?, ?, ?, ?)",
        {order, amount, call.call_id, call.idempotency_key});
  });
  Pause(pause_after);
  return example::Done({{"order_id", order}, {"amount_minor", amount}, {"currency", "USD"}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "init") {
    Database(argv[2], example::OpenMode::kCreate).Script(kSchema);
    return 0;
  }
  using example::Access;
  return example::RunTool(argc, argv,
                          {
                              {"idempotent", {Refund, Access::kManual}},
                              {"reconciled", {Refund, Access::kManual}},
                              {"blind", {Refund, Access::kManual}},
                              {"find", {Find, Access::kRead}},
                          });
}
