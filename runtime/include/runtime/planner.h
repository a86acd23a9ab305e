// A planner proposes the next step of a run. It never decides: what it returns is untrusted input.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "tools/tool.h"

namespace interlock::runtime {

enum class Role { kSystem, kUser, kAssistant, kTool };

struct ProposedCall {
  std::string id;  // the planner's own id; unique within the plan
  std::string tool;
  std::string args_text;  // as the planner wrote it; checked by the gate
};

// One message of the conversation. `text` of a tool message is the observation.
struct ChatMessage {
  Role role = Role::kUser;
  std::string text;
  std::vector<ProposedCall> calls;  // of an assistant message
  std::string call_id;              // of a tool message: ProposedCall::id
};

struct PlanRequest {
  std::string run;
  std::string agent;      // name of the agent file
  std::int64_t step = 0;  // 0, 1, … within the run
  std::string model;      // from the agent file
  std::vector<ChatMessage> messages;
  std::vector<std::shared_ptr<const tools::Tool>> tools;
  core::Json session;  // the scripted planner finds its script by it; others ignore it
  std::int64_t deadline_monotonic_us = 0;
};

enum class Finish {
  kCalls,   // `calls` to make
  kAnswer,  // `text` is the final answer
  kAsk,     // `text` goes to the user; the run waits for a message
};

struct Plan {
  Finish finish = Finish::kAnswer;
  std::string text;
  std::vector<ProposedCall> calls;  // at most kPlanCallsMax
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::string raw;  // what came over the wire, for the record
};

inline constexpr std::size_t kPlanCallsMax = 32;
inline constexpr std::size_t kPlanBytesMax = 4 << 20;

// Thread-safe.
class Planner {
 public:
  virtual ~Planner() = default;
  // `done` is called exactly once, from some thread, and must not block. An error ends the step:
  // kUnavailable and kDeadlineExceeded after the planner's own retries, kInvalidArgument for a
  // reply that makes no sense.
  virtual std::uint64_t Propose(PlanRequest request,
                                std::function<void(core::StatusOr<Plan>)> done) = 0;
  // Gives up on a request: `done` is called with kCancelled unless it was already.
  virtual void Cancel(std::uint64_t handle) = 0;
};

// The plan as one canonical JSON object, and back: what is recorded, and what replay and a restart
// read.
std::string PlanToJson(const Plan& plan);
core::StatusOr<Plan> PlanFromJson(std::string_view text);

}  // namespace interlock::runtime
