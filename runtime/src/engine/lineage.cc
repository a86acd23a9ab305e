#include "engine/lineage.h"

#include "engine/state.h"
#include "runtime/agent.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kEndedListsBytesMax = 63'000;  // as the entry has room for

std::vector<std::string> TextsIn(const core::Json& json, const char* name) {
  return json.is_object() ? json.value(name, std::vector<std::string>{})
                          : std::vector<std::string>{};
}

}  // namespace

std::string AgentOfTool(std::string_view tool) {
  return IsAgentTool(tool) ? std::string(tool.substr(kAgentToolPrefix.size())) : "";
}

std::string LineageJson(const Lineage& lineage) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.Raw("agents", JsonStrings(lineage.agents));
  writer.String("call", lineage.call);
  if (!lineage.editors.empty()) writer.Raw("editors", JsonStrings(lineage.editors));
  writer.String("parent", lineage.parent);
  writer.String("root", lineage.root);
  writer.Int("runs", lineage.runs_max);
  if (!lineage.told_by.empty()) writer.Raw("told_by", JsonStrings(lineage.told_by));
  writer.Close();
  return text;
}

Lineage LineageFrom(const core::JsonObjectView& lineage) {
  return {.parent = lineage.String("parent").value_or(""),
          .call = lineage.String("call").value_or(""),
          .root = lineage.String("root").value_or(""),
          .agents = SplitWords(WordsOf(lineage, "agents")),
          .editors = SplitWords(WordsOf(lineage, "editors")),
          .told_by = SplitWords(WordsOf(lineage, "told_by")),
          .runs_max = lineage.Int("runs").value_or(0)};
}

core::Json LabelToJson(const policies::Label& label) {
  return {{"readers", label.readers},
          {"sources", label.sources},
          {"tags", label.tags},
          {"trusted", label.trusted}};
}

policies::Label LabelFromJson(const core::Json& json) {
  policies::Label label{.trusted = false,
                        .sources = TextsIn(json, "sources"),
                        .tags = TextsIn(json, "tags"),
                        .readers = TextsIn(json, "readers")};
  if (json.is_object()) label.trusted = json.value("trusted", false);
  return label;
}

void AddSource(policies::Label& label, const std::string& source) {
  label =
      policies::Join(label, {.trusted = true, .sources = {source}, .tags = {}, .readers = {"*"}});
}

std::string RunEndJson(const RunEnd& end) {
  std::string text;
  core::JsonObjectWriter writer(text);
  if (!end.effects_beside) writer.Raw("effects", JsonStrings(end.effects));
  writer.String("run", end.run);
  if (end.stands) writer.Bool("stands", true);
  writer.String("state", RunStateName(end.state));
  writer.Int("tokens", end.tokens);
  if (!end.told_by.empty()) writer.Raw("told_by", JsonStrings(end.told_by));
  writer.Bool("untrusted", !end.label.trusted);
  writer.Close();
  return text;
}

std::string RunEndBesideJson(const RunEnd& end) {
  core::Json beside = LabelToJson(end.label);
  if (end.effects_beside) beside["effects"] = end.effects;
  return core::CanonicalJson(beside);
}

bool HasTooManyEffects(const RunEnd& end) {
  return JsonStrings(end.effects).size() + JsonStrings(end.told_by).size() > kEndedListsBytesMax;
}

core::StatusOr<RunEnd> RunEndFrom(std::string_view ended, const core::Json& beside) {
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view, core::JsonObjectView::Of(ended));
  const bool effects_beside = !view.Raw("effects");
  if (effects_beside && !(beside.is_object() && beside.contains("effects"))) {
    return core::DataLoss("what a run has done is no longer in the log");
  }
  RunEnd end{
      .run = view.String("run").value_or(""),
      .state = RunState::kFailed,
      .tokens = view.Int("tokens").value_or(0),
      .effects = effects_beside ? TextsIn(beside, "effects") : SplitWords(WordsOf(view, "effects")),
      .label = LabelFromJson(beside),
      .told_by = SplitWords(WordsOf(view, "told_by")),
      .stands = view.Bool("stands").value_or(false),
      .effects_beside = effects_beside};
  const std::string state = view.String("state").value_or("");
  for (int i = 0; i <= static_cast<int>(kRunStateLast); ++i) {
    if (RunStateName(static_cast<RunState>(i)) == state) end.state = static_cast<RunState>(i);
  }
  end.label.trusted = !view.Bool("untrusted").value_or(true);
  return end;
}

std::string ObservationAtWork(std::string_view run) {
  return core::CanonicalJson(
      {{"ok", false},
       {"pending", {{"run", run}, {"say", "The agent is at work; its answer comes later."}}}});
}

bool LeftNothing(RunState state, std::string_view code, bool stands) {
  return !stands && state != RunState::kCompleted && state != RunState::kEscalated &&
         state != RunState::kUncompensated && code != kAgentLost;
}

tools::Outcome OutcomeOfRun(RunState state, const RunEndText& end) {
  const std::string agent = "the agent `" + std::string(end.agent) + "` ";
  const std::string text(end.text);
  const auto failed = [state, stands = end.stands](std::string code, std::string why) {
    tools::Outcome outcome;
    outcome.kind = tools::OutcomeKind::kFailed;
    outcome.error_code = std::move(code);
    outcome.error = std::move(why);
    outcome.reported_failure = LeftNothing(state, outcome.error_code, stands);
    return outcome;
  };
  if (end.lost) {
    return failed(kAgentLost, agent +
                                  "has ended, and the log cannot tell what it did, which may "
                                  "stand; a person sees to it: " +
                                  text);
  }
  if (state == RunState::kCancelled) {
    return failed("AGENT_CANCELLED", agent + "was cancelled before it answered");
  }
  if (state == RunState::kEscalated) {
    return failed("AGENT_ESCALATED", agent + "handed over to a person: " + text);
  }
  if (state == RunState::kUncompensated) {
    return failed("AGENT_UNCOMPENSATED",
                  agent + "failed, and something that it did stands; a person sees to it: " + text);
  }
  if (state != RunState::kCompleted) {
    return failed("AGENT_FAILED", agent + "failed (" + std::string(end.code) + "): " + text);
  }
  if (end.erased) return failed("AGENT_FAILED", agent + "answered: " + text);
  tools::Outcome outcome;
  outcome.kind = tools::OutcomeKind::kOk;
  core::Json answer = text;
  if (end.formed) {
    auto formed = core::ParseJson(text, core::kPayloadLimits);
    if (formed.ok()) answer = *std::move(formed);
  }
  outcome.result = {{"answer", std::move(answer)}};
  return outcome;
}

}  // namespace interlock::runtime
