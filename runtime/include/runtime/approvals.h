// Approvals as faces of the engine see, give and hand them on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audit/log.h"
#include "core/json.h"
#include "policies/approval.h"
#include "policies/decision.h"

namespace interlock::runtime {

struct ApprovalInfo {
  policies::ApprovalState state;
  std::string run;
  std::string tool;
  std::string args;  // complete canonical text, never cut
  core::Json facts;  // what the decision saw
  std::vector<policies::FiredRule> rules;
  std::string etag;  // of what is asked, and in which stage: send it back with the answer
  std::int64_t create_time_us = 0;
  bool new_message_since = false;  // rule 15
  std::int64_t escalate_us = 0;    // when others may answer too; 0: never, or they may already
  std::int64_t reminders = 0;      // so far
  std::string warning;             // to whoever has just granted it
  std::optional<audit::EntryRef> written = {};  // the entry that the change made
  // Why nobody can give it as things are configured; empty: somebody can, or it waits no more.
  std::string unanswerable{};
  // Of a call in a run: its agent, behind those above that it works for; and the topmost run.
  std::vector<std::string> agents{};
  std::string root{};
};

struct Answer {
  std::string approval;
  bool grant = false;
  std::string etag;  // of what the approver saw; mismatch: kAborted, STALE_APPROVAL
  std::string reason;
  std::string on_behalf_of;  // "user": relays the word of the run's user (role user-relay)
  std::string request_id;
};

inline constexpr std::int64_t kEditsMax = 32;  // of one call

// Other arguments for a parked call, instead of an answer to one of its approvals.
struct EditSpec {
  std::string approval;
  std::string args;  // JSON text, complete
  std::string etag;  // as in Answer
  std::string reason;
  std::string on_behalf_of;  // as in Answer
  std::string request_id;
};

inline constexpr std::size_t kDelegationsMax = 256;     // in force at once, of a tenant
inline constexpr std::size_t kDelegationsEachMax = 16;  // of one giver
inline constexpr std::int64_t kDelegationMicrosMax = 31ll * 24 * 3600 * 1'000'000;

// An approver hands on what he may answer, or takes it back.
struct DelegateSpec {
  std::string approval;  // empty: all that he may answer, until `until_us`
  std::string to;        // principal id
  // At most kDelegationMicrosMax from now; 0: until the approval expires.
  std::int64_t until_us = 0;
  std::string reason;
  std::string request_id;
  bool end = false;  // it ends now; then without `until_us`
  std::string by{};  // whose ends; empty: the caller's own. An operator ends anybody's
};

// What Delegate answers.
struct HandedOn : policies::Delegation {
  std::optional<audit::EntryRef> written = {};  // the entry that the change made
};

}  // namespace interlock::runtime
