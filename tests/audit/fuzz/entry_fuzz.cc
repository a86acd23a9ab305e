// Entries are read back from files that others may have changed: no bytes may crash the reader, and
// what it accepts is exactly what the writer would have written.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "commitments.h"
#include "core/check.h"
#include "core/json.h"
#include "entry_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace core = interlock::core;
  using namespace interlock::audit;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static_cast<void>(CommitmentsIn(input));
  const auto entry = ParseEntry(input);
  if (!entry) return 0;
  const auto tree = core::ParseJson(input, core::kPayloadLimits);
  INTERLOCK_CHECK(tree.ok());
  INTERLOCK_CHECK(core::CanonicalJson(*tree) == input);
  INTERLOCK_CHECK((*tree)["kind"].get<std::string>() == entry->kind);
  INTERLOCK_CHECK(core::JsonObjectView::Of(entry->body).ok());
  return 0;
}
