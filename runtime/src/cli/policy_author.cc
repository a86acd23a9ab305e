// policy meta|bench: what an editor needs to know, and what a decision costs.
#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <ostream>

#include "cli/output_file.h"
#include "cli/policy_folder.h"
#include "core/clock.h"
#include "policies/bench.h"
#include "policies/meta.h"
#include "policies/test.h"

namespace interlock::runtime::cli {
namespace {

struct AuthorOptions : PolicyFolder {
  std::string out;
  int rounds = 20;
};

// What `meta` wrote before may be written anew; anything else that is there is somebody's work.
core::Status WriteMeta(const std::string& path, const std::string& text) {
  std::error_code none;
  const auto status = std::filesystem::status(path, none);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return core::InvalidArgument("`" + path + "` is no file; leave --out away to print");
  }
  std::ifstream before(path, std::ios::binary);
  std::string first;
  const bool is_there = before.is_open() && std::getline(before, first);
  if (is_there && !first.starts_with(policies::kMetaMark)) {
    return core::FailedPrecondition("`" + path + "` is no file of `policy meta`; name another");
  }
  return WriteWhole(path, text);
}

int Meta(Session& session, const AuthorOptions& options) {
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  const auto bundle = LoadBundle(options, **registry, nullptr);
  if (!bundle.ok()) return Fail(session, bundle.status());
  const std::string text = policies::LuaMeta(**bundle);
  if (options.out.empty()) {
    if (session.io.json) {
      PrintJson(session.io, {{"meta", text}});
    } else {
      session.io.out << text;
    }
    return kYes;
  }
  const core::Status written = WriteMeta(options.out, text);
  if (!written.ok()) return Fail(session, written);
  if (session.io.json) {
    PrintJson(session.io, {{"file", options.out}, {"tools", (*bundle)->tools().size()}});
  } else {
    session.io.out << "wrote " << EscapeForTerminal(options.out) << " for "
                   << (*bundle)->tools().size() << " tools\n";
  }
  return kYes;
}

std::string Micros(double us) {
  const std::int64_t hundredths = std::llround(us * 100);
  const std::string rest = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + (rest.size() < 2 ? ".0" : ".") + rest + " us";
}

void PrintBench(const Io& io, const policies::BenchReport& report) {
  Table table({"CASE", "MEDIAN", "SLOWEST ROUND"});
  for (const policies::BenchedCase& one : report.cases) {
    table.Add({one.name, Micros(one.median_us), Micros(one.slowest_us)});
  }
  table.Print(io);
  io.out << "p50 " << Micros(report.p50_us) << ", p99 " << Micros(report.p99_us) << " over "
         << report.decisions << " decisions\n";
}

core::Json BenchJson(const policies::BenchReport& report) {
  core::Json cases = core::Json::array();
  for (const policies::BenchedCase& one : report.cases) {
    cases.push_back(
        {{"name", one.name}, {"median_us", one.median_us}, {"slowest_us", one.slowest_us}});
  }
  return {{"decisions", report.decisions},
          {"p50_us", report.p50_us},
          {"p99_us", report.p99_us},
          {"cases", std::move(cases)}};
}

int Bench(Session& session, const AuthorOptions& options) {
  const auto registry = LoadTools(options);
  if (!registry.ok()) return Fail(session, registry.status());
  const auto bundle = LoadBundle(options, **registry, nullptr);
  if (!bundle.ok()) return Fail(session, bundle.status());
  const auto tests = policies::ReadTestFolder(options.folder);
  if (!tests.ok()) return Fail(session, tests.status());
  const core::SystemClock clock;
  const auto report = policies::BenchPolicies(*bundle, *tests, options.rounds, clock);
  if (!report.ok()) return Fail(session, report.status());
  if (session.io.json) {
    PrintJson(session.io, BenchJson(*report));
  } else {
    PrintBench(session.io, *report);
  }
  return kYes;
}

}  // namespace

void AddPolicyAuthorCommands(CLI::App& group, Session& session) {
  auto options = std::make_shared<AuthorOptions>();
  CLI::App* meta = group.add_subcommand(
      "meta", "Write what an editor (LuaLS) needs to complete fields and mark misspelt ones");
  AddFolder(meta, *options);
  meta->add_option("--out", options->out, "The file to write (default: standard output)");
  Does(meta, session, [&session, options] { return Meta(session, *options); });
  CLI::App* bench =
      group.add_subcommand("bench", "Time the decisions about the calls of the tests");
  AddFolder(bench, *options);
  bench->add_option("--rounds", options->rounds, "Rounds of 100 decisions a case")
      ->check(CLI::Range(3, 10'000))
      ->capture_default_str();
  Does(bench, session, [&session, options] { return Bench(session, *options); });
}

}  // namespace interlock::runtime::cli
