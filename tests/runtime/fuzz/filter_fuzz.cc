// Any text as an auditor's filter: refused with a place, or SQL in which no byte of a value stands.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "engine/filter.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using interlock::runtime::CompileCallFilter;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto hmac = [](std::string_view, std::string_view) { return std::string(64, 'a'); };
  const auto compiled = CompileCallFilter(text, hmac);
  if (!compiled.ok()) {
    const bool placed =
        interlock::core::Message(compiled.status()).find("at byte ") != std::string_view::npos;
    if (!placed) std::abort();
    return 0;
  }
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.?=!<>() |'*+,";
  if (compiled->where.find_first_not_of(kAllowed) != std::string::npos) std::abort();
  // One value may stand in several places; each has its place.
  std::set<std::size_t> marks;
  for (std::size_t at = compiled->where.find('?'); at != std::string::npos;
       at = compiled->where.find('?', at + 1)) {
    marks.insert(std::strtoull(compiled->where.c_str() + at + 1, nullptr, 10));
  }
  const std::size_t values = compiled->bound.size();
  const bool all =
      marks.size() == values && (values == 0 || (*marks.begin() == 1 && *marks.rbegin() == values));
  if (!all) std::abort();
  return 0;
}
