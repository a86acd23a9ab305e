// What the dialects share: reading members of hostile JSON, building a plan, and judging errors.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "runtime/planner.h"

namespace interlock::runtime {

inline constexpr std::size_t kPlannerCallIdBytesMax = 256;
inline constexpr std::size_t kPlannerToolNameBytesMax = 256;
inline constexpr std::size_t kEchoBytesMax = 64 << 10;
inline constexpr std::int64_t kTokensMax = 1'000'000'000;  // in one count; more is none
inline constexpr core::JsonLimits kReplyLimits{.bytes_max = kPlanBytesMax, .depth_max = 64};

// "reply of the model makes no sense: <what>"; kDataLoss: nobody means such bytes, so another
// attempt may bring others.
core::Status BadReply(std::string_view what);
// kOutOfRange, in the same words: the model wrote it so, and may do better when it is told.
core::Status ModelFault(std::string_view what);
// kPermissionDenied: nothing of what stands beside it is meant to be used.
core::Status RefusedReply(std::string_view what);
inline constexpr std::string_view kCutReply = "it was cut at the model's length limit";
inline constexpr std::string_view kFilteredReply =
    "it was stopped by the provider's content filter";
inline constexpr std::string_view kModelRefused = "the model refused to answer";
core::Status TooManyCalls();  // ModelFault: above kPlanCallsMax
// A body, or the data of one event, within kReplyLimits. Errors: BadReply; ModelFault for arguments
// that hold what no number here may; kResourceExhausted.
core::StatusOr<core::Json> ParseReply(std::string_view text);
// The same; of arguments that hold what they may not, `reply` is the rest.
core::Status ParseReply(std::string_view text, core::Json& reply);
// What StreamFold::Whole says of a reply that never ended.
core::Status StreamCut();

// A member that is there and not null; nullptr otherwise, also when `object` is none.
const core::Json* Member(const core::Json& object, const char* key);
const core::Json* Member(const core::Json* object, const char* key);
// Text that may be absent (then empty). Errors: not text, or above bytes_max.
core::StatusOr<std::string> WireText(const core::Json* value, std::size_t bytes_max,
                                     std::string_view what);
// Text, or a list of parts that are text, as some servers send it.
core::StatusOr<std::string> TextOfParts(const core::Json* value, std::string_view what);
// The name of a function that the model calls. Errors: not text; ModelFault: too long.
core::StatusOr<std::string> CalledName(const core::Json* value);
// The text of a member, or nothing when it is no text.
std::string_view TextOrNone(const core::Json& object, const char* key);

// The word of an `error` member, or of the error event itself.
std::string ErrorWordOf(const core::Json& reply);
// What an error inside a reply or a stream means: kUnavailable when it may pass, by its word, or by
// a number that is an HTTP status.
core::Status StatusOfError(const core::Json& reply);

// Reads the counts of a reply's usage. Budgets are settled by them, so one that is no count
// (negative, no integer, above kTokensMax) takes the word of all of them: the reply tells none.
class TokenCounts {
 public:
  explicit TokenCounts(const core::Json* usage) : usage_(usage) {}

  std::int64_t Of(const char* key) { return Read(Member(usage_, key)); }  // 0: none given
  std::int64_t Of(const char* details, const char* key) {
    return Read(Member(Member(usage_, details), key));
  }
  // After the last of them is read.
  void Judge(Plan& plan) const;

 private:
  std::int64_t Read(const core::Json* count);

  const core::Json* usage_;
  bool sound_ = true;
};

// Puts a plan together from the pieces of a reply. One per reply.
class PlanBuilder {
 public:
  explicit PlanBuilder(const PlanRequest& request) : request_(request) {}

  core::Status AddText(const core::Json* value, std::string_view what);
  // `id` may be absent. Arguments are JSON text, or an object.
  core::Status AddCall(const core::Json* id, const core::Json* name, const core::Json* args,
                       std::string echo);
  // What the model said instead of an answer, in a field of its own. Errors: kPermissionDenied
  // where it said anything.
  core::Status Refuse(const core::Json* value);
  const std::string& refusal() const { return refusal_; }
  Plan& plan() { return plan_; }
  // Errors: neither text nor calls.
  core::StatusOr<Plan> Finish(std::string_view body);

 private:
  const PlanRequest& request_;
  Plan plan_;
  std::optional<std::string> answer_;  // arguments of kAnswerTool
  std::string refusal_;
  std::set<std::string> ids_;
};

}  // namespace interlock::runtime
