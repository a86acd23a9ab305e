// A planner proposes the next step of a run. It never decides: what it returns is untrusted input.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "policies/model_budget.h"
#include "tools/tool.h"

namespace interlock::runtime {

enum class Role { kSystem, kUser, kAssistant, kTool };

struct ProposedCall {
  std::string id;  // the planner's own id; unique within the plan
  std::string tool;
  std::string args_text;  // as the planner wrote it; checked by the gate
  // What the provider wants to see again beside the call (Gemini's thought signature; of chat
  // completions the object `extra_content`): opaque, for the message's author; empty for most.
  std::string echo = {};
};

// One message of the conversation. `text` of a tool message is the observation.
struct ChatMessage {
  Role role = Role::kUser;
  std::string text;
  std::vector<ProposedCall> calls;  // of an assistant message
  std::string call_id;              // of a tool message: ProposedCall::id
  std::string author = {};          // of an assistant message: AuthorOf its plan
};

// A piece of the text that a model is writing. Not yet checked: only what Propose reports counts.
struct TextDelta {
  std::string_view text;  // UTF-8
  bool restarted;         // what was told before of this request is void: the request was made anew
};

// What replies that gave no plan (cut, refused, badly written) used, by their providers' own word.
struct Spent {
  policies::ModelUse use = policies::NoUse();  // of all of them; without `wait_ms`
  std::int64_t prompt_tokens = 0;              // as of a plan, and so on
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t reasoning_tokens = 0;
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
  std::string tenant;  // keeps the reply caches of tenants apart
  std::string risk;    // from the agent file
  // JSON Schema of the final answer; null: free text. Providers are asked to keep to it, which the
  // caller still has to check.
  core::Json answer_schema;
  // Plain text goes to the user: the planner is offered a tool that gives the final answer, by
  // which alone it can end the run.
  bool ends_by_tool = false;
  // Told, in order, what the model writes; from the planner's thread, before `done`; must not
  // block. Null: nobody listens. Only planners that stream call it.
  std::function<void(const TextDelta&)> on_text = nullptr;
  // Told when the first byte of a reply has come, and again of an attempt after that; from the
  // planner's thread, must not block. Null: nobody asks. Planners without a network do not tell.
  std::function<void()> on_reply = nullptr;
  // Set where model budgets ask; the planner then bounds how long a reply may be. Set to a value,
  // before `done`: what attempts may be billed for that no plan tells of, since they broke off or
  // failed at the provider, each with the most it may have used. A planner that leaves it unset
  // knows nothing of it.
  std::shared_ptr<std::optional<policies::ModelUse>> lost = nullptr;
  // Added to, before `done`: what attempts used of which no plan was made and whose provider told.
  // They are not in `lost` then. Null: nobody asks.
  std::shared_ptr<Spent> spent = nullptr;
};

enum class Finish {
  kCalls,   // `calls` to make
  kAnswer,  // `text` is the final answer
  kAsk,     // `text` goes to the user; the run waits for a message
};

struct Plan {
  Finish finish = Finish::kAnswer;
  bool final_answer = false;  // of kAnswer: said to be the final one, also where text is a question
  std::string text;
  std::vector<ProposedCall> calls;      // at most kPlanCallsMax
  std::int64_t prompt_tokens = 0;       // all that was read, from the provider's cache or not
  std::int64_t cached_tokens = 0;       // of prompt_tokens: read from the provider's cache
  std::int64_t cache_write_tokens = 0;  // of prompt_tokens: written to the provider's cache
  std::int64_t completion_tokens = 0;   // all that was written, reasoning included
  std::int64_t reasoning_tokens = 0;    // of completion_tokens
  bool tokens_estimated = false;        // the provider reported none (runtime/tokens.h)
  std::int64_t cost_micros = 0;         // millionths of a unit of `currency`, rounded up
  std::string currency;                 // ISO 4217; empty: no price is known
  bool from_cache = false;              // our own reply cache: no tokens, no cost
  std::int64_t saved_micros = 0;        // of a reply from the cache: what it cost at first
  std::string provider;                 // the planner's name that answered; empty: scripted
  std::string model;                    // that was asked
  std::vector<std::string> failed;      // one line a provider that failed before this one
  // Body of the reply as it came over the wire, for the record; of a stream above 1 MiB what it was
  // folded into.
  std::string raw;
  std::string raw_request;     // body of the request as it went out; recorded by its digest only
  std::string request_sha256;  // lower-case hex, of a plan that was read back
  std::string dialect;         // how to read `raw`; empty: chat completions
  bool streamed = false;       // `raw` is an event stream
};

// The use of a reply that gave `plan`, which nobody takes. Nothing of one that its provider did not
// count, or that came from a cache.
Spent SpentOn(const Plan& plan);
void Add(const Spent& more, Spent& sum);

// Who wrote a plan, as one word: the dialect and the model. What a provider wants to see again is
// for the same author only. Empty: nobody that has such a thing.
std::string AuthorOf(const Plan& plan);
std::string AuthorName(std::string_view dialect, std::string_view model);

inline constexpr std::size_t kPlanCallsMax = 32;
inline constexpr std::size_t kPlanBytesMax = 4 << 20;

// Thread-safe.
class Planner {
 public:
  virtual ~Planner() = default;
  // `done` is called exactly once, from some thread, and must not block. An error ends the step:
  // kUnavailable, kDeadlineExceeded and kDataLoss (bytes that are no reply) after the planner's own
  // retries, kInvalidArgument for a request that is not taken or a script that is wrong,
  // kOutOfRange for a reply that its model may do better when it is told what was wrong,
  // kPermissionDenied for one that the model or its provider refused to give.
  virtual std::uint64_t Propose(PlanRequest request,
                                std::function<void(core::StatusOr<Plan>)> done) = 0;
  // What such a request, with `lost` set, may use of models at most, every attempt counted, as far
  // as that can be told before it; `wait_ms` is the caller's. Model budgets hold it.
  virtual policies::ModelUse Bound(const PlanRequest& request) const = 0;
  // Gives up on a request: `done` is called with kCancelled unless it was already.
  virtual void Cancel(std::uint64_t handle) = 0;
  // Drops every reply that is kept for later (rule 21: content of an erased subject may be there).
  virtual void ForgetReplies() {}
};

// The plan as one canonical JSON object, and back: what is recorded, and what replay and a restart
// read. Of `raw_request` the digest is recorded (its bytes follow from the conversation); a plan
// that was read back has it empty, and its `request_sha256` set. Members of plans that have nothing
// to say are left out, so that what earlier versions recorded reads and writes the same.
std::string PlanToJson(const Plan& plan);
core::StatusOr<Plan> PlanFromJson(std::string_view text);
// The digest that is recorded: of raw_request, or as read back; empty when there is none.
std::string RequestSha256(const Plan& plan);

}  // namespace interlock::runtime
