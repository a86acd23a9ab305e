// Approvals as a pure state machine (rules 13-15); the journal persists them. No clock, no lock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/principal.h"
#include "policies/decision.h"

namespace interlock::policies {

enum class ApprovalPhase { kPending, kGranted, kRejected, kExpired, kConsumed, kVoided };
std::string_view ApprovalPhaseName(ApprovalPhase phase);

// Who answers, as the server knows him.
struct Answerer {
  const core::Principal* principal = nullptr;
  std::string on_behalf_of{};  // the run's user, when a principal with role user-relay relays his
                               // word; else empty
};

// An approver hands what he may answer to another, by name: one approval, or all until a time.
struct Delegation {
  std::string approval{};            // empty: every one
  std::string by{};                  // principal id
  std::vector<std::string> roles{};  // that he had when he did
  std::string to{};                  // principal id
  std::int64_t until_us = 0;
};

// One demand of one parked call.
struct ApprovalState {
  std::string id{};
  std::string call{};
  ApprovalDemand demand{};
  core::Digest binding{};   // see BindingDigest
  std::string requester{};  // principal that made the run: never an approver, except as
                            // relay of its user
  std::string run_user{};
  // Who has edited the arguments so far, as AnswererName; none of them counts (rule 14).
  std::vector<std::string> editors{};
  // Who had told the run what to do without being its user: "principal:<id>". Nor do they.
  std::vector<std::string> told_by{};
  std::int64_t expires_us = 0;
  ApprovalPhase phase = ApprovalPhase::kPending;
  std::vector<std::string> granted_by{};   // oldest first
  std::vector<std::string> granted_for{};  // in whose place some of them spoke
  std::vector<std::string> relayed_by{};   // principals who passed on the user's yes
  int stage = 0;                           // that is asked now; 0: the first
  int in_stage = 0;                        // of granted_by
  bool escalated = false;                  // this stage waited too long
};

// Stages of a demand, the first included.
std::size_t StageCount(const ApprovalDemand& demand);
ApprovalStage StageAt(const ApprovalDemand& demand, std::size_t stage);
// Who may answer what is asked now.
std::vector<std::string> ApproversNow(const ApprovalState& state);
// Whether that names this person, or a role of his.
bool IsAsked(const ApprovalState& state, const core::Principal& principal);

// What an approval is bound to: canonical arguments, tool and shown values.
core::Digest BindingDigest(const core::Digest& args, const core::Digest& tool,
                           const core::Json& show);

// Whether this person may say yes; the reason when not (one line for the caller). Whoever passed on
// the user's yes does not add his own, nor the other way round: one token is one voice.
struct MayAnswer {
  bool yes = false;
  std::string why_not{};
};
MayAnswer CheckAnswerer(const ApprovalState& state, const Answerer& answerer);
// Whether he may say no: so may, in whatever stage, also who has granted it, or for whom another
// has. A yes is taken back, however late.
MayAnswer CheckVeto(const ApprovalState& state, const Answerer& answerer);
// The same where others may have handed him their right. A right is used once: neither who handed
// it on nor whom it was handed to answers again.
struct Right {
  MayAnswer may{};
  std::string of{};  // "principal:<id>" in whose place he answers; empty: his own
};
Right RightOf(const ApprovalState& state, const Answerer& answerer,
              const std::vector<Delegation>& delegations, std::int64_t now_us);
Right VetoOf(const ApprovalState& state, const Answerer& answerer,
             const std::vector<Delegation>& delegations, std::int64_t now_us);
// Whether he, who may answer it by his own right, may hand it to `to`.
MayAnswer CheckDelegate(const ApprovalState& state, const core::Principal& by,
                        const std::string& to);
// The same of changing the arguments, which who has changed them before may do again, and who told
// the run what to do: others approve them.
MayAnswer CheckEditor(const ApprovalState& state, const Answerer& answerer);
// Whether enough people are left to meet every stage of a demand: editors do not count, nor does
// whoever made the run or told it what to do.
struct Excluded {
  std::string requester{};
  std::string run_user{};
  std::vector<std::string> editors{};  // as in ApprovalState
  std::vector<std::string> told_by{};  // likewise
};
bool CouldBeMet(const ApprovalDemand& demand, const Excluded& excluded);
// Why nobody can give a pending approval, as one line; empty: those who are there can. `people`:
// everybody who can answer anything.
std::string WhyUnanswerable(const ApprovalState& state, const std::vector<core::Principal>& people,
                            const std::vector<Delegation>& delegations, std::int64_t now_us);

// The name that counts toward the quorum: "principal:<id>" or "user:<run user>".
std::string AnswererName(const Answerer& answerer);

enum class AnswerEffect { kNone, kCounted, kGranted, kRejected };
// Precondition: CheckAnswerer (CheckVeto) said yes and the phase is pending. A person counts once.
AnswerEffect Grant(ApprovalState& state, const Answerer& answerer);
AnswerEffect Reject(ApprovalState& state, const Answerer& answerer);

// The other ways on. Each says whether it moved the state.
bool Expire(ApprovalState& state, std::int64_t now_us);  // pending, and now_us >= expires_us
bool Consume(ApprovalState& state);                      // granted: its call runs
bool Void(ApprovalState& state);                         // pending or granted

// Whether a new message of the run's user voids it (rule 15): it is open and the user's own word
// could settle it.
bool IsOpenConfirmation(const ApprovalState& state);

// Whether granted approvals (with unchanged bindings) cover every demand of a fresh decision (rule
// 14): for each demand there is a granted state all of whose approvers the demand accepts too,
// given by at least its quorum, and whose binding is that of these arguments, this tool and the
// values that the demand shows now.
bool Covers(const std::vector<ApprovalState>& granted, const std::vector<ApprovalDemand>& demands,
            const core::Digest& args, const core::Digest& tool);

}  // namespace interlock::policies
