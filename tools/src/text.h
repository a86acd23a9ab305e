// Text of strangers (tools, planners, manifests) made fit for one line of a message.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace interlock::tools {

inline constexpr std::size_t kErrorTextBytesMax = 1024;

// One line of valid UTF-8, at most `bytes_max` bytes (an ellipsis shows a cut). Bytes that are not
// UTF-8 become U+FFFD; control characters, line separators and bidirectional overrides become `\n`,
// `\u{202e}`.
std::string OneLine(std::string_view text, std::size_t bytes_max = kErrorTextBytesMax);

}  // namespace interlock::tools
