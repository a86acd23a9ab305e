// Source text of rules: whatever it is, it loads or is refused, and decides within its bounds.
#include <cstdint>
#include <string>

#include "core/check.h"
#include "policies/bundle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock;
  const std::string source(reinterpret_cast<const char*>(data), size);
  for (const std::string& text :
       {source, "policy \"p\" { owner = \"f\", tools = { \"*\" } }\non(\"*\", \"r\", function(c) " +
                    source + "\nend)\n"}) {
    const auto bundle = policies::Bundle::Load({{.path = "f.lua", .text = text}}, {}, nullptr);
    if (!bundle.ok()) continue;
    auto engine = policies::Engine::Make(*bundle);
    INTERLOCK_CHECK(engine.ok());
    const core::Json args = {{"id", "o1"}, {"amount", 20}, {"items", {1, "two", nullptr}}};
    policies::DecisionInput input;
    input.call = {.id = "c1", .run = "r1", .tool = "t", .effect = "write", .agent = "a", .step = 1};
    input.tenant = "main";
    input.args = &args;
    const std::string once = policies::CanonicalDecision((*engine)->Decide(input));
    INTERLOCK_CHECK(once == policies::CanonicalDecision((*engine)->Decide(input)));
    INTERLOCK_CHECK(core::ParseJson(once, core::kPayloadLimits).ok());
  }
  return 0;
}
