// `interlock eval`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <ostream>
#include <thread>

#include "cli/cli.h"
#include "cli/eval/driver.h"
#include "cli/eval/report.h"
#include "cli/eval/workshop.h"
#include "cli/verify.h"

namespace interlock::runtime::cli {
namespace {

constexpr int kJobsMax = 64;
constexpr std::size_t kKeyColumns = 18;

struct EvalOptions {
  std::string suite;
  std::string data;
  std::string cases;
  std::string out;
  std::string daemon;
  bool list_failures = false;
  int jobs = 4;
};

// What the evaluation works on; read before anything is started.
struct EvalInput {
  WorkshopSpec workshop;
  std::vector<Case> cases;  // empty where the suite prepares them
};

core::StatusOr<std::vector<Case>> ReadCasesFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return core::NotFound("cannot read the cases `" + path + "`");
  INTERLOCK_ASSIGN_OR_RETURN(auto cases, ReadCases(file));
  if (cases.empty()) return core::InvalidArgument("`" + path + "` holds no case");
  return cases;
}

// As it is named, or else in the data's folder.
core::StatusOr<std::string> FindCases(const std::string& name, const std::string& data) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const fs::path& path : {fs::absolute(name), fs::path(data) / name}) {
    if (fs::is_regular_file(path, error)) return path.string();
  }
  return core::NotFound("no cases `" + name + "` here or in `" + data + "`");
}

core::StatusOr<EvalInput> ReadInput(const Session& session, const EvalOptions& options) {
  EvalInput input;
  INTERLOCK_ASSIGN_OR_RETURN(input.workshop.suite, LoadSuite(options.suite));
  INTERLOCK_ASSIGN_OR_RETURN(input.workshop.data, FindData(input.workshop.suite, options.data));
  input.workshop.out = options.out;
  input.workshop.program_folder = session.program_folder;
  input.workshop.daemon = options.daemon;
  INTERLOCK_ASSIGN_OR_RETURN(input.workshop.cases, FindCases(options.cases, input.workshop.data));
  if (input.workshop.suite.prepare_command.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(input.cases, ReadCasesFile(input.workshop.cases));
  }
  return input;
}

// All cases, `jobs` at a time, results in the order of the cases.
std::vector<CaseResult> RunAll(const Io& io, const Workshop& workshop,
                               const std::vector<Case>& cases, int jobs) {
  const Client client(workshop.endpoint());
  std::vector<CaseResult> results(cases.size());
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> ended{0};
  std::mutex printing;
  const auto work = [&] {
    for (std::size_t i = next++; i < cases.size(); i = next++) {
      results[i] = RunCase(workshop, client, cases[i]);
      const std::size_t n = ++ended;
      const std::lock_guard<std::mutex> lock(printing);
      if (io.colour_err) io.err << "\r" << n << "/" << cases.size() << " cases" << std::flush;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < jobs; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (io.colour_err) io.err << "\r\x1b[K" << std::flush;
  return results;
}

core::Status WriteSteps(const std::string& folder, const core::Json& summary,
                        const std::vector<Case>& cases, const std::vector<CaseResult>& results) {
  std::ofstream steps(folder + "/steps.jsonl");
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (std::size_t step = 0; step < cases[i].steps.size(); ++step) {
      steps << StepJson(cases[i], results[i], step)
                   .dump(-1, ' ', false, core::Json::error_handler_t::replace)
            << '\n';
    }
  }
  std::ofstream(folder + "/summary.json") << summary.dump(1) << '\n';
  steps.close();
  return steps ? core::OkStatus() : core::Internal("cannot write `" + folder + "/steps.jsonl`");
}

void PrintFailures(const Io& io, const std::vector<core::Json>& failures) {
  if (failures.empty()) return;
  Table table({"CASE", "STEP", "TOOL", "EXPECTED", "GOT", "RULE", "REASON"});
  for (const core::Json& f : failures) {
    table.Add(
        {f["case"], f["step"].dump(), f["tool"], f["expected"], f["got"], f["rule"], f["reason"]});
  }
  table.Print(io);
}

void PrintSummary(const Io& io, core::Json summary, const std::vector<core::Json>& failures,
                  bool list_failures) {
  if (io.json) {
    if (list_failures) summary["failures"] = failures;
    return PrintJson(io, summary);
  }
  if (list_failures) PrintFailures(io, failures);
  for (const auto& [key, value] : summary.items()) {
    io.out << key << std::string(kKeyColumns - std::min(kKeyColumns - 1, key.size()), ' ')
           << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
  }
}

int Eval(Session& session, const EvalOptions& options) {
  auto input = ReadInput(session, options);
  if (!input.ok()) return Fail(session, input.status());
  std::vector<Case>& cases = input->cases;
  auto workshop = Workshop::Open(std::move(input->workshop));
  if (!workshop.ok()) return Fail(session, workshop.status());
  if (cases.empty()) {
    auto prepared = ReadCasesFile((*workshop)->cases_file());
    if (!prepared.ok()) return Fail(session, prepared.status());
    cases = *std::move(prepared);
  }

  const auto start = std::chrono::steady_clock::now();
  const std::vector<CaseResult> results = RunAll(session.io, **workshop, cases, options.jobs);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  (*workshop)->StopDaemon();
  const audit::VerifyReport log = VerifyLog({(*workshop)->log_folder() + "/audit.db", "", {}});

  Tally tally;
  std::vector<core::Json> failures;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    Count(cases[i], results[i], tally);
    for (core::Json& failure : Failures(cases[i], results[i]))
      failures.push_back(std::move(failure));
  }
  const core::Json summary =
      SummaryJson((*workshop)->suite().name, tally, took.count(), VerdictText(log.verdict));
  PrintSummary(session.io, summary, failures, options.list_failures);
  if (!options.out.empty()) {
    const core::Status written = WriteSteps((*workshop)->folder(), summary, cases, results);
    if (!written.ok()) return Fail(session, written);
  }
  if (log.verdict != audit::Verdict::kIntact)
    session.io.err << "log: " << EscapeForTerminal(log.reason) << '\n';
  return ExitCodeOf(tally, log.verdict == audit::Verdict::kIntact);
}

}  // namespace

void AddEvalCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* eval =
      app.add_subcommand("eval", "Run a suite's cases through a real daemon and judge every step");
  eval->add_option("SUITE", options->suite, "Suite file (YAML)")->required();
  eval->add_option("--data", options->data, "Folder of the suite's data")
      ->required()
      ->envname("INTERLOCK_DATA");
  eval->add_option("--cases", options->cases, "Cases, one JSON object a line")->required();
  eval->add_flag("--list-failures", options->list_failures, "Also say what went wrong where");
  eval->add_option("--out", options->out,
                   "New folder that keeps every step, the final databases and the log");
  eval->add_option("--jobs", options->jobs, "Cases at once")
      ->check(CLI::Range(1, kJobsMax))
      ->capture_default_str();
  eval->add_option("--daemon", options->daemon, "Path of interlockd (default: beside interlock)");
  Does(eval, session, [&session, options] { return Eval(session, *options); });
}

}  // namespace interlock::runtime::cli
