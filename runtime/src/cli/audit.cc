// audit entries|show|verify|checkpoint|tail.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <set>
#include <thread>

#include "audit/notes_file.h"
#include "audit/verify.h"
#include "cli/cli.h"
#include "cli/evidence.h"
#include "cli/log_file.h"
#include "cli/message_json.h"
#include "cli/verify.h"
#include "core/digest.h"

namespace interlock::runtime::cli {
namespace {

constexpr std::chrono::milliseconds kTailPause{300};
constexpr std::chrono::seconds kReadAgain{2};  // after a log that a daemon is working on
constexpr int kEntriesPage = 1000;

struct QueryOptions {
  std::string log;  // a file; empty: the daemon's
  std::string run;
  std::string kind;
  std::string tool;
  std::string from;
  std::string to;
  int limit = 100;
};

struct VerifyArguments {
  std::string path;
  std::vector<std::string> checkpoints;
  std::string key;
  std::vector<std::string> witnesses;
  std::size_t witnesses_needed = 0;
  std::string keys;
  bool hashes = false;
  bool entries_only = false;
};

// Which entries a query keeps. Times are those of the entries, both ends included.
struct Filter {
  std::string kind;  // a whole kind, or the part before the dot
  std::string tool;
  std::int64_t from_us = 0;
  std::int64_t to_us = INT64_MAX;

  bool Keeps(const wire::Entry& entry, const core::Json& parsed) const {
    const std::int64_t time = MicrosOf(entry.create_time());
    if (time < from_us || time > to_us) return false;
    const bool kind_fits =
        kind.empty() || entry.kind() == kind || entry.kind().starts_with(kind + ".");
    if (!kind_fits || tool.empty()) return kind_fits;
    const auto body = parsed.find("body");
    return body != parsed.end() && body->is_object() && body->value("tool", core::Json()) == tool;
  }
};

// Kinds may come that this program does not know, so a misspelt one is told from those that the
// log has.
class KindsSeen {
 public:
  void See(const std::string& kind) { seen_.insert(kind); }
  void SayIfNone(const Io& io, const std::string& wanted) const {
    const bool found = std::any_of(seen_.begin(), seen_.end(), [&](const std::string& kind) {
      return kind == wanted || kind.starts_with(wanted + ".");
    });
    if (wanted.empty() || found) return;
    std::string kinds;
    for (const std::string& kind : seen_) kinds += (kinds.empty() ? "" : ", ") + kind;
    io.err << "note: no entry is of kind `" << EscapeForTerminal(wanted)
           << "`; those that were looked at are " << EscapeForTerminal(kinds) << '\n';
  }

 private:
  std::set<std::string> seen_;
};

core::StatusOr<Filter> FilterOf(const QueryOptions& options) {
  Filter filter{options.kind, options.tool};
  if (!options.from.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(filter.from_us, ParseTime(options.from));
  }
  if (!options.to.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(filter.to_us, ParseTimeUntil(options.to));
  }
  return filter;
}

core::Json ParsedEntry(const wire::Entry& entry) {
  core::Json parsed = core::Json::parse(entry.entry_json(), nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? parsed : core::Json::object();
}

void PrintLine(const Io& io, const wire::Entry& entry, const core::Json& parsed) {
  if (io.json) return PrintJson(io, MessageJson(entry));
  const std::string body = parsed.value("body", core::Json::object()).dump();
  io.out << io.Paint(Style::kDim, std::to_string(entry.index()) + "  " +
                                      FormatTime(MicrosOf(entry.create_time())))
         << "  " << io.Paint(Style::kBold, EscapeForTerminal(entry.kind())) << "  "
         << EscapeForTerminal(IdOf(entry.run())) << "  " << EscapeAndCut(body, 200) << '\n';
}

int ListEntriesOfFile(Session& session, const QueryOptions& options, const Filter& filter) {
  int kept = 0;
  KindsSeen kinds;
  const core::Status read = EachEntryOf(options.log, options.run, [&](const wire::Entry& entry) {
    kinds.See(entry.kind());
    const core::Json parsed = ParsedEntry(entry);
    if (MicrosOf(entry.create_time()) > filter.to_us) return false;
    if (!filter.Keeps(entry, parsed)) return true;
    if (kept == options.limit) {
      SayCut(session.io, options.limit);
      return false;
    }
    ++kept;
    PrintLine(session.io, entry, parsed);
    return true;
  });
  if (!read.ok()) return Fail(session, read);
  kinds.SayIfNone(session.io, options.kind);
  return kYes;
}

int ListEntries(Session& session, const QueryOptions& options) {
  const auto filter = FilterOf(options);
  if (!filter.ok()) return Fail(session, filter.status());
  if (!options.log.empty()) return ListEntriesOfFile(session, options, *filter);
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ListEntriesRequest request;
  request.set_parent((*client)->parent());
  if (!options.run.empty()) request.set_run((*client)->Name("runs", options.run));
  request.set_page_size(kEntriesPage);
  int kept = 0;
  KindsSeen kinds;
  do {
    const auto page =
        (*client)->Call((*client)->audit, &wire::AuditService::Stub::ListEntries, request);
    if (!page.ok()) return Fail(session, page.status());
    for (const wire::Entry& entry : page->entries()) {
      if (MicrosOf(entry.create_time()) > filter->to_us)
        return kYes;  // time never goes back in a log
      kinds.See(entry.kind());
      const core::Json parsed = ParsedEntry(entry);
      if (!filter->Keeps(entry, parsed)) continue;
      if (kept == options.limit) {
        SayCut(session.io, options.limit);
        return kYes;
      }
      ++kept;
      PrintLine(session.io, entry, parsed);
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  kinds.SayIfNone(session.io, options.kind);
  return kYes;
}

struct ShowOptions {
  std::int64_t index = 0;
  bool content = false;
  std::string reason;
  std::string log;  // a file; empty: the daemon's
};

// Opens the content that an entry commits to; the daemon records who looked before it answers.
int ShowContent(Session& session, const Client& client, const ShowOptions& options) {
  wire::DisclosePayloadsRequest request;
  request.set_name(client.Name("entries", std::to_string(options.index)));
  request.set_reason(options.reason);
  if (!options.log.empty()) {
    const auto origin = OriginOfFile(options.log);
    if (!origin.ok()) return Fail(session, origin.status());
    request.set_log(*origin);
  }
  const auto opened =
      client.Call(client.audit, &wire::AuditService::Stub::DisclosePayloads, request);
  if (!opened.ok()) return Fail(session, opened.status());
  if (session.io.json) return PrintJson(session.io, MessageJson(*opened)), kYes;
  for (const wire::DisclosedPayload& payload : opened->payloads()) {
    session.io.out << "slot " << payload.slot() << "  "
                   << (payload.erased() ? "erased" : EscapeForTerminal(payload.media())) << '\n';
    if (!payload.erased()) session.io.out << EscapeLines(payload.content(), 2) << '\n';
  }
  if (opened->access_index() >= 0) {
    session.io.out << "recorded   entry " << opened->access_index() << '\n';
  }
  return kYes;
}

void PrintEntry(const Io& io, const wire::Entry& entry) {
  if (io.json) return PrintJson(io, MessageJson(entry));
  io.out << "index      " << entry.index() << '\n'
         << "time       " << FormatTime(MicrosOf(entry.create_time())) << '\n'
         << "leaf hash  " << core::Hex(entry.leaf_hash()) << '\n'
         << EscapeLines(ParsedEntry(entry).dump(2), 0) << '\n';
}

int Show(Session& session, const ShowOptions& options) {
  const std::int64_t index = options.index;
  if (!options.log.empty()) {
    const auto entry = ReadEntryOf(options.log, static_cast<std::uint64_t>(index));
    if (!entry.ok()) return Fail(session, entry.status());
    if (!options.content) return PrintEntry(session.io, *entry), int{kYes};
    auto client = session.Connect();
    if (!client.ok()) return Fail(session, client.status());
    if (!session.io.json) PrintEntry(session.io, *entry);
    return ShowContent(session, **client, options);
  }
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::GetEntryRequest request;
  request.set_name((*client)->Name("entries", std::to_string(index)));
  const auto entry =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::GetEntry, request);
  if (!entry.ok()) return Fail(session, entry.status());
  const Io& io = session.io;
  if (io.json && options.content) return ShowContent(session, **client, options);
  PrintEntry(io, *entry);
  return options.content ? ShowContent(session, **client, options) : int{kYes};
}

int GetCheckpoint(Session& session, bool cosigned) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::GetCheckpointRequest request;
  request.set_parent((*client)->parent());
  request.set_cosigned(cosigned);
  const auto checkpoint =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::GetCheckpoint, request);
  if (!checkpoint.ok()) {
    const bool unwitnessed = checkpoint.status().code() == core::StatusCode::kNotFound;
    Fail(session, checkpoint.status());
    return unwitnessed ? kIncomplete : kCouldNotTell;
  }
  if (session.io.json) {
    PrintJson(session.io, MessageJson(*checkpoint));
  } else {
    session.io.out << checkpoint->note();  // verbatim: it is what one keeps
  }
  return kYes;
}

// Prints entries as they come, from the newest on, until interrupted.
int Tail(Session& session) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::GetCheckpointRequest head;
  head.set_parent((*client)->parent());
  const auto checkpoint =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::GetCheckpoint, head);
  if (!checkpoint.ok()) return Fail(session, checkpoint.status());
  wire::ListEntriesRequest request;
  request.set_parent((*client)->parent());
  request.set_page_size(kEntriesPage);
  request.set_start_index(checkpoint->tree_size());
  while (true) {
    const auto page =
        (*client)->Call((*client)->audit, &wire::AuditService::Stub::ListEntries, request);
    if (!page.ok()) return Fail(session, page.status());
    for (const wire::Entry& entry : page->entries()) {
      PrintLine(session.io, entry, ParsedEntry(entry));
      request.set_start_index(entry.index() + 1);
    }
    session.io.out.flush();
    if (page->entries().empty()) std::this_thread::sleep_for(kTailPause);
  }
}

// On a terminal only, and gone when the verdict comes.
void ShowProgress(Io& io, std::uint64_t done, std::uint64_t total) {
  if (!io.colour_err) return;
  io.err << "\r" << done << " of " << total << " entries" << std::flush;
  if (done == total) io.err << "\n";
}

// By what it is; a name may say anything.
bool IsBundle(const std::string& path) {
  constexpr std::size_t kMagicAt = 257;  // POSIX ustar
  std::ifstream in(path, std::ios::binary);
  std::string magic(5, '\0');
  return path.ends_with(".tar") ||
         (in.seekg(kMagicAt) && in.read(magic.data(), 5) && magic == "ustar");
}

int VerifyCommand(Session& session, const VerifyArguments& arguments) {
  VerifySpec spec;
  spec.verifier_key = arguments.key;
  spec.witness_keys = arguments.witnesses;
  spec.witnesses_needed = arguments.witnesses_needed;
  spec.keys_folder = arguments.keys;
  spec.hashes_only = arguments.hashes;
  spec.entries_only = arguments.entries_only;
  for (const std::string& file : arguments.checkpoints) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return Fail(session, core::NotFound("cannot read the checkpoint `" + file + "`"));
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    audit::NotesFile kept = audit::SplitNotes(text);
    if (kept.torn > 0) {
      session.io.err << "warning: " << kept.torn << " notes in `" << file
                     << "` are torn and were left out\n";
    }
    std::move(kept.notes.begin(), kept.notes.end(), std::back_inserter(spec.checkpoints));
  }
  if (IsBundle(arguments.path)) {
    if (!arguments.keys.empty()) {
      return Fail(session,
                  core::InvalidArgument("a bundle holds nothing sealed; leave out --keys"));
    }
    spec.bundle = arguments.path;
    const audit::VerifyReport report = VerifyEvidence(spec);
    PrintReport(session.io, report);
    return ExitCodeOf(report.verdict);
  }
  const auto database = FindLog(arguments.path);
  if (!database.ok()) return Fail(session, database.status());
  spec.database = *database;
  spec.progress = [&session](std::uint64_t done, std::uint64_t total) {
    ShowProgress(session.io, done, total);
  };
  const bool folder = std::filesystem::is_directory(arguments.path);
  const auto look = [&] {
    audit::FolderReport report;
    if (folder) return VerifyLogs(spec);
    report.report = VerifyLog(spec);
    return report;
  };
  audit::FolderReport report = look();
  if (report.report.may_pass) {
    std::this_thread::sleep_for(kReadAgain);
    report = look();
  }
  PrintReport(session.io, report);
  return ExitCodeOf(report.report.verdict);
}

void AddEntries(CLI::App& group, Session& session) {
  auto options = std::make_shared<QueryOptions>();
  CLI::App* query = group.add_subcommand("entries", "List entries, oldest first");
  query->add_option("--run", options->run, "Only those of this run")->check(IdOfOne("runs"));
  query->add_option("--log", options->log, "Of this file (a closed log), without the daemon");
  query->add_option("--kind", options->kind, "Only this kind (call.decided) or family (call)");
  query->add_option("--tool", options->tool, "Only entries that name this tool");
  query->add_option("--from", options->from,
                    "Not before: 2026-11-21, 2026-11-21T14:03:11Z or microseconds");
  query->add_option("--to", options->to, "Not after; a day counts to its end (UTC)");
  query->add_option("--limit", options->limit, "At most this many")
      ->check(CLI::Range(1, 100'000'000));
  Does(query, session, [&session, options] { return ListEntries(session, *options); });
}

void AddVerify(CLI::App& group, Session& session) {
  auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* verify = group.add_subcommand("verify", "Check a log's files or a bundle, offline");
  verify
      ->add_option(
          "DIR", arguments->path,
          "A tenant's folder with all its logs, a data folder, one log's file, or a bundle "
          "(.tar)")
      ->required();
  verify->add_option(
      "--checkpoint", arguments->checkpoints,
      "A file of one signed checkpoint or several (an anchor file) kept elsewhere: catches a log "
      "that was cut or rolled back");
  verify
      ->add_option("--key", arguments->key,
                   "Verifier key, NAME+ID+BASE64 (default: the one in the log)")
      ->check([](const std::string& key) {
        return audit::IsVerifierKey(key) ? std::string() : "not a verifier key (NAME+ID+BASE64)";
      });
  verify->add_option("--witness-key", arguments->witnesses,
                     "Key of a witness that must have cosigned; may be given again");
  verify->add_option("--witness-threshold", arguments->witnesses_needed,
                     "So many of these witnesses will do (default: all)");
  CLI::Option* hashes =
      verify->add_flag("--hashes", arguments->hashes,
                       "Only bytes, tree and checkpoints: no runs, payloads, projections");
  verify
      ->add_flag("--entries-only", arguments->entries_only,
                 "Leave out tables and views that only the runtime can fold from entries")
      ->excludes(hashes);
  verify
      ->add_option("--keys", arguments->keys,
                   "Folder with keys.db and master.key: open every sealed payload as well")
      ->excludes(hashes);
  Does(verify, session, [&session, arguments] { return VerifyCommand(session, *arguments); });
}

}  // namespace

void AddAuditCommands(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "audit", "The log: query, show, search, verify, evidence, proof, erase, …");
  AddEntries(*group, session);
  AddAuditContentCommands(*group, session);
  AddEvidenceCommands(*group, session);
  AddWitnessCommands(*group, session);
  AddVerify(*group, session);
  AddRotateCommand(*group, session);
  AddRebuildCommand(*group, session);
  AddSignerCommands(*group, session);
  auto shown = std::make_shared<ShowOptions>();
  CLI::App* show = group->add_subcommand("show", "Show an entry");
  show->add_option("INDEX", shown->index)->required()->check(NumberFrom(0));
  show->add_flag("--content", shown->content,
                 "Open its sealed content, which the daemon does and records");
  show->add_option("--log", shown->log,
                   "Of this file (a closed log), not of the daemon's open one");
  show->add_option("--reason", shown->reason, "Why you look: stands in the record");
  Does(show, session, [&session, shown] { return Show(session, *shown); });
  CLI::App* checkpoint =
      group->add_subcommand("checkpoint", "Print a signed checkpoint of the log as it is now");
  auto cosigned = std::make_shared<bool>(false);
  checkpoint->add_flag("--cosigned", *cosigned, "The newest one that a witness cosigned instead");
  Does(checkpoint, session, [&session, cosigned] { return GetCheckpoint(session, *cosigned); });
  CLI::App* tail = group->add_subcommand("tail", "Print entries as they come");
  Does(tail, session, [&session] { return Tail(session); });
}

}  // namespace interlock::runtime::cli
