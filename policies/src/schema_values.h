// Values that fit a JSON Schema, for tests that make up calls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"

namespace interlock::policies {

// A seeded source of choices. The same on every machine.
class Chooser {
 public:
  explicit Chooser(std::uint64_t seed) : state_(seed) {}
  // 0 … below - 1; 0 if `below` is 0.
  std::uint64_t Below(std::uint64_t below);
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }

 private:
  std::uint64_t state_;
};

// A value as `type`, `enum`, `const`, `properties`, `required`, `items` and the bounds of numbers,
// texts and lists say; what else a schema asks (patterns, formats, combinations) is not looked at.
core::Json SchemaValue(const core::Json& schema, Chooser& chooser, int depth = 0);

// Whether a value may stand where `schema` is, by the same words.
bool FitsSchema(const core::Json& schema, const core::Json& value);

}  // namespace interlock::policies
