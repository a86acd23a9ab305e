// What requests to models came to, from the rows that the log folds into.
#pragma once

#include <string>

#include "audit/log.h"
#include "engine/rows.h"

namespace interlock::runtime {

ModelCost ModelCostOf(const RunRow& row);
// Of all runs that work for this one, on whatever level.
core::StatusOr<ModelCost> ModelCostBelow(const audit::Log& log, const std::string& run);
void Add(const ModelCost& cost, ModelCost& sum);

}  // namespace interlock::runtime
