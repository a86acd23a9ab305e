// How entries move a run's state: said once, for the rows that the log folds into and for a run
// that is read back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "engine/entries.h"
#include "runtime/engine.h"

namespace interlock::runtime {

// The state of a run in `now` once an entry of this kind and body stands in its log. A final state
// stays; a run that is being cancelled can only end (rule 11). What a waiting run has to be told of
// (a message, the end of an approval, a person's word) makes it `running`, so that a restart finds
// it at work until it says that it waits again.
RunState StateAfter(RunState now, std::string_view kind, const core::JsonObjectView& body);

// For its approvals, its user or a person.
bool IsWaiting(RunState state);
// Cancelled, taken back or over: nothing new begins in it (rule 11).
bool IsEnding(RunState state);
// Whether a call may go on in it: one that takes another back, only while that is what the run
// does.
bool Admits(RunState state, std::string_view compensates);
struct RunStanding {
  RunState state = RunState::kRunning;
  std::string parent;
};
// Whether its own run and all above it let a call go on, as `standing_of(run)` has them (nullopt:
// unknown). What a run above was told holds below at once; what takes back goes on.
template <typename StandingOf>
bool AdmittedByRuns(const CallIdentity& id, const StandingOf& standing_of) {
  const std::optional<RunStanding> own = id.run.empty() ? std::nullopt : standing_of(id.run);
  if (own && !Admits(own->state, id.compensates)) return false;
  if (id.lineage == nullptr || !id.compensates.empty()) return true;
  std::optional<RunStanding> above = standing_of(id.lineage->parent);
  while (above && Admits(above->state, "") && !above->parent.empty()) {
    above = standing_of(above->parent);
  }
  return !above || Admits(above->state, "");
}
// The numbers of the states in which a run has ended, for SQL: "5, 6, 7".
std::string FinalStates();

}  // namespace interlock::runtime
