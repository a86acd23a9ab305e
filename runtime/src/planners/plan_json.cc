#include <algorithm>

#include "runtime/planner.h"

namespace interlock::runtime {
namespace {

using core::Json;

constexpr std::pair<Finish, std::string_view> kFinishNames[] = {
    {Finish::kCalls, "calls"}, {Finish::kAnswer, "answer"}, {Finish::kAsk, "ask"}};

core::Status Bad(std::string_view what) {
  return core::InvalidArgument("not a recorded plan: " + std::string(what));
}

core::StatusOr<Finish> FinishOf(const std::optional<std::string>& name) {
  for (const auto& [finish, known] : kFinishNames) {
    if (name == known) return finish;
  }
  return Bad("unknown `finish`");
}

core::StatusOr<ProposedCall> CallOf(std::string_view text) {
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view, core::JsonObjectView::Of(text));
  const auto args = view.String("args");
  const auto id = view.String("id");
  const auto tool = view.String("tool");
  if (!args || !id || !tool) return Bad("a call needs `args`, `id` and `tool`");
  return ProposedCall{.id = *id, .tool = *tool, .args_text = *args};
}

std::string CallsJson(const std::vector<ProposedCall>& calls) {
  std::string text = "[";
  for (const ProposedCall& call : calls) {
    if (text.size() > 1) text += ',';
    core::JsonObjectWriter writer(text);
    writer.String("args", call.args_text);
    writer.String("id", call.id);
    writer.String("tool", call.tool);
    writer.Close();
  }
  return text + "]";
}

core::StatusOr<std::int64_t> Count(const core::JsonObjectView& view, std::string_view key) {
  const auto value = view.Int(key);
  if (!value || *value < 0) return Bad("token counts must be integers");
  return *value;
}

}  // namespace

std::string PlanToJson(const Plan& plan) {
  const auto name = std::find_if(std::begin(kFinishNames), std::end(kFinishNames),
                                 [&](const auto& entry) { return entry.first == plan.finish; });
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.Raw("calls", CallsJson(plan.calls));
  writer.Int("completion_tokens", plan.completion_tokens);
  writer.String("finish", name->second);
  writer.Int("prompt_tokens", plan.prompt_tokens);
  writer.String("raw", plan.raw);
  writer.String("text", plan.text);
  writer.Close();
  return text;
}

core::StatusOr<Plan> PlanFromJson(std::string_view text) {
  // The whole is parsed once, strictly: the views below rely on well-formed text.
  INTERLOCK_RETURN_IF_ERROR(core::ParseJson(text, core::kPayloadLimits).status());
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view, core::JsonObjectView::Of(text));
  Plan plan;
  INTERLOCK_ASSIGN_OR_RETURN(plan.finish, FinishOf(view.String("finish")));
  const auto calls = view.Raw("calls");
  const auto raw = view.String("raw");
  const auto plain = view.String("text");
  if (!calls || !raw || !plain) return Bad("needs `calls`, `raw` and `text`");
  INTERLOCK_ASSIGN_OR_RETURN(const auto elements, core::JsonArrayElements(*calls));
  if (elements.size() > kPlanCallsMax) return Bad("too many calls");
  for (const std::string_view element : elements) {
    INTERLOCK_ASSIGN_OR_RETURN(ProposedCall call, CallOf(element));
    plan.calls.push_back(std::move(call));
  }
  if ((plan.finish == Finish::kCalls) == plan.calls.empty())
    return Bad("`finish` does not fit `calls`");
  INTERLOCK_ASSIGN_OR_RETURN(plan.prompt_tokens, Count(view, "prompt_tokens"));
  INTERLOCK_ASSIGN_OR_RETURN(plan.completion_tokens, Count(view, "completion_tokens"));
  plan.raw = *raw;
  plan.text = *plain;
  return plan;
}

}  // namespace interlock::runtime
