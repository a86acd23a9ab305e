// A bundle's files loaded into one Lua state: what they declared, and the functions of their rules.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "context.h"
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

struct PolicyDecl {
  std::string name{};
  std::string version{};
  std::string owner{};
  Selector tools{};  // rules of this policy speak about these only
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
  core::Json examples{};                     // a list of calls and what the rule says; or null
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
  const std::vector<BudgetDecl>& budgets() const { return budgets_; }
  const std::vector<TestCase>& tests() const { return tests_; }

  // Whether the rule speaks about such a call.
  bool Applies(const Rule& rule, std::string_view tool, std::string_view effect) const {
    return rule.selector.Matches(tool, effect) &&
           policies_[rule.policy].tools.Matches(tool, effect);
  }
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
  std::size_t AddBudget(BudgetDecl budget);
  void AddTest(TestCase test) { tests_.push_back(std::move(test)); }

  // Used by the environment while a rule runs.
  const Rule* current_rule = nullptr;
  std::optional<RuleVerdict> built;  // at most one a rule
  std::vector<VersionedRead> reads;

 private:
  void LoadFile(const BundleFile& file, std::vector<Finding>& findings);
  void RunFile(const BundleFile& file, std::vector<Finding>& findings);

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
  PathTable paths_;
  std::vector<TestCase> tests_;
};

Program& ProgramOf(lua_State* lua);

// What budget "…" {…} gives to reserve.
struct BudgetHandle {
  UserdataHead head;
  bool is_money;
  std::size_t index;  // in Program::budgets
};

// Names that rules see. Each adds to the table on top of the stack.
void AddAuthoringFunctions(lua_State* lua);  // authoring.cc: policy, on, fact, budget, effect, test
void AddVerdictFunctions(lua_State* lua);    // verdicts.cc: allow, deny …
void AddTermFunctions(lua_State* lua);       // table/lua_term.cc: le, one_of, field …
void AddRuleForm(lua_State* lua);            // table/rule_form.cc: rule

// Shared by both forms of a rule. Each may raise.
Place PlaceOf(lua_State* lua);
std::string CheckName(lua_State* lua, int index, const char* what);
void CheckPolicyFile(lua_State* lua, const char* what);
std::size_t CurrentPolicy(lua_State* lua);
Selector CheckSelector(lua_State* lua, int index);
core::Json CheckExamples(lua_State* lua, int index);

// "refund.lua:12: …" split into its line and the rest; line 0 when there is none.
struct Located {
  int line = 0;
  std::string message;
};
Located SplitLocation(const std::string& error);

}  // namespace interlock::policies
