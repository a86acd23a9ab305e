// One Lua state in a cage: capped memory, counted instructions, errors that cannot get away.
#pragma once

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace interlock::policies {

inline constexpr std::size_t kLuaBytesMax = 16 * 1024 * 1024;  // live bytes while deciding
inline constexpr std::size_t kLoadedBytesMax =
    256 * 1024 * 1024;                                  // what all files of a bundle may take
inline constexpr std::int64_t kRuleFuel = 20'000;       // instructions a rule
inline constexpr std::int64_t kDecisionFuel = 200'000;  // instructions a decision
inline constexpr std::int64_t kLoadFuel = 5'000'000;    // instructions a file at load
inline constexpr int kFuelStep = 1000;                  // granularity of the count
inline constexpr std::size_t kErrorBytesMax = 1024;

enum class Phase { kLoading, kDeciding, kIdle };
enum class CallEnd { kOk, kError, kFuel, kMemory };

// One per thread; neither copied nor moved (the Lua state points back at it).
class Vm {
 public:
  Vm();
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  lua_State* lua() const { return lua_; }
  static Vm& Of(lua_State* lua) { return **static_cast<Vm**>(lua_getextraspace(lua)); }

  Phase phase() const { return phase_; }
  void set_phase(Phase phase) { phase_ = phase; }

  // Calls the function that stands below its `args` arguments, with a budget of `fuel`
  // instructions. Pops both, and leaves all results (kOk) or nothing; the error's text is then in
  // error(). Spent fuel or memory wins over whatever the function returned or raised.
  CallEnd Call(int args, std::int64_t fuel);
  const std::string& error() const { return error_; }
  int results() const { return results_; }
  // Instructions spent by the last call, counted in steps of kFuelStep, and what helpers charged.
  std::int64_t spent() const { return spent_; }

  // For C helpers: takes `work` from the fuel, and raises a Lua error when nothing is left.
  void Charge(std::int64_t work);

  // Lines that run are added to `seen` (file and line) from the next call on; null: no more.
  void Watch(std::set<std::pair<std::string, int>>* seen) { seen_ = seen; }

  // Bytes live now, and the line that an allocation may not cross.
  std::size_t bytes_used() const { return bytes_used_; }
  void set_bytes_max(std::size_t bytes) { bytes_max_ = bytes; }

 private:
  static void* Allocate(void* self, void* block, std::size_t old_size, std::size_t new_size);
  static void CountHook(lua_State* lua, lua_Debug* where);
  void Note(lua_Debug& where);
  CallEnd EndOf(int status, int base);

  lua_State* lua_ = nullptr;
  std::size_t bytes_used_ = 0;
  std::size_t bytes_max_ = kLoadedBytesMax;
  std::int64_t fuel_ = 0;
  std::int64_t spent_ = 0;
  bool out_of_fuel_ = false;  // sticky for the length of one call
  int results_ = 0;
  Phase phase_ = Phase::kLoading;
  std::string error_;
  std::set<std::pair<std::string, int>>* seen_ = nullptr;
};

// While it lives this thread formats and compares in the C locale, whatever the process set.
class CLocale {
 public:
  CLocale();
  ~CLocale();
  CLocale(const CLocale&) = delete;
  CLocale& operator=(const CLocale&) = delete;

 private:
  void* before_;
};

// Every full userdata that rules can hold is ours and starts with its kind.
enum class Kind : std::uint32_t {
  kNode,
  kFrozen,
  kMoney,
  kBudget,
  kPatterns,
  kEffect,
  kTerm,
  kPhase
};
struct UserdataHead {
  Kind kind;
};
// The userdata at `index` if it is of this kind, else nullptr.
template <typename T>
T* UserdataOf(lua_State* lua, int index, Kind kind) {
  if (lua_type(lua, index) != LUA_TUSERDATA) return nullptr;
  auto* head = static_cast<UserdataHead*>(lua_touserdata(lua, index));
  return head->kind == kind ? static_cast<T*>(lua_touserdata(lua, index)) : nullptr;
}

inline bool UserdataHasKind(lua_State* lua, int index, Kind kind) {
  return UserdataOf<UserdataHead>(lua, index, kind) != nullptr;
}

// Raises `message` with the position of the rule's line. Never returns.
[[noreturn]] void Raise(lua_State* lua, const std::string& message);
// The line of the innermost Lua function, 0 if there is none.
int CurrentLine(lua_State* lua);
// The text argument at `index`; raises for anything else (numbers are not text here).
std::string_view CheckText(lua_State* lua, int index, const char* what);

}  // namespace interlock::policies
