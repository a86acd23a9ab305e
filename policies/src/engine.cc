#include <algorithm>
#include <unordered_map>

#include "bundle_data.h"
#include "combine.h"
#include "core/check.h"
#include "policies/bundle.h"
#include "program.h"

namespace interlock::policies {
namespace {

constexpr std::size_t kIndexEntriesMax = 4096;

// What one tool's calls need: its applicable rules by id, and its arguments' schema.
struct ToolEntry {
  std::vector<std::size_t> rules;
  const core::Json* args_schema = nullptr;
};

class LuaEngine final : public Engine {
 public:
  explicit LuaEngine(std::shared_ptr<const Bundle> bundle) : bundle_(std::move(bundle)) {}

  core::Status Load() {
    std::vector<Finding> findings;
    program_.Load(bundle_->files(), Program::What::kPolicies, findings);
    for (const Finding& finding : findings) {
      if (finding.severity == "error") return FindingStatus(finding);
    }
    return core::OkStatus();
  }

  const Bundle& bundle() const override { return *bundle_; }

  Decision Decide(const DecisionInput& input) override {
    const CLocale plain;
    Decision decision;
    decision.bundle_id = bundle_->id();
    decision.input_digest = core::Sha256(CanonicalInput(input));
    if (input.args == nullptr) {
      decision.code = "NO_ARGUMENTS";
      return decision;
    }
    const ToolEntry& entry = EntryFor(input.call);
    program_.reads.clear();
    program_.context().Begin(input, entry.args_schema);
    program_.vm().set_phase(Phase::kDeciding);
    Run(entry);
    program_.vm().set_phase(Phase::kIdle);
    decision.reads = std::move(program_.reads);
    program_.reads.clear();
    Combine(input, program_.budgets(), outcomes_, decision);
    program_.context().End();
    return decision;
  }

 private:
  const ToolEntry& EntryFor(const Call& call) {
    std::string& key = key_;
    key.assign(call.tool).append(1, '\0').append(call.effect);
    const auto found = index_.find(key);
    if (found != index_.end()) return found->second;
    if (index_.size() >= kIndexEntriesMax) index_.clear();
    ToolEntry entry;
    for (std::size_t i = 0; i < program_.rules().size(); ++i) {
      if (program_.Applies(program_.rules()[i], call.tool, call.effect)) entry.rules.push_back(i);
    }
    for (const KnownTool& tool : bundle_->tools()) {
      if (tool.name == call.tool && tool.input_schema.is_object()) {
        entry.args_schema = &tool.input_schema;
      }
    }
    return index_.emplace(key, std::move(entry)).first->second;
  }

  void Run(const ToolEntry& entry) {
    outcomes_.clear();
    std::int64_t fuel = kDecisionFuel;
    for (const std::size_t at : entry.rules) {
      RunRule(program_.rules()[at], fuel);
      fuel -= std::min(fuel, program_.vm().spent());
    }
  }

  void RunRule(const Rule& rule, std::int64_t fuel) {
    Vm& vm = program_.vm();
    lua_State* lua = vm.lua();
    program_.current_rule = &rule;
    program_.built.reset();
    lua_rawgeti(lua, LUA_REGISTRYINDEX, rule.function);
    program_.context().PushRoot(lua);
    const CallEnd end = vm.Call(1, std::min(fuel, kRuleFuel));
    if (end == CallEnd::kOk && vm.results() == 0 && !program_.built) return;  // nothing to say
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
  }

  // What a rule returned must be exactly what it built: nothing for nothing, else the one verdict.
  void TakeResult(RuleOutcome& outcome) {
    lua_State* lua = program_.vm().lua();
    const int results = program_.vm().results();
    const bool nothing = results == 0 || (results == 1 && lua_isnil(lua, -1));
    std::optional<RuleVerdict>& built = program_.built;
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

  std::shared_ptr<const Bundle> bundle_;
  Program program_;
  std::unordered_map<std::string, ToolEntry> index_;
  std::vector<RuleOutcome> outcomes_;
  std::string key_;
};

}  // namespace

core::StatusOr<std::unique_ptr<Engine>> Engine::Make(std::shared_ptr<const Bundle> bundle) {
  auto engine = std::make_unique<LuaEngine>(std::move(bundle));
  INTERLOCK_RETURN_IF_ERROR(engine->Load());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace interlock::policies
