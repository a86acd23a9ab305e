// Rules about what comes in and what goes out: messages, and answers, questions and summaries.
#include <algorithm>

#include "engine/budget_view.h"
#include "engine/gate.h"
#include "policies/content.h"

namespace interlock::runtime {
namespace {

constexpr const char* kSayTooManyTags = "It bears more tags than can be recorded.";

JudgedText Withheld(std::string code, std::string say) {
  JudgedText judged;
  judged.withheld = true;
  judged.code = std::move(code);
  judged.say = std::move(say);
  return judged;
}

}  // namespace

JudgedText Gate::JudgeWith(policies::Engine& engine, const TextCase& text,
                           const policies::StateReader& reader, std::int64_t now_us) const {
  const CallIdentity& id = *text.id;
  const core::Json content = {{"text", text.text}};
  policies::LabelMap labels;
  labels.Set(std::string(policies::RulePhaseName(text.phase)), text.label);
  policies::DecisionInput input;
  input.phase = text.phase;
  input.call = {.id = "",
                .run = id.Root(),
                .tool = "",
                .effect = "",
                .agent = id.agent,
                .step = id.step,
                .caller = id.Caller(),
                .depth = id.Depth()};
  input.tenant = parts_.tenant;
  input.principal = id.principal;
  input.principal_roles = &id.roles;
  input.user = id.user;
  input.content = &content;
  input.session = id.session.get();
  input.now_us = now_us;
  input.flow_untrusted = text.flow_untrusted;
  input.labels = &labels;
  input.state = &reader;
  policies::ContentDecision decided = policies::DecideContent(engine, input);

  JudgedText judged;
  judged.rules = std::move(decided.decision.rules);
  judged.reads = std::move(decided.decision.reads);
  judged.bundle_id = decided.decision.bundle_id;
  for (const policies::LabelChange& change : decided.decision.labels) {
    judged.untrusted = judged.untrusted || change.untrusted;
    judged.tags.insert(judged.tags.end(), change.tags.begin(), change.tags.end());
  }
  std::vector<std::string> tags = judged.tags;
  tags.insert(tags.end(), text.label.tags.begin(), text.label.tags.end());
  if (IsTooManyTags(tags)) {
    JudgedText withheld = Withheld(std::string(kTooManyTags), kSayTooManyTags);
    withheld.reads = std::move(judged.reads);
    withheld.bundle_id = judged.bundle_id;
    return withheld;
  }
  judged.withheld = decided.decision.verdict == policies::Verdict::kDeny;
  if (judged.withheld) {
    judged.code = decided.decision.code;
    judged.say = decided.decision.say;
    return judged;
  }
  judged.limits = std::move(decided.decision.limits);
  if (!decided.changed) return judged;
  const auto changed = decided.content.find("text");
  if (!decided.content.is_object() || changed == decided.content.end() || !changed->is_string()) {
    return Withheld("MODIFY_SCHEMA", "The policy changed this so that it is no text any more.");
  }
  judged.changed = changed->get<std::string>();
  return judged;
}

JudgedText Gate::JudgeText(policies::Engine* engine, const TextCase& text) const {
  if (engine == nullptr) return Withheld("NO_BUNDLE", "No policy is active.");
  const std::int64_t now_us =
      std::max(parts_.clock->WallMicros(), parts_.journal->state().newest_us());
  const PeekReader reader(parts_.journal->state(), *parts_.keys, now_us);
  JudgedText judged = JudgeWith(*engine, text, reader, now_us);
  judged.window_ms = reader.longest_ms();
  return judged;
}

// Rules 1 and 5 of the gate, for texts: what was read must stand, and a slot is taken once. What a
// limit counted is judged anew with the rest: the record then says what its rule does.
bool Gate::JudgeAgain(Serial& serial, const TextCase& text, JudgedText& judged) const {
  const LiveReader live(serial.state(), *parts_.keys, serial.now_us());
  const bool same = serial.engine() == nullptr || judged.bundle_id == core::Digest{} ||
                    serial.engine()->bundle().id() == judged.bundle_id;
  const bool holds =
      same && std::all_of(judged.reads.begin(), judged.reads.end(),
                          [&](const auto& read) { return live.VersionOf(read) == read.version; });
  if (holds) return false;
  if (serial.engine() == nullptr) {
    judged = Withheld("NO_BUNDLE", "No policy is active.");
    return true;
  }
  judged = JudgeWith(*serial.engine(), text, live, serial.now_us());
  judged.window_ms = live.longest_ms();
  return true;
}

}  // namespace interlock::runtime
