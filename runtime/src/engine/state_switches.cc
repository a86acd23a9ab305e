// Kill switches in the fold: a row of settings each, and one that names them, so that they are
// sealed, rebuilt and carried into the next log as every setting is.
#include <algorithm>

#include "core/glob.h"
#include "core/json.h"
#include "engine/entries.h"
#include "engine/state.h"
#include "engine/state_fields.h"
#include "engine/switches.h"
#include "engine/utc.h"

namespace interlock::runtime {
namespace {

constexpr const char* kSwitchNames = "switches";

std::string RowOfSwitch(std::string_view name) { return "switch:" + std::string(name); }

std::string Text(const SwitchInfo& set) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.String("by", set.by);
  writer.String("etag", set.etag);
  writer.String("reason", set.reason);
  writer.Int("time_us", set.time_us);
  writer.Close();
  return text;
}

SwitchInfo ReadSwitch(const std::string& name, std::string_view text) {
  SwitchInfo set{.name = name, .by = "", .reason = "", .time_us = 0, .etag = ""};
  const auto view = core::JsonObjectView::Of(text);
  if (!view.ok()) return set;  // it stops all the same
  set.by = view->String("by").value_or("");
  set.etag = view->String("etag").value_or("");
  set.reason = view->String("reason").value_or("");
  set.time_us = view->Int("time_us").value_or(0);
  return set;
}

}  // namespace

bool SwitchStops(std::string_view name, std::string_view tool, std::string_view agent) {
  if (name == kAllSwitch) return true;
  if (name.starts_with(kToolSwitch)) {
    return !tool.empty() && core::GlobMatches(name.substr(kToolSwitch.size()), tool);
  }
  return name.starts_with(kAgentSwitch) && !agent.empty() &&
         core::GlobMatches(name.substr(kAgentSwitch.size()), agent);
}

core::Status CheckSwitchName(std::string_view name) {
  const bool plain =
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/'; });
  const bool one = (name.starts_with(kToolSwitch) && name.size() > kToolSwitch.size()) ||
                   (name.starts_with(kAgentSwitch) && name.size() > kAgentSwitch.size());
  if (plain && name.size() <= kSwitchNameBytesMax && (name == kAllSwitch || one)) {
    return core::OkStatus();
  }
  return core::InvalidArgument(
      "a switch is `tool:NAME`, `agent:NAME` or `all`; `*` in a name "
      "stands for any characters");
}

std::string KilledSay(const SwitchInfo& set) {
  return "Stopped by the kill switch `" + set.name + "`, set by " + set.by + " at " +
         UtcSeconds(set.time_us) + ".";
}

std::vector<SwitchInfo> State::Switches() const {
  const std::lock_guard lock(mutex_);
  return switches_;
}

std::optional<SwitchInfo> State::StoppedBy(std::string_view tool, std::string_view agent) const {
  if (!any_switch_.load(std::memory_order_acquire)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  for (const SwitchInfo& set : switches_) {
    if (SwitchStops(set.name, tool, agent)) return set;
  }
  return std::nullopt;
}

namespace {

std::optional<SwitchInfo> StoppedForOneOf(const State& state,
                                          const std::vector<std::string>& agents) {
  for (const std::string& agent : agents) {
    if (auto stop = state.StoppedBy("", agent)) return stop;
  }
  return std::nullopt;
}

}  // namespace

std::optional<SwitchInfo> StoppedFor(const State& state, const CallIdentity& id,
                                     std::string_view tool) {
  auto stop = state.StoppedBy(tool, id.agent);
  if (stop || id.lineage == nullptr) return stop;
  return StoppedForOneOf(state, id.lineage->agents);
}

std::optional<SwitchInfo> StoppedFor(const State& state, const RunRow& run, std::string_view tool) {
  auto stop = state.StoppedBy(tool, run.agent);
  return stop ? stop : StoppedForOneOf(state, SplitWords(run.above));
}

core::Status State::ApplySwitch(const audit::EntryView& entry) {
  const std::string name = Field(entry, "switch");
  if (name.empty()) return Missing(entry, "switch");
  const FactRow* names = settings_.Find(kSwitchNames);
  std::string left = WithoutWord(names == nullptr ? "" : names->value, name);
  if (entry.kind == "switch.set") {
    const std::string actor = Actor(entry);
    constexpr std::string_view kPrincipal = "principal:";
    settings_.Edit(RowOfSwitch(name)).value =
        Text({.name = name,
              .by = actor.starts_with(kPrincipal) ? actor.substr(kPrincipal.size()) : actor,
              .reason = Field(entry, "reason"),
              .time_us = entry.time_us,
              .etag = std::to_string(entry.index)});
    AddWord(left, name);
  } else {
    settings_.Erase(RowOfSwitch(name));
  }
  settings_.Edit(kSwitchNames).value = left;
  LoadSwitches();
  return core::OkStatus();
}

// Under the lock.
void State::LoadSwitches() {
  switches_.clear();
  const FactRow* names = settings_.Find(kSwitchNames);
  for (const std::string& name : SplitWords(names == nullptr ? "" : names->value)) {
    const FactRow* row = settings_.Find(RowOfSwitch(name));
    switches_.push_back(ReadSwitch(name, row == nullptr ? "" : row->value));
  }
  std::sort(switches_.begin(), switches_.end(),
            [](const SwitchInfo& a, const SwitchInfo& b) { return a.name < b.name; });
  any_switch_.store(!switches_.empty(), std::memory_order_release);
}

}  // namespace interlock::runtime
