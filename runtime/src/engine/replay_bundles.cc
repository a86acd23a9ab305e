// Whose policies made an entry: those that it cites; where it cites none, those that the log says
// were in force.
#include <algorithm>
#include <iterator>

#include "engine/kept_bundle.h"
#include "engine/replayer.h"

namespace interlock::runtime {
namespace {

// A worker has a bundle that was activated this much later than the log, at most.
constexpr std::int64_t kBehindMicros = 5'000'000;

core::Status CannotTell(const std::string& message) {
  return WithReason(core::FailedPrecondition(message), "BUNDLE_CHANGED");
}

// Kinds whose first citation, or `bundle` of run.started, is the bundle in force. A request to a
// planner cites it where model budgets were weighed, texts and results where a rule spoke of them.
std::string CitedBundle(const RecordedEntry& recorded) {
  constexpr std::string_view kKinds[] = {"call.decided",   "plan.requested",   "plan.refused",
                                         "answer.checked", "message.received", "result.released"};
  const std::string& kind = recorded.entry.kind;
  if (kind == "run.started") return recorded.Text("bundle");
  const bool cites = std::find(std::begin(kKinds), std::end(kKinds), kind) != std::end(kKinds);
  return cites && !recorded.cites.empty() ? recorded.cites.front() : "";
}

// It was refused, or withheld, because there were no policies.
bool HadNone(const RecordedEntry& recorded) {
  return recorded.cites.empty() && recorded.Text("code") == "NO_BUNDLE";
}

}  // namespace

core::StatusOr<std::unique_ptr<policies::Engine>> Replayer::EngineOf(const std::string& id) {
  if (parts_.candidate != nullptr) return policies::Engine::Make(parts_.candidate);
  INTERLOCK_ASSIGN_OR_RETURN(const core::Digest digest, DigestOfBundle(id));
  if (parts_.bundle != nullptr && parts_.bundle->id() == digest) {
    return policies::Engine::Make(parts_.bundle);
  }
  const auto kept = KeptBundle(*parts_.log, digest, *parts_.registry);
  if (!kept.ok()) return CannotTell(std::string(core::Message(kept.status())));
  return policies::Engine::Make(*kept);
}

// All that the run rests on, before anything is said.
core::Status Replayer::TakeBundles() {
  for (const RecordedEntry& recorded : own_) {
    if (const std::string id = CitedBundle(recorded); !id.empty()) {
      INTERLOCK_RETURN_IF_ERROR(JudgeBy(id));
    }
  }
  return core::OkStatus();
}

core::Status Replayer::JudgeBy(const std::string& id) {
  if (id == judged_by_) return core::OkStatus();
  std::unique_ptr<policies::Engine> next;
  if (!id.empty()) {
    const auto made = engines_.find(id);
    if (made != engines_.end()) {
      next = std::move(made->second);
    } else {
      INTERLOCK_ASSIGN_OR_RETURN(next, EngineOf(id));
    }
  }
  if (!judged_by_.empty()) engines_[judged_by_] = std::move(worker_.engine);
  worker_.engine = std::move(next);
  judged_by_ = id;
  recorded_bundle_ = id.empty() ? core::Digest{} : DigestOfBundle(id).value_or(core::Digest{});
  return core::OkStatus();
}

core::Status Replayer::JudgeAs(const RecordedEntry& recorded) {
  const std::string cited = CitedBundle(recorded);
  if (!cited.empty() || HadNone(recorded)) return JudgeBy(cited);
  const std::vector<std::string> ids = InForce(recorded, recorded);
  return JudgeBy(ids.empty() ? "" : ids.front());
}

// From the one entry to the other, the oldest first.
std::vector<std::string> Replayer::InForce(const RecordedEntry& from,
                                           const RecordedEntry& to) const {
  std::vector<std::string> ids;
  for (const Activated& one : activated_) {
    if (one.index > to.entry.index) break;
    if (one.index < from.entry.index) ids.clear();
    AddMissing(ids, {one.id});
  }
  if (ids.empty()) ids.push_back(own_.front().Text("bundle"));  // the log began with it
  return ids;
}

// Workers hear of an activation a little later than the log; what rules passed in silence does not
// say by which it was.
std::vector<std::string> Replayer::MayHaveJudged(const RecordedEntry& from,
                                                 const RecordedEntry& to) const {
  const std::string cited = CitedBundle(to);
  if (!cited.empty() || HadNone(to)) return {cited};
  std::vector<std::string> ids = InForce(from, to);
  std::string before = own_.front().Text("bundle");
  for (const Activated& one : activated_) {
    const bool just =
        one.index < from.entry.index && from.entry.time_us - one.time_us < kBehindMicros;
    if (just) AddMissing(ids, {before});
    before = one.id;
  }
  return ids;
}

core::Digest Replayer::Recorded(const core::Digest& bundle) const {
  const bool in_place = parts_.candidate != nullptr && bundle == parts_.candidate->id();
  return in_place ? recorded_bundle_ : bundle;
}

// Both are sorted by id, and a rule speaks once. An error of a rule keeps no place in its words.
void Replayer::PutRecordedLines(const core::Json& then,
                                std::vector<policies::FiredRule>& rules) const {
  if (parts_.candidate == nullptr || !then.is_array()) return;
  for (policies::FiredRule& rule : rules) {
    const auto at = std::find_if(then.begin(), then.end(), [&rule](const core::Json& one) {
      return one.value("id", "") == rule.id;
    });
    if (at != then.end()) rule.line = at->value("line", rule.line);
  }
}

}  // namespace interlock::runtime
