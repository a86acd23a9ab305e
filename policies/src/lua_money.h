// Money in rules: integer minor units with a currency; mixing two currencies raises.
#pragma once

#include "core/money.h"
#include "vm.h"

namespace interlock::policies {

struct LuaMoney {
  UserdataHead head;
  char currency[4];
  std::int64_t minor;
};

void PushMoney(lua_State* lua, std::int64_t minor, std::string_view currency);
// The money at `index`, or nullptr.
const LuaMoney* MoneyAt(lua_State* lua, int index);
// "12.50" for 1250 USD.
std::string DecimalOf(const LuaMoney& money);
// Shortest decimal text that reads back as this number, without exponent: "48.5".
std::string ShortestDecimal(double number);

// Adds usd, eur, gbp, money, money_minor, money_of and money_rounded to the table on top of the
// stack.
void AddMoneyFunctions(lua_State* lua);

}  // namespace interlock::policies
