// A run read back from its entries: the same functions that ran it live fold what it wrote.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "engine/entries.h"
#include "engine/provenance.h"
#include "engine/step.h"
#include "tools/tool.h"

namespace interlock::runtime {

// A call as its entries tell it; enough to go on with it.
struct RecordedCall {
  CallIdentity id;
  std::string args;                  // canonical, from the newest decision
  std::string intended_tool_digest;  // of the newest intent; empty: none
  std::string effect;                // of the tool that was intended: "money", …
  std::string verdict;
  std::string code;
  std::string say;
  core::Json fix;
  core::Json decision;  // CanonicalDecision; null when refused
  core::Json facts;
  std::string outcome;  // kind of the newest outcome; empty: none
  std::string error_code;
  std::string error;
  core::Json result;
  core::Json given;  // the result as its tool gave it, where rules changed it
  bool released = false;
  bool withheld = false;  // from the planner and the caller; result rules said so
  std::string withheld_code;
  std::string withheld_say;
  bool by_handle = false;                      // the planner was given a name for it, not the text
  bool preview = false;                        // and of this one the first part
  policies::LabelMap labels{};                 // of its arguments, as its newest decision had them
  bool flow_untrusted = false;                 // likewise: whether anything untrusted was read
  bool untrusted_then = false;                 // the same when its newest outcome was recorded
  bool trusted = false;                        // as its release says
  std::vector<policies::LabelChange> changes;  // what rules said of it or of its parts
  std::string level;
  int attempt = 0;                     // of the newest intent; 0: none
  std::vector<std::string> approvals;  // requested and not voided or spent
  std::string edited;                  // what a person made of its arguments; empty: nothing
  std::vector<std::string> editors;    // who did, as in EditFields
  std::int64_t edit_until_us = 0;      // as there, of the newest edit
  std::string starts;                  // the run that it started; empty: none
  std::int64_t starts_tokens = 0;      // that this was granted; 0: no limit
  std::optional<RunEnd> ended;         // how that ended
};

struct RecordedRun {
  RunCore core;
  CallIdentity base;  // call, step, position, tool, args empty
  std::string agent_digest;
  std::vector<RecordedCall> calls;
  Provenance reads;                         // what the planner has read
  ResultsAs results = ResultsAs::kText;     // how its agent is given results
  bool reads_results = false;               // and whether it may read_result
  RunState log_state = RunState::kRunning;  // as the newest entry leaves it
  std::int64_t last_seq = -1;               // run_seq of the newest entry that was read
  bool log_planning = false;                // a plan was requested and none came
  bool charged = false;                     // and model budgets were charged for it
};

// Whether what could not be read back never will be: it is damaged or erased. Any other error may
// pass.
bool IsLost(const core::Status& status);
// Who a run or call is for, as the log has sealed it.
void TakeContext(const core::Json& context, CallIdentity& id);
// What the planner was told, or is told, of a recorded call; empty while it has no end.
std::string ObservationOf(const RecordedCall& call);
// What a person changed of the arguments that a planner proposed, as the planner may read it: the
// names alone, since no rule has said that it may read the values.
std::string ChangeOf(const std::string& proposed, const std::string& edited);
// Whether it is known that something happened that could be taken back.
bool TookEffect(const RecordedCall& call);
// Its result as planner and caller may see it once it is released.
core::Json ShownOf(const RecordedCall& call);
// What of it the planner read: its result as shown, or what its tool said of a failure.
core::Json ReadOf(const RecordedCall& call);
// Takes a message into what was read, unless it is withheld.
void ReadInto(Provenance& reads, const event::Message& message);

// A result that is released now.
struct ReleasedResult {
  const CallIdentity& id;
  const core::Json& shown;  // or what its tool said of a failure
  bool succeeded = false;
  bool by_handle = false;
  bool preview = false;
  std::string_view from = {};  // whose result it is a part of; empty: of no other
  ResultLabel label;
};
// What the planner reads in place of the observation so far (empty: just that), and the name that
// the result has (empty: none).
struct NamedResult {
  std::string observation;
  std::string handle;
};
// Takes it into what was read or may be named. `reads_results`: all may be named.
NamedResult ReleaseInto(Provenance& reads, ResultsAs results, bool reads_results,
                        ReleasedResult result);

class History {
 public:
  // Borrowed; thread-safe.
  // `tools`: of runs that may go on; null where runs are only looked at. `step`: a replay's own.
  History(const audit::Log& log, audit::KeyStore& keys, const tools::Registry* tools = nullptr,
          StepFn step = &Step)
      : log_(log), keys_(keys), tools_(tools), step_(step) {}

  // Errors: kNotFound, also when content that is needed was erased; kDataLoss when a payload does
  // not fit its commitment, or cannot be read (IsLost tells which). `agent_of` gives the agent file
  // that the run is pinned to; it may be null.
  using AgentOf =
      std::function<const AgentFile*(const std::string& name, const std::string& digest)>;
  core::StatusOr<RecordedRun> Run(const std::string& run, const AgentOf& agent_of) const;
  // A call without a run. `first` and the later indexes come from its row.
  core::StatusOr<RecordedCall> Call(const std::vector<std::uint64_t>& indexes) const;

  // The plaintext that a commitment object names. kNotFound: erased, or no such field.
  core::StatusOr<std::string> Content(std::uint64_t index, const core::JsonObjectView& body,
                                      std::string_view field) const;

 private:
  friend class Replayer;  // folds entry by entry

  // As Content, of what a run goes on without: empty, or null, when it is gone or damaged. Errors:
  // what may pass, so that nothing is taken for gone that is there.
  core::StatusOr<std::string> ContentIfAny(std::uint64_t index, const core::JsonObjectView& body,
                                           std::string_view field) const;
  // A list of the entry, wherever it stands (ListOrSealed).
  core::StatusOr<std::vector<std::string>> ListOf(std::uint64_t index,
                                                  const core::JsonObjectView& body,
                                                  std::string_view field) const;
  core::StatusOr<core::Json> JsonIfAny(std::uint64_t index, const core::JsonObjectView& body,
                                       std::string_view field) const;

  bool Compensable(const RecordedCall& call) const;
  core::Status FoldEntry(const audit::Entry& entry, const AgentOf& agent_of,
                         RecordedRun& recorded) const;
  core::Status FoldRun(const audit::Entry& entry, const core::JsonObjectView& body,
                       const AgentOf& agent_of, RecordedRun& recorded) const;
  core::Status FoldStarted(const audit::Entry& entry, const core::JsonObjectView& body,
                           const AgentOf& agent_of, RecordedRun& recorded) const;
  core::StatusOr<event::Message> MessageOf(const audit::Entry& entry,
                                           const core::JsonObjectView& body) const;
  core::StatusOr<event::AnswerChecked> CheckedOf(const audit::Entry& entry,
                                                 const core::JsonObjectView& body) const;
  core::Status FoldLabels(const audit::Entry& entry, const core::JsonObjectView& body,
                          RecordedCall& call) const;
  core::Status FoldShown(const audit::Entry& entry, const core::JsonObjectView& body,
                         RecordedCall& call) const;
  core::Status FoldCall(const audit::Entry& entry, const core::JsonObjectView& body,
                        RecordedCall& call) const;

  const audit::Log& log_;
  audit::KeyStore& keys_;
  const tools::Registry* tools_;
  const StepFn step_;
};

}  // namespace interlock::runtime
