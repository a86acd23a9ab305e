// The conversation as endpoints want it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/planner.h"

namespace interlock::runtime {

inline constexpr std::size_t kWireIdBytesMax = 40;  // what the strictest endpoint takes

// Ids of calls, unique in the whole conversation and in [A-Za-z0-9_-]: ours are unique in their
// plan only, and after a fallback they were written by another provider. Feed it the messages in
// order; what it gave out does not change when the conversation grows. Borrows the messages. One
// per request.
class WireIds {
 public:
  void Begin(const ChatMessage& assistant);  // its calls are those that `Of` speaks of from now on
  const std::string& Of(const std::string& call_id);
  // The tool that the call of this id named; empty when there is none.
  std::string_view ToolOf(const std::string& call_id) const;

 private:
  std::string Fresh(const std::string& id);

  std::map<std::string, std::string> ids_;  // of the last assistant message
  std::map<std::string, std::string_view> tools_;
  std::set<std::string> used_;
};

// One thing that one side said. Borrows from the request.
struct WireItem {
  std::string_view text;               // said, or observed
  const ProposedCall* call = nullptr;  // of a call
  std::string id;                      // of a call or a result
  std::string_view tool;               // of a result: whose
  std::string_view echo = {};          // of a call: what its author wants to see again
};

// What one side says before the other one does.
struct WireTurn {
  bool model = false;
  std::vector<WireItem> items;
};

// For endpoints that want system text apart and the sides to take turns.
struct WireTurns {
  std::string system;  // all system messages, a blank line between them
  std::vector<WireTurn> turns;
};

// `request` must outlive the result. No item is empty, and the user begins. `author` is who reads
// it (AuthorName): what calls carry for others is left out.
WireTurns TurnsOf(const PlanRequest& request, std::string_view author, WireIds& ids);

// The arguments of a call as one canonical object; what is none goes under `malformed`.
std::string ArgsObject(const std::string& args_text);

}  // namespace interlock::runtime
