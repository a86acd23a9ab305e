// JSON Schema, draft 7 (json-schema-validation-01), compiled once and checked in bounded time.
//
// Ours rather than a library's because arguments are hostile: patterns run in RE2 (linear time, no
// deep recursion), work is counted, nothing throws, checks are thread-safe, and a keyword that we
// do not know is an error at load instead of a rule that is silently not there. See docs/adr.
//
// Not taken: `$ref` outside the document, `$id` that moves the base, look-around and back
// references in patterns. `format` checks date, date-time, time, email and uuid; other formats are
// refused.
#pragma once

#include <memory>

#include "core/json.h"
#include "core/status.h"

namespace interlock::tools {

inline constexpr std::size_t kSchemaBytesMax = 256 * 1024;
inline constexpr int kSchemaNodesMax = 4096;
// Sub-schema visits for one value; a check that needs more fails. About 0.1 s.
inline constexpr std::int64_t kSchemaWorkMax = 2'000'000;

// Immutable; thread-safe.
class Schema {
 public:
  // Errors: kInvalidArgument naming the JSON pointer inside the schema.
  static core::StatusOr<std::unique_ptr<const Schema>> Compile(const core::Json& schema);
  virtual ~Schema() = default;
  // Errors: kInvalidArgument, one line: "`/items/0/id` must be a string"; kResourceExhausted: too
  // much work.
  virtual core::Status Check(const core::Json& value) const = 0;
};

}  // namespace interlock::tools
