// Roll-outs in the fold: a row of settings each, and one that names them, as kill switches have.
#include <algorithm>

#include "core/json.h"
#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

constexpr const char* kRolloutNames = "rollouts";

std::string RowOfRollout(std::string_view agent) { return "rollout:" + std::string(agent); }

std::string Text(const RolloutInfo& set) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.String("agent_digest", set.digest);
  writer.String("by", set.by);
  writer.String("etag", set.etag);
  writer.Int("percent", set.percent);
  writer.String("reason", set.reason);
  writer.Int("time_us", set.time_us);
  writer.String("version", set.version);
  writer.Close();
  return text;
}

// What cannot be read gives nobody another version.
RolloutInfo ReadRollout(const std::string& agent, std::string_view text) {
  RolloutInfo set;
  set.agent = agent;
  const auto view = core::JsonObjectView::Of(text);
  if (!view.ok()) return set;
  set.digest = view->String("agent_digest").value_or("");
  set.version = view->String("version").value_or("");
  set.percent = view->Int("percent").value_or(0);
  set.by = view->String("by").value_or("");
  set.reason = view->String("reason").value_or("");
  set.time_us = view->Int("time_us").value_or(0);
  set.etag = view->String("etag").value_or("");
  return set;
}

}  // namespace

std::vector<RolloutInfo> State::Rollouts() const {
  const std::lock_guard lock(mutex_);
  return rollouts_;
}

std::optional<RolloutInfo> State::RolloutOf(std::string_view agent) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(rollouts_.begin(), rollouts_.end(),
                                  [&](const RolloutInfo& one) { return one.agent == agent; });
  return found == rollouts_.end() ? std::nullopt : std::optional(*found);
}

core::Status State::ApplyRollout(const audit::EntryView& entry) {
  const std::string agent = Field(entry, "agent");
  if (agent.empty()) return Missing(entry, "agent");
  const std::string actor = Actor(entry);
  constexpr std::string_view kPrincipal = "principal:";
  RolloutInfo set;
  set.digest = Field(entry, "agent_digest");
  set.version = Field(entry, "version");
  set.percent = entry.body.Int("percent").value_or(0);
  set.by = actor.starts_with(kPrincipal) ? actor.substr(kPrincipal.size()) : actor;
  set.reason = Field(entry, "reason");
  set.time_us = entry.time_us;
  set.etag = std::to_string(entry.index);
  settings_.Edit(RowOfRollout(agent)).value = Text(set);
  AddWord(settings_.Edit(kRolloutNames).value, agent);
  LoadRollouts();
  return core::OkStatus();
}

// Under the lock.
void State::LoadRollouts() {
  rollouts_.clear();
  const FactRow* names = settings_.Find(kRolloutNames);
  for (const std::string& agent : SplitWords(names == nullptr ? "" : names->value)) {
    const FactRow* row = settings_.Find(RowOfRollout(agent));
    rollouts_.push_back(ReadRollout(agent, row == nullptr ? "" : row->value));
  }
  std::sort(rollouts_.begin(), rollouts_.end(),
            [](const RolloutInfo& a, const RolloutInfo& b) { return a.agent < b.agent; });
}

}  // namespace interlock::runtime
