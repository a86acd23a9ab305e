// A bundle's files loaded into one Lua state: what they declared, and the functions of their rules.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "context.h"
#include "fields.h"
#include "policies/bundle.h"
#include "policies/decision.h"
#include "rule_verdict.h"
#include "selector.h"
#include "table/table_rule.h"
#include "vm.h"

namespace interlock::policies {

inline constexpr std::size_t kLineBytesMax = 4096;
inline constexpr std::size_t kRulesMax = 20'000;

struct Place {
  std::string file{};
  int line = 0;
};

// Who wrote a policy, strongest first: what a layer denies, none below may allow.
enum class Layer : std::uint8_t { kOrg, kTeam, kAgent };
std::string_view LayerName(Layer layer);

struct PolicyDecl {
  std::string name{};
  std::string version{};
  std::string owner{};
  Selector tools{};  // rules of this policy speak about these only
  Layer layer = Layer::kTeam;
  Selector owns{};  // calls that only this layer, or one above, may allow
  Place place{};
};

// A loosening, for a while and for some calls: the rule's denials and demands do not count.
// Declared by a policy of the rule's layer or above.
struct ExceptionDecl {
  std::string id{};    // "egress/june-audit"
  std::string rule{};  // "egress/no-secrets-leave"
  std::string owner{};
  std::string ticket{};
  std::int64_t expires_us = 0;
  Selector on{};
  std::vector<Condition> where{};
  std::size_t policy = 0;
  Place place{};
};

struct Rule {
  std::string id{};  // "refund/own-order"
  Selector selector{};
  std::size_t policy = 0;  // in Program::policies
  std::string doc{};
  Place place{};
  int function = LUA_NOREF;                  // function form
  std::shared_ptr<const TableRule> table{};  // table form
  bool shadow = false;                       // says what it would, and counts for nothing
  std::int64_t shadow_ends_us = 0;           // from then on it is not even asked
  std::vector<std::size_t> exceptions{};     // in Program::exceptions
  core::Json examples{};                     // a list of calls and what the rule says; or null
};

// What no call may come to: looked for by fuzzed tests, and no part of a decision.
struct Invariant {
  Rule rule{};          // which calls, and its function or conditions; answers nothing
  std::string never{};  // table form: "allow", "ask", "modify" or "deny"
};

// What is counted of the calls that go on, under a key that they name.
struct Velocity {
  Rule rule{};         // which calls; of its table the key and the amount. It answers nothing
  std::string unit{};  // "USD", "seats"; "calls" where nothing is summed
  bool sums = false;
  bool is_money = false;
  bool optional = false;       // a call without the key is not counted
  std::int64_t within_ms = 0;  // how far back rules may ask
};

struct FactRule {
  FactDecl decl{};
  Selector on{};
  std::size_t policy = 0;
  Place place{};
};

struct TestCase {
  std::string name{};
  Place place{};
  core::Json input{};  // the table as written, money as {"money":[minor,"USD"]}
};

// One per thread. The C functions of the environment reach it through ProgramOf.
class Program {
 public:
  Program();
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Runs the files in order of path and freezes what rules can reach. Findings get what is wrong;
  // the first error of a file ends that file only. Call once. `tests` lets test cases in (and rules
  // out).
  enum class What { kPolicies, kTests };
  void Load(const std::vector<BundleFile>& files, What what, std::vector<Finding>& findings);

  const std::vector<PolicyDecl>& policies() const { return policies_; }
  const std::vector<Rule>& rules() const { return rules_; }  // sorted by id after Load
  const std::vector<FactRule>& facts() const { return facts_; }
  // Of a budget with levels each of them, next to each other, the widest as it was written first.
  const std::vector<BudgetDecl>& budgets() const { return budgets_; }
  const std::vector<Place>& budget_places() const { return budget_places_; }
  const std::vector<TestCase>& tests() const { return tests_; }

  const std::vector<ExceptionDecl>& exceptions() const { return exceptions_; }
  const std::vector<Invariant>& invariants() const { return invariants_; }
  const std::vector<Velocity>& velocities() const {
    return velocities_;
  }  // sorted by id after Load

  // Whether the rule speaks about such a call, in its phase.
  bool Applies(const Rule& rule, std::string_view tool, std::string_view effect) const {
    return Applies(rule.selector, rule.policy, tool, effect);
  }
  bool Applies(const Selector& selector, std::size_t policy, std::string_view tool,
               std::string_view effect) const {
    if (selector.phase == RulePhase::kMessage || selector.phase == RulePhase::kAnswer) return true;
    return selector.Matches(tool, effect) && policies_[policy].tools.Matches(tool, effect);
  }
  // The strongest layer that keeps calls of this tool to itself; kAgent if none does.
  Layer OwnerOf(std::string_view tool, std::string_view effect) const;
  bool Applies(const FactRule& fact, std::string_view tool, std::string_view effect) const {
    return fact.on.Matches(tool, effect) && policies_[fact.policy].tools.Matches(tool, effect);
  }

  const PathTable& paths() const { return paths_; }
  PathTable& paths() { return paths_; }

  Vm& vm() { return vm_; }
  Context& context() { return context_; }

  // Used by the environment while a file loads.
  const std::string& file() const { return file_; }
  What what() const { return what_; }
  std::optional<std::size_t> policy() const { return policy_; }
  void AddPolicy(PolicyDecl policy);
  // Says false above kRulesMax.
  bool AddRule(Rule rule);
  void AddFact(FactRule fact) { facts_.push_back(std::move(fact)); }
  std::size_t AddBudget(BudgetDecl budget, Place place);
  void AddException(ExceptionDecl exception) { exceptions_.push_back(std::move(exception)); }
  void AddInvariant(Invariant invariant) { invariants_.push_back(std::move(invariant)); }
  void AddVelocity(Velocity velocity) { velocities_.push_back(std::move(velocity)); }
  void AddTest(TestCase test) { tests_.push_back(std::move(test)); }

  // Used by the environment while a rule runs.
  const Rule* current_rule = nullptr;
  std::optional<RuleVerdict> built;  // at most one a rule
  std::vector<VersionedRead> reads;

 private:
  void LoadFile(const BundleFile& file, std::vector<Finding>& findings);
  void RunFile(const BundleFile& file, std::vector<Finding>& findings);
  void Freeze(const Rule& rule, std::vector<Finding>& findings);

  Vm vm_;
  Context context_;
  What what_ = What::kPolicies;
  int environment_ = LUA_NOREF;
  std::string file_;
  std::optional<std::size_t> policy_;
  std::vector<PolicyDecl> policies_;
  std::vector<Rule> rules_;
  std::vector<FactRule> facts_;
  std::vector<BudgetDecl> budgets_;
  std::vector<Place> budget_places_;
  std::vector<ExceptionDecl> exceptions_;
  std::vector<Invariant> invariants_;
  std::vector<Velocity> velocities_;
  PathTable paths_;
  std::vector<TestCase> tests_;
};

Program& ProgramOf(lua_State* lua);

// What budget "…" {…} gives to reserve.
struct BudgetHandle {
  UserdataHead head;
  bool is_money;
  std::size_t index;   // in Program::budgets, the first of its levels
  std::size_t levels;  // 1 for a budget without
};

// Names that rules see. Each adds to the table on top of the stack.
void AddAuthoringFunctions(lua_State* lua);  // authoring.cc: policy, on, fact, budget, effect, test
void AddVerdictFunctions(lua_State* lua);    // verdicts.cc: allow, deny …
void AddTermFunctions(lua_State* lua);       // table/lua_term.cc: le, one_of, field …
void AddLabelFunctions(lua_State* lua);      // lua_label.cc: trusted, sources …
void AddRuleForm(lua_State* lua);            // table/rule_form.cc: rule
void AddInvariantForm(lua_State* lua);       // invariant.cc: invariant

// Shared by both forms of a rule. Each may raise.
Place PlaceOf(lua_State* lua);
std::string CheckName(lua_State* lua, int index, const char* what);
void CheckPolicyFile(lua_State* lua, const char* what);
std::size_t CurrentPolicy(lua_State* lua);
Selector CheckSelector(lua_State* lua, int index);
core::Json CheckExamples(lua_State* lua, int index);
std::vector<Condition> CheckWhere(lua_State* lua, int index);
std::vector<LabelChange> CheckLabels(lua_State* lua, int index, RulePhase phase);
// A key of a counter or a share: a text, integer or boolean of 1 to 256 bytes.
std::string KeyText(lua_State* lua, int index);
// A date or time in the field `name`, in microseconds.
std::int64_t CheckDate(lua_State* lua, const Fields& fields, const char* what, const char* name);
// mode = "shadow" with ends = "2026-10-01".
void CheckMode(const Fields& fields, lua_State* lua, Rule& rule);

// "refund.lua:12: …" split into its line and the rest; line 0 when there is none.
struct Located {
  int line = 0;
  std::string message;
};
Located SplitLocation(const std::string& error);

}  // namespace interlock::policies
