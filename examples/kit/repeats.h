// What makes a write of a tool happen once per idempotency key, in the tool's own database: a table
//
//   done(idempotency_key TEXT PRIMARY KEY, tool TEXT, answer TEXT)
//
// beside attempts(at, tool, call_id, idempotency_key, args, outcome), which tells of every try.
#pragma once

#include <optional>

#include "kit/tool_program.h"

namespace example {

// The time as SQL writes it: "2026-11-21T23:30:00Z".
inline constexpr char kSqlNow[] = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')";

// The answer that was given under this key before, if any; refused when another tool used it.
std::optional<Answer> Repeated(Database& database, const CallContext& call);
// Keeps the answer for repeats, in the transaction of the write.
Answer Remember(Database& database, const CallContext& call, Json result);
// A Witness: notes the attempt.
void LogAttempt(Database& database, const Json& args, const CallContext& call,
                const Answer& answer);

}  // namespace example
