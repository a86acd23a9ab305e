// Any bytes as an agent file: parsed with a digest that parsing again gives anew, or refused by
// name.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/agent.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto agent = interlock::runtime::ParseAgent("refund.yaml", text);
  if (!agent.ok()) {
    if (!interlock::core::Message(agent.status()).starts_with("refund.yaml:")) std::abort();
    return 0;
  }
  const auto again = interlock::runtime::ParseAgent("refund.yaml", text);
  if (!again.ok() || again->digest != agent->digest || agent->name != "refund") std::abort();
  return 0;
}
