// AIP-160 filters over calls, compiled to SQL: names are looked up in a fixed table and values are
// bound, so that nothing of the text becomes SQL.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
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

// One bit a field, in the order of the table of fields; and one more, of the size of an amount.
using CallFields = std::uint32_t;
inline constexpr CallFields kRunField = 1u << 0;
inline constexpr CallFields kCallField = 1u << 1;
inline constexpr CallFields kToolField = 1u << 2;
inline constexpr CallFields kAgentField = 1u << 3;
inline constexpr CallFields kActorField = 1u << 4;
inline constexpr CallFields kSubjectField = 1u << 5;
inline constexpr CallFields kUserField = 1u << 6;
inline constexpr CallFields kVerdictField = 1u << 7;
inline constexpr CallFields kCodeField = 1u << 8;
inline constexpr CallFields kOutcomeField = 1u << 9;
inline constexpr CallFields kEffectField = 1u << 10;
inline constexpr CallFields kRuleField = 1u << 11;
inline constexpr CallFields kApproverField = 1u << 12;
inline constexpr CallFields kAmountField = 1u << 13;
inline constexpr CallFields kCurrencyField = 1u << 14;
inline constexpr CallFields kTimeField = 1u << 15;
inline constexpr CallFields kAmountSize = 1u << 16;

// The size of an amount that is not 0: how many digits it has, and the first of them. It grows with
// amounts above 0, in few steps.
#define INTERLOCK_AMOUNT_SIZE(amount) "length(" amount ") * 10 + substr(" amount ", 1, 1)"

// One of the comparisons that must all hold, over `p_call c`.
struct SqlTerm {
  std::string sql;
  CallFields fields = 0;  // that it reads
  CallFields set = 0;     // that are not as in most calls where it holds: '', 0, allow
  int equals = 0;         // which bound value its one field must equal; 0: it says something else
  std::int64_t from_us = std::numeric_limits<std::int64_t>::min();  // that it keeps times to
  std::int64_t until_us = std::numeric_limits<std::int64_t>::max();
};

struct SqlFilter {
  std::string where = "1";  // all terms
  std::vector<SqlTerm> terms;
  std::vector<SqlValue> bound;
  bool of_user = false;  // whether p_call_user occurs, which older logs do not have
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
