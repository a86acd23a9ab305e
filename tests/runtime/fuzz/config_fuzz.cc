// Any bytes as a configuration: parsed, or refused with one line that names the file.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = interlock::runtime::ParseConfig("c.yaml", "/x", text);
  if (config.ok()) {
    if (config->tenants.empty() || config->data_dir.front() != '/') std::abort();
    return 0;
  }
  const std::string_view message = interlock::core::Message(config.status());
  if (!message.starts_with("c.yaml:")) std::abort();
  return 0;
}
