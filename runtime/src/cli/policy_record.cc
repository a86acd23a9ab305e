// policy record|backtest|suggest: decisions that were made, and other bundles.
#include "cli/policy_record.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <ostream>

#include "cli/output_file.h"
#include "cli/recorder.h"
#include "policies/backtest.h"
#include "policies/suggest.h"

namespace interlock::runtime::cli {
namespace {

struct RecordOptions : RecordedOptions {
  std::string out;
};

struct BacktestCommand : PolicyFolder, RecordedOptions {
  std::string assume = "refused";
  std::string since;
  std::size_t newly_allowed_max = 0;
};

struct SuggestCommand : RecordedOptions {
  std::size_t least = 10;
};

core::Status EachFromDaemon(Session& session, const RecordedOptions& options,
                            const std::function<core::Status(policies::RecordedDecision)>& take) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto client, session.Connect());
  const auto source = EvidenceFromDaemon(*client);
  return EachRecordedDecision(*source, {options.filter, options.reason}, take);
}

int Record(Session& session, const RecordOptions& options) {
  auto out = OutputFile::Make(options.out, ReadableBy::kOwner, IfThere::kRefuse);
  if (!out.ok()) return Fail(session, out.status());
  std::size_t count = 0;
  core::Status done = EachFromDaemon(session, options, [&](const policies::RecordedDecision& one) {
    ++count;
    return out->Append(core::CanonicalJson(policies::RecordedJson(one)) + "\n");
  });
  if (done.ok()) done = out->Keep();
  if (!done.ok()) return Fail(session, done);
  if (session.io.json) {
    PrintJson(session.io, {{"file", options.out}, {"decisions", count}});
  } else {
    session.io.out << "wrote " << count << " decisions to " << EscapeForTerminal(options.out)
                   << "; it holds their content\n";
  }
  return kYes;
}

std::string Money(const std::map<std::string, std::int64_t>& money) {
  std::string out;
  for (const auto& [currency, minor] : money) {
    out += (out.empty() ? "" : ", ") + std::to_string(minor) + " " + currency + " (minor units)";
  }
  return out;
}

void PrintBacktest(const Io& io, const policies::BacktestReport& report, double per_second) {
  for (const policies::BacktestChange& change : report.changes) {
    io.out << io.Paint(Style::kBold, EscapeForTerminal(change.tool)) << "  "
           << EscapeForTerminal(change.change) << "  "
           << Plural(static_cast<std::int64_t>(change.calls), "call");
    if (change.seeded > 0) io.out << ", " << change.seeded << " seeded";
    if (!change.money.empty()) io.out << ", " << EscapeForTerminal(Money(change.money));
    io.out << "\n  by";
    for (const std::string& rule : change.rules) io.out << ' ' << EscapeForTerminal(rule);
    if (change.rules.empty()) io.out << " no rule";
    io.out << "; for instance";
    for (const std::string& call : change.examples) io.out << ' ' << EscapeForTerminal(call);
    io.out << '\n';
  }
  for (const auto& [why, count] : report.undecidable) {
    io.out << io.Paint(Style::kYellow, "undecidable") << "  " << count << ": "
           << EscapeForTerminal(why) << '\n';
  }
  io.out << report.decisions << " decisions, " << report.same << " as before, "
         << report.newly_allowed << " newly allowed, " << report.newly_denied << " newly denied; "
         << static_cast<std::int64_t>(per_second) << " a second\n"
         << "calls are taken as they were proposed then, whatever the new bundle would have said to"
            " those before\n";
  if (report.seeded == 0) return;
  io.out
      << report.seeded
      << " are seeded: they rest on a balance or counter that looks back to before the record, and "
         "is taken as empty then; begin earlier with --since to know\n";
}

core::Json BacktestJson(const policies::BacktestReport& report, double per_second) {
  core::Json changes = core::Json::array();
  for (const policies::BacktestChange& change : report.changes) {
    changes.push_back({{"tool", change.tool},
                       {"change", change.change},
                       {"rules", change.rules},
                       {"calls", change.calls},
                       {"seeded", change.seeded},
                       {"money", change.money},
                       {"examples", change.examples}});
  }
  return {{"decisions", report.decisions},
          {"same", report.same},
          {"newly_allowed", report.newly_allowed},
          {"newly_denied", report.newly_denied},
          {"seeded", report.seeded},
          {"undecidable", report.undecidable},
          {"decisions_per_second", static_cast<std::int64_t>(per_second)},
          {"changes", std::move(changes)}};
}

int RunBacktest(Session& session, const BacktestCommand& options) {
  policies::BacktestOptions how;
  how.assume =
      options.assume == "granted" ? policies::Assume::kGranted : policies::Assume::kRefused;
  if (!options.since.empty()) {
    const auto since = ParseTime(options.since);
    if (!since.ok()) return Fail(session, since.status());
    how.since_us = *since;
  }
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  const auto bundle = LoadBundle(options, **registry, nullptr);
  if (!bundle.ok()) return Fail(session, bundle.status());
  auto recorded = LoadRecorded(session, options);
  if (!recorded.ok()) return Fail(session, recorded.status());
  const auto start = std::chrono::steady_clock::now();
  const auto report = policies::Backtest(*bundle, *std::move(recorded), how);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double per_second =
      took.count() > 0 ? static_cast<double>(report.decisions) / took.count() : 0;
  if (session.io.json) {
    PrintJson(session.io, BacktestJson(report, per_second));
  } else {
    PrintBacktest(session.io, report, per_second);
  }
  if (report.newly_allowed > options.newly_allowed_max) return kNo;
  return report.undecidable.empty() ? kYes : kIncomplete;
}

int Suggest(Session& session, const SuggestCommand& options) {
  const auto recorded = LoadRecorded(session, options);
  if (!recorded.ok()) return Fail(session, recorded.status());
  const auto suggestions = policies::SuggestExceptions(*recorded, {.least = options.least});
  if (session.io.json) {
    core::Json list = core::Json::array();
    for (const policies::Suggestion& one : suggestions) {
      list.push_back({{"rule", one.rule},
                      {"tool", one.tool},
                      {"granted", one.granted},
                      {"policy", one.policy},
                      {"tests", one.tests}});
    }
    PrintJson(session.io, {{"decisions", recorded->size()}, {"suggestions", std::move(list)}});
    return kYes;
  }
  for (const policies::Suggestion& one : suggestions) {
    session.io.out << EscapeLines(one.policy, 0) << '\n'
                   << "-- its tests\n"
                   << EscapeLines(one.tests, 0) << "\n";
  }
  session.io.out << "-- " << suggestions.size() << " suggestions from " << recorded->size()
                 << " decisions; nothing was changed\n";
  return kYes;
}

}  // namespace

void AddRecorded(CLI::App* command, RecordedOptions& options) {
  command->add_option("--recorded", options.file,
                      "Decisions that `policy record` wrote (default: ask the daemon)");
  command->add_option("--filter", options.filter, "Of the daemon's calls (AIP-160)");
  command->add_option("--reason", options.reason,
                      "Why content is opened; the daemon's log keeps it");
}

core::StatusOr<std::vector<policies::RecordedDecision>> LoadRecorded(
    Session& session, const RecordedOptions& options) {
  if (!options.file.empty()) {
    std::ifstream in(options.file, std::ios::binary);
    if (!in) return core::NotFound("cannot read `" + options.file + "`");
    auto recorded = policies::ReadRecorded(in);
    if (recorded.ok()) return recorded;
    return core::InvalidArgument("`" + options.file + "`, " +
                                 std::string(core::Message(recorded.status())));
  }
  std::vector<policies::RecordedDecision> out;
  INTERLOCK_RETURN_IF_ERROR(EachFromDaemon(session, options, [&](policies::RecordedDecision one) {
    out.push_back(std::move(one));
    return core::OkStatus();
  }));
  return out;
}

core::StatusOr<policies::RecordedDecision> LoadRecordedCall(Session& session,
                                                            const RecordedOptions& options,
                                                            const std::string& call) {
  if (!options.filter.empty()) {
    return core::InvalidArgument("give --call or --filter, not both: the call is found by its id");
  }
  RecordedOptions one = options;
  const std::string id = call.substr(call.rfind('/') + 1);
  if (id.find_first_of("\"\\") != std::string::npos) {
    return core::InvalidArgument("`" + call + "` is no name of a call");
  }
  one.filter = "call = \"" + id + "\"";
  INTERLOCK_ASSIGN_OR_RETURN(const auto recorded, LoadRecorded(session, one));
  for (const policies::RecordedDecision& decision : recorded) {
    if (decision.call != id) continue;
    if (decision.undecidable.empty()) return decision;
    return core::NotFound("call `" + id + "` cannot be decided again: " + decision.undecidable);
  }
  return core::NotFound("no decision about call `" + id + "`");
}

void AddPolicyRecordCommands(CLI::App& group, Session& session) {
  auto record = std::make_shared<RecordOptions>();
  CLI::App* take = group.add_subcommand(
      "record", "Write a daemon's decisions with their inputs to a file (role auditor)");
  take->add_option("--out", record->out, "The file to write, one decision a line")->required();
  take->add_option("--filter", record->filter, "Of calls (AIP-160)");
  take->add_option("--reason", record->reason, "Why content is opened; the daemon's log keeps it");
  Does(take, session, [&session, record] { return Record(session, *record); });

  auto backtest = std::make_shared<BacktestCommand>();
  CLI::App* again = group.add_subcommand(
      "backtest", "Decide recorded calls again, by the policies of this folder");
  AddFolder(again, *backtest);
  AddRecorded(again, *backtest);
  again->add_option("--since", backtest->since,
                    "Count from this time on; earlier ones move budgets only");
  again->add_option("--assume", backtest->assume, "What becomes of new demands for an approval")
      ->check(CLI::IsMember({"granted", "refused"}))
      ->capture_default_str();
  again
      ->add_option("--newly-allowed-max", backtest->newly_allowed_max,
                   "More newly allowed calls are a no")
      ->capture_default_str();
  Does(again, session, [&session, backtest] { return RunBacktest(session, *backtest); });

  auto suggest = std::make_shared<SuggestCommand>();
  CLI::App* mine = group.add_subcommand(
      "suggest", "Propose exceptions for what people always approve; changes nothing");
  AddRecorded(mine, *suggest);
  mine->add_option("--least", suggest->least, "Approvals that make a habit")
      ->check(CLI::Range(2, 1'000'000))
      ->capture_default_str();
  Does(mine, session, [&session, suggest] { return Suggest(session, *suggest); });
}

}  // namespace interlock::runtime::cli
