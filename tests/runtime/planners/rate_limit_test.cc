#include "rate_limit.h"

#include <gtest/gtest.h>

namespace interlock::runtime {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

TEST(RateLimit, LetsABurstThroughAndThenItsRate) {
  RateLimit limit(60);  // one a second, ten at once
  std::int64_t now = 5 * kSecond;
  int at_once = 0;
  while (limit.WaitUs(now) <= 0) {
    limit.Take(now, 1);
    ++at_once;
  }
  EXPECT_EQ(at_once, 11);  // ten of the burst, and the one that is due
  EXPECT_EQ(limit.WaitUs(now), kSecond);
  now += kSecond;
  EXPECT_LE(limit.WaitUs(now), 0);
  limit.Take(now, 1);
  EXPECT_EQ(limit.WaitUs(now), kSecond);
  EXPECT_LE(limit.WaitUs(now + 100 * kSecond), 0);
}

TEST(RateLimit, ALargeTakeIsPaidAfterwards) {
  RateLimit limit(60'000);  // a thousand a second
  limit.Take(0, 30'000);
  EXPECT_EQ(limit.WaitUs(0), 20 * kSecond);
}

TEST(RateLimit, WithoutALimitOnlyAPauseCounts) {
  RateLimit limit(0);
  limit.Take(0, 1'000'000'000);
  EXPECT_LE(limit.WaitUs(0), 0);
  limit.Pause(3 * kSecond);
  limit.Pause(1 * kSecond);  // never shorter
  EXPECT_EQ(limit.WaitUs(0), 3 * kSecond);
  EXPECT_LE(limit.WaitUs(3 * kSecond), 0);
}

TEST(Breaker, OpensAfterFailuresInARowAndTriesOnceAfterItsRest) {
  Breaker breaker({.failures_max = 3, .rest_us = 10});
  for (int i = 0; i < 2; ++i) {
    breaker.Failed(breaker.Started(), 0);
    EXPECT_TRUE(breaker.Allows(0));
  }
  breaker.Succeeded();
  for (int i = 0; i < 3; ++i) breaker.Failed(breaker.Started(), 100);
  EXPECT_FALSE(breaker.Allows(109));
  ASSERT_TRUE(breaker.Allows(110));
  std::uint64_t trial = breaker.Started();
  EXPECT_FALSE(breaker.Allows(110));  // one at a time
  breaker.Failed(trial, 120);
  EXPECT_FALSE(breaker.Allows(129));
  ASSERT_TRUE(breaker.Allows(130));
  trial = breaker.Started();
  breaker.Abandoned(trial);
  ASSERT_TRUE(breaker.Allows(131));
  breaker.Started();
  breaker.Succeeded();
  EXPECT_TRUE(breaker.Allows(131));
}

// They were under way when it opened, and end while the one after its rest is.
TEST(Breaker, OlderAttemptsDoNotEndTheTrial) {
  Breaker breaker({.failures_max = 1, .rest_us = 10});
  const std::uint64_t old = breaker.Started();
  const std::uint64_t older = breaker.Started();
  breaker.Failed(breaker.Started(), 100);
  ASSERT_TRUE(breaker.Allows(110));
  const std::uint64_t trial = breaker.Started();
  breaker.Abandoned(old);
  EXPECT_FALSE(breaker.Allows(110));
  breaker.Failed(older, 110);
  EXPECT_FALSE(breaker.Allows(130)) << "the trial is under way";
  breaker.Abandoned(trial);
  EXPECT_TRUE(breaker.Allows(130));
}

TEST(Breaker, OffNeverOpens) {
  Breaker breaker({.failures_max = 0, .rest_us = 10});
  for (int i = 0; i < 1000; ++i) breaker.Failed(breaker.Started(), 0);
  EXPECT_TRUE(breaker.Allows(0));
}

}  // namespace
}  // namespace interlock::runtime
