// What can be known of a table rule before any call: the fields that it reads, and conditions that
// no argument of its tools can meet.
#pragma once

#include <vector>

#include "bytecode.h"
#include "policies/bundle.h"
#include "program.h"

namespace interlock::policies {

std::vector<FieldAccess> FieldsOf(const TableRule& rule, const PathTable& paths, int line);

// Adds findings: constants of another type than the schema's (TYPE), values that its enum does not
// have, and bounds that contradict each other (NEVER_MATCHES).
void CheckTable(const Program& program, const Rule& rule, const std::vector<KnownTool>& tools,
                std::vector<Finding>& findings);

}  // namespace interlock::policies
