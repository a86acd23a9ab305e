// Any bytes: parsing refuses or gives a value whose canonical text parses to the same value and is
// a fixed point. A difference here would let one call have two digests.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/check.h"
#include "core/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock::core;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const StatusOr<Json> value = ParseJson(text, kArgsLimits);
  if (!value.ok()) {
    INTERLOCK_CHECK(!Message(value.status()).empty());
    return 0;
  }
  // Canonical text may be longer than the input (1e20 style numbers), never deeper.
  const JsonLimits roomy{.bytes_max = 64 * kArgsLimits.bytes_max,
                         .depth_max = kArgsLimits.depth_max};
  const std::string canonical = CanonicalJson(*value);
  const StatusOr<Json> again = ParseJson(canonical, roomy);
  INTERLOCK_CHECK(again.ok());
  INTERLOCK_CHECK(*again == *value);
  INTERLOCK_CHECK(CanonicalJson(*again) == canonical);
  return 0;
}
