#include "openai_wire.h"

#include <algorithm>
#include <set>

#include "tool_names.h"

namespace interlock::runtime {
namespace {

using core::AppendJsonString;
using core::Json;

constexpr core::JsonLimits kReplyLimits{.bytes_max = kPlanBytesMax, .depth_max = 64};

core::Status Bad(std::string_view what) {
  return core::InvalidArgument("reply of the model makes no sense: " + std::string(what));
}

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

void AppendToolCalls(const std::vector<ProposedCall>& calls, std::string& out) {
  out += ",\"tool_calls\":[";
  for (std::size_t i = 0; i < calls.size(); ++i) {
    out += i == 0 ? "{\"id\":" : ",{\"id\":";
    AppendJsonString(calls[i].id, out);
    out += ",\"type\":\"function\",\"function\":{\"name\":";
    AppendJsonString(WireToolName(calls[i].tool), out);
    out += ",\"arguments\":";
    AppendJsonString(calls[i].args_text, out);
    out += "}}";
  }
  out += ']';
}

void AppendMessage(const ChatMessage& message, std::string& out) {
  out += "{\"role\":";
  AppendJsonString(RoleName(message.role), out);
  out += ",\"content\":";
  if (message.text.empty() && !message.calls.empty()) {
    out += "null";
  } else {
    AppendJsonString(message.text, out);
  }
  if (!message.calls.empty()) AppendToolCalls(message.calls, out);
  if (message.role == Role::kTool) {
    out += ",\"tool_call_id\":";
    AppendJsonString(message.call_id, out);
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

// A member that must be there, as an object; nullptr otherwise.
const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

core::StatusOr<std::string> Text(const Json* value, std::size_t bytes_max, std::string_view what) {
  if (value == nullptr) return std::string();
  if (!value->is_string()) return Bad(std::string(what) + " is not text");
  const std::string& text = value->get_ref<const std::string&>();
  if (text.size() > bytes_max) return Bad(std::string(what) + " is too long");
  return text;
}

// OpenAI sends arguments as JSON text; some servers send the object itself.
core::StatusOr<std::string> ArgsText(const Json* arguments) {
  if (arguments == nullptr) return std::string("{}");
  if (arguments->is_object()) return core::CanonicalJson(*arguments);
  return Text(arguments, kPlanBytesMax, "`arguments`");
}

core::StatusOr<ProposedCall> CallOf(const Json& value, std::size_t position,
                                    const PlanRequest& request) {
  const Json* const function = Member(value, "function");
  if (function == nullptr || !function->is_object()) return Bad("a tool call without `function`");
  ProposedCall call;
  INTERLOCK_ASSIGN_OR_RETURN(call.id,
                             Text(Member(value, "id"), kPlannerCallIdBytesMax, "a call's `id`"));
  if (call.id.empty()) call.id = "call_" + std::to_string(position);
  INTERLOCK_ASSIGN_OR_RETURN(
      const std::string name,
      Text(Member(*function, "name"), kPlannerToolNameBytesMax, "a function's `name`"));
  if (name.empty()) return Bad("a tool call without a name");
  call.tool = ToolNameFromWire(name, request);
  INTERLOCK_ASSIGN_OR_RETURN(call.args_text, ArgsText(Member(*function, "arguments")));
  return call;
}

core::StatusOr<std::vector<ProposedCall>> CallsOf(const Json* list, const PlanRequest& request) {
  std::vector<ProposedCall> calls;
  if (list == nullptr) return calls;
  if (!list->is_array()) return Bad("`tool_calls` is not a list");
  if (list->size() > kPlanCallsMax) {
    return Bad("more than " + std::to_string(kPlanCallsMax) + " tool calls");
  }
  std::set<std::string> ids;
  for (const Json& item : *list) {
    INTERLOCK_ASSIGN_OR_RETURN(ProposedCall call, CallOf(item, calls.size(), request));
    if (!ids.insert(call.id).second) return Bad("two tool calls of one id");
    calls.push_back(std::move(call));
  }
  return calls;
}

std::int64_t Tokens(const Json& reply, const char* key) {
  const Json* const usage = Member(reply, "usage");
  const Json* const count = usage == nullptr ? nullptr : Member(*usage, key);
  if (count == nullptr || !count->is_number_integer()) return 0;
  return std::max<std::int64_t>(0, count->get<std::int64_t>());
}

core::Status CheckFinish(const Json& choice) {
  const Json* const reason = Member(choice, "finish_reason");
  if (reason == nullptr || !reason->is_string()) return core::OkStatus();
  if (*reason == "length") return Bad("it was cut at the model's length limit");
  if (*reason == "content_filter") return Bad("it was stopped by the provider's content filter");
  return core::OkStatus();
}

}  // namespace

std::string ChatRequestBody(const PlanRequest& request, const WireOptions& options) {
  std::string out = "{\"model\":";
  AppendJsonString(options.model, out);
  if (options.send_temperature) {
    out += ",\"temperature\":";
    core::AppendCanonicalJson(Json(options.temperature), out);
  }
  out += ",\"messages\":[";
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    if (i > 0) out += ',';
    AppendMessage(request.messages[i], out);
  }
  out += ']';
  if (!request.tools.empty()) {
    out += ",\"tools\":[";
    for (std::size_t i = 0; i < request.tools.size(); ++i) {
      if (i > 0) out += ',';
      AppendTool(request.tools[i]->manifest(), out);
    }
    out += ']';
  }
  return out + '}';
}

core::StatusOr<Plan> PlanOfChatReply(std::string_view body, const PlanRequest& request) {
  auto reply = core::ParseJson(body, kReplyLimits);
  if (!reply.ok()) return Bad(core::Message(reply.status()));
  const Json* const choices = Member(*reply, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) return Bad("no `choices`");
  const Json& choice = choices->front();
  const Json* const message = Member(choice, "message");
  if (message == nullptr || !message->is_object()) return Bad("no `message`");
  INTERLOCK_RETURN_IF_ERROR(CheckFinish(choice));
  Plan plan;
  INTERLOCK_ASSIGN_OR_RETURN(plan.text,
                             Text(Member(*message, "content"), kPlanBytesMax, "`content`"));
  INTERLOCK_ASSIGN_OR_RETURN(plan.calls, CallsOf(Member(*message, "tool_calls"), request));
  if (plan.text.empty() && plan.calls.empty()) {
    // A model that refuses says so in a field of its own; for the run it is what it has to say.
    INTERLOCK_ASSIGN_OR_RETURN(plan.text,
                               Text(Member(*message, "refusal"), kPlanBytesMax, "`refusal`"));
  }
  if (plan.text.empty() && plan.calls.empty()) return Bad("neither text nor tool calls");
  plan.finish = plan.calls.empty() ? Finish::kAnswer : Finish::kCalls;
  plan.prompt_tokens = Tokens(*reply, "prompt_tokens");
  plan.completion_tokens = Tokens(*reply, "completion_tokens");
  plan.raw = std::string(body);
  return plan;
}

std::string ErrorWord(std::string_view body) {
  const auto reply = core::ParseJson(body, kReplyLimits);
  const Json* const error = reply.ok() ? Member(*reply, "error") : nullptr;
  if (error == nullptr) return "";
  for (const char* key : {"code", "type"}) {
    const Json* const value = Member(*error, key);
    if (value == nullptr || !value->is_string()) continue;
    const std::string& word = value->get_ref<const std::string&>();
    const bool plain = !word.empty() && word.size() <= 48 &&
                       std::all_of(word.begin(), word.end(),
                                   [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    if (plain) return word;
  }
  return "";
}

}  // namespace interlock::runtime
