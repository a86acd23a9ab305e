// UTF-8 (RFC 3629) at the borders.
#pragma once

#include <string>
#include <string_view>

namespace interlock::runtime {

bool IsUtf8(std::string_view text);

// The text, with U+FFFD for what is not UTF-8.
std::string AsUtf8(std::string_view text);

}  // namespace interlock::runtime
