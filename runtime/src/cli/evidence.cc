// audit evidence|proof|export.
#include "cli/evidence.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <ostream>

#include "audit/bundle.h"
#include "audit/tiles.h"
#include "cli/collector.h"
#include "cli/open_log.h"
#include "cli/output_file.h"
#include "cli/verify.h"

namespace interlock::runtime::cli {
namespace {

// With a key the bundle is checked before it is handed out; without, only its making is reported.
int Evidence(Session& session, const EvidenceOptions& options) {
  const int kinds =
      int{!options.run.empty()} + int{!options.entries.empty()} + int{!options.query.empty()};
  if (kinds != 1) {
    return Fail(session, core::InvalidArgument("give one of --run, --entries and --query"));
  }
  std::error_code error;
  if (std::filesystem::exists(options.out, error)) {
    return Fail(session, core::FailedPrecondition("`" + options.out + "` exists; name a new file"));
  }
  core::StatusOr<std::unique_ptr<Client>> client = core::NotFound("not connected");
  core::StatusOr<std::unique_ptr<EvidenceSource>> source = core::NotFound("no source");
  const bool from_file = !options.log.empty();
  if (!from_file || options.disclose != "none") {
    client = session.Connect();
    if (!client.ok()) return Fail(session, client.status());
  }
  if (from_file) {
    source = EvidenceFromFile(options.log, client.ok() ? client->get() : nullptr);
  } else {
    source = EvidenceFromDaemon(**client);
  }
  if (!source.ok()) return Fail(session, source.status());
  auto contents = CollectEvidence(**source, options);
  if (!contents.ok()) {
    const bool unwitnessed = contents.status().code() == core::StatusCode::kFailedPrecondition;
    Fail(session, contents.status());
    return options.cosigned && unwitnessed ? kIncomplete : kCouldNotTell;
  }
  const auto bundle = audit::MakeBundle(*contents);
  if (!bundle.ok()) return Fail(session, bundle.status());
  if (const core::Status written = WriteWhole(options.out, *bundle); !written.ok()) {
    return Fail(session, written);
  }
  audit::BundleVerifyOptions check;
  check.verifier_key = options.key;
  const audit::VerifyReport report = audit::VerifyBundle(*bundle, check);
  if (!options.key.empty()) {
    PrintReport(session.io, report);
    return ExitCodeOf(report.verdict);
  }
  if (session.io.json) {
    PrintJson(session.io, {{"file", options.out}, {"entries", contents->entries.size()}});
  } else {
    session.io.out << "wrote " << options.out << ", " << contents->entries.size()
                   << " entries; check it with `interlock audit verify " << options.out
                   << " --key KEY`\n";
  }
  return kYes;
}

struct ProofOptions {
  std::int64_t index = -1;
  std::int64_t since = 0;
  std::string log;  // file or origin of a closed log; empty: the daemon's
};

// Each log counts from 0, so that an index alone does not say which entry it is.
core::Status SayWhichLog(Session& session, const Client& client, const std::string& note) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t begin, BeginOfOpenLog(client));
  if (begin == 0) return core::OkStatus();
  session.io.err << "note: of the open log, `" << EscapeForTerminal(note.substr(0, note.find('\n')))
                 << "`; closed logs count from 0 too: --log audit-0001.db, or its origin\n";
  return core::OkStatus();
}

int Proof(Session& session, const ProofOptions& options) {
  core::StatusOr<std::unique_ptr<Client>> client = core::NotFound("not connected");
  core::StatusOr<std::unique_ptr<EvidenceSource>> made = core::NotFound("no source");
  std::error_code none;
  const bool from_file = !options.log.empty() && std::filesystem::exists(options.log, none);
  if (!from_file) {
    client = session.Connect();
    if (!client.ok()) return Fail(session, client.status());
    made = EvidenceFromDaemon(**client, options.log);
  } else {
    made = EvidenceFromFile(options.log, nullptr);
  }
  if (!made.ok()) return Fail(session, made.status());
  const auto& source = *made;
  const std::int64_t since = options.since;
  const auto head = source->NewestHead();
  if (!head.ok()) return Fail(session, head.status());
  const auto number = static_cast<std::uint64_t>(since > 0 ? since : options.index);
  auto hashes = since > 0 ? source->ConsistencyProof(number, head->size)
                          : source->InclusionProof(number, head->size);
  if (!hashes.ok()) return Fail(session, hashes.status());
  if (options.log.empty()) {
    const core::Status said = SayWhichLog(session, **client, head->note);
    if (!said.ok()) return Fail(session, said);
  }
  session.io.out << (since > 0 ? audit::ConsistencyBody({number, *std::move(hashes), head->note})
                               : audit::ProofText({number, *std::move(hashes), head->note}));
  return kYes;
}

int Export(Session& session, const std::string& path, const std::string& folder) {
  const auto database = FindLog(path);
  if (!database.ok()) return Fail(session, database.status());
  const auto size = audit::ExportTiles(*database, folder);
  if (!size.ok()) return Fail(session, size.status());
  if (session.io.json) {
    PrintJson(session.io, {{"folder", folder}, {"entries", *size}});
  } else {
    session.io.out << "wrote " << *size << " entries as tlog-tiles to " << folder << "\n";
  }
  return kYes;
}

void AddEvidence(CLI::App& group, Session& session) {
  auto options = std::make_shared<EvidenceOptions>();
  CLI::App* evidence =
      group.add_subcommand("evidence", "Write a bundle that proves a run, for others to check");
  evidence->add_option("--run", options->run, "All entries of this run")->check(IdOfOne("runs"));
  evidence->add_option("--entries", options->entries, "These entries: 3,7-9");
  evidence->add_option("--query", options->query,
                       "All entries of the calls that a filter keeps (see `audit query --filter`)");
  evidence->add_option("--log", options->log,
                       "From this file, a closed log; the daemon is asked for content only");
  evidence->add_flag("--cosigned", options->cosigned,
                     "Under a head that a witness cosigned; waits up to 30 s, else 3");
  evidence->add_option("--out", options->out, "The bundle, a .tar")->required();
  evidence->add_option("--disclose", options->disclose,
                       "Content to show: all, none, or names of arguments (amount,order_id)");
  evidence->add_option("--reason", options->reason, "Why content is opened, for the record");
  evidence->add_option("--since", options->since, "A checkpoint kept earlier, to be linked");
  evidence->add_option("--key", options->key, "Check the bundle at once against this key");
  Does(evidence, session, [&session, options] { return Evidence(session, *options); });
}

}  // namespace

void AddEvidenceCommands(CLI::App& group, Session& session) {
  AddEvidence(group, session);
  auto wish = std::make_shared<ProofOptions>();
  CLI::App* proof = group.add_subcommand("proof", "Print a proof that an entry is in the log");
  proof->add_option("INDEX", wish->index)->check(NumberFrom(0));
  proof->add_option("--since", wish->since, "Instead: that the log continues the one of this size")
      ->check(NumberFrom(1));
  proof->add_option("--log", wish->log,
                    "Of a closed log: its file, without the daemon, or its origin");
  Does(proof, session, [&session, wish] {
    if ((wish->index < 0) == (wish->since == 0)) {
      return Fail(session, core::InvalidArgument("give either an index or --since SIZE"));
    }
    return Proof(session, *wish);
  });
  auto path = std::make_shared<std::string>();
  auto folder = std::make_shared<std::string>();
  CLI::App* tiles = group.add_subcommand("export", "Write a log as files that other tools read");
  tiles->add_option("DIR", *path, "A tenant's folder, a data folder, or audit.db")->required();
  tiles->add_option("--tiles", *folder, "C2SP tlog-tiles folder to make")->required();
  Does(tiles, session, [&session, path, folder] { return Export(session, *path, *folder); });
}

}  // namespace interlock::runtime::cli
