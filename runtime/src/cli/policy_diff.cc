// policy diff: what another bundle would decide differently.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/policy_folder.h"
#include "policies/diff.h"
#include "policies/test.h"

namespace interlock::runtime::cli {
namespace {

struct DiffOptions : PolicyFolder {
  std::string after;
};

core::Json DiffJson(const policies::BundleDiff& diff,
                    const std::vector<policies::BudgetChange>& anew) {
  core::Json changes = core::Json::array();
  for (const policies::BundleChange& change : diff.changes) {
    changes.push_back({{"tool", change.tool},
                       {"change", change.change},
                       {"rules", change.rules},
                       {"witness", change.witness},
                       {"calls", change.calls}});
  }
  core::Json budgets = core::Json::array();
  for (const policies::BudgetChange& one : anew) {
    budgets.push_back({{"budget", one.budget}, {"before", one.before}, {"after", one.after}});
  }
  return {{"budgets_anew", std::move(budgets)},
          {"widens", diff.widens()},
          {"calls", diff.calls},
          {"cut", diff.cut},
          {"changes", std::move(changes)}};
}

void PrintDiff(const Io& io, const policies::BundleDiff& diff) {
  for (const policies::BundleChange& change : diff.changes) {
    io.out << io.Paint(Style::kBold, EscapeForTerminal(change.tool)) << "  "
           << EscapeForTerminal(change.change) << "  by";
    for (const std::string& rule : change.rules) io.out << ' ' << EscapeForTerminal(rule);
    io.out << "\n  for instance " << EscapeForTerminal(core::CanonicalJson(change.witness)) << '\n';
  }
  const auto kinds = static_cast<std::int64_t>(diff.changes.size());
  io.out << kinds << (kinds == 1 ? " kind" : " kinds") << " of change in "
         << Plural(static_cast<std::int64_t>(diff.calls), "call") << " that were tried"
         << (diff.cut ? " (there are more)" : "") << '\n';
}

int Diff(Session& session, const DiffOptions& options) {
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  PolicyFolder other = options;
  other.folder = options.after;
  const auto before = LoadBundle(options, **registry, nullptr);
  if (!before.ok()) return Fail(session, before.status());
  const auto after = LoadBundle(other, **registry, nullptr);
  if (!after.ok()) return Fail(session, after.status());
  const auto tests = policies::ReadTestFolder(options.after);
  if (!tests.ok()) return Fail(session, tests.status());
  const policies::BundleDiff diff = policies::DiffBundles(*before, *after, *tests);
  const auto anew = policies::BudgetsAnew((*before)->budgets(), (*after)->budgets());
  if (session.io.json) {
    PrintJson(session.io, DiffJson(diff, anew));
  } else {
    PrintDiff(session.io, diff);
    for (const policies::BudgetChange& one : anew) PrintAnew(session.io, one);
  }
  return diff.widens() ? kNo : kYes;
}

}  // namespace

void AddPolicyDiffCommand(CLI::App& group, Session& session) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* diff = group.add_subcommand("diff", "Find calls that two bundles decide differently");
  AddFolder(diff, *options);
  diff->add_option("NEW", options->after, "The folder to compare with")->required();
  Does(diff, session, [&session, options] { return Diff(session, *options); });
}

}  // namespace interlock::runtime::cli
