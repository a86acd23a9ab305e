// What an answer to an approval and an edit of its call have in common: who speaks, of what he saw,
// and whether it is still open.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/principal.h"
#include "engine/journal.h"
#include "policies/approval.h"
#include "runtime/make_engine.h"

namespace interlock::runtime {

// `who`, for himself or relaying the run's user. Errors: NOT_THE_USER.
core::StatusOr<policies::Answerer> AnswererOf(const core::Principal& who,
                                              const std::string& on_behalf_of,
                                              const policies::ApprovalState& state);
// How he is named in the log: "principal:<id>", or "run-user" for whom a relay speaks.
std::string NameInLog(const policies::Answerer& answerer);
// Names of the log as the state machine knows them; as they are where no run's user is known.
std::vector<std::string> FromLog(std::vector<std::string> names, const std::string& run_user);

// All editors of a call once `by` has edited it; `actor` is who spoke, for himself or as a relay.
std::vector<std::string> EditorsWith(std::vector<std::string> editors, const std::string& by,
                                     const std::string& actor);

core::Status NotAnApprover(const policies::MayAnswer& may);

// What an answer is bound to: of an approval in stages also the one that is asked, so that a yes to
// what was shown in one does not count in the next.
std::string EtagOf(const ApprovalRow& row);
// Errors: STALE_APPROVAL.
core::Status CheckSeen(const ApprovalRow& row, std::string_view etag);
// `shown` with what the row says of it: when it ends, who has spoken, and what is asked now.
policies::ApprovalState AsNow(policies::ApprovalState shown, const ApprovalRow& now);

// Pending, or granted and not used yet.
bool IsOpen(const ApprovalRow& row);
// The log's time for who is not in the serial section: no entry that stands is later.
std::int64_t NowInLog(const EngineParts& parts);

// --- serial section
// Errors: APPROVAL_ENDED.
core::StatusOr<const ApprovalRow*> StillOpen(Serial& serial, const std::string& approval);
bool HasGranted(const ApprovalRow& row, const std::string& name);
// When the first of these that wait expires, and with it their call; 0: none waits.
std::int64_t FirstExpiry(State& state, const std::vector<std::string>& approvals);
// Errors: CLOCK_IN_DOUBT.
core::Status CheckClock(Serial& serial);
// By whose right he answers `asked`, by the journal's own time. Errors: NOT_AN_APPROVER,
// CLOCK_IN_DOUBT (of a deputy).
enum class Says { kYes, kNo };
core::StatusOr<policies::Right> RightNow(Serial& serial, const policies::ApprovalState& asked,
                                         const policies::Answerer& answerer, Says says);

std::string HastyText(std::int64_t grants);

// Grants of `by`, as the log names him, within the last minute, with this one; 0 of a relayed user.
// Errors: kResourceExhausted (TOO_FAST; never while the wall clock is seconds behind the log).
core::StatusOr<std::int64_t> GrantsWithin(Serial& serial, const std::string& by,
                                          const EngineLimits& limits, std::int64_t wall_us);

// Voids those of `rows` that are pending or granted now, but for the one named `except`.
core::Status VoidSiblings(Serial& serial, const std::vector<ApprovalRow>& rows,
                          std::string_view except, std::string_view why);

}  // namespace interlock::runtime
