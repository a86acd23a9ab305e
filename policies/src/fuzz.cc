#include "policies/fuzz.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "case_space.h"
#include "lua_tokens.h"
#include "rule_engine.h"
#include "schema_values.h"
#include "shrink.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

constexpr std::uint64_t kChangesMax = 5;  // of one made-up call
constexpr std::size_t kNumbersMax = 256;

struct FuzzedTool {
  std::string name{};
  std::string effect{};
  core::Json schema{};
  CaseSpace space{};
  std::vector<std::string> invariants{};                    // that are about it
  std::vector<std::string> paths{};                         // of space.values
  std::vector<std::pair<std::string, core::Json>> facts{};  // their result schemas
};

class Fuzzer {
 public:
  Fuzzer(std::shared_ptr<const Bundle> bundle, const std::vector<BundleFile>& test_files,
         const FuzzOptions& options)
      : bundle_(std::move(bundle)), options_(options), chooser_(options.seed) {
    tests_.Load(test_files, Program::What::kTests, report_.errors);
    auto program = std::make_unique<Program>();
    std::vector<Finding> ignored;  // the bundle was loaded without errors before
    program->Load(bundle_->files(), Program::What::kPolicies, ignored);
    engine_ = std::make_unique<RuleEngine>(bundle_, std::move(program));
  }

  FuzzReport Run() {
    report_.invariants = engine_->program().invariants().size();
    if (report_.invariants == 0) {
      Fail("NO_INVARIANTS", "there is no invariant; write invariant \"name\" { never = … }");
    }
    CollectTools();
    if (report_.invariants > 0 && tools_.empty()) {
      Fail("NO_TOOLS", "no rule names a tool and no manifest is there: give --tools FOLDER");
    }
    if (!report_.errors.empty()) return std::move(report_);
    for (std::uint64_t i = 0; i < options_.calls; ++i) {
      const FuzzedTool& tool = tools_[chooser_.Below(tools_.size())];
      Try(tool, MakeCase(tool));
    }
    for (const Invariant& one : engine_->program().invariants()) {
      if (!met_.contains(one.rule.id)) NotMet(one);
    }
    std::sort(report_.broken.begin(), report_.broken.end(),
              [](const BrokenInvariant& a, const BrokenInvariant& b) {
                return a.invariant < b.invariant;
              });
    return std::move(report_);
  }

 private:
  void Fail(std::string code, std::string message) {
    report_.errors.push_back(
        {.severity = "error", .code = std::move(code), .message = std::move(message)});
  }

  void NotMet(const Invariant& invariant) {
    report_.errors.push_back({.file = invariant.rule.place.file,
                              .line = invariant.rule.place.line,
                              .severity = "error",
                              .code = "NOT_MET",
                              .message = "invariant `" + invariant.rule.id +
                                         "` met no call: give --tools, or a test of such a tool"});
  }

  const KnownTool* Known(const std::string& name) const {
    for (const KnownTool& tool : bundle_->tools()) {
      if (tool.name == name) return &tool;
    }
    return nullptr;
  }

  // Only tools that an invariant is about: other calls cannot break one.
  void CollectTools() {
    std::set<std::string> names;
    AddToolNames(bundle_->tools(), engine_->program(), names);
    std::map<std::string, std::string> stated;  // effects, by tests
    for (const TestCase& test : tests_.tests()) {
      const std::string name = TextMemberOf(test.input, "tool", "");
      names.insert(name);
      stated[name] = TextMemberOf(test.input, "effect", "write");
    }
    CollectNumbers();
    for (const std::string& name : names) {
      const KnownTool* known = Known(name);
      std::string effect = known != nullptr ? known->effect : stated[name];
      if (effect.empty()) effect = "write";
      FuzzedTool tool{.name = name, .effect = effect};
      for (const Invariant& one : engine_->program().invariants()) {
        if (engine_->program().Applies(one.rule, name, effect)) {
          tool.invariants.push_back(one.rule.id);
        }
      }
      if (name.empty() || tool.invariants.empty()) continue;
      if (known != nullptr) tool.schema = known->input_schema;
      AddRules(engine_->program(), name, effect, tool.space);
      AddInvariants(engine_->program(), name, effect, tool.space);
      AddTests(tests_, name, tool.space);
      AddPlainSeed(name, tool.space);
      for (const auto& [path, values] : tool.space.values) {
        if (!values.empty()) tool.paths.push_back(path);
      }
      for (const FactDecl& fact : bundle_->FactsFor(name)) {
        const KnownTool* look_up = Known(fact.tool);
        tool.facts.emplace_back(fact.name,
                                look_up != nullptr ? look_up->result_schema : core::Json());
      }
      tools_.push_back(std::move(tool));
    }
  }

  core::Json MakeCase(const FuzzedTool& tool) {
    const CaseSpace& space = tool.space;
    core::Json stated = space.seeds[chooser_.Below(space.seeds.size())];
    stated["effect"] = tool.effect;
    // A seed's arguments as they are, or new ones over them.
    if (tool.schema.is_object() &&
        (chooser_.OneIn(4) || !FitsSchema(tool.schema, stated["args"]))) {
      stated["args"] = SchemaValue(tool.schema, chooser_);
    }
    for (std::uint64_t i = chooser_.Below(kChangesMax + 1); i > 0; --i) Change(tool, stated);
    return stated;
  }

  void Change(const FuzzedTool& tool, core::Json& stated) {
    static const std::vector<std::string> kUsers = {"u1", "u2", "jane@corp.example"};
    switch (chooser_.Below(8)) {
      case 0:
        stated["user"] = kUsers[chooser_.Below(kUsers.size())];
        return;
      case 1:
        stated["untrusted"] = chooser_.OneIn(2);
        return;
      case 2:
        return ChangeFact(tool, stated);
      case 3:
        return ChangeArgument(tool, stated);
      case 4:
        return ChangeBudget(stated);
      default:
        return ChangePath(tool, stated);
    }
  }

  // A value that a rule compares with, or one of another seed.
  void ChangePath(const FuzzedTool& tool, core::Json& stated) {
    if (tool.paths.empty()) return ChangeArgument(tool, stated);
    const std::string& path = tool.paths[chooser_.Below(tool.paths.size())];
    const auto& values = tool.space.values.at(path);
    const core::Json value = values[chooser_.Below(values.size())];
    core::Json changed = stated;
    if (!SetStated(changed, path, value)) return;
    if (FitsSchema(tool.schema, changed["args"])) stated = std::move(changed);
  }

  void ChangeArgument(const FuzzedTool& tool, core::Json& stated) {
    const bool known = tool.schema.is_object() && tool.schema.contains("properties") &&
                       !tool.schema["properties"].empty();
    if (!known || chooser_.OneIn(3)) return ChangeLeaf(tool, stated);
    const core::Json& properties = tool.schema["properties"];
    auto at = properties.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(chooser_.Below(properties.size())));
    stated["args"][at.key()] = SchemaValue(at.value(), chooser_);
  }

  // The whole numbers that policies are written with, and their neighbours: functions compare with
  // them too.
  void CollectNumbers() {
    std::set<std::int64_t> numbers;
    for (const BundleFile& file : bundle_->files()) {
      for (const LuaToken& token : LuaTokens(file.text)) {
        std::int64_t number = 0;
        const char* end = token.text.data() + token.text.size();
        const auto parsed = std::from_chars(token.text.data(), end, number);
        if (token.kind != LuaToken::Kind::kNumber || parsed.ptr != end) continue;
        if (numbers.size() < kNumbersMax) numbers.insert({number - 1, number, number + 1});
      }
    }
    numbers_.assign(numbers.begin(), numbers.end());
  }

  core::Json OtherNumber(const core::Json& value) {
    if (!numbers_.empty() && !chooser_.OneIn(3)) return numbers_[chooser_.Below(numbers_.size())];
    return SchemaValue({{"type", value.is_number_integer() ? "integer" : "number"}}, chooser_);
  }

  // Another number, text or truth where a seed has one.
  void ChangeLeaf(const FuzzedTool& tool, core::Json& stated) {
    core::Json args = stated.value("args", core::Json());
    if (!args.is_object() || args.empty()) return;
    auto at = args.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(chooser_.Below(args.size())));
    const core::Json& seed = tool.space.seeds[chooser_.Below(tool.space.seeds.size())];
    const core::Json other = seed.value("args", core::Json());
    if (other.is_object() && other.contains(at.key()) && chooser_.OneIn(2)) {
      at.value() = other[at.key()];
    } else if (at->is_number()) {
      at.value() = OtherNumber(*at);
    } else if (at->is_string()) {
      at.value() = SchemaValue({{"type", "string"}}, chooser_);
    } else if (at->is_boolean()) {
      at.value() = chooser_.OneIn(2);
    }
    if (FitsSchema(tool.schema, args)) stated["args"] = std::move(args);
  }

  void ChangeFact(const FuzzedTool& tool, core::Json& stated) {
    if (tool.facts.empty()) return;
    const auto& [name, schema] = tool.facts[chooser_.Below(tool.facts.size())];
    if (!stated.contains("facts") || !stated["facts"].is_object()) {
      stated["facts"] = core::Json::object();
    }
    if (chooser_.OneIn(4)) {
      stated["facts"][name] = {{"$failed", "NOT_FOUND"}};
    } else if (schema.is_object()) {
      stated["facts"][name] = SchemaValue(schema, chooser_);
    }
  }

  void ChangeBudget(core::Json& stated) {
    const std::vector<BudgetDecl> budgets = bundle_->budgets();
    if (budgets.empty()) return;
    const BudgetDecl& budget = budgets[chooser_.Below(budgets.size())];
    const std::int64_t left = static_cast<std::int64_t>(chooser_.Below(10'000));
    if (!stated.contains("used") || !stated["used"].is_object()) {
      stated["used"] = core::Json::object();
    }
    stated["used"][budget.name] = std::max<std::int64_t>(0, budget.limit - left);
  }

  // The invariants that the case breaks, and what was decided.
  std::vector<Breach> BreachesOf(const core::Json& stated, const std::string& tool,
                                 std::optional<Decision>* decided) {
    const StatedCase one(*bundle_, stated, tool);
    if (!one.problem().empty()) return {};
    Decision decision = engine_->Decide(one.input());
    std::vector<Breach> breaches = engine_->Breaches(one.input(), decision);
    if (decided != nullptr) *decided = std::move(decision);
    return breaches;
  }

  // A made-up call that could not be decided shows nothing.
  void Count(const FuzzedTool& tool, const Decision& decision) {
    ++report_.calls;
    ++report_.verdicts[std::string(VerdictName(decision.verdict))];
    met_.insert(tool.invariants.begin(), tool.invariants.end());
  }

  static std::string Said(const Decision& decision) {
    std::string text(VerdictName(decision.verdict));
    if (decision.verdict == Verdict::kDeny) text += " " + decision.code;
    return text;
  }

  void Try(const FuzzedTool& tool, const core::Json& stated) {
    std::optional<Decision> decision;
    const std::vector<Breach> breaches = BreachesOf(stated, tool.name, &decision);
    if (decision) Count(tool, *decision);
    for (const Breach& breach : breaches) {
      const std::string& id = breach.invariant->rule.id;
      if (!found_.insert(id).second) continue;
      const auto still = [&](const core::Json& smaller) {
        const std::vector<Breach> left = BreachesOf(smaller, tool.name, nullptr);
        return std::any_of(left.begin(), left.end(),
                           [&](const Breach& one) { return one.invariant == breach.invariant; });
      };
      BrokenInvariant broken{.invariant = id,
                             .why = breach.why,
                             .file = breach.invariant->rule.place.file,
                             .line = breach.invariant->rule.place.line,
                             .witness = Shrink(stated, tool.schema, still)};
      std::optional<Decision> last;
      BreachesOf(broken.witness, tool.name, &last);
      if (last) broken.verdict = Said(*last);
      report_.broken.push_back(std::move(broken));
    }
  }

  std::shared_ptr<const Bundle> bundle_;
  const FuzzOptions options_;
  Chooser chooser_;
  Program tests_;
  std::unique_ptr<RuleEngine> engine_;
  std::vector<FuzzedTool> tools_;
  std::vector<std::int64_t> numbers_;
  std::set<std::string> found_;
  std::set<std::string> met_;  // invariants that a decided call was about
  FuzzReport report_;
};

}  // namespace

FuzzReport FuzzPolicies(std::shared_ptr<const Bundle> bundle,
                        const std::vector<BundleFile>& test_files, const FuzzOptions& options) {
  return Fuzzer(std::move(bundle), test_files, options).Run();
}

}  // namespace interlock::policies
