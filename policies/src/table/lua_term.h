// The words of table rules as Lua values at file level: le(usd(50)), one_of(…), field("args.x").
#pragma once

#include "table/table_rule.h"
#include "vm.h"

namespace interlock::policies {

// All may raise. The value at `index` as a condition: a word such as le(5), a list of words that
// all must hold, a table of fields, or a plain value that it must equal.
Predicate PredicateAt(lua_State* lua, int index);
// As what modify, fix and reserve put somewhere.
Change ChangeAt(lua_State* lua, int index);
// The path's number in the program's table.
int PathAt(lua_State* lua, std::string_view text);
// A text with {placeholders}.
TextTemplate TemplateOf(lua_State* lua, const std::string& text);

// present(): the word; present(c.args, "field"): the question inside a rule.
int PresentWord(lua_State* lua);

// trusted(), from(…), tagged(…), readable_by(…) at file level; `op` is of Predicate::Op.
bool IsWordOfLabels(lua_State* lua);
int LabelWord(lua_State* lua, int op);

}  // namespace interlock::policies
