// What a policy's source shows that its declarations do not: patterns as written, numbers in
// functions, names that nobody uses.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

// Adds PATTERN_CLASS, PATTERN_DOT, PATTERN_ANCHOR, FLOAT_MONEY and UNUSED_BUDGET. Pure.
void LintText(const BundleFile& file, std::vector<Finding>& findings);

// "amount", "price", "order_total" …
bool IsMoneyName(std::string_view name);
// A whole text as a decimal number.
std::optional<double> NumberOf(std::string_view text);

}  // namespace interlock::policies
