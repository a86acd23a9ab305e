#include "reply_cache.h"

#include <gtest/gtest.h>

namespace interlock::runtime {
namespace {

core::Digest Key(int number) { return core::Sha256(std::to_string(number)); }

Plan PlanSaying(std::string text) {
  Plan plan;
  plan.text = std::move(text);
  plan.prompt_tokens = 10;
  plan.completion_tokens = 5;
  plan.cost_micros = 70;
  plan.currency = "USD";
  return plan;
}

TEST(ReplyCache, AHitCostsNothingAndSaysWhatItSaved) {
  ReplyCache cache({.entries_max = 2, .ttl_us = 100});
  EXPECT_FALSE(cache.Find(Key(1), 0));
  cache.Keep(Key(1), PlanSaying("one"), 0);
  const auto plan = cache.Find(Key(1), 99);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->text, "one");
  EXPECT_TRUE(plan->from_cache);
  EXPECT_EQ(plan->cost_micros, 0);
  EXPECT_EQ(plan->saved_micros, 70);
  EXPECT_EQ(plan->currency, "USD");
  EXPECT_EQ(plan->prompt_tokens + plan->completion_tokens, 0);
  EXPECT_FALSE(cache.Find(Key(1), 100));  // too old
  EXPECT_EQ(cache.size(), 0u);
}

TEST(ReplyCache, DropsTheOneNotUsedForLongest) {
  ReplyCache cache({.entries_max = 2, .ttl_us = 100});
  cache.Keep(Key(1), PlanSaying("one"), 0);
  cache.Keep(Key(2), PlanSaying("two"), 0);
  EXPECT_TRUE(cache.Find(Key(1), 1));
  cache.Keep(Key(3), PlanSaying("three"), 2);
  EXPECT_TRUE(cache.Find(Key(1), 3));
  EXPECT_FALSE(cache.Find(Key(2), 3));
  EXPECT_TRUE(cache.Find(Key(3), 3));
}

TEST(ReplyCache, HoldsNoMoreBytesThanItMay) {
  ReplyCache cache({.entries_max = 100, .bytes_max = 10'000, .ttl_us = 100});
  for (int i = 0; i < 10; ++i) cache.Keep(Key(i), PlanSaying(std::string(2000, 'x')), 0);
  EXPECT_EQ(cache.size(), 3u);
  cache.Keep(Key(50), PlanSaying(std::string(20'000, 'x')), 0);
  EXPECT_FALSE(cache.Find(Key(50), 0));
  EXPECT_EQ(cache.size(), 3u);
}

TEST(ReplyCache, ForgetsAndKeepsNothingWhenItIsOff) {
  ReplyCache cache({.entries_max = 2, .ttl_us = 100});
  cache.Keep(Key(1), PlanSaying("one"), 0);
  cache.Clear();
  EXPECT_FALSE(cache.Find(Key(1), 0));
  ReplyCache off({.entries_max = 0});
  off.Keep(Key(1), PlanSaying("one"), 0);
  EXPECT_FALSE(off.enabled());
  EXPECT_EQ(off.size(), 0u);
}

}  // namespace
}  // namespace interlock::runtime
