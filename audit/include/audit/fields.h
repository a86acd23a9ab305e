// Content that is committed field by field: how a canonical object falls into its fields.
#pragma once

#include <string_view>
#include <vector>

#include "audit/keys.h"

namespace interlock::audit {

// The top-level fields of a canonical JSON object, in its order. Empty when it is no object, has
// none, has more than kPayloadFieldsMax, or a name is not plain (printable ASCII without quotes and
// backslashes, 1 to 128 bytes). Views into `json`.
std::vector<PayloadField> PlainFields(std::string_view json);

// The fields that an entry commits to one by one, of the content in this slot; none when it was
// committed to as a whole only. Views into `entry_bytes`.
std::vector<std::string_view> CommittedFields(std::string_view entry_bytes, int slot);

}  // namespace interlock::audit
