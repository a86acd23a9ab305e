// Texts of any bytes: findings lie inside, do not overlap within a kind, and repeat.
#include <cstdint>
#include <string>

#include "core/check.h"
#include "policies/detect.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace interlock;
  if (size == 0) return 0;
  const policies::DetectOptions options = {
      .pii = true, .secrets = true, .injection = true, .field = data[0] % 2 == 0 ? "password" : ""};
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const policies::Detections once = policies::Detect(text, options);
  INTERLOCK_CHECK(once.found.size() <= policies::kDetectionsMax);
  INTERLOCK_CHECK(once.work >= 0);
  for (std::size_t i = 0; i < once.found.size(); ++i) {
    const policies::Detection& one = once.found[i];
    INTERLOCK_CHECK(one.begin < one.end && one.end <= text.size());
    for (std::size_t k = i + 1; k < once.found.size(); ++k) {
      INTERLOCK_CHECK(one.begin <= once.found[k].begin);
      if (one.kind == once.found[k].kind) INTERLOCK_CHECK(one.end <= once.found[k].begin);
    }
  }
  INTERLOCK_CHECK(policies::Detect(text, options).found == once.found);
  return 0;
}
