// Answers of witnesses come from outside: whatever the bytes, one of five meanings, and never a
// cosignature that does not hold. First byte: the status; second: the type; the rest: the body.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "audit/cosignature.h"
#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using interlock::audit::CosignedAt;
  using interlock::audit::ReadWitnessAnswer;
  using interlock::audit::WitnessAnswer;
  // A key, a head and its cosignature of a test's witness; the body `cosigned` in the corpus holds.
  constexpr std::string_view kKey =
      "w.example+bf20add4+BGG3op9v3HIXXDPBmFc/0CioJHhGCXc+pyvvFPlBZdYO";
  constexpr std::string_view kNote =
      "log.example\n"
      "5\n"
      "SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=\n"
      "\n"
      "\xE2\x80\x94 log.example "
      "zm/VUhtuE1RLVF5cbwYpttP61a3YshOXdsuiXZTBXBkd1BT7pdUcPn4xWXICCA/mC/5sxXPbk3VbrWPMYb/"
      "iYtdwGwg=\n";
  if (size < 2) return 0;
  constexpr std::array<int, 6> kStatus = {200, 409, 422, 404, 503, 302};
  interlock::audit::WitnessReply reply;
  reply.status = kStatus.at(data[0] % kStatus.size());
  reply.content_type = data[1] % 2 == 0 ? "text/plain" : "text/x.tlog.size";
  reply.body.assign(reinterpret_cast<const char*>(data) + 2, size - 2);
  const WitnessAnswer answer = ReadWitnessAnswer(reply, {kNote, 5, 3, kKey});
  if (answer.kind == WitnessAnswer::Kind::kCosigned) {
    INTERLOCK_CHECK(CosignedAt(std::string(kNote) + answer.line, kKey).ok());
  } else {
    INTERLOCK_CHECK(answer.line.empty() && !answer.why.empty());
  }
  INTERLOCK_CHECK(answer.why.find('\n') == std::string::npos);
  INTERLOCK_CHECK(answer.kind != WitnessAnswer::Kind::kOtherSize || answer.size != 3);
  return 0;
}
