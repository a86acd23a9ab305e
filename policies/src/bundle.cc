#include "policies/bundle.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "bundle_data.h"
#include "check.h"
#include "examples.h"
#include "policies/test.h"
#include "velocity.h"

namespace interlock::policies {
namespace {

// Moves with every change of what rules mean, so that a decision names the semantics that made it.
constexpr std::int64_t kEngineSemantics = 2;
constexpr std::string_view kTestSuffix = "_test.lua";

class LoadedBundle final : public Bundle {
 public:
  LoadedBundle(std::vector<BundleFile> files, std::vector<KnownTool> tools)
      : files_(std::move(files)), tools_(std::move(tools)) {
    const auto by_path = [](const BundleFile& a, const BundleFile& b) { return a.path < b.path; };
    const auto by_name = [](const KnownTool& a, const KnownTool& b) { return a.name < b.name; };
    std::sort(files_.begin(), files_.end(), by_path);
    std::sort(tools_.begin(), tools_.end(), by_name);
    manifest_ = Manifest();
    id_ = core::Sha256(manifest_);
  }

  void Take(const Program& program) {
    policies_ = program.policies();
    facts_ = program.facts();
    budgets_ = program.budgets();
    rule_count_ = program.rules().size();
    std::sort(budgets_.begin(), budgets_.end(),
              [](const BudgetDecl& a, const BudgetDecl& b) { return a.name < b.name; });
    std::copy_if(budgets_.begin(), budgets_.end(), std::back_inserter(model_budgets_),
                 [](const BudgetDecl& budget) { return !budget.charges.empty(); });
  }

  const core::Digest& id() const override { return id_; }
  const std::string& canonical_manifest() const override { return manifest_; }
  const std::vector<BundleFile>& files() const override { return files_; }
  const std::vector<KnownTool>& tools() const override { return tools_; }
  std::vector<BudgetDecl> budgets() const override { return budgets_; }
  const std::vector<BudgetDecl>& model_budgets() const override { return model_budgets_; }
  std::size_t rule_count() const override { return rule_count_; }

  std::vector<FactDecl> FactsFor(std::string_view tool) const override {
    std::string_view effect;
    for (const KnownTool& known : tools_) {
      if (known.name == tool) effect = known.effect;
    }
    std::vector<FactDecl> found;
    for (const FactRule& fact : facts_) {
      const bool applies =
          fact.on.Matches(tool, effect) && policies_[fact.policy].tools.Matches(tool, effect);
      const bool known = std::any_of(found.begin(), found.end(), [&](const FactDecl& other) {
        return other.name == fact.decl.name;
      });
      if (applies && !known) found.push_back(fact.decl);
    }
    return InOrder(std::move(found));
  }

 private:
  std::string Manifest() const {
    core::Json manifest = core::Json::object();
    manifest["engine"] = kEngineSemantics;
    manifest["files"] = core::Json::array();
    for (const BundleFile& file : files_) {
      manifest["files"].push_back(
          {{"path", file.path}, {"sha256", core::DigestName(core::Sha256(file.text))}});
    }
    manifest["tools"] = core::Json::array();
    for (const KnownTool& tool : tools_) {
      manifest["tools"].push_back(
          {{"effect", tool.effect},
           {"input_schema", core::DigestName(core::Sha256(core::CanonicalJson(tool.input_schema)))},
           {"name", tool.name},
           {"result_schema",
            core::DigestName(core::Sha256(core::CanonicalJson(tool.result_schema)))}});
    }
    return core::CanonicalJson(manifest);
  }

  // Facts after those that their templates name; names decide among equals. Load refused cycles.
  static std::vector<FactDecl> InOrder(std::vector<FactDecl> facts) {
    std::sort(facts.begin(), facts.end(),
              [](const FactDecl& a, const FactDecl& b) { return a.name < b.name; });
    std::vector<FactDecl> ordered;
    std::set<std::string> done;
    while (!facts.empty()) {
      const auto ready = std::find_if(facts.begin(), facts.end(), [&](const FactDecl& fact) {
        return std::all_of(fact.after.begin(), fact.after.end(),
                           [&](const std::string& name) { return done.contains(name); });
      });
      if (ready == facts.end()) break;
      done.insert(ready->name);
      ordered.push_back(std::move(*ready));
      facts.erase(ready);
    }
    return ordered;
  }

  std::vector<BundleFile> files_;
  std::vector<KnownTool> tools_;
  std::vector<PolicyDecl> policies_;
  std::vector<FactRule> facts_;
  std::vector<BudgetDecl> budgets_;
  std::vector<BudgetDecl> model_budgets_;
  std::size_t rule_count_ = 0;
  std::string manifest_;
  core::Digest id_{};
};

core::StatusOr<std::vector<BundleFile>> ReadLuaFiles(const std::string& folder, bool tests) {
  std::error_code error;
  std::vector<BundleFile> files;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.ends_with(".lua") || name.ends_with(kTestSuffix) != tests) continue;
    std::ifstream in(at->path(), std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in) return core::Unavailable("cannot read `" + at->path().string() + "`");
    files.push_back({.path = name, .text = std::move(text).str()});
  }
  if (error) return core::NotFound("cannot read the folder `" + folder + "`: " + error.message());
  std::sort(files.begin(), files.end(),
            [](const BundleFile& a, const BundleFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace

core::Status FindingStatus(const Finding& finding) {
  std::string message = finding.file;
  if (finding.line > 0) message += ":" + std::to_string(finding.line);
  return core::InvalidArgument(message + ": " + finding.message);
}

core::StatusOr<std::vector<BundleFile>> Bundle::ReadFolder(const std::string& folder) {
  return ReadLuaFiles(folder, false);
}

core::StatusOr<std::vector<BundleFile>> ReadTestFolder(const std::string& folder) {
  return ReadLuaFiles(folder, true);
}

core::StatusOr<std::shared_ptr<const Bundle>> Bundle::Load(std::vector<BundleFile> files,
                                                           std::vector<KnownTool> tools,
                                                           std::vector<Finding>* findings) {
  auto bundle = std::make_shared<LoadedBundle>(std::move(files), std::move(tools));
  std::vector<Finding> found;
  auto program = std::make_unique<Program>();
  program->Load(bundle->files(), Program::What::kPolicies, found);
  CheckProgram(*program, bundle->tools(), found);
  CheckVelocityNames(bundle->files(), *program, found);
  bundle->Take(*program);
  const bool sound = std::none_of(found.begin(), found.end(), [](const Finding& finding) {
    return finding.severity == "error";
  });
  if (sound) {
    RuleEngine engine(bundle, std::move(program));
    RunExamples(engine, found);
  }
  std::stable_sort(found.begin(), found.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.file, a.line) < std::tie(b.file, b.line);
  });
  if (findings != nullptr) *findings = found;
  for (const Finding& finding : found) {
    if (finding.severity == "error") return FindingStatus(finding);
  }
  return std::shared_ptr<const Bundle>(std::move(bundle));
}

}  // namespace interlock::policies
