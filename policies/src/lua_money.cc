#include "lua_money.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

namespace interlock::policies {
namespace {

constexpr char kMetatable = 0;

const LuaMoney& CheckMoney(lua_State* lua, int index) {
  const LuaMoney* money = MoneyAt(lua, index);
  if (money == nullptr) {
    Raise(lua, std::string("money goes with money only, not with ") + luaL_typename(lua, index) +
                   "; write usd(…) or money_of(…)");
  }
  return *money;
}

const LuaMoney& CheckSameCurrency(lua_State* lua, const LuaMoney& a, int index) {
  const LuaMoney& b = CheckMoney(lua, index);
  if (std::strcmp(a.currency, b.currency) != 0) {
    Raise(lua, std::string("two currencies, ") + a.currency + " and " + b.currency);
  }
  return b;
}

int Overflow(lua_State* lua) { Raise(lua, "money beyond 2^63 minor units"); }

int Add(lua_State* lua) {
  const LuaMoney& a = CheckMoney(lua, 1);
  const LuaMoney& b = CheckSameCurrency(lua, a, 2);
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a.minor, b.minor, &sum)) return Overflow(lua);
  PushMoney(lua, sum, a.currency);
  return 1;
}

int Subtract(lua_State* lua) {
  const LuaMoney& a = CheckMoney(lua, 1);
  const LuaMoney& b = CheckSameCurrency(lua, a, 2);
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a.minor, b.minor, &difference)) return Overflow(lua);
  PushMoney(lua, difference, a.currency);
  return 1;
}

int Multiply(lua_State* lua) {
  const int at = MoneyAt(lua, 1) != nullptr ? 1 : 2;
  const LuaMoney& money = CheckMoney(lua, at);
  if (lua_isinteger(lua, 3 - at) == 0) Raise(lua, "money is multiplied by an integer only");
  std::int64_t product = 0;
  if (__builtin_mul_overflow(money.minor, lua_tointeger(lua, 3 - at), &product)) {
    return Overflow(lua);
  }
  PushMoney(lua, product, money.currency);
  return 1;
}

int Negate(lua_State* lua) {
  const LuaMoney& money = CheckMoney(lua, 1);
  std::int64_t negative = 0;
  if (__builtin_sub_overflow(std::int64_t{0}, money.minor, &negative)) return Overflow(lua);
  PushMoney(lua, negative, money.currency);
  return 1;
}

int Equal(lua_State* lua) {
  const LuaMoney& a = CheckMoney(lua, 1);
  lua_pushboolean(lua, a.minor == CheckSameCurrency(lua, a, 2).minor);
  return 1;
}

int Less(lua_State* lua) {
  const LuaMoney& a = CheckMoney(lua, 1);
  lua_pushboolean(lua, a.minor < CheckSameCurrency(lua, a, 2).minor);
  return 1;
}

int LessOrEqual(lua_State* lua) {
  const LuaMoney& a = CheckMoney(lua, 1);
  lua_pushboolean(lua, a.minor <= CheckSameCurrency(lua, a, 2).minor);
  return 1;
}

void PushPlain(lua_State* lua, int index) {
  std::size_t size = 0;
  const LuaMoney* money = MoneyAt(lua, index);
  if (money != nullptr) {
    const std::string text = DecimalOf(*money) + " " + money->currency;
    lua_pushlstring(lua, text.data(), text.size());
  } else if (lua_type(lua, index) == LUA_TSTRING || lua_isinteger(lua, index) != 0) {
    lua_pushvalue(lua, index);
    lua_tolstring(lua, -1, &size);
  } else {
    Raise(lua, std::string("a text cannot be joined with ") + luaL_typename(lua, index));
  }
}

int Concat(lua_State* lua) {
  PushPlain(lua, 1);
  PushPlain(lua, 2);
  lua_concat(lua, 2);
  return 1;
}

int Index(lua_State* lua) {
  const LuaMoney& money = CheckMoney(lua, 1);
  const std::string_view key = CheckText(lua, 2, "a field of money");
  if (key == "minor") {
    lua_pushinteger(lua, money.minor);
  } else if (key == "currency") {
    lua_pushstring(lua, money.currency);
  } else if (key == "amount") {
    const std::string text = DecimalOf(money);
    lua_pushlstring(lua, text.data(), text.size());
  } else {
    Raise(lua,
          "money has the fields `minor`, `currency` and `amount`, not `" + std::string(key) + "`");
  }
  return 1;
}

int RefuseWrite(lua_State* lua) { Raise(lua, "money is read-only"); }

constexpr luaL_Reg kMethods[] = {{"__add", Add},        {"__sub", Subtract},
                                 {"__mul", Multiply},   {"__unm", Negate},
                                 {"__eq", Equal},       {"__lt", Less},
                                 {"__le", LessOrEqual}, {"__concat", Concat},
                                 {"__index", Index},    {"__newindex", RefuseWrite},
                                 {nullptr, nullptr}};

void PushMetatable(lua_State* lua) {
  if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &kMetatable) == LUA_TTABLE) return;
  lua_pop(lua, 1);
  lua_createtable(lua, 0, 12);
  luaL_setfuncs(lua, kMethods, 0);
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_pushvalue(lua, -1);
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &kMetatable);
}

// The decimal text of a number or text argument.
std::string DecimalArgument(lua_State* lua, int index) {
  if (lua_isinteger(lua, index) != 0) return std::to_string(lua_tointeger(lua, index));
  if (lua_type(lua, index) == LUA_TNUMBER) {
    const double number = lua_tonumber(lua, index);
    if (!std::isfinite(number)) Raise(lua, "an amount must be finite");
    return ShortestDecimal(number);
  }
  return std::string(CheckText(lua, index, "an amount"));
}

int PushParsed(lua_State* lua, const std::string& decimal, std::string_view currency) {
  const core::StatusOr<core::Money> money = core::ParseMoney(decimal, currency);
  if (!money.ok()) Raise(lua, std::string(core::Message(money.status())));
  PushMoney(lua, money->minor, money->currency);
  return 1;
}

int MoneyOf(lua_State* lua) {
  return PushParsed(lua, DecimalArgument(lua, 1), CheckText(lua, 2, "a currency"));
}

// Upvalue 1 is the currency.
int InCurrency(lua_State* lua) {
  return PushParsed(lua, DecimalArgument(lua, 1), lua_tostring(lua, lua_upvalueindex(1)));
}

int DigitsOf(lua_State* lua, std::string_view currency) {
  const core::StatusOr<int> digits = core::MinorDigits(currency);
  if (!digits.ok()) Raise(lua, std::string(core::Message(digits.status())));
  return *digits;
}

int MoneyMinor(lua_State* lua) {
  if (lua_isinteger(lua, 1) == 0) Raise(lua, "minor units must be an integer");
  const std::string_view currency = CheckText(lua, 2, "a currency");
  DigitsOf(lua, currency);
  PushMoney(lua, lua_tointeger(lua, 1), currency);
  return 1;
}

// To the nearest minor unit of the shortest decimal, halves away from zero.
int MoneyRounded(lua_State* lua) {
  std::string decimal = DecimalArgument(lua, 1);
  const std::string_view currency = CheckText(lua, 2, "a currency");
  const auto digits = static_cast<std::size_t>(DigitsOf(lua, currency));
  const std::size_t dot = decimal.find('.');
  bool up = false;
  if (dot != std::string::npos && decimal.size() - dot - 1 > digits) {
    up = decimal[dot + 1 + digits] >= '5';
    decimal.resize(digits == 0 ? dot : dot + 1 + digits);
  }
  core::StatusOr<core::Money> money = core::ParseMoney(decimal, currency);
  if (!money.ok()) Raise(lua, std::string(core::Message(money.status())));
  const std::int64_t step = !up ? 0 : decimal.front() == '-' ? -1 : 1;
  if (__builtin_add_overflow(money->minor, step, &money->minor)) return Overflow(lua);
  PushMoney(lua, money->minor, money->currency);
  return 1;
}

}  // namespace

std::string ShortestDecimal(double number) {
  std::array<char, 400> buffer;  // 1.8e308 has 309 digits
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                 number == 0 ? 0.0 : number, std::chars_format::fixed);
  return std::string(buffer.data(), end.ptr);
}

void PushMoney(lua_State* lua, std::int64_t minor, std::string_view currency) {
  auto* money = static_cast<LuaMoney*>(lua_newuserdatauv(lua, sizeof(LuaMoney), 0));
  money->head.kind = Kind::kMoney;
  money->minor = minor;
  const std::size_t size = std::min<std::size_t>(currency.size(), 3);
  std::memcpy(money->currency, currency.data(), size);
  money->currency[size] = '\0';
  PushMetatable(lua);
  lua_setmetatable(lua, -2);
}

const LuaMoney* MoneyAt(lua_State* lua, int index) {
  return UserdataOf<LuaMoney>(lua, index, Kind::kMoney);
}

std::string DecimalOf(const LuaMoney& money) {
  const std::string text = core::FormatMoney({.minor = money.minor, .currency = money.currency});
  return text.substr(0, text.find(' '));
}

void AddMoneyFunctions(lua_State* lua) {
  for (const auto& [name, currency] :
       {std::pair{"usd", "USD"}, {"eur", "EUR"}, {"gbp", "GBP"}, {"jpy", "JPY"}}) {
    lua_pushstring(lua, currency);
    lua_pushcclosure(lua, &InCurrency, 1);
    lua_setfield(lua, -2, name);
  }
  constexpr luaL_Reg kFunctions[] = {{"money", MoneyOf},
                                     {"money_of", MoneyOf},
                                     {"money_minor", MoneyMinor},
                                     {"money_rounded", MoneyRounded},
                                     {nullptr, nullptr}};
  luaL_setfuncs(lua, kFunctions, 0);
}

}  // namespace interlock::policies
