// What the log says of a run's calls, read from the run's entries as they come. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace interlock::runtime::cli {

// An approval that a call waited for.
struct AskedApproval {
  std::string id;
  std::string rule;
  std::vector<std::string> approvers;
  std::string phase;  // "requested", "granted", "rejected", "expired", "consumed", "voided"
};

struct CallRecord {
  std::string call;
  std::string tool;
  std::string effect;  // of the newest decision: "allow", "deny", "ask", "modify", "refuse"; empty:
                       // none yet
  std::string code;
  std::string say;
  core::Json rules = core::Json::array();  // as recorded by the newest decision
  std::vector<AskedApproval> approvals;
  std::string outcome;  // kind of the newest outcome; empty: none
  std::string outcome_code;
  std::string level;                 // of the sandbox
  std::int64_t proposed_index = -1;  // of the log's entries; -1: there is none
  std::int64_t decided_index = -1;
  std::int64_t intended_index = -1;
  std::int64_t outcome_index = -1;

  bool executed() const { return intended_index >= 0; }
  // It waits for an approval or for the gate behind that, runs, or nobody knows what came of it.
  bool open() const;
};

enum class RunPhase { kGoing, kParked, kWaitsForUser, kWaitsForPerson, kEnded };

// The calls of one run in the order in which they were proposed. One per run; not thread-safe.
class RunRecord {
 public:
  // Takes the run's next entry (parsed) with its opened content by body field. Unknown kinds are
  // passed over.
  void Take(const core::Json& entry, const std::map<std::string, std::string>& content);

  const std::vector<CallRecord>& calls() const { return calls_; }
  RunPhase phase() const { return phase_; }
  const std::string& ended_as() const { return ended_as_; }  // "run.failed", with its reason
  // How often the planner has asked the user so far.
  int questions() const { return questions_; }

 private:
  CallRecord* Find(const std::string& call);
  void TakeCall(std::string_view kind, const core::Json& body, std::int64_t index,
                const std::map<std::string, std::string>& content);
  void TakeApproval(std::string_view kind, const core::Json& body);
  void TakeRun(std::string_view kind, const core::Json& body);

  std::vector<CallRecord> calls_;
  RunPhase phase_ = RunPhase::kGoing;
  std::string ended_as_;
  int questions_ = 0;
};

}  // namespace interlock::runtime::cli
