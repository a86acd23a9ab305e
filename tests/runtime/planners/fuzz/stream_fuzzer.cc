// The bytes of an event stream, in every dialect: read in two pieces or at once, they are the same
// plan, or one line that says what is wrong.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "stream_reader.h"

namespace {

using namespace interlock;
using namespace interlock::runtime;

// What came of it: the recorded plan or the error, and the text that was forwarded.
std::string Outcome(const Codec& codec, std::string_view bytes, std::size_t cut) {
  std::string told;
  StreamReader reader(
      codec, [&](const TextDelta& delta) { told += delta.text; }, false);
  core::Status status = reader.Feed(bytes.substr(0, cut));
  if (status.ok()) status = reader.Feed(bytes.substr(cut));
  core::StatusOr<std::string> whole = reader.Whole();
  if (!status.ok()) return std::string(core::Message(status));
  if (!whole.ok()) return std::string(core::Message(whole.status()));
  const auto plan = codec.Read(*whole, {});
  return plan.ok() ? told + "|" + PlanToJson(*plan)
                   : told + "|" + std::string(core::Message(plan.status()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = data[0] % (bytes.size() + 1);
  for (const Dialect dialect :
       {Dialect::kChat, Dialect::kResponses, Dialect::kAnthropic, Dialect::kGemini}) {
    const Codec& codec = CodecOf(dialect);
    INTERLOCK_CHECK(Outcome(codec, bytes, cut) == Outcome(codec, bytes, bytes.size()));
  }
  return 0;
}
