// Runs `*_test.lua` files against a bundle: the library behind `interlock policy test`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

struct PolicyTestResult {
  std::string file;
  int line = 0;
  std::string name;
  bool passed = false;
  std::string message;  // why it failed, one line; empty when passed
  std::string explain;  // Explain() of the decision; empty when none was made
};

struct PolicyTestReport {
  std::vector<PolicyTestResult> cases;  // in order of file and line
  std::vector<Finding>
      errors;  // a test file that does not load, a case with an unknown field, no case at all
  std::size_t rules = 0;             // of the bundle
  std::vector<std::string> unfired;  // ids of rules that spoke in no case, sorted
  // Ids of rules that were never seen to have nothing to say: nothing tests what they leave alone.
  std::vector<std::string> never_silent;

  std::size_t failed() const;
  // Zero cases is a failure (code NO_TESTS among the errors).
  bool passed() const { return errors.empty() && failed() == 0; }
};

// Every case is decided in a fresh engine of `bundle`. Pure; files are sorted by path first.
PolicyTestReport RunPolicyTests(std::shared_ptr<const Bundle> bundle,
                                const std::vector<BundleFile>& test_files);

// Reads every *_test.lua of a folder, sorted by name.
core::StatusOr<std::vector<BundleFile>> ReadTestFolder(const std::string& folder);

}  // namespace interlock::policies
