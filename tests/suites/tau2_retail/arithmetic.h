// The suite's calculator: + - * / and parentheses over decimal numbers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace retail {

inline constexpr std::size_t kExpressionBytesMax = 4096;
inline constexpr int kExpressionDepthMax = 64;

// The value rounded to two places, with at least one ("7.0", "1095.55"). nullopt: not an
// expression, too long or too deep, a division by zero, or a result that is not finite.
std::optional<std::string> Evaluate(std::string_view expression);

}  // namespace retail
