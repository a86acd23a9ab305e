// policy check|test|explain.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <ostream>

#include "cli/cli.h"
#include "core/clock.h"
#include "policies/bundle.h"
#include "policies/explain.h"
#include "policies/test.h"
#include "tools/tool.h"

namespace interlock::runtime::cli {
namespace {

struct PolicyOptions {
  std::string folder;
  std::string tools;
  std::vector<std::string> vars;
  // explain
  std::string tool;
  std::string args;
  std::string user;
  std::string session;
  std::string facts;
  std::string agent = "cli";
  std::string principal = "cli";
  std::vector<std::string> roles;
  std::string now;
};

// A world in which nothing was spent or counted yet.
class EmptyState final : public policies::StateReader {
 public:
  policies::VersionedRead BudgetUsed(const policies::BudgetDecl& budget,
                                     std::string_view scope) const override {
    return {"budget/" + budget.name + "/" + std::string(scope), 0, 0};
  }
  policies::VersionedRead Count(std::string_view key, std::int64_t, std::int64_t) const override {
    return {"counter/" + std::string(key), 0, 0};
  }
};

// `tools` beside `policies` is where examples keep their manifests.
std::string ToolsFolder(const PolicyOptions& options) {
  if (!options.tools.empty()) return options.tools;
  const auto beside = std::filesystem::absolute(options.folder).lexically_normal() / ".." / "tools";
  std::error_code error;
  return std::filesystem::is_directory(beside, error) ? beside.lexically_normal().string() : "";
}

core::StatusOr<std::shared_ptr<const tools::Registry>> LoadTools(const PolicyOptions& options) {
  const std::string folder = ToolsFolder(options);
  if (folder.empty()) return tools::Registry::Of({});
  INTERLOCK_ASSIGN_OR_RETURN(const auto vars, ParsePairs(options.vars));
  return tools::Registry::Load(folder, vars);
}

std::vector<policies::KnownTool> KnownTools(const tools::Registry& registry) {
  std::vector<policies::KnownTool> known;
  for (const auto& tool : registry.tools()) {
    const tools::Manifest& manifest = tool->manifest();
    known.push_back({manifest.name, std::string(tools::EffectName(manifest.effect)),
                     manifest.input_schema, manifest.result_schema});
  }
  return known;
}

core::StatusOr<std::shared_ptr<const policies::Bundle>> LoadBundle(
    const PolicyOptions& options, const tools::Registry& registry,
    std::vector<policies::Finding>* findings) {
  INTERLOCK_ASSIGN_OR_RETURN(auto files, policies::Bundle::ReadFolder(options.folder));
  return policies::Bundle::Load(std::move(files), KnownTools(registry), findings);
}

core::Json FindingsJson(const std::vector<policies::Finding>& findings) {
  core::Json list = core::Json::array();
  for (const policies::Finding& f : findings) {
    list.push_back({{"file", f.file},
                    {"line", f.line},
                    {"severity", f.severity},
                    {"code", f.code},
                    {"message", f.message}});
  }
  return list;
}

void PrintFindings(const Io& io, const std::vector<policies::Finding>& findings) {
  for (const policies::Finding& f : findings) {
    const Style style = f.severity == "error" ? Style::kRed : Style::kYellow;
    io.out << EscapeForTerminal(f.file) << ':' << f.line << ": "
           << io.Paint(style, EscapeForTerminal(f.severity)) << ": " << EscapeForTerminal(f.message)
           << " [" << EscapeForTerminal(f.code) << "]\n";
  }
}

int Check(Session& session, const PolicyOptions& options) {
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  std::vector<policies::Finding> findings;
  const auto bundle = LoadBundle(options, **registry, &findings);
  const Io& io = session.io;
  if (!bundle.ok() && findings.empty()) return Fail(session, bundle.status());
  if (io.json) {
    PrintJson(
        io, {{"ok", bundle.ok()},
             {"bundle", bundle.ok() ? core::Json(core::DigestName((*bundle)->id())) : core::Json()},
             {"rules", bundle.ok() ? (*bundle)->rule_count() : 0},
             {"findings", FindingsJson(findings)}});
    return bundle.ok() ? kYes : kNo;
  }
  PrintFindings(io, findings);
  if (!bundle.ok()) return kNo;
  io.out << io.Paint(Style::kGreen, "ok") << "  " << (*bundle)->files().size() << " files, "
         << (*bundle)->rule_count() << " rules, bundle " << core::DigestName((*bundle)->id())
         << '\n';
  return kYes;
}

core::Json TestsJson(const policies::PolicyTestReport& report) {
  core::Json cases = core::Json::array();
  for (const policies::PolicyTestResult& result : report.cases) {
    cases.push_back({{"file", result.file},
                     {"line", result.line},
                     {"name", result.name},
                     {"passed", result.passed},
                     {"message", result.message}});
  }
  return {{"passed", report.passed()},
          {"cases", std::move(cases)},
          {"failed", report.failed()},
          {"errors", FindingsJson(report.errors)},
          {"unfired", report.unfired}};
}

void PrintTests(const Io& io, const policies::PolicyTestReport& report) {
  for (const policies::PolicyTestResult& result : report.cases) {
    io.out << io.Paint(result.passed ? Style::kGreen : Style::kRed,
                       result.passed ? "ok    " : "FAILED")
           << "  " << EscapeForTerminal(result.name) << '\n';
    if (result.passed) continue;
    io.out << "        " << EscapeForTerminal(result.file) << ':' << result.line << ": "
           << EscapeForTerminal(result.message) << '\n'
           << EscapeLines(result.explain, 8) << '\n';
  }
  PrintFindings(io, report.errors);
  for (const std::string& rule : report.unfired) {
    io.out << io.Paint(Style::kYellow, "never fired") << "  " << EscapeForTerminal(rule) << '\n';
  }
  io.out << report.cases.size() - report.failed() << " passed, " << report.failed() << " failed\n";
}

int Test(Session& session, const PolicyOptions& options) {
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  const auto bundle = LoadBundle(options, **registry, nullptr);
  if (!bundle.ok()) return Fail(session, bundle.status());
  auto files = policies::ReadTestFolder(options.folder);
  if (!files.ok()) return Fail(session, files.status());
  const policies::PolicyTestReport report = policies::RunPolicyTests(*bundle, std::move(*files));
  if (session.io.json) {
    PrintJson(session.io, TestsJson(report));
  } else {
    PrintTests(session.io, report);
  }
  return report.passed() ? kYes : kNo;
}

// What DecisionInput borrows from.
struct ExplainInput {
  tools::CanonicalArgs args;
  core::Json session = core::Json::object();
  std::vector<policies::Fact> facts;
  std::int64_t now_us = 0;
};

core::StatusOr<core::Json> ParseObject(const std::string& text, const char* option) {
  if (text.empty()) return core::Json::object();
  auto value = core::ParseJson(text, core::kArgsLimits);
  if (!value.ok() || !value->is_object()) {
    return core::InvalidArgument(
        std::string(option) + " is no JSON object" +
        (value.ok() ? "" : ": " + std::string(core::Message(value.status()))));
  }
  return value;
}

core::StatusOr<ExplainInput> ReadInput(const PolicyOptions& options,
                                       const tools::Registry& registry) {
  ExplainInput input;
  const auto tool = registry.Find(options.tool);
  if (tool == nullptr) {
    return core::NotFound("no tool `" + options.tool +
                          "` among the manifests; give their folder with --tools");
  }
  INTERLOCK_ASSIGN_OR_RETURN(input.args, tool->ValidateArgs(std::string_view(options.args)));
  INTERLOCK_ASSIGN_OR_RETURN(input.session, ParseObject(options.session, "--session"));
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json facts, ParseObject(options.facts, "--facts"));
  for (const auto& [name, value] : facts.items()) input.facts.push_back({name, true, value, ""});
  input.now_us = core::SystemClock().WallMicros();
  if (!options.now.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(input.now_us, ParseTime(options.now));
  }
  return input;
}

policies::Decision Decide(policies::Engine& engine, const PolicyOptions& options,
                          const ExplainInput& input, std::string_view effect) {
  const EmptyState state;
  policies::DecisionInput in;
  in.call = {"00000000-0000-7000-8000-000000000000", "", options.tool, effect, options.agent, 0};
  in.tenant = "main";
  in.principal = options.principal;
  in.principal_roles = &options.roles;
  in.user = options.user;
  in.args = &input.args.value;
  in.args_text = input.args.text;
  in.session = &input.session;
  in.facts = &input.facts;
  in.now_us = input.now_us;
  in.state = &state;
  policies::Decision decision = engine.Decide(in);
  decision.input_digest = policies::InputDigest(in);
  return decision;
}

int Explain(Session& session, const PolicyOptions& options) {
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  const auto bundle = LoadBundle(options, **registry, nullptr);
  if (!bundle.ok()) return Fail(session, bundle.status());
  const auto input = ReadInput(options, **registry);
  if (!input.ok()) return Fail(session, input.status());
  const auto engine = policies::Engine::Make(*bundle);
  if (!engine.ok()) return Fail(session, engine.status());
  const auto effect = tools::EffectName((*registry)->Find(options.tool)->manifest().effect);
  const policies::Decision decision = Decide(**engine, options, *input, effect);
  if (session.io.json) {
    session.io.out << policies::CanonicalDecision(decision) << '\n';
  } else {
    session.io.out << EscapeLines(policies::Explain(decision), 0) << '\n';
  }
  if (decision.verdict == policies::Verdict::kDeny) return kNo;
  return decision.verdict == policies::Verdict::kAsk ? kIncomplete : kYes;
}

void AddFolder(CLI::App* command, PolicyOptions& options) {
  command->add_option("FOLDER", options.folder, "Folder of *.lua policies")->required();
  command->add_option("--tools", options.tools,
                      "Folder of manifests (default: tools/ beside FOLDER)");
  command->add_option("--var", options.vars,
                      "NAME=VALUE for ${NAME} in manifests; may be repeated");
}

}  // namespace

void AddPolicyCommands(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "policy", "Policies: check, test, explain (no daemon needed)");
  auto options = std::make_shared<PolicyOptions>();
  CLI::App* check =
      group->add_subcommand("check", "Load a bundle as the daemon would, and say what is wrong");
  AddFolder(check, *options);
  Does(check, session, [&session, options] { return Check(session, *options); });
  CLI::App* test = group->add_subcommand("test", "Run the *_test.lua files of a bundle");
  AddFolder(test, *options);
  Does(test, session, [&session, options] { return Test(session, *options); });
  CLI::App* explain =
      group->add_subcommand("explain", "Decide one call and say which rule said what");
  AddFolder(explain, *options);
  explain->add_option("--tool", options->tool, "The tool")->required();
  explain->add_option("--args", options->args, "Its arguments: a JSON object")->required();
  explain->add_option("--user", options->user, "The authenticated user");
  explain->add_option("--session", options->session, "Trusted session values: a JSON object");
  explain->add_option("--facts", options->facts,
                      "What look-ups gave: a JSON object, name to value");
  explain->add_option("--agent", options->agent)->capture_default_str();
  explain->add_option("--principal", options->principal)->capture_default_str();
  explain->add_option("--role", options->roles, "A role of the principal; may be repeated");
  explain->add_option("--now", options->now, "Time of the decision (default: now)");
  Does(explain, session, [&session, options] { return Explain(session, *options); });
}

}  // namespace interlock::runtime::cli
