// Made-up calls against a bundle's invariants: the library behind `interlock policy test --fuzz`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

inline constexpr std::uint64_t kFuzzCallsMax = 10'000'000;

struct FuzzOptions {
  std::uint64_t calls = 10'000;
  std::uint64_t seed = 1;
};

struct BrokenInvariant {
  std::string invariant{};  // "refund/never-alone"
  std::string why{};        // one line
  std::string file{};
  int line = 0;
  std::string verdict{};  // of the witness: "allow", "deny RULE_ERROR"
  core::Json witness{};   // a call that breaks it, made small, as a test case states it
};

struct FuzzReport {
  std::vector<BrokenInvariant> broken{};  // one an invariant, by id
  std::size_t invariants = 0;             // of the bundle
  std::size_t calls = 0;                  // decided
  std::map<std::string, std::size_t> verdicts{};
  // NO_INVARIANTS, NO_TOOLS, NOT_MET (an invariant that no decided call was about), a test file
  // that does not load
  std::vector<Finding> errors{};

  bool passed() const { return errors.empty() && broken.empty(); }
};

// Calls are made from the tools' schemas, the values that rules compare with, and the calls of
// examples and tests. Pure: the same bundle, tests and options give the same report.
FuzzReport FuzzPolicies(std::shared_ptr<const Bundle> bundle,
                        const std::vector<BundleFile>& test_files, const FuzzOptions& options);

}  // namespace interlock::policies
