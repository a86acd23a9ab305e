// Decisions as they were recorded: what was decided about, as a test case states it, and what came
// of it. One JSON object a line of a file, so that a record is read, cut and kept with ordinary
// tools.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policies/bundle.h"
#include "policies/flip.h"

namespace interlock::policies {

inline constexpr std::size_t kRecordedMax = 10'000'000;
inline constexpr int kModifyRoundsMax = 2;  // rule 5
// The error code of a declared fact that a stated call does not state.
inline constexpr std::string_view kNotStated = "NOT_STATED";

struct RecordedDecision {
  std::string call{};
  std::string run{};
  std::int64_t time_us = 0;
  std::string tool{};
  std::string effect{};   // of the tool then, where the call went on; empty: not known
  std::string verdict{};  // of the policy, in its last round: "allow", "deny", "ask", "modify"
  std::string code{};
  std::string gate{};    // the gate's own no to what the policy let through ("DUPLICATE_EFFECT")
  std::string bundle{};  // that decided: "sha256:…"; empty: not known
  std::string digest{};  // of the first round's input, as InputDigest; empty: not known
  std::vector<std::string> asked_by{};  // rules that demanded an approval
  bool granted = false;                 // all that it was asked for was granted
  bool rejected = false;                // somebody said no
  std::string currency{};               // of `amount`; empty: no money moved
  std::int64_t amount = 0;              // minor units
  std::string undecidable{};            // why it cannot be decided again ("erased"); empty: it can
  core::Json input{};  // members of a test case, and call, run, step, tenant, `now` in us
};

// Errors: kInvalidArgument saying what is missing.
core::StatusOr<RecordedDecision> RecordedFromJson(const core::Json& line);
core::Json RecordedJson(const RecordedDecision& recorded);

// One a line; empty lines are passed over. Errors: kInvalidArgument with the line's number;
// kResourceExhausted above kRecordedMax.
core::StatusOr<std::vector<RecordedDecision>> ReadRecorded(std::istream& in);

// Why this bundle cannot decide it again, one line; empty when it can. What a tool does to the
// world stands in its manifest: without one no rule about effects can speak.
std::string WhyUndecidable(const Bundle& bundle, const RecordedDecision& recorded);

// A stated call against a bundle. Facts that the bundle does not declare are left out; those that
// it declares and the call does not state are absent. Not thread-safe; neither copied nor moved.
class StatedCall {
 public:
  // Errors: kInvalidArgument where nothing can be decided about it.
  static core::StatusOr<std::unique_ptr<StatedCall>> Make(const Bundle& bundle,
                                                          const core::Json& stated);
  virtual ~StatedCall() = default;
  virtual const DecisionInput& input() const = 0;
  // Declared facts that the call does not state, by name.
  virtual const std::vector<std::string>& missing_facts() const = 0;
};

// The last round of a decision, and the call as it was then.
struct DecidedCall {
  std::unique_ptr<StatedCall> call{};
  Decision decision{};
  int rounds = 0;  // in which rules changed the arguments
};

// As the gate does: what rules change is decided again, by `decide`, and denied as MODIFY_LOOP
// after kModifyRoundsMax changes. Facts stay as they are stated, and the schema of the tool is not
// asked again. Errors: as StatedCall::Make.
core::StatusOr<DecidedCall> DecideInRounds(
    const Bundle& bundle, const core::Json& stated,
    const std::function<Decision(const DecisionInput&)>& decide);

// Sets what a path of rules ("args.amount", "user") names; null takes it away. False where a call
// cannot state it.
bool SetStatedPath(core::Json& stated, const std::string& path, const core::Json& value);

}  // namespace interlock::policies
