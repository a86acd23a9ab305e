// UTF-8 (RFC 3629) at the borders.
#pragma once

#include <string>
#include <string_view>

namespace interlock::runtime {

bool IsUtf8(std::string_view text);

// The text, with U+FFFD for what is not UTF-8.
std::string AsUtf8(std::string_view text);

// Not within a character of UTF-8: the first boundary at or before `at`.
std::size_t BoundaryBefore(std::string_view text, std::size_t at);

}  // namespace interlock::runtime
