// What decisions of a bundle cost, on the calls that its tests state.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "policies/bundle.h"

namespace interlock::policies {

inline constexpr int kBenchBatch = 100;  // decisions between two looks at the clock

struct BenchedCase {
  std::string name{};
  double median_us = 0;  // a decision, over the rounds
  double slowest_us = 0;
};

struct BenchReport {
  std::vector<BenchedCase> cases{};  // slowest median first
  std::size_t decisions = 0;
  double p50_us = 0;  // over all rounds of all cases
  double p99_us = 0;
};

// `rounds` batches a case, cases in turn, after one that warms. Errors: kInvalidArgument for tests
// that do not load, kNotFound without a case that can be decided.
core::StatusOr<BenchReport> BenchPolicies(std::shared_ptr<const Bundle> bundle,
                                          const std::vector<BundleFile>& test_files, int rounds,
                                          const core::Clock& clock);

}  // namespace interlock::policies
