// How much the tests of a bundle notice: small changes of its rules, each of which some test or
// example should fail on.
#pragma once

#include <string>
#include <vector>

#include "policies/test.h"

namespace interlock::policies {

inline constexpr std::size_t kMutantsMax = 5'000;

struct Mutant {
  std::string file{};
  int line = 0;
  std::string change{};     // "`<=` became `<`", "rule refund/cap was left out"
  std::string killed_by{};  // the name of a test, "an example", or empty: it survived
};

struct MutationReport {
  std::vector<Mutant> mutants{};  // that load; in order of file and line
  std::size_t refused = 0;        // that do not load: nothing to be tested
  std::vector<Finding> errors{};  // the bundle or its tests fail before anything is changed
  bool cut = false;               // there would be more than kMutantsMax

  std::size_t killed() const;
  // Per cent, rounded down; 0 without mutants.
  int score() const;
};

// Operators swapped (<= and <, == and ~=, and and or, le and lt …), numbers one higher, `not` and
// whole rules left out, one at a time, in rules only. Pure; the cost is one load and one run of the
// tests a mutant.
MutationReport MutatePolicies(const std::vector<BundleFile>& files,
                              const std::vector<KnownTool>& tools,
                              const std::vector<BundleFile>& test_files);

}  // namespace interlock::policies
