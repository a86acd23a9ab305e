// audit query|search|erase|retention|snapshot.
#include <CLI/CLI.hpp>
#include <array>
#include <limits>
#include <map>
#include <ostream>
#include <tuple>

#include "audit/snapshot.h"
#include "cli/audit_formats.h"
#include "cli/cli.h"
#include "cli/log_file.h"
#include "cli/message_json.h"
#include "cli/open_log.h"
#include "cli/verify.h"

namespace interlock::runtime::cli {
namespace {

struct CallQueryOptions {
  std::string filter;
  std::string run, tool, rule, verdict, actor, subject, user, approver, from, to;
  std::string money_from;
  std::string log;  // a file; empty: the daemon's
  bool money = false;
  bool csv = false;
  bool ocsf = false;
  int limit = 100;
};

std::string Quoted(std::string_view value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

// The options as one AIP-160 filter, so that there is one way to ask.
core::StatusOr<std::string> FilterOf(const CallQueryOptions& options) {
  std::string filter = options.filter.empty() ? "" : "(" + options.filter + ")";
  const auto add = [&](std::string_view term, const std::string& value) {
    if (value.empty()) return;
    filter += (filter.empty() ? "" : " AND ") + std::string(term) + Quoted(value);
  };
  add("run = ", IdOf(options.run)), add("tool = ", options.tool), add("rule = ", options.rule);
  add("verdict = ", options.verdict), add("actor = ", options.actor);
  add("subject = ", options.subject), add("user = ", options.user);
  add("approver = ", options.approver), add("amount >= ", options.money_from);
  std::array<std::int64_t, 2> times{0, std::numeric_limits<std::int64_t>::max()};
  for (const auto& [at, term, text] :
       {std::tuple{0u, "time >= ", &options.from}, {1u, "time <= ", &options.to}}) {
    if (text->empty()) continue;
    INTERLOCK_ASSIGN_OR_RETURN(times[at], at == 0 ? ParseTime(*text) : ParseTimeUntil(*text));
    add(term, std::to_string(times[at]));
  }
  if (times[0] > times[1]) {
    return core::InvalidArgument("--from `" + options.from + "` is after --to `" + options.to +
                                 "`; no call can be between");
  }
  if (options.money) filter += (filter.empty() ? "" : " AND ") + std::string("amount != 0");
  return filter;
}

// What was asked of the open log alone is no whole answer where closed ones may hold more. A run is
// in one log.
int AfterOpenLog(Session& session, const Client& client, const CallQueryOptions& options,
                 bool found) {
  if (!options.run.empty() && found) return kYes;
  const auto begin = BeginOfOpenLog(client);
  if (!begin.ok()) return Fail(session, begin.status());
  const std::int64_t from = options.from.empty() ? 0 : ParseTime(options.from).value_or(0);
  if (*begin <= from) return kYes;
  session.io.out << std::flush;
  session.io.err
      << "note: only the open log was asked, which begins " << FormatTime(*begin)
      << "; for what was before, ask closed logs (--log audit-0001.db), or give --from\n";
  return kIncomplete;
}

int Query(Session& session, const CallQueryOptions& options) {
  const auto filter = FilterOf(options);
  if (!filter.ok()) return Fail(session, filter.status());
  CallPrinter printer(session.io, options.ocsf      ? CallFormat::kOcsf
                                  : options.csv     ? CallFormat::kCsv
                                  : session.io.json ? CallFormat::kJsonLines
                                                    : CallFormat::kTable);
  if (!options.log.empty()) {
    const auto cut = EachCallOf(options.log, *filter, options.limit,
                                [&](const wire::AuditedCall& call) { printer.Add(call); });
    if (!cut.ok()) return Fail(session, cut.status());
    if (*cut) SayCut(session.io, options.limit);
    printer.End();
    return kYes;
  }
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  bool found = false;
  const core::Status status = EachPage(
      session.io, options.limit,
      [&](int size, const std::string& token) -> core::StatusOr<PageEnd> {
        wire::QueryCallsRequest request;
        request.set_parent((*client)->parent());
        request.set_filter(*filter);
        request.set_page_size(size);
        request.set_page_token(token);
        INTERLOCK_ASSIGN_OR_RETURN(
            const wire::QueryCallsResponse page,
            (*client)->Call((*client)->audit, &wire::AuditService::Stub::QueryCalls, request));
        for (const wire::AuditedCall& call : page.calls()) printer.Add(call);
        found = found || page.calls_size() > 0;
        return PageEnd{.next = page.next_page_token(), .count = page.calls_size()};
      });
  if (!status.ok()) return Fail(session, status);
  printer.End();
  return AfterOpenLog(session, **client, options, found);
}

int Search(Session& session, const std::string& text, int limit) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  Table table({"LOG", "ENTRY", "CALL", "IN", "TEXT"});
  std::int64_t unreadable = 0;
  std::int64_t unsearched = 0;
  std::map<std::string, std::string> logs;  // that were not wholly covered, and why
  const core::Status status = EachPage(
      session.io, limit, [&](int size, const std::string& token) -> core::StatusOr<PageEnd> {
        wire::SearchCallsRequest request;
        request.set_parent((*client)->parent());
        request.set_text(text);
        request.set_page_size(size);
        request.set_page_token(token);
        INTERLOCK_ASSIGN_OR_RETURN(
            const wire::SearchCallsResponse page,
            (*client)->Call((*client)->audit, &wire::AuditService::Stub::SearchCalls, request));
        for (const wire::SearchHit& hit : page.hits()) {
          if (session.io.json) PrintJson(session.io, MessageJson(hit));
          table.Add({hit.log_file().empty() ? "open" : hit.log_file(), std::to_string(hit.index()),
                     IdOf(hit.call()), hit.field(), hit.snippet()});
        }
        unreadable = page.unreadable_payloads();
        unsearched = page.unsearched_logs();
        for (const wire::UnsearchedLog& log : page.unsearched()) {
          logs[log.log_file().empty() ? log.log() : log.log_file()] = log.why();
        }
        return PageEnd{.next = page.next_page_token(), .count = page.hits_size()};
      });
  if (!status.ok()) return Fail(session, status);
  if (!session.io.json) table.Print(session.io);
  if (unreadable > 0) {
    session.io.err
        << "incomplete: " << unreadable
        << " of the arguments and results do not open and were not searched; `interlock doctor` "
           "says more\n";
  }
  if (unsearched > 0) {
    session.io.err << "incomplete: full text does not cover " << unsearched
                   << (unsearched == 1 ? " closed log" : " closed logs")
                   << " of this tenant, where words may stand that were not found\n";
    for (const auto& [log, why] : logs) session.io.err << "  " << log << ": " << why << "\n";
  }
  return unreadable == 0 && unsearched == 0 ? kYes : kIncomplete;
}

int Erase(Session& session, wire::EraseSubjectRequest request) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  request.set_parent((*client)->parent());
  request.set_request_id(NewRequestId());
  const auto erased =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::EraseSubject, request);
  if (!erased.ok()) return Fail(session, erased.status());
  if (session.io.json) return PrintJson(session.io, MessageJson(*erased)), kYes;
  session.io.out << "erased: entry " << erased->index() << ", " << erased->runs_ended()
                 << " runs ended, " << erased->payloads() << " payloads destroyed with their key\n";
  if (erased->old_pages_pending()) {
    session.io.out << "old pages: pending; a program that reads the database keeps them, they go "
                      "when it ends (`interlock doctor` says which)\n";
  }
  for (const std::string& log : erased->logs_away()) {
    session.io.out
        << "not here: closed log `" << log
        << "`; what it holds sealed under the destroyed key is erased when it is put back "
           "into the tenant's folder\n";
  }
  return kYes;
}

int Retention(Session& session, bool apply) {
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ApplyRetentionRequest request;
  request.set_parent((*client)->parent());
  request.set_validate_only(!apply);
  const auto done =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::ApplyRetention, request);
  if (!done.ok()) return Fail(session, done.status());
  if (session.io.json) return PrintJson(session.io, MessageJson(*done)), kYes;
  session.io.out << done->payloads() << " payloads are older than they are kept"
                 << (apply ? "; they are erased now\n" : "; --apply erases them\n");
  return kYes;
}

// Without a token, or where nobody answers, the head comes when it comes.
void AskForHead(Session& session) {
  auto client = session.Connect();
  if (!client.ok()) return;
  wire::GetCheckpointRequest request;
  request.set_parent((*client)->parent());
  static_cast<void>(
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::GetCheckpoint, request));
}

int MakeSnapshot(Session& session, const std::string& path, const std::string& out) {
  const auto database = FindLog(path);
  if (!database.ok()) return Fail(session, database.status());
  audit::SnapshotWait wait;
  wait.ask_for_head = [&session] { AskForHead(session); };
  const auto report = audit::Snapshot(*database, out, wait);
  if (!report.ok()) return Fail(session, report.status());
  if (session.io.json) {
    PrintJson(session.io, {{"file", out},
                           {"entries", report->entries},
                           {"bytes", report->bytes},
                           {"uncovered", report->uncovered}});
  } else {
    session.io.out << out << ": " << report->entries << " entries, " << report->bytes
                   << " bytes; read it with sqlite3, Datasette or DuckDB (views v_calls, "
                      "v_decisions, v_approvals, v_money, v_access, v_erasures, v_notes)\n";
  }
  if (report->uncovered == 0) return kYes;
  session.io.err << "incomplete: no checkpoint of the copy covers its last " << report->uncovered
                 << " entries; make one when the daemon is less busy, or with a token in "
                    "INTERLOCK_TOKEN, so that it is asked for a head\n";
  return kIncomplete;
}

void AddQuery(CLI::App& group, Session& session) {
  auto options = std::make_shared<CallQueryOptions>();
  CLI::App* query = group.add_subcommand(
      "query", "List calls: who did what, under which rule, on whose approval");
  query->add_option("--filter", options->filter,
                    "AIP-160: tool = \"refunds.*\" AND (verdict = \"deny\" OR amount > 10000)");
  query->add_option("--run", options->run, "Only this run")->check(IdOfOne("runs"));
  query->add_option("--tool", options->tool, "Only this tool; * at either end");
  query->add_option("--rule", options->rule, "Only where this rule said something");
  query->add_option("--verdict", options->verdict, "allow, ask, deny or refuse");
  query->add_option("--actor", options->actor, "Only for this principal");
  query->add_option("--approver", options->approver, "Only where this principal approved");
  query->add_option("--subject", options->subject, "Only content of this person");
  query->add_option("--user", options->user, "Only for this end user");
  query->add_option("--log", options->log,
                    "Of this file (a closed log, a snapshot), without the daemon; people as HMACs");
  query->add_flag("--money", options->money, "Only where money moved");
  query->add_option("--amount-from", options->money_from, "At least this much, in minor units");
  query->add_option("--from", options->from,
                    "Not before: 2026-11-21, 2026-11-21T14:03:11Z or microseconds");
  query->add_option("--to", options->to, "Not after; a day counts to its end (UTC)");
  query->add_option("--limit", options->limit, "At most this many")
      ->check(CLI::Range(1, 100'000'000));
  CLI::Option* csv = query->add_flag("--csv", options->csv, "Comma separated values (RFC 4180)");
  query->add_flag("--ocsf", options->ocsf, "OCSF 1.3.0 API Activity, one a line")->excludes(csv);
  Does(query, session, [&session, options] { return Query(session, *options); });
}

void AddErase(CLI::App& group, Session& session) {
  auto request = std::make_shared<wire::EraseSubjectRequest>();
  CLI::App* erase = group.add_subcommand("erase", "Erase all content of one person; the log stays");
  erase
      ->add_option_function<std::string>(
          "--subject", [request](const std::string& text) { request->set_subject(text); },
          "Whose content")
      ->required();
  erase
      ->add_option_function<std::string>(
          "--reason", [request](const std::string& text) { request->set_reason(text); },
          "Stays in the log: no personal data")
      ->required();
  erase->add_option_function<std::string>(
      "--legal-basis", [request](const std::string& text) { request->set_legal_basis(text); },
      "Stays in the log: \"GDPR Art. 17(1)(a)\"");
  Does(erase, session, [&session, request] { return Erase(session, *request); });
}

}  // namespace

void AddAuditContentCommands(CLI::App& group, Session& session) {
  AddQuery(group, session);
  AddErase(group, session);
  auto text = std::make_shared<std::string>();
  auto limit = std::make_shared<int>(50);
  CLI::App* search = group.add_subcommand(
      "search", "Find words in arguments and results; the search itself is recorded");
  search->add_option("TEXT", *text, "Words, all of which must occur; \"a phrase\"")->required();
  search->add_option("--limit", *limit, "At most this many")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  Does(search, session, [&session, text, limit] { return Search(session, *text, *limit); });
  auto apply = std::make_shared<bool>(false);
  CLI::App* retention = group.add_subcommand(
      "retention", "Count content that is older than it is kept; --apply erases it");
  retention->add_flag("--apply", *apply, "Erase it now (also done by itself, daily)");
  Does(retention, session, [&session, apply] { return Retention(session, *apply); });
  auto path = std::make_shared<std::string>();
  auto out = std::make_shared<std::string>();
  CLI::App* snapshot = group.add_subcommand(
      "snapshot", "Copy a log into one file for your own SQL, while the daemon runs");
  snapshot->add_option("DIR", *path, "A tenant's folder, a data folder, or audit.db")->required();
  snapshot->add_option("--out", *out, "The new file")->required();
  Does(snapshot, session, [&session, path, out] { return MakeSnapshot(session, *path, *out); });
}

}  // namespace interlock::runtime::cli
