#include <algorithm>

#include "bundle_data.h"
#include "core/check.h"
#include "rule_engine.h"
#include "velocity.h"

namespace interlock::policies {
namespace {

// What a denial without arguments looks like: nothing was asked.
Decision NoArguments(Decision decision) {
  decision.code = "NO_ARGUMENTS";
  return decision;
}

// A call has arguments; a message, a result or an answer has content.
bool HasSubject(const DecisionInput& input) {
  if (input.phase == RulePhase::kCall) return input.args != nullptr;
  return input.content != nullptr;
}

}  // namespace

RuleEngine::RuleEngine(std::shared_ptr<const Bundle> bundle, std::unique_ptr<Program> program)
    : bundle_(std::move(bundle)),
      program_(std::move(program)),
      values_(program_->paths()),
      index_(*program_, bundle_->tools()) {}

template <typename Rules>
Decision RuleEngine::DecideBy(const DecisionInput& input, const Rules& rules_of) {
  const CLocale plain;
  Decision decision;
  decision.bundle_id = bundle_->id();
  if (!HasSubject(input)) return NoArguments(std::move(decision));
  Program& program = *program_;
  ToolRules& tool = index_.For(input.phase, input.call);
  program.reads.clear();
  values_.Begin(input);
  program.context().Begin(input, tool.args_schema);
  program.vm().set_phase(Phase::kDeciding);
  Run(rules_of(tool));
  program.vm().set_phase(Phase::kIdle);
  decision.reads = std::move(program.reads);
  program.reads.clear();
  const CombineWorld world{
      .budgets = program.budgets(), .policies = program.policies(), .owner = tool.owner};
  Combine(input, world, outcomes_, decision);
  const bool goes = decision.verdict == Verdict::kAllow || decision.verdict == Verdict::kAsk;
  if (goes) CountCall(program, tool.velocities, values_, decision);
  program.context().End();
  return decision;
}

Decision RuleEngine::Decide(const DecisionInput& input) {
  return DecideBy(input, [this](ToolRules& tool) -> const std::vector<std::uint32_t>& {
    return tool.Candidates(values_);
  });
}

Decision RuleEngine::DecideAlone(const DecisionInput& input, std::size_t rule) {
  const Rule& only = program_->rules()[rule];
  const bool applies = only.selector.phase == input.phase &&
                       program_->Applies(only, input.call.tool, input.call.effect);
  std::vector<std::uint32_t> rules;
  if (applies) rules.push_back(static_cast<std::uint32_t>(rule));
  return DecideBy(input, [&](ToolRules&) -> const std::vector<std::uint32_t>& { return rules; });
}

std::vector<RuleTrace> RuleEngine::Trace(const DecisionInput& input) {
  const Decision decision = Decide(input);
  std::vector<RuleTrace> traces;
  if (!HasSubject(input)) return traces;
  values_.Begin(input);
  for (const std::uint32_t at : index_.For(input.phase, input.call).all()) {
    const Rule& rule = program_->rules()[at];
    RuleTrace trace{.id = rule.id, .file = rule.place.file, .line = rule.place.line};
    const auto fired = std::find_if(decision.rules.begin(), decision.rules.end(),
                                    [&](const FiredRule& one) { return one.id == rule.id; });
    const auto watched = std::find_if(decision.shadow.begin(), decision.shadow.end(),
                                      [&](const FiredRule& one) { return one.id == rule.id; });
    if (watched != decision.shadow.end()) {
      trace.outcome = watched->verdict + " in shadow";
      trace.why = watched->because;
    } else if (fired != decision.rules.end()) {
      trace.outcome = fired->verdict;
      trace.why = fired->because;
    } else if (rule.table != nullptr) {
      trace.outcome = "not applicable";
      trace.why = WhyNotApplicable(*rule.table, values_, program_->paths());
    } else {
      trace.outcome = "abstained";
      trace.why = "the function returned nothing";
    }
    traces.push_back(std::move(trace));
  }
  return traces;
}

void RuleEngine::Run(const std::vector<std::uint32_t>& rules) {
  outcomes_.clear();
  std::int64_t fuel = kDecisionFuel;
  for (const std::uint32_t at : rules) {
    const Rule& rule = program_->rules()[at];
    if (left_out_ == at) continue;
    if (rule.shadow && values_.input().now_us >= rule.shadow_ends_us) continue;
    const std::size_t before = outcomes_.size();
    fuel -= std::min(fuel, rule.table != nullptr ? RunTable(rule, fuel) : RunRule(rule, fuel));
    if (!rule.exceptions.empty() && outcomes_.size() > before) Except(outcomes_.back());
  }
}

// A denial or a demand is taken back by an exception that is in force and whose conditions hold;
// one that cannot tell excepts nothing.
void RuleEngine::Except(RuleOutcome& outcome) {
  const bool takes = outcome.verdict && (outcome.verdict->kind == VerdictKind::kDeny ||
                                         outcome.verdict->kind == VerdictKind::kAsk);
  if (!takes) return;
  const DecisionInput& input = values_.input();
  for (const std::size_t at : outcome.rule->exceptions) {
    const ExceptionDecl& exception = program_->exceptions()[at];
    if (input.now_us >= exception.expires_us) continue;
    if (!program_->Applies(exception.on, exception.policy, input.call.tool, input.call.effect)) {
      continue;
    }
    Evaluation evaluation{.values = &values_};
    if (Holds(exception.where, evaluation) != Truth::kTrue) continue;
    outcome.exception = &exception;
    return;
  }
}

std::int64_t RuleEngine::RunTable(const Rule& rule, std::int64_t fuel) {
  const TableRun run{
      .id = rule.id, .line = rule.place.line, .work_max = std::min(fuel, kTableRuleWork)};
  TableEnd end = RunTableRule(*rule.table, run, program_->budgets(), values_);
  if (!end.verdict && end.error_code.empty()) return end.work;
  outcomes_.push_back({.rule = &rule,
                       .verdict = std::move(end.verdict),
                       .error_code = std::move(end.error_code),
                       .error = std::move(end.error),
                       .line = rule.place.line});
  return end.work;
}

std::int64_t RuleEngine::RunRule(const Rule& rule, std::int64_t fuel) {
  Vm& vm = program_->vm();
  lua_State* lua = vm.lua();
  program_->current_rule = &rule;
  program_->built.reset();
  lua_rawgeti(lua, LUA_REGISTRYINDEX, rule.function);
  program_->context().PushRoot(lua);
  const CallEnd end = vm.Call(1, std::min(fuel, kRuleFuel));
  const std::int64_t spent = vm.spent();
  if (end == CallEnd::kOk && vm.results() == 0 && !program_->built) return spent;
  RuleOutcome outcome{.rule = &rule};
  if (end == CallEnd::kOk) {
    TakeResult(outcome);
    lua_settop(lua, 0);
  } else {
    const Located located = SplitLocation(vm.error());
    outcome.error_code = end == CallEnd::kFuel     ? "FUEL"
                         : end == CallEnd::kMemory ? "MEMORY"
                                                   : "RULE_ERROR";
    outcome.error = located.message;
    outcome.line = located.line;
  }
  if (!outcome.error_code.empty() && outcome.line == 0) outcome.line = rule.place.line;
  if (outcome.verdict || !outcome.error_code.empty()) outcomes_.push_back(std::move(outcome));
  if (end == CallEnd::kMemory) lua_gc(lua, LUA_GCCOLLECT);
  return spent;
}

// What a rule returned must be exactly what it built: nothing for nothing, else the one verdict.
void RuleEngine::TakeResult(RuleOutcome& outcome) {
  lua_State* lua = program_->vm().lua();
  const int results = program_->vm().results();
  const bool nothing = results == 0 || (results == 1 && lua_isnil(lua, -1));
  std::optional<RuleVerdict>& built = program_->built;
  if (nothing && !built) return;
  const bool token = results == 1 && lua_type(lua, -1) == LUA_TLIGHTUSERDATA;
  if (token && built) {
    outcome.verdict = std::move(built);
    return;
  }
  outcome.error_code = "RULE_ERROR";
  outcome.line = built ? built->line : 0;
  if (built) {
    outcome.error = "a verdict was built and not returned; write return before it";
  } else {
    outcome.error = results > 1 ? "a rule returns one verdict"
                                : std::string("a rule returns a verdict or nothing, not ") +
                                      luaL_typename(lua, -1);
  }
}

core::StatusOr<std::unique_ptr<Engine>> Engine::Make(std::shared_ptr<const Bundle> bundle) {
  auto program = std::make_unique<Program>();
  std::vector<Finding> findings;
  program->Load(bundle->files(), Program::What::kPolicies, findings);
  for (const Finding& finding : findings) {
    if (finding.severity == "error") return FindingStatus(finding);
  }
  return std::unique_ptr<Engine>(
      std::make_unique<RuleEngine>(std::move(bundle), std::move(program)));
}

}  // namespace interlock::policies
