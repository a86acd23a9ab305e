// What surrounds a model's words in a reply: members that nobody reads, and that are not held to
// the rules of arguments.
#pragma once

#include <string>
#include <string_view>

namespace interlock::runtime {

enum class Where { kOutsideArguments, kEverywhere };

// `json` with ±(2^53-1) in the place of numbers that core::ParseJson refuses for their size: a
// `created` in nanoseconds, a random `seed`. A count is clamped so, an index is refused. Any bytes
// may come in; what is no JSON stays none.
std::string WithoutHugeNumbers(std::string_view json, Where where);

}  // namespace interlock::runtime
