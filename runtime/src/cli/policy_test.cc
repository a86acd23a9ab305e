// policy test: the cases of a bundle, and how much they show.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>

#include "cli/policy_folder.h"
#include "policies/fuzz.h"
#include "policies/mutate.h"
#include "policies/test.h"

namespace interlock::runtime::cli {
namespace {

constexpr char kGoldenFile[] = "golden.json";

struct TestOptions : PolicyFolder {
  std::string junit;
  bool update_golden = false;
  bool shuffle = false;
  bool twice = false;
  std::uint64_t seed = 1;
  std::uint64_t fuzz = 0;
  bool mutate = false;
  int least = 90;
  int least_lines = 0;
};

core::Json TestsJson(const policies::PolicyTestReport& report) {
  core::Json cases = core::Json::array();
  for (const policies::PolicyTestResult& result : report.cases) {
    cases.push_back({{"file", result.file},
                     {"line", result.line},
                     {"name", result.name},
                     {"passed", result.passed},
                     {"message", result.message}});
  }
  core::Json coverage = core::Json::array();
  for (const policies::FileCoverage& one : report.coverage) {
    coverage.push_back({{"file", one.file}, {"lines", one.lines}, {"missed", one.missed}});
  }
  return {{"passed", report.passed()},
          {"cases", std::move(cases)},
          {"failed", report.failed()},
          {"errors", FindingsJson(report.errors)},
          {"rules", report.rules},
          {"unfired", report.unfired},
          {"never_silent", report.never_silent},
          {"line_percent", report.line_percent()},
          {"coverage", std::move(coverage)}};
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
  for (const std::string& rule : report.never_silent) {
    io.out << io.Paint(Style::kYellow, "never silent") << "  " << EscapeForTerminal(rule) << '\n';
  }
  for (const policies::FileCoverage& one : report.coverage) {
    if (one.missed.empty()) continue;
    io.out << io.Paint(Style::kYellow, "never ran") << "  " << EscapeForTerminal(one.file)
           << ": lines";
    for (const int line : one.missed) io.out << ' ' << line;
    io.out << '\n';
  }
  io.out << report.cases.size() - report.failed() << " passed, " << report.failed() << " failed; "
         << report.rules - report.unfired.size() << " of " << report.rules << " rules spoke, "
         << report.rules - report.unfired.size() - report.never_silent.size()
         << " were seen both ways; " << report.line_percent() << " % of lines ran\n";
}

std::string XmlText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c;
    }
  }
  return out;
}

// The JUnit form that build servers read.
std::string Junit(const policies::PolicyTestReport& report) {
  std::string out =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"policies\" tests=\"" +
      std::to_string(report.cases.size()) + "\" failures=\"" + std::to_string(report.failed()) +
      "\" errors=\"" + std::to_string(report.errors.size()) + "\">\n";
  for (const policies::PolicyTestResult& result : report.cases) {
    out += "<testcase classname=\"" + XmlText(result.file) + "\" name=\"" + XmlText(result.name) +
           "\" line=\"" + std::to_string(result.line) + "\"";
    out += result.passed ? "/>\n"
                         : "><failure message=\"" + XmlText(result.message) + "\">" +
                               XmlText(result.explain) + "</failure></testcase>\n";
  }
  for (const policies::Finding& error : report.errors) {
    out += "<testcase classname=\"" + XmlText(error.file) + "\" name=\"" + XmlText(error.code) +
           "\"><error message=\"" + XmlText(error.message) + "\"/></testcase>\n";
  }
  return out + "</testsuite>\n";
}

core::Json FuzzJson(const policies::FuzzReport& report) {
  core::Json broken = core::Json::array();
  for (const policies::BrokenInvariant& one : report.broken) {
    broken.push_back({{"invariant", one.invariant},
                      {"why", one.why},
                      {"file", one.file},
                      {"line", one.line},
                      {"verdict", one.verdict},
                      {"witness", one.witness}});
  }
  return {{"passed", report.passed()},       {"calls", report.calls},
          {"invariants", report.invariants}, {"verdicts", report.verdicts},
          {"broken", std::move(broken)},     {"errors", FindingsJson(report.errors)}};
}

void PrintFuzz(const Io& io, const policies::FuzzReport& report) {
  PrintFindings(io, report.errors);
  for (const policies::BrokenInvariant& one : report.broken) {
    io.out << io.Paint(Style::kRed, "BROKEN") << "  " << EscapeForTerminal(one.invariant) << " ("
           << EscapeForTerminal(one.file) << ':' << one.line << "): " << EscapeForTerminal(one.why)
           << "\n        " << EscapeForTerminal(one.verdict) << "  "
           << EscapeForTerminal(core::CanonicalJson(one.witness)) << '\n';
  }
  io.out << Plural(static_cast<std::int64_t>(report.calls), "made-up call") << " (";
  const char* comma = "";
  for (const auto& [verdict, count] : report.verdicts) {
    io.out << comma << count << ' ' << verdict;
    comma = ", ";
  }
  io.out << ") against " << report.invariants << " invariants: " << report.broken.size()
         << " broken\n";
}

core::Json MutantsJson(const policies::MutationReport& report, int least) {
  core::Json survivors = core::Json::array();
  for (const policies::Mutant& mutant : report.mutants) {
    if (!mutant.killed_by.empty()) continue;
    survivors.push_back({{"file", mutant.file}, {"line", mutant.line}, {"change", mutant.change}});
  }
  return {{"score", report.score()},           {"least", least},
          {"mutants", report.mutants.size()},  {"killed", report.killed()},
          {"refused", report.refused},         {"cut", report.cut},
          {"survivors", std::move(survivors)}, {"errors", FindingsJson(report.errors)}};
}

void PrintMutants(const Io& io, const policies::MutationReport& report) {
  PrintFindings(io, report.errors);
  for (const policies::Mutant& mutant : report.mutants) {
    if (!mutant.killed_by.empty()) continue;
    io.out << io.Paint(Style::kYellow, "survived") << "  " << EscapeForTerminal(mutant.file) << ':'
           << mutant.line << ": " << EscapeForTerminal(mutant.change) << '\n';
  }
  io.out << report.score() << " %: " << report.killed() << " of " << report.mutants.size()
         << " mutants were noticed" << (report.cut ? " (there are more)" : "") << '\n';
}

// The decisions kept in the folder; null where there are none yet.
core::StatusOr<core::Json> ReadGolden(const std::string& path) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(path, error);
  if (error) return core::Unavailable("cannot read `" + path + "`: " + error.message());
  if (!is_there) return core::Json();
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return core::Unavailable("cannot read `" + path + "`");
  auto golden = core::ParseJson(text.str(), core::kPayloadLimits);
  if (!golden.ok() || !golden->is_object()) {
    return core::InvalidArgument("`" + path +
                                 "` is no JSON object; make it anew with --update-golden");
  }
  return golden;
}

core::Status KeepGolden(const std::string& path, const core::Json& golden) {
  const std::string text = PrettyJson(golden);
  if (core::Json::parse(text, nullptr, false) != golden) {
    return core::InvalidArgument("a test has other than UTF-8 text; `" + path + "` cannot keep it");
  }
  return WriteText(path, text + "\n");
}

// What one invocation looked at, beside the cases.
struct Ran {
  policies::PolicyTestReport cases;
  std::optional<policies::FuzzReport> fuzz{};
  std::optional<policies::MutationReport> mutants{};

  bool passed(const TestOptions& options) const {
    return cases.passed() && cases.line_percent() >= options.least_lines &&
           (!fuzz || fuzz->passed()) &&
           (!mutants || (mutants->errors.empty() && mutants->score() >= options.least));
  }
};

core::StatusOr<Ran> RunAll(const TestOptions& options) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto registry, LoadTools(options));
  INTERLOCK_ASSIGN_OR_RETURN(const auto bundle, LoadBundle(options, *registry, nullptr));
  INTERLOCK_ASSIGN_OR_RETURN(const auto tests, policies::ReadTestFolder(options.folder));
  const std::string golden_path = options.folder + "/" + kGoldenFile;
  policies::PolicyTestOptions how;
  if (options.shuffle) how.shuffle = options.seed;
  how.twice = options.twice;
  if (!options.update_golden) {
    INTERLOCK_ASSIGN_OR_RETURN(how.golden, ReadGolden(golden_path));
  }
  Ran ran{.cases = policies::RunPolicyTests(bundle, tests, how)};
  if (options.update_golden && ran.cases.passed()) {
    INTERLOCK_RETURN_IF_ERROR(KeepGolden(golden_path, ran.cases.golden));
  }
  if (options.fuzz > 0) {
    ran.fuzz = policies::FuzzPolicies(bundle, tests, {.calls = options.fuzz, .seed = options.seed});
  }
  if (options.mutate) {
    ran.mutants = policies::MutatePolicies(bundle->files(), bundle->tools(), tests);
  }
  return ran;
}

int Test(Session& session, const TestOptions& options) {
  const auto ran = RunAll(options);
  if (!ran.ok()) return Fail(session, ran.status());
  if (!options.junit.empty()) {
    const core::Status written = WriteText(options.junit, Junit(ran->cases));
    if (!written.ok()) return Fail(session, written);
  }
  const Io& io = session.io;
  if (io.json) {
    core::Json json = TestsJson(ran->cases);
    if (ran->fuzz) json["fuzz"] = FuzzJson(*ran->fuzz);
    if (ran->mutants) json["mutation"] = MutantsJson(*ran->mutants, options.least);
    json["passed"] = ran->passed(options);
    PrintJson(io, json);
  } else {
    PrintTests(io, ran->cases);
    if (ran->fuzz) PrintFuzz(io, *ran->fuzz);
    if (ran->mutants) PrintMutants(io, *ran->mutants);
  }
  return ran->passed(options) ? kYes : kNo;
}

}  // namespace

void AddPolicyTestCommand(CLI::App& group, Session& session) {
  auto options = std::make_shared<TestOptions>();
  CLI::App* test = group.add_subcommand("test", "Run the *_test.lua files of a bundle");
  AddFolder(test, *options);
  test->add_option("--junit", options->junit, "Write the results as JUnit XML to this file");
  test->add_flag("--update-golden", options->update_golden,
                 "Keep what is decided now in golden.json, if all cases pass");
  test->add_flag("--shuffle", options->shuffle, "Run the cases in another order");
  test->add_flag("--twice", options->twice,
                 "Decide each case again, and in a second state: the bytes must be equal");
  test->add_option("--seed", options->seed, "Of --shuffle and --fuzz")->capture_default_str();
  test->add_option("--fuzz", options->fuzz, "Try so many made-up calls against the invariants")
      ->check(CLI::Range(std::uint64_t{1}, policies::kFuzzCallsMax));
  test->add_flag("--mutate", options->mutate,
                 "Change the rules in small ways and see which changes no test notices");
  test->add_option("--least", options->least, "Per cent of mutants that tests must notice")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  test->add_option("--least-lines", options->least_lines, "Per cent of lines that must run")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  Does(test, session, [&session, options] { return Test(session, *options); });
}

}  // namespace interlock::runtime::cli
