#include <algorithm>
#include <map>
#include <set>

#include "lua_time.h"
#include "policies/explain.h"
#include "policies/test.h"
#include "program.h"

namespace interlock::policies {
namespace {

constexpr std::int64_t kDefaultNowUs = 1'767'225'600'000'000;  // 2026-01-01T00:00:00Z

// Balances and counters as the case states them; what it does not state is unused.
class StatedReader final : public StateReader {
 public:
  StatedReader(const core::Json& used, const core::Json& counts) : used_(used), counts_(counts) {}

  VersionedRead BudgetUsed(const BudgetDecl& budget, std::string_view scope) const override {
    return {.key = "budget/" + budget.name + "/" + std::string(scope),
            .version = 0,
            .value = Value(used_, budget.name)};
  }
  VersionedRead Count(std::string_view key, std::int64_t, std::int64_t) const override {
    return {.key = "counter/" + std::string(key),
            .version = 0,
            .value = Value(counts_, std::string(key))};
  }

 private:
  static std::int64_t Value(const core::Json& stated, const std::string& name) {
    if (!stated.is_object()) return 0;
    const auto found = stated.find(name);
    return found == stated.end() || !found->is_number_integer() ? 0 : found->get<std::int64_t>();
  }
  const core::Json& used_;
  const core::Json& counts_;
};

core::Json Member(const core::Json& input, const char* name) {
  const auto found = input.find(name);
  return found == input.end() ? core::Json(nullptr) : *found;
}

// An empty Lua table is a list to JSON; here it was meant as an object.
core::Json ObjectMember(const core::Json& input, const char* name) {
  core::Json value = Member(input, name);
  return value.is_object() ? value : core::Json::object();
}

std::string TextMember(const core::Json& input, const char* name, std::string_view otherwise) {
  const core::Json value = Member(input, name);
  return value.is_string() ? value.get<std::string>() : std::string(otherwise);
}

class CaseRunner {
 public:
  CaseRunner(std::shared_ptr<const Bundle> bundle, Engine& engine, const TestCase& test)
      : bundle_(std::move(bundle)), engine_(engine), test_(test) {}

  PolicyTestResult Run() {
    PolicyTestResult result{.file = test_.place.file,
                            .line = test_.place.line,
                            .name = test_.name,
                            .passed = false,
                            .message = "",
                            .explain = ""};
    result.message = Prepare();
    if (!result.message.empty()) return result;
    Decide();
    result.message = Compare();
    result.explain = Explain(decision_);
    result.passed = result.message.empty();
    return result;
  }

  const Decision& decision() const { return decision_; }

 private:
  std::string Prepare() {
    const core::Json& input = test_.input;
    tool_ = TextMember(input, "tool", "");
    effect_ = TextMember(input, "effect", EffectOf(tool_));
    args_ = ObjectMember(input, "args");
    session_ = ObjectMember(input, "session");
    used_ = ObjectMember(input, "used");
    counts_ = ObjectMember(input, "counts");
    user_ = TextMember(input, "user", "");
    principal_ = TextMember(input, "principal", "tester");
    agent_ = TextMember(input, "agent", "tester");
    const core::Json roles = Member(input, "roles");
    if (roles.is_array()) {
      for (const core::Json& role : roles) {
        if (!role.is_string()) return "roles wants a list of texts";
        roles_.push_back(role.get<std::string>());
      }
    }
    const core::Json now = Member(input, "now");
    if (now.is_string()) {
      const auto time = ParseTime(now.get_ref<const std::string&>());
      if (!time) return "now is no time; write 2026-05-01T10:00:00Z";
      now_us_ = *time;
    }
    return PrepareFacts(ObjectMember(input, "facts"));
  }

  std::string EffectOf(const std::string& tool) const {
    for (const KnownTool& known : bundle_->tools()) {
      if (known.name == tool) return known.effect;
    }
    return "write";
  }

  // Every declared fact is there: as stated, or absent.
  std::string PrepareFacts(const core::Json& stated) {
    std::set<std::string> declared;
    for (const FactDecl& decl : bundle_->FactsFor(tool_)) {
      declared.insert(decl.name);
      Fact fact{.name = decl.name, .present = false, .value = nullptr, .error_code = "NOT_STATED"};
      const auto found = stated.find(decl.name);
      if (found != stated.end() && found->is_object() && found->contains("$failed")) {
        fact.error_code = TextMember(*found, "$failed", "");
      } else if (found != stated.end()) {
        fact.present = true;
        fact.value = *found;
        fact.error_code.clear();
      }
      facts_.push_back(std::move(fact));
    }
    for (const auto& item : stated.items()) {
      if (!declared.contains(item.key())) {
        return "no fact `" + item.key() + "` is declared for `" + tool_ + "`";
      }
    }
    return "";
  }

  void Decide() {
    const StatedReader state(used_, counts_);
    const std::string text = core::CanonicalJson(args_);
    const core::Json untrusted = Member(test_.input, "untrusted");
    DecisionInput input;
    input.call = {.id = "00000000-0000-7000-8000-000000000001",
                  .run = "00000000-0000-7000-8000-000000000002",
                  .tool = tool_,
                  .effect = effect_,
                  .agent = agent_,
                  .step = 1};
    input.tenant = "main";
    input.principal = principal_;
    input.principal_roles = &roles_;
    input.user = user_;
    input.args = &args_;
    input.args_text = text;
    input.session = &session_;
    input.facts = &facts_;
    input.now_us = now_us_;
    input.flow_untrusted = untrusted.is_boolean() && untrusted.get<bool>();
    input.state = &state;
    decision_ = engine_.Decide(input);
  }

  std::string Compare() const {
    const std::string expect = TextMember(test_.input, "expect", "");
    const std::string got(VerdictName(decision_.verdict));
    if (expect != "allow" && expect != "deny" && expect != "ask" && expect != "modify") {
      return "expect is allow, deny, ask or modify, not `" + expect + "`";
    }
    if (expect != got) return "expected " + expect + ", got " + got + " " + decision_.code;
    const std::string rule = TextMember(test_.input, "rule", "");
    const std::string code = TextMember(test_.input, "code", "");
    if (!rule.empty() && !Fired(rule, code)) {
      return "rule `" + rule + "` did not speak" + (code.empty() ? "" : " with code " + code);
    }
    if (rule.empty() && !code.empty() && decision_.code != code && !Fired("", code)) {
      return "expected code " + code + ", got " + decision_.code;
    }
    const core::Json after = Member(test_.input, "args_after");
    if (!after.is_null() && (!decision_.modified_args || *decision_.modified_args != after)) {
      return "the arguments became " +
             (decision_.modified_args ? core::CanonicalJson(*decision_.modified_args) : "nothing");
    }
    return "";
  }

  bool Fired(std::string_view rule, std::string_view code) const {
    return std::any_of(decision_.rules.begin(), decision_.rules.end(), [&](const FiredRule& fired) {
      return (rule.empty() || fired.id == rule) && (code.empty() || fired.code == code);
    });
  }

  std::shared_ptr<const Bundle> bundle_;
  Engine& engine_;
  const TestCase& test_;
  std::string tool_, effect_, user_, principal_, agent_;
  core::Json args_, session_, used_, counts_;
  std::vector<std::string> roles_;
  std::vector<Fact> facts_;
  std::int64_t now_us_ = kDefaultNowUs;
  Decision decision_;
};

void RunCases(const std::shared_ptr<const Bundle>& bundle, const std::vector<TestCase>& tests,
              PolicyTestReport& report, std::set<std::string>& fired) {
  core::StatusOr<std::unique_ptr<Engine>> engine = Engine::Make(bundle);
  if (!engine.ok()) {
    report.errors.push_back({.file = "",
                             .line = 0,
                             .severity = "error",
                             .code = "BUNDLE",
                             .message = std::string(core::Message(engine.status()))});
    return;
  }
  for (const TestCase& test : tests) {
    CaseRunner runner(bundle, **engine, test);
    report.cases.push_back(runner.Run());
    for (const FiredRule& rule : runner.decision().rules) fired.insert(rule.id);
  }
}

std::vector<std::string> RuleIds(const Bundle& bundle) {
  Program program;
  std::vector<Finding> ignored;  // the bundle was loaded without errors before
  program.Load(bundle.files(), Program::What::kPolicies, ignored);
  std::vector<std::string> ids;
  for (const Rule& rule : program.rules()) ids.push_back(rule.id);
  return ids;
}

}  // namespace

std::size_t PolicyTestReport::failed() const {
  return static_cast<std::size_t>(std::count_if(
      cases.begin(), cases.end(), [](const PolicyTestResult& result) { return !result.passed; }));
}

PolicyTestReport RunPolicyTests(std::shared_ptr<const Bundle> bundle,
                                const std::vector<BundleFile>& test_files) {
  PolicyTestReport report;
  Program program;
  program.Load(test_files, Program::What::kTests, report.errors);
  std::set<std::string> fired;
  RunCases(bundle, program.tests(), report, fired);
  if (report.cases.empty()) {
    report.errors.push_back({.file = "",
                             .line = 0,
                             .severity = "error",
                             .code = "NO_TESTS",
                             .message = "there is no test case; write test \"…\" { … }"});
  }
  const std::vector<std::string> ids = RuleIds(*bundle);
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(report.unfired),
               [&](const std::string& id) { return !fired.contains(id); });
  return report;
}

}  // namespace interlock::policies
