#include "engine/planner_texts.h"

#include <string>
#include <utility>
#include <vector>

#include "policies/decision.h"

namespace interlock::runtime {
namespace {

class NoState final : public policies::StateReader {
 public:
  policies::VersionedRead BudgetUsed(const policies::BudgetDecl&, std::string_view) const override {
    return {};
  }
  policies::VersionedRead Count(std::string_view, std::int64_t, std::int64_t) const override {
    return {};
  }
  policies::VersionedRead Sum(std::string_view, std::int64_t, std::int64_t) const override {
    return {};
  }
};

}  // namespace

bool JudgesAnswers(policies::Engine& engine) {
  const core::Json none = core::Json::object();
  const core::Json text = {{"text", ""}};
  const policies::LabelMap labels;
  const std::vector<std::string> roles;
  const NoState state;
  policies::DecisionInput input;
  input.phase = policies::RulePhase::kAnswer;
  input.content = &text;
  input.args = &none;
  input.session = &none;
  input.principal_roles = &roles;
  input.labels = &labels;
  input.state = &state;
  return !engine.Trace(input).empty();
}

void PlannerTexts::Allow(bool may) {
  if (may != allowed()) ++allowed_;
}

std::function<void(const TextDelta&)> PlannerTexts::For(std::string run, std::int64_t step) {
  struct Stream {
    SafeText safe;
    bool began = false;
    bool ended = false;
  };
  const std::uint64_t as_of = allowed_.load();
  if (as_of % 2 == 0) return nullptr;
  return [self = shared_from_this(), stream = std::make_shared<Stream>(), run = std::move(run),
          step, as_of](const TextDelta& delta) {
    if (stream->ended) return;
    const bool begins = !std::exchange(stream->began, true) || delta.restarted;
    if (begins) stream->safe = {};
    if (self->allowed_.load() != as_of) {
      stream->ended = true;
      return self->Tell(run, {.step = step, .text = "", .begins = true});
    }
    std::string text = stream->safe.Take(delta.text);
    if (!begins && text.empty()) return;
    self->Tell(run, {.step = step, .text = std::move(text), .begins = begins});
  };
}

}  // namespace interlock::runtime
