// Callers who wait no more (ADR 59): until the decision is durable nothing happens for them; behind
// it a tool that only reads is stopped, and one that changes anything goes on (rule 11).
#include <algorithm>

#include "engine/gate.h"

namespace interlock::runtime {
namespace {

constexpr const char* kCallerGone =
    "the caller went away before the call was decided; nothing was done, and the same "
    "`request_id` may be sent again";
constexpr const char* kTooLate =
    "the caller's deadline passed before the call was decided; nothing was done, and the same "
    "`request_id` may be sent again";

// The run's own timer comes first: it ends the run, of which a tool's timeout alone knows nothing.
constexpr std::int64_t kRunEndSlackMicros = 100'000;

bool OnlyReads(const tools::Manifest& manifest) { return manifest.effect == tools::Effect::kRead; }

}  // namespace

bool Gate::IsLeft(const Ticket& ticket) const {
  return ticket.patience != nullptr && ticket.patience->Over(parts_.clock->MonotonicMicros());
}

core::Status Gate::CheckWaits(const Ticket& ticket) const {
  if (!IsLeft(ticket)) return core::OkStatus();
  if (ticket.patience->until_us() == 0) {
    return WithReason(core::Error(core::StatusCode::kCancelled, kCallerGone), "CALLER_GONE");
  }
  return WithReason(core::Error(core::StatusCode::kDeadlineExceeded, kTooLate), "DEADLINE");
}

// What becomes of a call that has started is found out, whoever waits for it.
std::int64_t Gate::WaitOf(const Ticket& ticket, std::int64_t most_us) const {
  if (ticket.patience == nullptr || ticket.state != CallState::kProposed) return most_us;
  const std::int64_t left_us = ticket.patience->until_us() - parts_.clock->MonotonicMicros();
  return std::clamp<std::int64_t>(left_us, 0, most_us);
}

// Before its intent, which says it: what is left when it is committed is an input of a replay.
void Gate::LimitRead(Ticket& ticket) const {
  const tools::Manifest& manifest = ticket.tool->manifest();
  if (!OnlyReads(manifest) || IsAgents(ticket) || IsOwnTool(ticket.id.tool)) return;
  std::int64_t until_us = Patience::kForEver;
  if (ticket.patience != nullptr) until_us = ticket.patience->until_us();
  if (ticket.run_ends_monotonic_us > 0) {
    until_us = std::min(until_us, ticket.run_ends_monotonic_us + kRunEndSlackMicros);
  }
  const std::int64_t left_ms = (until_us - parts_.clock->MonotonicMicros()) / 1000;
  if (left_ms < manifest.limits.wall_ms) ticket.wall_ms = std::max<std::int64_t>(1, left_ms);
}

void Gate::HaltLeft() {
  const std::int64_t now_us = parts_.clock->MonotonicMicros();
  std::vector<std::uint64_t> left;
  {
    const std::lock_guard lock(running_mutex_);
    for (const auto& [handle, call] : running_) {
      if (call.patience != nullptr && call.patience->Over(now_us)) left.push_back(handle);
    }
  }
  for (const std::uint64_t handle : left) parts_.executor->Cancel(handle);
}

}  // namespace interlock::runtime
