// What another bundle would decide differently: calls that show it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

inline constexpr std::size_t kDiffCallsMax = 50'000;

struct BundleChange {
  std::string tool{};
  std::string change{};              // "deny DEFAULT_DENY -> allow"
  std::vector<std::string> rules{};  // that speak in one of them only, or differently; sorted
  core::Json witness{};              // the first such call, as a test case states it
  std::size_t calls = 0;             // tried ones that change so
};

struct BundleDiff {
  std::vector<BundleChange> changes{};  // by tool, change and rules
  std::size_t calls = 0;                // tried
  bool cut = false;                     // there would be more than kDiffCallsMax

  // Whether some call is allowed or asked about now that was not before: deny is the old word, or
  // allow the new one.
  bool widens() const;
};

// Tries calls of every tool that either bundle speaks about: the values that table rules compare
// with and their neighbours, alone and in pairs, on top of the examples of both and of `cases` (as
// test files state them). A search, not a proof: functions are tried by the same calls. Pure and
// deterministic.
BundleDiff DiffBundles(std::shared_ptr<const Bundle> before, std::shared_ptr<const Bundle> after,
                       const std::vector<BundleFile>& test_files);

}  // namespace interlock::policies
