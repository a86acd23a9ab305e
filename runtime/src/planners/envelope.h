// What surrounds a model's words in a reply: members that nobody reads, and that are not held to
// the rules of arguments.
#pragma once

#include <string>
#include <string_view>

namespace interlock::runtime {

// `json` with 0 in the place of integers beyond 2^53 (a `created` in nanoseconds, a random `seed`)
// that are in no call's arguments. Any bytes may come in; what is no JSON stays none.
std::string WithoutHugeIntegers(std::string_view json);

}  // namespace interlock::runtime
