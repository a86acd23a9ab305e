#include "kit/repeats.h"

#include <string>
#include <utility>

namespace example {

std::optional<Answer> Repeated(Database& database, const CallContext& call) {
  auto row = database.Query("SELECT tool, answer FROM done WHERE idempotency_key = ?",
                            {call.idempotency_key});
  if (!row.Next()) return std::nullopt;
  if (row.Text(0) != call.tool) return Refused("KEY_REUSED", "the key was used by another tool");
  return Done(Json::parse(row.Text(1), nullptr, /*allow_exceptions=*/false));
}

Answer Remember(Database& database, const CallContext& call, Json result) {
  database.Write("INSERT INTO done VALUES (?, ?, ?)",
                 {call.idempotency_key, call.tool, result.dump()});
  return Done(std::move(result));
}

void LogAttempt(Database& database, const Json& args, const CallContext& call,
                const Answer& answer) {
  database.Write(
      std::string("INSERT INTO attempts (tool, call_id, idempotency_key, args, outcome, at)"
                  " VALUES (?, ?, ?, ?, ?, ") +
          kSqlNow + ")",
      {call.tool, call.call_id, call.idempotency_key, args.dump(),
       answer.refused() ? answer.code : "done"});
}

}  // namespace example
