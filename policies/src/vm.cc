#include "vm.h"

#include <locale.h>

#include <cstdlib>

#include "core/check.h"

namespace interlock::policies {
namespace {

locale_t PlainLocale() {
  static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
  return plain;
}

int Panic(lua_State*) {
  constexpr bool kErrorInProtectedCall = false;
  INTERLOCK_CHECK(kErrorInProtectedCall);
  return 0;
}

}  // namespace

CLocale::CLocale() : before_(uselocale(PlainLocale())) {}
CLocale::~CLocale() { uselocale(static_cast<locale_t>(before_)); }

Vm::Vm() {
  lua_ = lua_newstate(&Vm::Allocate, this);
  INTERLOCK_CHECK(lua_ != nullptr);
  lua_atpanic(lua_, &Panic);
  *static_cast<Vm**>(lua_getextraspace(lua_)) = this;
}

Vm::~Vm() { lua_close(lua_); }

// Lua answers nullptr with a full collection and one more try, so garbage alone never fails a rule.
void* Vm::Allocate(void* self, void* block, std::size_t old_size, std::size_t new_size) {
  Vm& vm = *static_cast<Vm*>(self);
  const std::size_t old = block == nullptr ? 0 : old_size;
  if (new_size == 0) {
    std::free(block);
    vm.bytes_used_ -= old;
    return nullptr;
  }
  if (new_size > old && vm.bytes_used_ + (new_size - old) > vm.bytes_max_) return nullptr;
  void* fresh = std::realloc(block, new_size);
  if (fresh != nullptr) vm.bytes_used_ += new_size - old;
  return fresh;
}

void Vm::CountHook(lua_State* lua, lua_Debug* where) {
  if (where->event == LUA_HOOKLINE) return Of(lua).Note(*where);
  Of(lua).Charge(kFuelStep);
}

void Vm::Note(lua_Debug& where) {
  lua_getinfo(lua_, "S", &where);
  const std::string_view source(where.source);
  if (seen_ != nullptr && source.starts_with("@")) {
    seen_->emplace(std::string(source.substr(1)), where.currentline);
  }
}

void Vm::Charge(std::int64_t work) {
  fuel_ -= work;
  spent_ += work;
  if (fuel_ >= 0) return;
  out_of_fuel_ = true;
  luaL_error(lua_, "too much work: the rule's instruction limit is spent");
}

CallEnd Vm::EndOf(int status, int base) {
  if (out_of_fuel_) {
    error_ = "the instruction limit is spent";
    return CallEnd::kFuel;
  }
  if (status == LUA_ERRMEM) {
    error_ = "the memory limit is reached";
    return CallEnd::kMemory;
  }
  if (status == LUA_OK) return CallEnd::kOk;
  std::size_t size = 0;
  const bool is_text = lua_gettop(lua_) > base && lua_type(lua_, -1) == LUA_TSTRING;
  const char* text = is_text ? lua_tolstring(lua_, -1, &size) : nullptr;
  error_ = text == nullptr ? "an error that is no text" : std::string(text, size);
  if (error_.size() > kErrorBytesMax) error_.resize(kErrorBytesMax);
  return CallEnd::kError;
}

CallEnd Vm::Call(int args, std::int64_t fuel) {
  const int base = lua_gettop(lua_) - args - 1;
  fuel_ = fuel;
  spent_ = 0;
  out_of_fuel_ = false;
  error_.clear();
  // Set anew for each call: the count starts at 0, so the same rule always stops at the same
  // instruction.
  const int events = seen_ == nullptr ? LUA_MASKCOUNT : LUA_MASKCOUNT | LUA_MASKLINE;
  lua_sethook(lua_, &Vm::CountHook, events, kFuelStep);
  const int status = lua_pcall(lua_, args, LUA_MULTRET, 0);
  const CallEnd end = EndOf(status, base);
  if (end != CallEnd::kOk) lua_settop(lua_, base);
  results_ = lua_gettop(lua_) - base;
  return end;
}

void Raise(lua_State* lua, const std::string& message) {
  // Lua copies the text before it throws, and the throw unwinds `message`.
  luaL_error(lua, "%s", message.c_str());
  std::abort();
}

int CurrentLine(lua_State* lua) {
  lua_Debug where;
  for (int level = 0; level < 8 && lua_getstack(lua, level, &where) == 1; ++level) {
    lua_getinfo(lua, "l", &where);
    if (where.currentline > 0) return where.currentline;
  }
  return 0;
}

std::string_view CheckText(lua_State* lua, int index, const char* what) {
  if (lua_type(lua, index) != LUA_TSTRING) {
    Raise(lua, std::string(what) + " must be a text, not " + luaL_typename(lua, index));
  }
  std::size_t size = 0;
  const char* text = lua_tolstring(lua, index, &size);
  return {text, size};
}

}  // namespace interlock::policies
