// runs replay: a run made anew from its record, beside no daemon.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>
#include <ostream>

#include "audit/rotate.h"
#include "cli/cli.h"
#include "cli/policy_folder.h"
#include "engine/replay.h"
#include "runtime/config.h"
#include "runtime/own_tools.h"

namespace interlock::runtime::cli {
namespace {

struct ReplayOptions {
  std::string run;
  std::string config;
  std::string bundle;
};

// What the configuration describes of a tenant, as the daemon loads it.
struct Sources {
  std::string folder;
  std::string tenant;
  std::shared_ptr<const tools::Registry> registry;
  std::shared_ptr<const policies::Bundle> bundle;
  std::shared_ptr<const policies::Bundle> candidate;
  std::deque<AgentFile> agents;  // stay where they are
};

core::StatusOr<std::shared_ptr<const policies::Bundle>> LoadFolder(
    const std::string& folder, const tools::Registry& registry) {
  INTERLOCK_ASSIGN_OR_RETURN(auto files, policies::Bundle::ReadFolder(folder));
  return policies::Bundle::Load(std::move(files), KnownTools(registry), nullptr);
}

core::StatusOr<Sources> Load(const ReplayOptions& options, const std::string& tenant) {
  INTERLOCK_ASSIGN_OR_RETURN(const Config config, LoadConfig(options.config));
  const auto found = std::find_if(config.tenants.begin(), config.tenants.end(),
                                  [&](const TenantConfig& one) { return one.id == tenant; });
  if (found == config.tenants.end()) {
    return core::InvalidArgument("`" + options.config + "` has no tenant `" + tenant +
                                 "`; name one with --tenant");
  }
  Sources sources;
  sources.folder = config.data_dir + "/tenants/" + tenant;
  sources.tenant = tenant;
  INTERLOCK_ASSIGN_OR_RETURN(std::vector<AgentFile> agents, LoadAgents(found->agents));
  INTERLOCK_ASSIGN_OR_RETURN(sources.registry, tools::Registry::Load(found->tools, found->vars));
  INTERLOCK_ASSIGN_OR_RETURN(sources.registry, WithOwnTools(sources.registry, agents));
  INTERLOCK_ASSIGN_OR_RETURN(sources.bundle, LoadFolder(found->policies, *sources.registry));
  for (AgentFile& agent : agents) sources.agents.push_back(std::move(agent));
  if (!options.bundle.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(sources.candidate, LoadFolder(options.bundle, *sources.registry));
    if (sources.candidate->files().empty()) {
      return core::InvalidArgument(NoPoliciesIn(options.bundle));
    }
  }
  return sources;
}

// The file of now, or the one that the log keeps by its digest.
const AgentFile* AgentOf(Sources& sources, const audit::Log& log, const std::string& name,
                         const std::string& digest) {
  for (const AgentFile& agent : sources.agents) {
    if (agent.name == name && agent.digest == digest) return &agent;
  }
  const auto hash = core::DigestFromHex(digest.starts_with("sha256:") ? digest.substr(7) : "");
  const auto kept = hash.ok() ? log.ReadBlob(*hash) : core::StatusOr<std::string>(hash.status());
  if (!kept.ok()) return nullptr;
  auto parsed = ParseAgent(name + ".yaml", *kept);
  if (!parsed.ok()) return nullptr;
  sources.agents.push_back(*std::move(parsed));
  return &sources.agents.back();
}

// The open log, then the closed ones, the newest first.
core::StatusOr<ReplayReport> Replay(Sources& sources, const std::string& run) {
  core::SystemRandom random;
  INTERLOCK_ASSIGN_OR_RETURN(const auto keys,
                             audit::KeyStore::OpenForReading(sources.folder, &random));
  std::vector<std::string> names = audit::ArchivesIn(sources.folder);
  names.emplace_back("audit.db");
  core::StatusOr<ReplayReport> report = core::NotFound("there is no run `" + run + "`");
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    INTERLOCK_ASSIGN_OR_RETURN(const auto log, audit::OpenArchive(sources.folder + "/" + *name));
    report = ReplayRun({.tenant = sources.tenant,
                        .log = log.get(),
                        .keys = keys.get(),
                        .registry = sources.registry,
                        .bundle = sources.bundle,
                        .candidate = sources.candidate,
                        .agent_of =
                            [&](const std::string& agent, const std::string& digest) {
                              return AgentOf(sources, *log, agent, digest);
                            }},
                       run);
    if (report.status().code() != core::StatusCode::kNotFound) break;
  }
  return report;
}

std::string Counts(const std::map<std::string, std::int64_t>& kinds) {
  std::string text;
  for (const auto& [kind, count] : kinds) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + kind;
  }
  return text;
}

core::Json DecidedJson(const ReplayReport::Decided& decided) {
  return {{"effect", decided.effect}, {"code", decided.code}, {"rules", decided.rules}};
}

core::Json ReportJson(const ReplayReport& report) {
  core::Json out = {
      {"engine", report.engine},     {"entries", report.entries},
      {"rebuilt", report.rebuilt},   {"taken", report.taken},
      {"left_out", report.left_out}, {"recorded_root", core::Hex(report.recorded_root)},
      {"passes", report.passes()}};
  if (!report.first) {
    out["rebuilt_root"] = core::Hex(report.rebuilt_root);
    return out;
  }
  out["divergence"] = {{"index", report.first->index},       {"run_seq", report.first->run_seq},
                       {"kind", report.first->kind},         {"why", report.first->why},
                       {"recorded", report.first->recorded}, {"rebuilt", report.first->rebuilt}};
  if (const auto& decisions = report.first->decisions) {
    out["divergence"]["decisions"] = {{"recorded", DecidedJson(decisions->recorded)},
                                      {"rebuilt", DecidedJson(decisions->rebuilt)},
                                      {"differing", decisions->differing}};
  }
  return out;
}

void Print(const Io& io, const ReplayReport& report) {
  if (io.json) return PrintJson(io, ReportJson(report));
  io.out << report.rebuilt << " of " << report.entries << " entries made anew\n";
  if (!report.taken.empty()) io.out << "inputs: " << Counts(report.taken) << '\n';
  if (!report.left_out.empty()) io.out << "not made anew: " << Counts(report.left_out) << '\n';
  if (!report.first) {
    io.out << "the root of the run is equal: " << core::Hex(report.rebuilt_root) << '\n';
    return;
  }
  const ReplayReport::Divergence& first = *report.first;
  io.out << io.Paint(Style::kRed, "differs") << " at entry " << first.index << " (" << first.run_seq
         << " of the run, " << EscapeForTerminal(first.kind)
         << "): " << EscapeForTerminal(first.why) << '\n';
  if (first.decisions) io.out << "  " << EscapeForTerminal(InWords(*first.decisions)) << '\n';
  io.out << "  recorded  " << EscapeForTerminal(first.recorded) << '\n';
  io.out << "  rebuilt   " << EscapeForTerminal(first.rebuilt) << '\n';
}

int ReplayOne(Session& session, const ReplayOptions& options) {
  auto sources = Load(options, session.endpoint.tenant);
  if (!sources.ok()) return Fail(session, sources.status());
  const auto report = Replay(*sources, IdOf(options.run));
  if (!report.ok()) return Fail(session, report.status());
  Print(session.io, *report);
  if (!report->passes()) return kNo;
  return report->left_out.empty() ? kYes : kIncomplete;
}

}  // namespace

void AddReplayCommand(CLI::App& group, Session& session) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* replay = group.add_subcommand(
      "replay", "Make every entry of a run anew from its record and compare (reads the folder)");
  replay->add_option("RUN", options->run)->required()->check(IdOfOne("runs"));
  replay->add_option("--config", options->config, "The daemon's configuration")->required();
  replay->add_option("--bundle", options->bundle,
                     "Decide by this folder of policies: shows where the run would first differ");
  Does(replay, session, [&session, options] { return ReplayOne(session, *options); });
}

}  // namespace interlock::runtime::cli
