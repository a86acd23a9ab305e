#include "wire_json.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "answer_form.h"
#include "endpoint.h"
#include "envelope.h"
#include "tool_names.h"

namespace interlock::runtime {

using core::Json;

core::Status BadReply(std::string_view what) {
  return core::DataLoss("reply of the model makes no sense: " + std::string(what));
}

core::Status ModelFault(std::string_view what) {
  return core::Error(core::StatusCode::kOutOfRange, core::Message(BadReply(what)));
}

core::Status RefusedReply(std::string_view what) {
  return core::Error(core::StatusCode::kPermissionDenied, core::Message(BadReply(what)));
}

core::Status TooManyCalls() {
  return ModelFault("more than " + std::to_string(kPlanCallsMax) + " tool calls");
}

core::Status ParseReply(std::string_view text, Json& reply) {
  auto read = core::ParseJson(text, kReplyLimits);
  if (read.status().code() == core::StatusCode::kResourceExhausted) return read.status();
  bool huge = false;
  if (!read.ok()) {
    read = core::ParseJson(WithoutHugeNumbers(text, Where::kOutsideArguments), kReplyLimits);
  }
  if (!read.ok()) {
    huge = true;
    read = core::ParseJson(WithoutHugeNumbers(text, Where::kEverywhere), kReplyLimits);
  }
  if (!read.ok()) return BadReply(core::Message(read.status()));
  reply = *std::move(read);
  return huge ? ModelFault("the arguments of a tool call hold an integer beyond 2^53-1")
              : core::OkStatus();
}

core::StatusOr<Json> ParseReply(std::string_view text) {
  Json reply;
  INTERLOCK_RETURN_IF_ERROR(ParseReply(text, reply));
  return reply;
}

core::Status StreamCut() {
  return core::Unavailable("the model's stream ended before its reply did");
}

const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

const Json* Member(const Json* object, const char* key) {
  return object == nullptr ? nullptr : Member(*object, key);
}

core::StatusOr<std::string> WireText(const Json* value, std::size_t bytes_max,
                                     std::string_view what) {
  if (value == nullptr) return std::string();
  if (!value->is_string()) return BadReply(std::string(what) + " is not text");
  const std::string& text = value->get_ref<const std::string&>();
  if (text.size() > bytes_max) return BadReply(std::string(what) + " is too long");
  return text;
}

core::StatusOr<std::string> CalledName(const Json* value) {
  const bool too_long = value != nullptr && value->is_string() &&
                        value->get_ref<const std::string&>().size() > kPlannerToolNameBytesMax;
  if (too_long) return ModelFault("a function's `name` is too long");
  return WireText(value, kPlannerToolNameBytesMax, "a function's `name`");
}

std::string_view TextOrNone(const Json& object, const char* key) {
  const Json* const value = Member(object, key);
  return value != nullptr && value->is_string() ? value->get_ref<const std::string&>()
                                                : std::string_view();
}

std::int64_t TokenCounts::Read(const Json* count) {
  if (count == nullptr) return 0;
  const std::int64_t tokens = count->is_number_integer() ? count->get<std::int64_t>() : -1;
  if (tokens >= 0 && tokens <= kTokensMax) return tokens;
  sound_ = false;
  return 0;
}

void TokenCounts::Judge(Plan& plan) const {
  if (sound_) return;
  plan.prompt_tokens = plan.cached_tokens = plan.cache_write_tokens = 0;
  plan.completion_tokens = plan.reasoning_tokens = 0;
}

std::string ErrorWordOf(const Json& reply) {
  const Json* const inner = Member(reply, "error");
  const Json& error = inner == nullptr ? reply : *inner;
  for (const char* key : {"code", "type", "status"}) {  // `status`: Gemini's, in capitals
    std::string word(TextOrNone(error, key));
    for (char& c : word) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    const bool plain = !word.empty() && word.size() <= 48 && word != "error" &&
                       std::all_of(word.begin(), word.end(),
                                   [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    if (plain) return word;
  }
  return "";
}

namespace {

// The HTTP status that an error names, as some servers do, as a number or in digits; 0: none.
int HttpStatusOf(const Json& error) {
  for (const char* key : {"code", "status"}) {
    const Json* const value = Member(error, key);
    if (value == nullptr) continue;
    std::int64_t number = value->is_number_integer() ? value->get<std::int64_t>() : 0;
    const std::string_view digits = TextOrNone(error, key);
    const bool whole = digits.size() == 3 && digits.find_first_not_of("0123456789") == digits.npos;
    if (whole) std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (number >= 100 && number <= 599) return static_cast<int>(number);
  }
  return 0;
}

}  // namespace

core::Status StatusOfError(const Json& reply) {
  constexpr std::array<std::string_view, 12> kPass = {
      "overloaded_error", "rate_limit_error",   "rate_limit_exceeded", "api_error",
      "server_error",     "timeout_error",      "internal_error",      "internal",
      "unavailable",      "resource_exhausted", "deadline_exceeded",   "vector_store_timeout"};
  const Json* const inner = Member(reply, "error");
  const int status = HttpStatusOf(inner == nullptr ? reply : *inner);
  const std::string word = ErrorWordOf(reply);
  const std::string shown = word.empty() && status != 0 ? std::to_string(status) : word;
  const std::string what =
      "model endpoint broke off with an error" + (shown.empty() ? "" : " (" + shown + ")");
  const bool passes =
      MayRetry(status) || std::find(kPass.begin(), kPass.end(), word) != kPass.end();
  return passes ? core::Unavailable(what) : core::InvalidArgument(what);
}

core::StatusOr<std::string> TextOfParts(const Json* value, std::string_view what) {
  if (value == nullptr || !value->is_array()) return WireText(value, kPlanBytesMax, what);
  std::string text;
  for (const Json& part : *value) {
    if (TextOrNone(part, "type") != "text") return BadReply(std::string(what) + " is not text");
    INTERLOCK_ASSIGN_OR_RETURN(const std::string more,
                               WireText(Member(part, "text"), kPlanBytesMax, what));
    text += more;
  }
  return text;
}

core::Status PlanBuilder::AddText(const Json* value, std::string_view what) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text, TextOfParts(value, what));
  plan_.text += text;
  return core::OkStatus();
}

core::Status PlanBuilder::Refuse(const Json* value) {
  if (value != nullptr && value->is_string()) refusal_ += value->get_ref<const std::string&>();
  return refusal_.empty() ? core::OkStatus() : RefusedReply(kModelRefused);
}

core::Status PlanBuilder::AddCall(const Json* id, const Json* name, const Json* args,
                                  std::string echo) {
  if (plan_.calls.size() >= kPlanCallsMax) return TooManyCalls();
  ProposedCall call;
  INTERLOCK_ASSIGN_OR_RETURN(call.id, WireText(id, kPlannerCallIdBytesMax, "a call's `id`"));
  if (call.id.empty()) call.id = "call_" + std::to_string(plan_.calls.size());
  INTERLOCK_ASSIGN_OR_RETURN(const std::string wire_name, CalledName(name));
  if (wire_name.empty()) return ModelFault("a tool call without a name");
  if (args == nullptr) {
    call.args_text = "{}";
  } else if (args->is_object()) {
    call.args_text = core::CanonicalJson(*args);
  } else {
    INTERLOCK_ASSIGN_OR_RETURN(call.args_text, WireText(args, kPlanBytesMax, "`arguments`"));
  }
  if (wire_name == kAnswerTool && TakesAnswerTool(request_)) {
    answer_ = std::move(call.args_text);
    return core::OkStatus();
  }
  call.tool = ToolNameFromWire(wire_name, request_);
  if (echo.size() > kEchoBytesMax) return BadReply("a call's signature is too long");
  call.echo = std::move(echo);
  if (!ids_.insert(call.id).second) return ModelFault("two tool calls of one id");
  plan_.calls.push_back(std::move(call));
  return core::OkStatus();
}

core::StatusOr<Plan> PlanBuilder::Finish(std::string_view body) {
  // An answer beside calls was written without their results: the calls come first.
  if (plan_.calls.empty() && answer_) {
    INTERLOCK_ASSIGN_OR_RETURN(plan_.text, AnswerOfArgs(*std::move(answer_), request_));
    plan_.final_answer = true;
  } else if (plan_.calls.empty() && !request_.ends_by_tool) {
    plan_.text = AnswerOfText(std::move(plan_.text), request_);
  }
  if (plan_.text.empty() && plan_.calls.empty()) return ModelFault("neither text nor tool calls");
  plan_.finish = plan_.calls.empty() ? Finish::kAnswer : Finish::kCalls;
  plan_.raw = std::string(body);
  return std::move(plan_);
}

}  // namespace interlock::runtime
