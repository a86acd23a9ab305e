// Values of rules as JSON.
#pragma once

#include "core/json.h"
#include "vm.h"

namespace interlock::policies {

enum class MoneyAs { kRefused, kMinorUnits, kTold };

// kTold: { [kToldMinor] = 1250 }, for who has to tell money from a number.
inline constexpr const char* kToldMinor = "$minor";

// The value at `index`: a text (UTF-8), boolean, number, part of the context, or a table that is a
// list 1..n or has only text keys. An empty table is a list. Money is refused, since a tool may
// want 12.5, "12.50" or 1250 (m.amount, m.minor); test files write balances with it. Raises for all
// else, above 32 levels and above 10,000 values.
core::Json JsonFrom(lua_State* lua, int index, MoneyAs money = MoneyAs::kRefused);

}  // namespace interlock::policies
