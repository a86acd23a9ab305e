// Kill switches at the gate: what is stopped is denied before anything is looked up, decided on
// again in the serial section, and not started after its intent; what runs is stopped where it may
// be (rules 2, 9 and 11).
#include "engine/gate.h"
#include "engine/lineage.h"
#include "engine/switches.h"

namespace interlock::runtime {

std::optional<SwitchInfo> Gate::StoppedBy(const Ticket& ticket) const {
  const State& state = parts_.journal->state();
  auto stop = StoppedFor(state, ticket.id, ticket.id.tool);
  if (!stop && IsAgentTool(ticket.id.tool)) {
    stop = state.StoppedBy("", AgentOfTool(ticket.id.tool));
  }
  return stop;
}

// A first look; the serial section looks again.
bool Gate::IsKilled(Ticket& ticket) const {
  const auto stop = StoppedBy(ticket);
  if (!stop) return false;
  ticket.verdict = "deny";
  ticket.code = kKilled;
  ticket.say = KilledSay(*stop);
  return true;
}

// A switch that was set since Execute looked has not found the handle, nor has a caller who went
// away: so it is looked at once more, behind it.
void Gate::KeepRunning(const Ticket& ticket, std::uint64_t handle) {
  const tools::Manifest& manifest = ticket.tool->manifest();
  const bool reads = manifest.effect == tools::Effect::kRead;
  const bool may = reads || manifest.cancel == tools::CancelMeaning::kSafe;
  if (!may || handle == 0) return;
  {
    const std::lock_guard lock(running_mutex_);
    Running& running = running_[handle];
    running.tool = ticket.id.tool;
    running.of.agent = ticket.id.agent;
    running.of.lineage = ticket.id.lineage;
    if (reads) running.patience = ticket.patience;
  }
  if (StoppedBy(ticket) || (reads && IsLeft(ticket))) parts_.executor->Cancel(handle);
}

void Gate::DropRunning(std::uint64_t handle) {
  const std::lock_guard lock(running_mutex_);
  running_.erase(handle);
}

void Gate::HaltStopped() {
  std::vector<std::uint64_t> stopped;
  {
    const std::lock_guard lock(running_mutex_);
    for (const auto& [handle, call] : running_) {
      if (StoppedFor(parts_.journal->state(), call.of, call.tool)) stopped.push_back(handle);
    }
  }
  for (const std::uint64_t handle : stopped) parts_.executor->Cancel(handle);
}

}  // namespace interlock::runtime
