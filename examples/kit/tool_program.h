// The frame of a multi-call tool program: JSON arguments on stdin, one JSON answer on stdout, one
// transaction.
//
//   shop-tools refunds.create < {"order_id": …}      database: environment variable SHOP_DB
//
// Exit 0 and a result, or exit 1 and {"error":{"code","message"}}: the tool refused and nothing
// happened. Any other end means that nobody knows; the daemon then asks the tool's reconcile
// look-up or a person.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kit/database.h"

namespace example {

using Json = nlohmann::json;

// Who calls: set by the daemon, the same again when it repeats a call.
struct CallContext {
  std::string tool;
  std::string call_id;
  std::string idempotency_key;
};

struct Answer {
  Json result;
  std::string code;  // empty: done; else UPPER_SNAKE
  std::string message;

  bool refused() const { return !code.empty(); }
};
Answer Done(Json result);
Answer Refused(std::string code, std::string message);

// Runs inside a transaction that the frame commits when the answer is Done and rolls back when it
// is Refused.
using Handler = Answer (*)(Database& shop, const Json& args, const CallContext& call);

enum class Access {
  kRead,
  kWrite,
  kManual,  // the handler makes its own transactions
};

struct ToolEntry {
  Handler handler;
  Access access;
};

// Called in a transaction of its own after a refused write, and in the write's own before it
// commits. May be null.
using Witness = void (*)(Database& shop, const Json& args, const CallContext& call,
                         const Answer& answer);

// Returns the exit status for main().
int RunTool(int argc, char** argv, const std::map<std::string_view, ToolEntry>& tools,
            Witness witness = nullptr);

// Members of arguments that the schema demands. One that is missing or of another type refuses the
// call with BAD_ARGUMENTS and ends the process, so read them before the first write.
std::string TextArg(const Json& args, std::string_view key);
std::int64_t IntArg(const Json& args, std::string_view key);
std::vector<std::string> TextListArg(const Json& args, std::string_view key);

}  // namespace example
