// OpenAI's chat completions, as many servers speak them. Field names: OpenAI API reference, "Create
// chat completion" and "The chat completion chunk object".
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

#include "answer_form.h"
#include "codec.h"
#include "conversation.h"
#include "openai_body.h"
#include "tool_names.h"
#include "wire_json.h"
#include "wire_write.h"

namespace interlock::runtime {
namespace {

using core::AppendJsonString;
using core::Json;

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
  }
  return "user";
}

// What a provider says of a call beyond OpenAI's fields (Google's `thought_signature`), as one
// object in text; empty: nothing.
std::string ExtraOf(const Json* extra) {
  return extra == nullptr || !extra->is_object() ? "" : core::CanonicalJson(*extra);
}

// Only for its author: others refuse fields that they do not know.
void AppendExtra(const ProposedCall& call, std::string& out) {
  if (call.echo.empty()) return;
  const auto extra = core::ParseJson(call.echo, kReplyLimits);
  if (extra.ok() && extra->is_object()) {
    out += ",\"extra_content\":" + core::CanonicalJson(*extra);
  }
}

void AppendToolCalls(const ChatMessage& message, bool own, WireIds& ids, std::string& out) {
  out += ",\"tool_calls\":[";
  AppendList(message.calls, out, [&](const ProposedCall& call) {
    out += "{\"id\":";
    AppendJsonString(ids.Of(call.id), out);
    out += ",\"type\":\"function\",\"function\":{\"name\":";
    AppendJsonString(WireToolName(call.tool), out);
    out += ",\"arguments\":";
    AppendJsonString(call.args_text, out);
    out += '}';
    if (own) AppendExtra(call, out);
    out += '}';
  });
  out += ']';
}

void AppendMessage(const ChatMessage& message, const WireOptions& options, WireIds& ids,
                   std::string& out) {
  out += "{\"role\":";
  AppendJsonString(RoleName(message.role), out);
  out += ",\"content\":";
  if (message.text.empty() && !message.calls.empty()) {
    out += "null";
  } else {
    AppendJsonString(message.text, out);
  }
  if (message.role == Role::kAssistant) ids.Begin(message);
  if (!message.calls.empty()) {
    const bool own = message.author == AuthorName(DialectName(Dialect::kChat), options.model);
    AppendToolCalls(message, own, ids, out);
  }
  if (message.role == Role::kTool) {
    out += ",\"tool_call_id\":";
    AppendJsonString(ids.Of(message.call_id), out);
  }
  out += '}';
}

void AppendTool(const tools::Manifest& manifest, std::string& out) {
  out += "{\"type\":\"function\",\"function\":{\"name\":";
  AppendJsonString(WireToolName(manifest.name), out);
  out += ",\"description\":";
  AppendJsonString(manifest.description, out);
  out += ",\"parameters\":";
  core::AppendCanonicalJson(manifest.input_schema, out);
  out += "}}";
}

void AppendOptions(const PlanRequest& request, const WireOptions& options, std::string& out) {
  AppendTemperature(options.temperature, out);
  if (options.output_tokens_max > 0) {
    out += ",\"max_completion_tokens\":" + std::to_string(options.output_tokens_max);
  }
  if (options.stream) out += R"(,"stream":true,"stream_options":{"include_usage":true})";
  if (request.answer_schema.is_null() || request.ends_by_tool) return;
  const Json schema = AnswerSchemaOf(request);
  out += R"(,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":)";
  core::AppendCanonicalJson(schema, out);
  out += IsStrictSchema(schema) ? ",\"strict\":true}}" : ",\"strict\":false}}";
}

core::Status AddCall(const Json& call, PlanBuilder& builder) {
  const Json* const function = Member(call, "function");
  if (function == nullptr || !function->is_object()) {
    return BadReply("a tool call without `function`");
  }
  return builder.AddCall(Member(call, "id"), Member(*function, "name"),
                         Member(*function, "arguments"), ExtraOf(Member(call, "extra_content")));
}

core::Status AddCalls(const Json* list, PlanBuilder& builder) {
  if (list == nullptr) return core::OkStatus();
  if (!list->is_array()) return BadReply("`tool_calls` is not a list");
  for (const Json& call : *list) INTERLOCK_RETURN_IF_ERROR(AddCall(call, builder));
  return core::OkStatus();
}

core::Status CheckFinish(const Json& choice) {
  const std::string_view reason = TextOrNone(choice, "finish_reason");
  if (reason == "length") return ModelFault(kCutReply);
  if (reason == "content_filter") return RefusedReply(kFilteredReply);
  for (const std::string_view broken :
       {"insufficient_system_resource", "error", "abort", "aborted"}) {
    if (reason == broken) {
      return core::Unavailable("the provider broke its reply off (" + std::string(broken) + ")");
    }
  }
  return core::OkStatus();
}

void CountTokens(const Json* usage, Plan& plan) {
  TokenCounts counts(usage);
  plan.prompt_tokens = counts.Of("prompt_tokens");
  plan.completion_tokens = counts.Of("completion_tokens");
  plan.cached_tokens = counts.Of("prompt_tokens_details", "cached_tokens");
  plan.reasoning_tokens = counts.Of("completion_tokens_details", "reasoning_tokens");
  // Some providers report what a model thought beside what it wrote, and both in the total.
  const std::int64_t written = counts.Of("total_tokens") - plan.prompt_tokens;
  plan.completion_tokens = std::max(plan.completion_tokens, written);
  counts.Judge(plan);
}

// A chunk holds pieces of one message; calls are told apart by `index`.
class Fold final : public StreamFold {
 public:
  core::Status Add(const StreamEvent& event, std::string& text) override {
    if (event.data == "[DONE]") {
      finished_ = ended_ = true;
      return core::OkStatus();
    }
    INTERLOCK_ASSIGN_OR_RETURN(const Json chunk, ParseReply(event.data));
    if (Member(chunk, "error") != nullptr) return StatusOfError(chunk);
    if (const Json* const usage = Member(chunk, "usage")) usage_ = *usage;
    const Json* const choices = Member(chunk, "choices");
    if (choices == nullptr || !choices->is_array() || choices->empty()) return core::OkStatus();
    const Json& choice = choices->front();
    if (const auto reason = TextOrNone(choice, "finish_reason"); !reason.empty()) {
      reason_ = reason;
      finished_ = true;  // what was used comes after it
    }
    const Json* const delta = Member(choice, "delta");
    return delta == nullptr ? core::OkStatus() : AddDelta(*delta, text);
  }

  core::StatusOr<std::string> Whole() override {
    if (!finished_) return StreamCut();
    Json message = {{"content", content_}, {"refusal", refusal_}};
    for (auto& [at, call] : calls_) {
      Json whole = {{"id", call.id}};
      whole["function"] = {{"name", call.name}, {"arguments", call.args}};
      if (!call.extra.is_null()) whole["extra_content"] = std::move(call.extra);
      message["tool_calls"].push_back(std::move(whole));
    }
    Json whole = {{"usage", usage_}};
    whole["choices"][0]["message"] = std::move(message);
    whole["choices"][0]["finish_reason"] = reason_;
    return core::CanonicalJson(whole);
  }

  bool ended() const override { return ended_; }

 private:
  struct CallParts {
    std::string id;
    std::string name;
    std::string args;
    Json extra;
  };

  using Place = std::pair<std::int64_t, std::int64_t>;  // index, and which of those that have it

  Place NewestOf(std::int64_t index) const {
    const auto behind = calls_.upper_bound({index, INT64_MAX});
    const bool known = behind != calls_.begin() && std::prev(behind)->first.first == index;
    return known ? std::prev(behind)->first : Place{index, 0};
  }

  core::Status AddDelta(const Json& delta, std::string& text) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::string said,
                               TextOfParts(Member(delta, "content"), "`content`"));
    content_ += said;
    text += said;
    INTERLOCK_ASSIGN_OR_RETURN(const std::string refused,
                               WireText(Member(delta, "refusal"), kPlanBytesMax, "`refusal`"));
    refusal_ += refused;
    const Json* const calls = Member(delta, "tool_calls");
    if (calls == nullptr) return core::OkStatus();
    if (!calls->is_array()) return BadReply("`tool_calls` is not a list");
    for (const Json& call : *calls) INTERLOCK_RETURN_IF_ERROR(AddCallPart(call));
    return core::OkStatus();
  }

  // Some servers give no `index` and send each call whole: one with an id begins a new call then.
  // Others give all calls the same one, and others each part of a call a new id: a name and another
  // id begin a new call.
  core::Status AddCallPart(const Json& part) {
    INTERLOCK_ASSIGN_OR_RETURN(
        const std::string id,
        WireText(Member(part, "id"), kPlannerCallIdBytesMax, "a call's `id`"));
    const Json* const index = Member(part, "index");
    const Json* const function = Member(part, "function");
    INTERLOCK_ASSIGN_OR_RETURN(const std::string name, CalledName(Member(function, "name")));
    Place at = calls_.empty() ? Place() : calls_.rbegin()->first;
    if (index != nullptr && index->is_number_integer()) {
      at = NewestOf(index->get<std::int64_t>());
      const auto known = calls_.find(at);
      const bool other = known != calls_.end() && !known->second.id.empty() && !id.empty() &&
                         known->second.id != id;
      if (other && !name.empty()) ++at.second;
    } else if (!calls_.empty() && !id.empty() && id != calls_.rbegin()->second.id) {
      ++at.first;
    }
    const auto most = static_cast<std::int64_t>(kPlanCallsMax);
    const bool too_many = calls_.size() >= kPlanCallsMax && !calls_.contains(at);
    if (at.first < 0 || at.first >= most || too_many) return TooManyCalls();
    CallParts& call = calls_[at];
    if (call.id.empty()) call.id = id;
    if (call.name.empty()) call.name = name;
    if (const Json* const extra = Member(part, "extra_content")) call.extra = *extra;
    const Json* const args = Member(function, "arguments");
    if (args != nullptr && args->is_object()) {
      call.args = core::CanonicalJson(*args);
      return core::OkStatus();
    }
    INTERLOCK_ASSIGN_OR_RETURN(const std::string more,
                               WireText(args, kPlanBytesMax, "`arguments`"));
    call.args += more;
    return core::OkStatus();
  }

  std::string content_;
  std::string refusal_;
  std::map<Place, CallParts> calls_;
  Json usage_;
  Json reason_;
  bool finished_ = false;  // the message is whole
  bool ended_ = false;
};

class Chat final : public Codec {
 public:
  core::StatusOr<WireRequest> Write(const PlanRequest& request,
                                    const WireOptions& options) const override {
    return WireRequest{.path = "/chat/completions",
                       .body = OpenAiBody(request, options,
                                          {.options = AppendOptions,
                                           .messages = "messages",
                                           .message = AppendMessage,
                                           .tool = AppendTool})};
  }

  Headers KeyHeaders(const std::string& api_key) const override { return BearerHeader(api_key); }

  std::unique_ptr<StreamFold> NewFold() const override { return std::make_unique<Fold>(); }

 private:
  void ReadUsage(const Json& reply, Plan& plan) const override {
    CountTokens(Member(reply, "usage"), plan);
  }

  core::Status ReadReply(const Json& reply, PlanBuilder& builder) const override {
    const Json* const choices = Member(reply, "choices");
    if (choices == nullptr || !choices->is_array() || choices->empty()) {
      return BadReply("no `choices`");
    }
    const Json& choice = choices->front();
    const Json* const message = Member(choice, "message");
    if (message == nullptr || !message->is_object()) return BadReply("no `message`");
    INTERLOCK_RETURN_IF_ERROR(CheckFinish(choice));
    INTERLOCK_RETURN_IF_ERROR(builder.Refuse(Member(*message, "refusal")));
    INTERLOCK_RETURN_IF_ERROR(builder.AddText(Member(*message, "content"), "`content`"));
    return AddCalls(Member(*message, "tool_calls"), builder);
  }
};

}  // namespace

const Codec& ChatCodec() {
  static const Chat kCodec;
  return kCodec;
}

}  // namespace interlock::runtime
