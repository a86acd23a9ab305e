#pragma once

#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "schema_node.h"

namespace interlock::tools {

// Checks `value` against `nodes[root]`. Errors as Schema::Check.
core::Status CheckSchema(const std::vector<SchemaNode>& nodes, NodeId root,
                         const core::Json& value);

}  // namespace interlock::tools
