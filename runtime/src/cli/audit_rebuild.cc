// audit rebuild: on the folder of a daemon that does not run.
#include <CLI/CLI.hpp>
#include <ostream>

#include "audit/rebuild.h"
#include "cli/cli.h"
#include "cli/offline_log.h"

namespace interlock::runtime::cli {
namespace {

struct RebuildOptions {
  std::string config;
  std::string tenant;
};

void PrintDifferences(const Io& io, const audit::RebuildReport& report) {
  for (const audit::ProjectionDifference& difference : report.differences) {
    io.out << EscapeForTerminal(difference.name) << ": " << difference.foreign
           << " rows that the entries do not make, " << difference.lacking
           << " that were lacking\n";
  }
}

void Print(const Io& io, const audit::RebuildReport& report) {
  if (io.json) {
    core::Json out = {{"entries", report.entries},
                      {"checkpoints", report.checkpoints},
                      {"signed_entries", report.signed_entries},
                      {"folded", report.folded},
                      {"differences", core::Json::array()}};
    for (const audit::ProjectionDifference& difference : report.differences) {
      out["differences"].push_back({{"name", difference.name},
                                    {"foreign", difference.foreign},
                                    {"lacking", difference.lacking}});
    }
    return PrintJson(io, out);
  }
  io.out << "rebuilt from " << report.entries << " entries (" << report.signed_entries
         << " under a head); tree and " << report.checkpoints << " checkpoints hold\n";
  if (report.folded != report.entries) {
    io.out << "the tables held " << report.folded << " of them\n";
  }
  if (report.differences.empty()) io.out << "nothing differed\n";
  PrintDifferences(io, report);
}

int Rebuild(Session& session, const RebuildOptions& options) {
  const auto log = OfflineLog::Open(options.config, options.tenant);
  if (!log.ok()) return Fail(session, log.status());
  const auto report = audit::RebuildProjections((*log)->options());
  if (!report.ok()) {
    Fail(session, report.status());
    return report.status().code() == core::StatusCode::kDataLoss ? kNo : kCouldNotTell;
  }
  Print(session.io, *report);
  if (report->signed_entries >= report->entries) return kYes;
  session.io.err << "nothing vouches for the last " << report->entries - report->signed_entries
                 << " entries: start the daemon, which has them signed, and verify\n";
  return kIncomplete;
}

}  // namespace

void AddRebuildCommand(CLI::App& group, Session& session) {
  auto options = std::make_shared<RebuildOptions>();
  CLI::App* rebuild = group.add_subcommand(
      "rebuild",
      "Make the tables that are derived from entries anew and say what differed (the daemon is "
      "stopped)");
  rebuild->add_option("--config", options->config, "The daemon's configuration")->required();
  rebuild->add_option("--tenant", options->tenant, "Whose log, when there are several tenants");
  Does(rebuild, session, [&session, options] { return Rebuild(session, *options); });
}

}  // namespace interlock::runtime::cli
