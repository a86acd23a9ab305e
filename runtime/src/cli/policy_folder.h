// What the commands about policies share: a folder of them, its tools, and findings.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "policies/budget_change.h"
#include "policies/bundle.h"
#include "tools/tool.h"

namespace CLI {
class App;
}

namespace interlock::runtime::cli {

struct PolicyFolder {
  std::string folder;
  std::string tools;  // empty: `tools` beside the folder, if it is there
  std::vector<std::string> vars;
};
void AddFolder(CLI::App* command, PolicyFolder& options);

core::StatusOr<std::shared_ptr<const tools::Registry>> LoadTools(const PolicyFolder& options);
std::vector<policies::KnownTool> KnownTools(const tools::Registry& registry);
// As the daemon would; `findings` may be null.
core::StatusOr<std::shared_ptr<const policies::Bundle>> LoadBundle(
    const PolicyFolder& options, const tools::Registry& registry,
    std::vector<policies::Finding>* findings);

// What is said of a folder whose bundle has no file.
std::string NoPoliciesIn(const std::string& folder);

core::Json FindingsJson(const std::vector<policies::Finding>& findings);
void PrintFindings(const Io& io, const std::vector<policies::Finding>& findings);

// A budget that other policies begin anew.
void PrintAnew(const Io& io, const policies::BudgetChange& change);

// Over several lines, for files and people. What is no UTF-8 is shown as U+FFFD.
std::string PrettyJson(const core::Json& value);

// Of a report: replaces a file whole, but no policy. Errors: kFailedPrecondition, kUnavailable,
// naming it.
core::Status WriteText(const std::string& path, const std::string& text);

void AddPolicyTestCommand(CLI::App& group, Session& session);     // test
void AddPolicyExplainCommand(CLI::App& group, Session& session);  // explain
void AddPolicyAuthorCommands(CLI::App& group, Session& session);  // meta, bench
void AddPolicyDiffCommand(CLI::App& group, Session& session);     // diff
void AddPolicyRecordCommands(CLI::App& group, Session& session);  // record, backtest, suggest
void AddPolicyReplCommand(CLI::App& group, Session& session);     // repl
void AddPolicySealCommands(CLI::App& group, Session& session);    // key, sign
// activate, status, watch, unwatch: of a daemon at work
void AddPolicyActiveCommands(CLI::App& group, Session& session);

}  // namespace interlock::runtime::cli
