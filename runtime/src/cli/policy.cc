// policy check, and the group that the other commands about policies stand in.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "cli/policy_folder.h"
#include "core/clock.h"
#include "policies/bundle.h"
#include "policies/lint.h"
#include "policies/test.h"

namespace interlock::runtime::cli {
namespace {

struct CheckOptions : PolicyFolder {
  std::string sarif;
  std::string now;
  bool notes = false;
  bool strict = false;
};

// SARIF 2.1.0, as code hosts show it beside the lines.
core::Json Sarif(const std::vector<policies::Finding>& findings, const std::string& folder) {
  core::Json results = core::Json::array();
  for (const policies::Finding& f : findings) {
    results.push_back({{"ruleId", f.code},
                       {"level", f.severity},
                       {"message", {{"text", f.message}}},
                       {"locations",
                        {{{"physicalLocation",
                           {{"artifactLocation", {{"uri", folder + "/" + f.file}}},
                            {"region", {{"startLine", std::max(1, f.line)}}}}}}}}});
  }
  return {{"version", "2.1.0"},
          {"runs",
           {{{"tool", {{"driver", {{"name", "interlock policy check"}}}}}, {"results", results}}}}};
}

// What loading found, and what is probably not meant. Errors: what keeps a finding from being made.
core::StatusOr<std::vector<policies::Finding>> FindAll(
    const CheckOptions& options, const tools::Registry& registry,
    std::shared_ptr<const policies::Bundle>& loaded) {
  std::int64_t now_us = core::SystemClock().WallMicros();
  if (!options.now.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(now_us, ParseTime(options.now));
  }
  std::vector<policies::Finding> findings;
  const auto bundle = LoadBundle(options, registry, &findings);
  if (!bundle.ok() && findings.empty()) return bundle.status();
  if (!bundle.ok()) return findings;
  if ((*bundle)->files().empty()) {
    findings.push_back({.file = "",
                        .line = 0,
                        .severity = "error",
                        .code = "EMPTY",
                        .message = NoPoliciesIn(options.folder)});
    return findings;
  }
  loaded = *bundle;
  INTERLOCK_ASSIGN_OR_RETURN(const auto tests, policies::ReadTestFolder(options.folder));
  const auto lint = policies::LintPolicies(*loaded, tests, now_us);
  findings.insert(findings.end(), lint.begin(), lint.end());
  std::stable_sort(findings.begin(), findings.end(),
                   [](const policies::Finding& a, const policies::Finding& b) {
                     return std::tie(a.file, a.line) < std::tie(b.file, b.line);
                   });
  return findings;
}

int Check(Session& session, const CheckOptions& options) {
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  std::shared_ptr<const policies::Bundle> bundle;
  auto findings = FindAll(options, **registry, bundle);
  if (!findings.ok()) return Fail(session, findings.status());
  const Io& io = session.io;
  if (!options.sarif.empty()) {
    const core::Status written =
        WriteText(options.sarif, PrettyJson(Sarif(*findings, options.folder)) + "\n");
    if (!written.ok()) return Fail(session, written);
  }
  const auto count = [&](std::string_view severity) {
    return std::count_if(findings->begin(), findings->end(),
                         [&](const policies::Finding& one) { return one.severity == severity; });
  };
  const bool sound = bundle != nullptr && !(options.strict && count("warning") > 0);
  if (io.json) {
    PrintJson(io, {{"ok", sound},
                   {"bundle", bundle ? core::Json(core::DigestName(bundle->id())) : core::Json()},
                   {"rules", bundle ? bundle->rule_count() : 0},
                   {"findings", FindingsJson(*findings)}});
    return sound ? kYes : kNo;
  }
  const auto notes = count("note");
  if (!options.notes) {
    std::erase_if(*findings, [](const policies::Finding& one) { return one.severity == "note"; });
  }
  PrintFindings(io, *findings);
  if ((*registry)->tools().empty()) {
    io.err << "note: no manifests were found, so that what the policies say of tools and their "
              "arguments was not checked; give --tools FOLDER\n";
  }
  if (bundle == nullptr) return kNo;
  io.out << io.Paint(sound ? Style::kGreen : Style::kRed, sound ? "ok" : "not ok") << "  "
         << Plural(static_cast<std::int64_t>(bundle->files().size()), "file") << ", "
         << Plural(static_cast<std::int64_t>(bundle->rule_count()), "rule") << ", "
         << Plural(static_cast<std::int64_t>(count("warning")), "warning") << ", "
         << Plural(static_cast<std::int64_t>(notes), "note")
         << (notes > 0 && !options.notes ? " (--notes shows them)" : "") << ", bundle "
         << core::DigestName(bundle->id()) << '\n';
  return sound ? kYes : kNo;
}

}  // namespace

void AddPolicyCommands(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "policy",
               "Policies: check, test, explain, diff, backtest, bench, meta, repl, key, sign, "
               "activate, status, watch");
  auto options = std::make_shared<CheckOptions>();
  CLI::App* check =
      group->add_subcommand("check", "Load a bundle as the daemon would, and say what is wrong");
  AddFolder(check, *options);
  check->add_option("--sarif", options->sarif, "Write the findings as SARIF 2.1.0 to this file");
  check->add_flag("--notes", options->notes, "Show what could be better, too");
  check->add_flag("--strict", options->strict, "Warnings are a no");
  check->add_option("--now", options->now, "When rules have ended or not (default: now)");
  Does(check, session, [&session, options] { return Check(session, *options); });
  AddPolicyTestCommand(*group, session);
  AddPolicyExplainCommand(*group, session);
  AddPolicyAuthorCommands(*group, session);
  AddPolicyDiffCommand(*group, session);
  AddPolicyRecordCommands(*group, session);
  AddPolicyReplCommand(*group, session);
  AddPolicySealCommands(*group, session);
  AddPolicyActiveCommands(*group, session);
}

}  // namespace interlock::runtime::cli
