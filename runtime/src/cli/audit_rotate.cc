// audit rotate: on the folder of a daemon that does not run.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "audit/rotate.h"
#include "cli/cli.h"
#include "cli/offline_log.h"

namespace interlock::runtime::cli {
namespace {

struct RotateOptions {
  std::string config;
  std::string tenant;
  std::string reason;
  bool restored = false;
};

void Print(const Io& io, const audit::RotateReport& report, const core::Status& opened) {
  if (io.json) {
    PrintJson(io, {{"archive", report.archive},
                   {"old_origin", report.old_origin},
                   {"old_size", report.old_size},
                   {"old_root", report.root_hex},
                   {"new_origin", report.new_origin},
                   {"carried_entries", report.carried_entries},
                   {"lost", report.lost},
                   {"warning", report.warning},
                   {"signed", opened.ok()}});
    return;
  }
  io.out << "closed     " << report.old_origin << ", " << report.old_size << " entries, root "
         << report.root_hex << '\n'
         << "kept as    " << report.archive << " (read-only)\n"
         << "opened     " << report.new_origin << ", " << report.carried_entries
         << " entries of carried state\n";
  if (!report.lost.empty()) io.out << "lost       " << EscapeForTerminal(report.lost) << '\n';
  if (!report.warning.empty()) io.err << "warning: " << EscapeForTerminal(report.warning) << '\n';
  if (!opened.ok()) {
    io.err << "warning: the new log is in place but not signed yet: " << core::Message(opened)
           << "; the daemon signs it when it starts\n";
  }
}

int Rotate(Session& session, const RotateOptions& options) {
  const auto log = OfflineLog::Open(options.config, options.tenant);
  if (!log.ok()) return Fail(session, log.status());
  audit::RotateOptions rotate;
  rotate.log = (*log)->options();
  rotate.actor = "local:uid-" + std::to_string(::geteuid());
  rotate.reason = options.reason;
  if (options.restored) rotate.cause = audit::RotationCause::kRestored;
  const auto report = audit::Rotate(rotate);
  if (!report.ok()) return Fail(session, report.status());
  // Opened once: its state is folded and its first head is signed.
  const core::Status opened = audit::Log::Open(rotate.log).status();
  Print(session.io, *report, opened);
  return kYes;
}

}  // namespace

void AddRotateCommand(CLI::App& group, Session& session) {
  auto options = std::make_shared<RotateOptions>();
  CLI::App* rotate = group.add_subcommand(
      "rotate", "Close a log, keep it read-only, and open the next one (the daemon is stopped)");
  rotate->add_option("--config", options->config, "The daemon's configuration")->required();
  rotate->add_option("--tenant", options->tenant, "Whose log, when there are several tenants");
  rotate->add_option("--reason", options->reason, "Stands in the log: no personal data")
      ->required();
  rotate->add_flag("--restored", options->restored,
                   "The log was restored from a backup and the signer refuses it: cite the last "
                   "known head and go on without what is lost");
  Does(rotate, session, [&session, options] { return Rotate(session, *options); });
}

}  // namespace interlock::runtime::cli
