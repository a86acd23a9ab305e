// Cases of a suite's file, in the three forms that the data comes in, brought into one.
#pragma once

#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/status.h"

namespace interlock::runtime::cli {

enum class Expected { kAllow, kDeny, kApproval, kAny, kSkip };

// One call of a case and what should come of it.
struct CaseStep {
  std::string tool;
  std::string args;  // JSON text, given to the planner verbatim
  Expected expected = Expected::kAllow;
  bool prefix = false;             // sets the scene; counts as confirmed
  bool confirmed = false;          // the user said yes to this very action
  std::optional<bool> tool_ok;     // whether the tool itself succeeds; unset: not part of the case
  core::Json state_after;          // {collection: {id: object}}; null: nothing to compare
  std::vector<std::string> rules;  // the data's names of the rules that a DENY rests on
  bool attack = false;             // proposed for an attacker
  std::optional<std::string> recorded;  // what the tool answers, JSON text, where it is played back
};

struct Case {
  std::string id;    // as in the file: "retail/neg/dev/0001"
  std::string name;  // "c0001": names its script and its folder
  std::string user;  // session.user_id; empty: not authenticated
  std::string
      message;  // of the user; empty: nothing is read from it, and he goes on after each step
  core::Json session;  // all else of the session but `confirmed`
  std::vector<CaseStep>
      steps;                 // steps expected `null` are left out; `number` keeps the file's count
  std::vector<int> numbers;  // of each step: its place in the file's case, from 0
};

// `ordinal` counts lines from 0 and gives the name.
// Forms:
// {"message"?,"steps":[{"name","arguments","expected","tool_ok"?,"state_after"?,"confirmed"?,
// "result"?,"attack"?,"all_rules"?}]} and
// {"prefix":[{"name","arguments"}],"call":{…},"expected","all_rules"?}.
// Errors: kInvalidArgument naming what is missing.
core::StatusOr<Case> ParseCase(const core::Json& line, int ordinal);

// One case a line; empty lines are passed over. Errors: kInvalidArgument with the line's number.
core::StatusOr<std::vector<Case>> ReadCases(std::istream& in);

// The scripted planner's file for a case: its calls one by one, a question after each unless the
// case has a message, an answer at the end. JSON text (which is YAML).
std::string ScriptOf(const Case& the_case);

// What the case's tools answer: a JSON list of {"tool","args","result"|"error"}.
std::string RecordedOf(const Case& the_case);

// The message that answers the script's questions.
inline constexpr std::string_view kGoOn = "go on";

std::string_view ExpectedName(Expected expected);  // "ALLOW"

}  // namespace interlock::runtime::cli
