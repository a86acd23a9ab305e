#include "policies/bench.h"

#include <algorithm>
#include <cmath>

#include "bundle_data.h"
#include "program.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

struct Timed {
  std::string name{};
  std::unique_ptr<StatedCase> stated{};
  std::vector<double> rounds_us{};
};

double At(std::vector<double> sorted, double part) {
  std::sort(sorted.begin(), sorted.end());
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::llround(last * part))];
}

double Round(Engine& engine, const DecisionInput& input, const core::Clock& clock) {
  const std::int64_t before = clock.MonotonicMicros();
  for (int i = 0; i < kBenchBatch; ++i) engine.Decide(input);
  return static_cast<double>(clock.MonotonicMicros() - before) / kBenchBatch;
}

}  // namespace

core::StatusOr<BenchReport> BenchPolicies(std::shared_ptr<const Bundle> bundle,
                                          const std::vector<BundleFile>& test_files, int rounds,
                                          const core::Clock& clock) {
  Program tests;
  std::vector<Finding> findings;
  tests.Load(test_files, Program::What::kTests, findings);
  if (!findings.empty()) return FindingStatus(findings[0]);
  std::vector<Timed> cases;
  for (const TestCase& test : tests.tests()) {
    auto stated = std::make_unique<StatedCase>(*bundle, test.input, "");
    if (stated->problem().empty()) {
      cases.push_back({.name = test.name, .stated = std::move(stated)});
    }
  }
  if (cases.empty()) return core::NotFound("no test case states a call to time; write one");
  INTERLOCK_ASSIGN_OR_RETURN(const auto engine, Engine::Make(bundle));
  for (Timed& one : cases) Round(*engine, one.stated->input(), clock);
  for (int i = 0; i < rounds; ++i) {
    for (Timed& one : cases) one.rounds_us.push_back(Round(*engine, one.stated->input(), clock));
  }
  BenchReport report;
  std::vector<double> all;
  for (const Timed& one : cases) {
    all.insert(all.end(), one.rounds_us.begin(), one.rounds_us.end());
    report.cases.push_back({.name = one.name,
                            .median_us = At(one.rounds_us, 0.5),
                            .slowest_us = At(one.rounds_us, 1)});
  }
  std::stable_sort(
      report.cases.begin(), report.cases.end(),
      [](const BenchedCase& a, const BenchedCase& b) { return a.median_us > b.median_us; });
  report.decisions = all.size() * kBenchBatch;
  report.p50_us = At(all, 0.5);
  report.p99_us = At(all, 0.99);
  return report;
}

}  // namespace interlock::policies
