// The body of a chat-completions reply: a plan within its limits, or one line that says what is
// wrong.
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "openai_wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock;
  using namespace interlock::runtime;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const std::string word = ErrorWord(body);
  INTERLOCK_CHECK(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
  (void)PlanFromJson(body);
  const core::StatusOr<Plan> plan = PlanOfChatReply(body, {});
  if (!plan.ok()) {
    INTERLOCK_CHECK(core::Message(plan.status()).find('\n') == std::string_view::npos);
    return 0;
  }
  INTERLOCK_CHECK(plan->calls.size() <= kPlanCallsMax);
  INTERLOCK_CHECK((plan->finish == Finish::kCalls) != plan->calls.empty());
  // What is recorded reads back as the same plan, byte for byte.
  const std::string recorded = PlanToJson(*plan);
  const auto again = PlanFromJson(recorded);
  INTERLOCK_CHECK(again.ok() && PlanToJson(*again) == recorded);
  return 0;
}
