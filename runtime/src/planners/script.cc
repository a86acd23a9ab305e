#include "script.h"

#include <algorithm>

#include "core/template.h"

namespace interlock::runtime {
namespace {

using core::Json;
using tools::YamlError;
using tools::YamlFields;
using tools::YamlNode;

constexpr std::string_view kNothingLeft = "I have nothing more to do.";

core::StatusOr<ScriptCall> CallOf(const YamlNode& node, std::string_view file) {
  YamlFields fields(node, file, "a call");
  ScriptCall call;
  call.tool = fields.Text("tool");
  const YamlNode* const args = fields.Node("args");
  const YamlNode* const text = fields.Node("args_text");
  if (args != nullptr && text != nullptr) fields.Fail(text->line, "`args_text` beside `args`");
  call.args = Json::object();
  if (args != nullptr) {
    INTERLOCK_ASSIGN_OR_RETURN(call.args, tools::YamlToJson(*args, file));
  }
  if (text != nullptr) call.args_text = fields.TextOr("args_text", "");
  INTERLOCK_RETURN_IF_ERROR(fields.Finish());
  return call;
}

core::StatusOr<ScriptStep> StepOf(const YamlNode& node, std::string_view file) {
  YamlFields fields(node, file, "a step");
  ScriptStep step;
  step.line = node.line;
  const bool has_calls = fields.Has("calls");
  const bool has_ask = fields.Has("ask");
  const bool has_answer = fields.Has("answer");
  if (has_calls + has_ask + has_answer != 1) {
    fields.Fail(node.line, "a step needs exactly one of `calls`, `ask`, `answer`");
  }
  if (has_calls) step.text = fields.TextOr("say", "");
  if (has_ask) step.text = fields.Text("ask");
  if (has_answer) step.text = fields.Text("answer");
  step.finish = has_calls ? Finish::kCalls : has_ask ? Finish::kAsk : Finish::kAnswer;
  const std::vector<YamlNode>& calls = fields.ItemsOr("calls");
  if (has_calls && (calls.empty() || calls.size() > kPlanCallsMax)) {
    fields.Fail(fields.LineOf("calls"),
                "`calls` must have 1 to " + std::to_string(kPlanCallsMax) + " calls");
  }
  INTERLOCK_RETURN_IF_ERROR(fields.Finish());
  for (const YamlNode& item : calls) {
    INTERLOCK_ASSIGN_OR_RETURN(ScriptCall call, CallOf(item, file));
    step.calls.push_back(std::move(call));
  }
  return step;
}

// What placeholders see: `session`, `r1`, `r2`, … and `last`.
Json ScopeOf(const PlanRequest& request) {
  Json scope = {{"session", request.session}};
  int number = 0;
  Json last;
  for (const ChatMessage& message : request.messages) {
    if (message.role != Role::kTool) continue;
    auto observation = core::ParseJson(message.text, core::kPayloadLimits);
    last = observation.ok() ? *std::move(observation) : Json(message.text);
    scope["r" + std::to_string(++number)] = last;
  }
  if (number > 0) scope["last"] = std::move(last);
  return scope;
}

core::StatusOr<std::string> Filled(const std::string& text, const Json& scope) {
  INTERLOCK_ASSIGN_OR_RETURN(const Json filled, core::ExpandJson(Json(text), scope));
  return filled.is_string() ? filled.get<std::string>() : core::CanonicalJson(filled);
}

core::StatusOr<ProposedCall> Proposed(const ScriptCall& call, const Json& scope, std::string id) {
  ProposedCall proposed{.id = std::move(id), .tool = call.tool, .args_text = {}};
  if (call.args_text) {
    proposed.args_text = *call.args_text;
    return proposed;
  }
  INTERLOCK_ASSIGN_OR_RETURN(const Json args, core::ExpandJson(call.args, scope));
  proposed.args_text = core::CanonicalJson(args);
  return proposed;
}

core::StatusOr<Plan> Planned(const ScriptStep& step, std::size_t number, const Json& scope) {
  Plan plan;
  plan.finish = step.finish;
  INTERLOCK_ASSIGN_OR_RETURN(plan.text, Filled(step.text, scope));
  for (std::size_t i = 0; i < step.calls.size(); ++i) {
    std::string id = "s" + std::to_string(number) + "c" + std::to_string(i);
    INTERLOCK_ASSIGN_OR_RETURN(ProposedCall call, Proposed(step.calls[i], scope, std::move(id)));
    plan.calls.push_back(std::move(call));
  }
  return plan;
}

}  // namespace

core::StatusOr<Script> ScriptFromYaml(const YamlNode& document, std::string_view file) {
  YamlFields fields(document, file, "the script");
  fields.TextOr("description", "");
  const std::vector<YamlNode>& steps = fields.ItemsOr("steps");
  if (!fields.Has("steps")) fields.Fail(document.line, "the script needs `steps`");
  if (steps.size() > kScriptStepsMax) fields.Fail(fields.LineOf("steps"), "too many steps");
  INTERLOCK_RETURN_IF_ERROR(fields.Finish());
  Script script{.file = std::string(file), .steps = {}};
  for (const YamlNode& item : steps) {
    INTERLOCK_ASSIGN_OR_RETURN(ScriptStep step, StepOf(item, file));
    script.steps.push_back(std::move(step));
  }
  return script;
}

core::StatusOr<Plan> PlanOfStep(const Script& script, std::size_t number,
                                const PlanRequest& request) {
  if (number >= script.steps.size()) {
    Plan plan;
    plan.finish = Finish::kAnswer;
    plan.final_answer = request.ends_by_tool;
    plan.text = std::string(kNothingLeft);
    return plan;
  }
  const ScriptStep& step = script.steps[number];
  auto plan = Planned(step, number, ScopeOf(request));
  if (plan.ok()) {  // a script says `ask` where it asks
    plan->final_answer = request.ends_by_tool && step.finish == Finish::kAnswer;
    return plan;
  }
  return YamlError(script.file, step.line, core::Message(plan.status()));
}

}  // namespace interlock::runtime
