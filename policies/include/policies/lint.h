// What is probably not meant, in a bundle that loads: the findings behind `interlock policy check`.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

// Findings of severity "warning" (look at it) and "note" (could be better), by file and line:
//   SAME_RULE, SHADOWED       says what another rule says; can never count
//   UNBOUNDED_ALLOW           allows money or egress whatever the arguments are, and nothing limits
//   UNUSED_BUDGET             declared and never reserved from
//   SHADOW_ENDED, EXCEPTION_ENDED   not in force since a date
//   PATTERN_CLASS, PATTERN_DOT, PATTERN_ANCHOR   [^corp.example]; a dot that is any byte; no end
//   FLOAT_MONEY               an amount compared with a decimal that is no money
//   NO_DOC, THRESHOLD_UNTESTED (notes)   no `doc`; no example or test at and beyond the bound
// `now_us` says what has ended; `test_files` are the bundle's *_test.lua. Pure.
std::vector<Finding> LintPolicies(const Bundle& bundle, const std::vector<BundleFile>& test_files,
                                  std::int64_t now_us);

}  // namespace interlock::policies
