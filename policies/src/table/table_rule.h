// A rule in table form: conditions over the context and the one verdict that it gives when all of
// them hold. Data only; evaluated in C++.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rule_verdict.h"
#include "table/predicate.h"

namespace interlock::policies {

// A text with placeholders such as {args.order_id}.
struct TextTemplate {
  struct Part {
    std::string text{};
    int path = -1;  // instead of the text
  };
  std::vector<Part> parts{};
};

// What a verdict puts somewhere: a constant, another value, or a change of the value that is there.
struct Change {
  enum class Kind : std::uint8_t { kConstant, kPath, kMasked, kAtMost, kAtLeast };
  Kind kind = Kind::kConstant;
  core::Json constant{};
  int path = -1;                                 // kPath
  std::shared_ptr<const DetectWanted> wanted{};  // kMasked
  double bound = 0;                              // kAtMost, kAtLeast
};

struct Condition {
  int path = -1;
  Predicate predicate{};
};

// Immutable once built.
struct TableRule {
  std::vector<Condition> where{};  // sorted by path
  VerdictKind verdict = VerdictKind::kAllow;
  std::string code{};
  TextTemplate say{};
  TextTemplate because{};
  std::vector<std::pair<std::string, Change>> changes{};  // deny: fix; modify
  std::vector<int> change_paths{};                        // of `changes`, in PathTable
  ApprovalDemand demand{};                                // but for `show` and `say`
  std::vector<TextTemplate> approvers{};
  std::vector<std::vector<TextTemplate>> later{};  // approvers of demand.later
  std::vector<TextTemplate> escalate_to{};
  std::vector<int> show{};  // paths; empty: all arguments
  TextTemplate key{};       // limit
  LimitUse limit{};
  std::vector<LabelChange> labels{};
  std::size_t budget = 0;  // reserve: the first of its levels
  std::size_t levels = 1;
  bool keyed = false;  // one of them is per key
  bool money = false;
  Change amount{};
};

struct TableEnd {
  std::optional<RuleVerdict> verdict{};  // none and no error: the rule is not about this call
  std::string error_code{};              // RULE_ERROR or FUEL
  std::string error{};
  std::int64_t work = 0;
};

// Whose rule it is, and what it may spend.
struct TableRun {
  const std::string& id;
  int line = 0;
  std::int64_t work_max = kTableRuleWork;
};

// Pure.
TableEnd RunTableRule(const TableRule& rule, const TableRun& run,
                      const std::vector<BudgetDecl>& budgets, PathValues& values);

// Appends the text with its places filled; false where a value is absent or no scalar, and then
// says why.
bool FillTemplate(const TextTemplate& text, PathValues& values, std::string& out,
                  std::string& error);
// The value at a path as minor units of `unit`, where that is `money`, or as a whole number; from
// 0. nullopt: it is none, and `error` says why.
std::optional<std::int64_t> AmountAt(int path, const std::string& unit, bool money,
                                     PathValues& values, std::string& error);

// Whether all conditions hold.
Truth Holds(const std::vector<Condition>& where, Evaluation& evaluation);

// The first condition that is false, as "args.amount 700 is not <= 50.00 USD"; empty if none is.
std::string WhyNotApplicable(const TableRule& rule, PathValues& values, const PathTable& paths);

}  // namespace interlock::policies
