// AIP-160 filters over calls, compiled to SQL: names are looked up in a fixed table and values are
// bound, so that nothing of the text becomes SQL.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/status.h"

namespace interlock::runtime {

inline constexpr std::size_t kFilterBytesMax = 4096;
inline constexpr int kFilterDepthMax = 32;
inline constexpr std::size_t kFilterTermsMax = 64;

using SqlValue = std::variant<std::int64_t, std::string>;

struct SqlFilter {
  std::string where = "1";  // over `p_call c`, with `p_call s` for its subject
  bool of_subject = false;  // whether `s` occurs
  bool of_user = false;     // whether p_call_user does, which older logs do not have
  std::vector<SqlValue> bound;
};

// `hmac(purpose, text)`: people are stored as HMACs. Grammar: comparisons joined by AND, OR (which
// binds closer), NOT or `-`, and parentheses; two terms side by side are joined by AND. `=` and
// `!=` take `*` at either end of a text. Errors: kInvalidArgument saying where.
core::StatusOr<SqlFilter> CompileCallFilter(
    std::string_view text,
    const std::function<std::string(std::string_view, std::string_view)>& hmac);

// "2026-11-21", "2026-11-21T14:03:11Z", with fractions of a second, or microseconds since 1970.
core::StatusOr<std::int64_t> ParseFilterTime(std::string_view text);

}  // namespace interlock::runtime
