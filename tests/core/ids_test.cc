// UUIDv7 (RFC 9562 §5.7) and the system's clocks and randomness.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "core/clock.h"
#include "core/random.h"

namespace interlock::core {
namespace {

class FixedClock final : public Clock {
 public:
  explicit FixedClock(std::int64_t wall_us) : wall_us_(wall_us) {}
  std::int64_t WallMicros() const override { return wall_us_; }
  std::int64_t MonotonicMicros() const override { return 0; }

 private:
  std::int64_t wall_us_;
};

class AllOnes final : public Random {
 public:
  void Fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), 0xff); }
};

TEST(NewUuidV7, PutsMillisecondsVersionAndVariantWhereTheStandardSays) {
  AllOnes ones;
  // 0x017F22E279B0 ms, the time of the example in RFC 9562 appendix A.6.
  EXPECT_EQ(NewUuidV7(FixedClock(1645557742000'000), ones), "017f22e2-79b0-7fff-bfff-ffffffffffff");
}

TEST(NewUuidV7, SortsByCreationTime) {
  SystemRandom random;
  std::string last;
  for (std::int64_t ms = 1'700'000'000'000; ms < 1'700'000'000'200; ++ms) {
    const std::string id = NewUuidV7(FixedClock(ms * 1000), random);
    EXPECT_LT(last, id);
    last = id;
  }
}

TEST(NewUuidV7, DiffersWithinOneMillisecond) {
  SystemRandom random;
  const FixedClock clock(1'700'000'000'000'000);
  std::set<std::string> ids;
  for (int i = 0; i < 10'000; ++i) ids.insert(NewUuidV7(clock, random));
  EXPECT_EQ(ids.size(), 10'000u);
}

TEST(IsUuid, TakesOneByteFormOnly) {
  EXPECT_TRUE(IsUuid("017f22e2-79b0-7fff-bfff-ffffffffffff"));
  for (const char* text :
       {"", "017F22E2-79B0-7FFF-BFFF-FFFFFFFFFFFF", "017f22e279b07fffbfffffffffffffff",
        "{017f22e2-79b0-7fff-bfff-ffffffffffff}", "017f22e2-79b0-7fff-bfff-fffffffffffg",
        "017f22e2-79b0-7fff-bfff-ffffffffffff ", "017f22e27-9b0-7fff-bfff-ffffffffffff"}) {
    EXPECT_FALSE(IsUuid(text)) << text;
  }
}

TEST(SystemRandom, FillsSmallAndLargeSpansWithFreshBytes) {
  SystemRandom random;
  std::array<std::uint8_t, 32> first{};
  std::array<std::uint8_t, 32> second{};
  random.Fill(first);
  random.Fill(second);
  EXPECT_NE(first, second);
  // 10,000 zero bytes in a row from a working generator: probability 2^-80000.
  std::array<std::uint8_t, 10'000> large{};
  random.Fill(large);
  EXPECT_TRUE(std::any_of(large.end() - 64, large.end(), [](std::uint8_t b) { return b != 0; }));
}

TEST(SystemClock, NeverGoesBackAndKnowsTheCentury) {
  const SystemClock clock;
  std::int64_t last = clock.MonotonicMicros();
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t now = clock.MonotonicMicros();
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_GT(clock.WallMicros(), 1'600'000'000'000'000);  // after 2020-09-13
}

}  // namespace
}  // namespace interlock::core
