// The named fields of a table that an author wrote, read strictly: an unknown name raises.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "vm.h"

namespace interlock::policies {

// For the length of one C function; every method may raise. `what` names the table in messages.
class Fields {
 public:
  Fields(lua_State* lua, int index, std::string what, const std::vector<std::string>& known);

  bool Has(const char* name) const;
  // Pushes the field's value (nil when absent) and returns its index.
  int Push(const char* name) const;

  std::string Text(const char* name) const;  // must be there, and not empty
  std::string TextOr(const char* name, std::string_view otherwise) const;
  std::vector<std::string> Texts(
      const char* name) const;                  // list of texts, must be there, not empty
  std::int64_t SpanMs(const char* name) const;  // "4h", must be there
  std::int64_t IntegerOr(const char* name, std::int64_t otherwise) const;

 private:
  [[noreturn]] void Missing(const char* name) const;
  lua_State* lua_;
  int table_;
  std::string what_;
};

// What follows `policy "name"`: a function that calls `take(lua, name at 1, table at 2)`.
int PushTaker(lua_State* lua, lua_CFunction take);

// Whether `text` is a name such as "refund.daily" or "own-order": 1..128 of [A-Za-z0-9._-].
bool IsName(std::string_view text);

}  // namespace interlock::policies
