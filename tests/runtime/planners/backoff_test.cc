#include "backoff.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace interlock::runtime {
namespace {

class FixedRandom final : public core::Random {
 public:
  explicit FixedRandom(std::uint8_t byte) : byte_(byte) {}
  void Fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), byte_); }

 private:
  std::uint8_t byte_;
};

TEST(Backoff, DoublesUpToItsMostWithHalfAboveAndBelow) {
  const BackoffOptions options{.first_ms = 100, .max_ms = 1000};
  FixedRandom low(0);
  FixedRandom high(255);
  EXPECT_EQ(BackoffMs(options, 0, low), 50);
  EXPECT_EQ(BackoffMs(options, 0, high), 149);
  EXPECT_EQ(BackoffMs(options, 2, low), 200);
  EXPECT_EQ(BackoffMs(options, 4, low), 500);
  EXPECT_EQ(BackoffMs(options, 1'000'000, high), 1499);
}

TEST(Backoff, ReadsRetryAfterInSecondsAndAsADate) {
  constexpr std::int64_t kNow =
      784'111'777'000'000;  // Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110 §5.6.7)
  EXPECT_EQ(RetryAfterMs("0", kNow), 0);
  EXPECT_EQ(RetryAfterMs("120", kNow), 120'000);
  EXPECT_EQ(RetryAfterMs("99999999999", kNow), 1'000'000'000'000);
  EXPECT_EQ(RetryAfterMs("Sun, 06 Nov 1994 08:49:37 GMT", kNow), 0);
  EXPECT_EQ(RetryAfterMs("Sun, 06 Nov 1994 08:49:47 GMT", kNow), 10'000);
  EXPECT_EQ(RetryAfterMs("Sun, 06 Nov 1994 08:49:07 GMT", kNow), 0);
}

TEST(Backoff, IgnoresARetryAfterThatIsNeither) {
  for (const char* value : {"", "-1", "soon", "1.5", "1 2", "Sun, 06 Nov 1994 08:49:37 CET",
                            "Sun, 06 Xyz 1994 08:49:37 GMT", "Sun, 06 anF 1994 08:49:37 GMT",
                            "99999999999999999999999"}) {
    EXPECT_EQ(RetryAfterMs(value, 0), std::nullopt) << value;
  }
}

}  // namespace
}  // namespace interlock::runtime
