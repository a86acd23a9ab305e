// The body of a model's reply, in every dialect: a plan within its limits, or one line that says
// what is wrong.
#include <cstdint>
#include <string_view>

#include "codec.h"
#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock;
  using namespace interlock::runtime;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const std::string word = ErrorWord(body);
  INTERLOCK_CHECK(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
  (void)PlanFromJson(body);
  PlanRequest request;
  if (size % 2 == 1) request.answer_schema = core::Json::object();
  request.ends_by_tool = size % 4 >= 2;
  for (const Dialect dialect :
       {Dialect::kChat, Dialect::kResponses, Dialect::kAnthropic, Dialect::kGemini}) {
    const core::StatusOr<Plan> plan = CodecOf(dialect).Read(body, request);
    if (!plan.ok()) {
      INTERLOCK_CHECK(core::Message(plan.status()).find('\n') == std::string_view::npos);
      continue;
    }
    INTERLOCK_CHECK(plan->calls.size() <= kPlanCallsMax);
    INTERLOCK_CHECK((plan->finish == Finish::kCalls) != plan->calls.empty());
    // What is recorded reads back as the same plan, byte for byte.
    const std::string recorded = PlanToJson(*plan);
    const auto again = PlanFromJson(recorded);
    INTERLOCK_CHECK(again.ok() && PlanToJson(*again) == recorded);
  }
  return 0;
}
