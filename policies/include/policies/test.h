// Runs `*_test.lua` files against a bundle: the library behind `interlock policy test`.
#pragma once

#include <memory>
#include <optional>
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

struct FileCoverage {
  std::string file{};
  std::size_t lines = 0;      // of rules' functions, their helpers, and table rules
  std::vector<int> missed{};  // that ran, or spoke, in no case
};

struct PolicyTestReport {
  std::vector<PolicyTestResult> cases;  // in order of file and line
  std::vector<Finding>
      errors;  // a test file that does not load, a case with an unknown field, no case at all
  std::size_t rules = 0;             // of the bundle
  std::vector<std::string> unfired;  // ids of rules that spoke in no case, sorted
  // Ids of rules that were never seen to have nothing to say: nothing tests what they leave alone.
  std::vector<std::string> never_silent;
  std::vector<FileCoverage> coverage;  // by file
  // What was decided in every case, by "file: name": verdict, code, say and rules, without what
  // moves with every edit (lines, digests).
  core::Json golden = core::Json::object();

  std::size_t failed() const;
  // Of lines, rounded down; 100 without any.
  int line_percent() const;
  // Zero cases is a failure (code NO_TESTS among the errors).
  bool passed() const { return errors.empty() && failed() == 0; }
};

struct PolicyTestOptions {
  // Cases run in an order of this seed; results stay in order of file and line.
  std::optional<std::uint64_t> shuffle{};
  // Each case is decided twice, and in a second Lua state with the files in reverse, and fails
  // unless the bytes are equal.
  bool twice = false;
  // Of an earlier report: a case fails where it is decided otherwise now. Null: none is asked.
  core::Json golden{};
};

// Every case is decided in an engine of `bundle`. Pure; files are sorted by path first.
PolicyTestReport RunPolicyTests(std::shared_ptr<const Bundle> bundle,
                                const std::vector<BundleFile>& test_files,
                                const PolicyTestOptions& options = {});

// Reads every *_test.lua of a folder, sorted by name.
core::StatusOr<std::vector<BundleFile>> ReadTestFolder(const std::string& folder);

}  // namespace interlock::policies
