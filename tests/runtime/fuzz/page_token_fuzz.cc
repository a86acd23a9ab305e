// Any bytes as a page token: never accepted unless we made it; any bytes as a cursor come back
// unchanged.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/pages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const interlock::runtime::PageTokens tokens("0123456789abcdef");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!text.empty() && tokens.Open("scope", text).ok()) std::abort();
  const std::string_view cursor = text.substr(0, 1024);
  const std::string sealed = tokens.Seal("scope", cursor);
  const auto opened = tokens.Open("scope", sealed);
  if (!opened.ok() || *opened != cursor) std::abort();
  if (!cursor.empty() && tokens.Open("other", sealed).ok()) std::abort();
  return 0;
}
