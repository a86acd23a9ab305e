// Budgets as policies declare and use them: one limit, or levels of them that are held together.
#pragma once

#include <string>

#include "program.h"

namespace interlock::policies {

inline constexpr std::int64_t kBudgetLevelsMax = 8;

// budget "name" { unit, limit, per, window } or budget "name" { unit, levels = { … } }
int BudgetStart(lua_State* lua);

// The budget, or the first of its levels, that a rule reserves from. Raises for one that rules do
// not draw on.
const BudgetDecl& ReservedFrom(lua_State* lua, const BudgetHandle& handle);

// Whether a share of it, or of one of its levels, is found by a key.
bool TakesKey(const Program& program, const BudgetHandle& handle);
// "refund" of all of its levels.
std::string WholeName(const BudgetDecl& budget);
// The one that `level` names, the only one where it is empty. Raises for others.
const BudgetDecl& LevelOf(lua_State* lua, const BudgetHandle& handle, const std::string& level);

}  // namespace interlock::policies
