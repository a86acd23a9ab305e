#include "engine/engine.h"

#include "engine/select.h"

namespace interlock::runtime {

std::uint64_t Subscriptions::Add(std::string_view run, std::function<void()> changed) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t id = next_++;
  all_[id] = {.run = std::string(run), .changed = std::move(changed)};
  by_run_.emplace(std::string(run), id);
  count_.store(all_.size());
  return id;
}

void Subscriptions::Remove(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto at = all_.find(id);
  if (at == all_.end()) return;
  const auto [first, last] = by_run_.equal_range(at->second.run);
  for (auto it = first; it != last; ++it) {
    if (it->second != id) continue;
    by_run_.erase(it);
    break;
  }
  all_.erase(at);
  count_.store(all_.size());
}

// Under the lock, so that after Remove returns the callback is not running and never will.
void Subscriptions::Notify(const std::string& run) {
  const std::lock_guard lock(mutex_);
  const auto [first, last] = by_run_.equal_range(run);
  for (auto it = first; it != last; ++it) all_.at(it->second).changed();
}

void Subscriptions::NotifyAll() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, one] : all_) one.changed();
}

EngineImpl::EngineImpl(EngineParts parts)
    : hub_(std::move(parts)),
      housekeeper_(hub_, [this](const core::Principal& who, const std::string& run) {
        return CancelAndWait(who, run);
      }) {}

EngineImpl::~EngineImpl() {
  housekeeper_.Stop();
  hub_.Stop();
  hub_.parts.log->SetListener(nullptr);
  hub_.parts.state->SetRunListener(nullptr);
}

core::Status EngineImpl::Start() {
  hub_.parts.state->SetRunListener([this](const std::string& run) {
    if (subscriptions_.any()) touched_.insert(run);
  });
  hub_.parts.log->SetListener([this](std::uint64_t first, std::uint64_t end) {
    if (first == end) return subscriptions_.NotifyAll();  // the log has stopped: nothing comes
    for (const std::string& run : touched_) subscriptions_.Notify(run);
    touched_.clear();
  });
  hub_.waits_changed = [this](const std::string& run) { subscriptions_.Notify(run); };
  INTERLOCK_RETURN_IF_ERROR(hub_.Start());
  INTERLOCK_RETURN_IF_ERROR(housekeeper_.Start());
  if (hub_.parts.principals != nullptr) {
    housekeeper_.Submit([this] {
      LookForUnanswered();
      LookForPlanners();
    });
  }
  return core::OkStatus();
}

core::Status EngineImpl::Need(const core::Principal& who, std::string_view role) {
  if (who.Has(role)) return core::OkStatus();
  return WithReason(core::PermissionDenied("this needs the role `" + std::string(role) + "`"),
                    "ROLE_REQUIRED");
}

namespace {

// The time in a UUID of version 7, as it stands there; empty for other ids. In front of its HMAC it
// keeps the rows of requests made together together, where an HMAC alone would scatter them.
std::string TimeOf(std::string_view request_id) {
  constexpr std::size_t kVersionAt = 14;
  if (!core::IsUuid(request_id) || request_id[kVersionAt] != '7') return {};
  return std::string(request_id.substr(0, 8)).append(request_id.substr(9, 4));
}

}  // namespace

RequestMark EngineImpl::MarkOfText(const core::Principal& who, std::string_view request_id,
                                   std::string_view method, std::string_view target,
                                   std::string_view content) const {
  if (request_id.empty()) return {};
  const audit::KeyStore& keys = *hub_.parts.keys;
  std::string asked;
  asked.reserve(method.size() + target.size() + content.size() + 2);
  asked.append(method).append("\n").append(target).append("\n").append(content);
  return {.key = TimeOf(request_id) + keys.Hmac("request", who.id + "\n" + std::string(request_id)),
          .digest = keys.Hmac("request_digest", asked)};
}

std::uint64_t EngineImpl::Subscribe(std::string_view run, std::function<void()> changed) {
  return subscriptions_.Add(run, std::move(changed));
}

void EngineImpl::Unsubscribe(std::uint64_t subscription) { subscriptions_.Remove(subscription); }

core::StatusOr<audit::Checkpoint> EngineImpl::CheckpointNow(const core::Principal&) {
  return hub_.parts.log->CheckpointNow();
}

std::string EngineImpl::Unhealthy() const {
  if (hub_.stopping()) return "the daemon is stopping";
  if (const PolicyInfo policy = hub_.Policy(); policy.bundle.empty()) {
    return "no policy bundle is active: everything is denied" +
           (policy.problem.empty() ? "" : ": " + policy.problem);
  }
  if (clock_in_doubt()) {
    return "the clock is in doubt; check it, then run `interlock audit confirm-clock`";
  }
  return hub_.parts.log->health_reason();
}

core::StatusOr<std::unique_ptr<Engine>> MakeEngine(EngineParts parts) {
  auto engine = std::make_unique<EngineImpl>(std::move(parts));
  INTERLOCK_RETURN_IF_ERROR(engine->Start());
  return core::StatusOr<std::unique_ptr<Engine>>(std::move(engine));
}

}  // namespace interlock::runtime
