// What an answer to an approval and an edit of its call have in common: who speaks, of what he saw,
// and whether it is still open.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/principal.h"
#include "engine/journal.h"
#include "policies/approval.h"

namespace interlock::runtime {

// `who`, for himself or relaying the run's user. Errors: NOT_THE_USER.
core::StatusOr<policies::Answerer> AnswererOf(const core::Principal& who,
                                              const std::string& on_behalf_of,
                                              const policies::ApprovalState& state);
// How he is named in the log: "principal:<id>", or "run-user" for whom a relay speaks.
std::string NameInLog(const policies::Answerer& answerer);
// Names of the log as the state machine knows them.
std::vector<std::string> FromLog(std::vector<std::string> names, const std::string& run_user);

// All editors of a call once `by` has edited it; `actor` is who spoke, for himself or as a relay.
std::vector<std::string> EditorsWith(std::vector<std::string> editors, const std::string& by,
                                     const std::string& actor);

core::Status NotAnApprover(const policies::MayAnswer& may);
// Errors: STALE_APPROVAL.
core::Status CheckSeen(const ApprovalRow& row, std::string_view etag);

// --- serial section
// Errors: APPROVAL_ENDED.
core::StatusOr<const ApprovalRow*> StillOpen(Serial& serial, const std::string& approval);
// What somebody says to an approval, and by whose right, as the log names them.
struct Word {
  std::string by;
  std::string of{};        // in whose place; empty: by his own right
  std::int64_t stage = 0;  // that he was shown
};
bool HasGranted(const ApprovalRow& row, const std::string& name);
// Whether it counts for the approval as it is now. Errors: STALE_APPROVAL, NOT_AN_APPROVER.
core::Status CheckWord(const ApprovalRow& now, const Word& word);
std::string HastyText(std::int64_t grants);

// What counts as too many grants of one person: `counter` is that of his grants.
struct GrantPace {
  std::string counter;
  int per_minute = 0;
  std::int64_t pause_us = 0;
};
inline constexpr std::int64_t kGrantWindowMs = 60'000;
// His grants within the last minute, with this one. Errors: kResourceExhausted (TOO_FAST).
core::StatusOr<std::int64_t> GrantsWithin(Serial& serial, const GrantPace& pace);

// Voids those of `rows` that are pending or granted now, but for the one named `except`.
core::Status VoidSiblings(Serial& serial, const std::vector<ApprovalRow>& rows,
                          std::string_view except, std::string_view why);

}  // namespace interlock::runtime
