#include "policies/diff.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "case_space.h"
#include "program.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

class Differ {
 public:
  Differ(std::shared_ptr<const Bundle> before, std::shared_ptr<const Bundle> after,
         const std::vector<BundleFile>& test_files)
      : before_(std::move(before)), after_(std::move(after)) {
    tests_.Load(test_files, Program::What::kTests, ignored_);
    old_.Load(before_->files(), Program::What::kPolicies, ignored_);
    new_.Load(after_->files(), Program::What::kPolicies, ignored_);
  }

  BundleDiff Run() {
    auto old_engine = Engine::Make(before_);
    auto new_engine = Engine::Make(after_);
    if (!old_engine.ok() || !new_engine.ok()) return std::move(diff_);
    old_engine_ = std::move(*old_engine);
    new_engine_ = std::move(*new_engine);
    for (const std::string& tool : Tools()) TryTool(tool);
    for (auto& [key, change] : changes_) diff_.changes.push_back(std::move(change));
    return std::move(diff_);
  }

 private:
  std::set<std::string> Tools() const {
    std::set<std::string> tools;
    AddToolNames(before_->tools(), old_, tools);
    AddToolNames(after_->tools(), new_, tools);
    return tools;
  }

  std::string EffectOf(const std::string& tool) const {
    for (const KnownTool& known : after_->tools()) {
      if (known.name == tool) return known.effect;
    }
    return "write";
  }

  void TryTool(const std::string& tool) {
    CaseSpace space;
    AddRules(old_, tool, EffectOf(tool), space);
    AddRules(new_, tool, EffectOf(tool), space);
    AddTests(tests_, tool, space);
    AddPlainSeed(tool, space);
    for (const core::Json& seed : space.seeds) TryAround(tool, seed, space);
  }

  // The seed, every value of every path in it, and every two of them.
  void TryAround(const std::string& tool, const core::Json& seed, const CaseSpace& space) {
    const auto& values = space.values;
    Try(tool, seed);
    for (auto one = values.begin(); one != values.end(); ++one) {
      for (const core::Json& value : one->second) {
        core::Json single = seed;
        if (!SetStated(single, one->first, value) || !Try(tool, single)) continue;
        for (auto two = std::next(one); two != values.end(); ++two) {
          for (const core::Json& other : two->second) {
            core::Json both = single;
            if (SetStated(both, two->first, other)) Try(tool, both);
          }
        }
      }
    }
  }

  bool Try(const std::string& tool, const core::Json& stated) {
    diff_.cut = diff_.cut || diff_.calls >= kDiffCallsMax;
    if (diff_.cut) return false;
    const StatedCase old_case(*before_, stated, tool);
    const StatedCase new_case(*after_, stated, tool);
    ++diff_.calls;
    // A fact that one bundle does not declare is no reason not to ask the other.
    const Decision was = old_engine_->Decide(old_case.input());
    const Decision is = new_engine_->Decide(new_case.input());
    if (was.verdict == is.verdict) return true;
    Note(tool, stated, was, is);
    return true;
  }

  static std::string Said(const Decision& decision) {
    std::string text(VerdictName(decision.verdict));
    if (decision.verdict == Verdict::kDeny) text += " " + decision.code;
    return text;
  }

  void Note(const std::string& tool, const core::Json& stated, const Decision& was,
            const Decision& is) {
    std::set<std::string> rules;
    for (const auto& [one, other] : {std::pair{&was, &is}, std::pair{&is, &was}}) {
      for (const FiredRule& rule : one->rules) {
        const bool same =
            std::any_of(other->rules.begin(), other->rules.end(), [&](const FiredRule& match) {
              return match.id == rule.id && match.verdict == rule.verdict;
            });
        if (!same) rules.insert(rule.id);
      }
    }
    BundleChange change{.tool = tool,
                        .change = Said(was) + " -> " + Said(is),
                        .rules = {rules.begin(), rules.end()},
                        .witness = stated};
    const auto [at, fresh] = changes_.try_emplace(
        std::tuple(change.tool, change.change, change.rules), std::move(change));
    ++at->second.calls;
  }

  std::shared_ptr<const Bundle> before_;
  std::shared_ptr<const Bundle> after_;
  Program tests_, old_, new_;
  std::vector<Finding> ignored_;  // both bundles were loaded without errors before
  std::unique_ptr<Engine> old_engine_, new_engine_;
  BundleDiff diff_;
  std::map<std::tuple<std::string, std::string, std::vector<std::string>>, BundleChange> changes_;
};

}  // namespace

bool BundleDiff::widens() const {
  return std::any_of(changes.begin(), changes.end(), [](const BundleChange& change) {
    return change.change.ends_with("-> allow") || change.change.starts_with("deny");
  });
}

BundleDiff DiffBundles(std::shared_ptr<const Bundle> before, std::shared_ptr<const Bundle> after,
                       const std::vector<BundleFile>& test_files) {
  return Differ(std::move(before), std::move(after), test_files).Run();
}

}  // namespace interlock::policies
