// Makes a stated case small while it keeps a property: what a person reads after a fuzzed failure.
#pragma once

#include <functional>

#include "core/json.h"

namespace interlock::policies {

inline constexpr int kShrinkTriesMax = 4000;

// Takes members and elements away, and makes numbers, texts and lists smaller, while `args` fits
// `args_schema` and `still(case)` holds. Deterministic; at most kShrinkTriesMax calls of `still`.
core::Json Shrink(core::Json stated, const core::Json& args_schema,
                  const std::function<bool(const core::Json&)>& still);

}  // namespace interlock::policies
