#include "runtime/tokens.h"

#include <gtest/gtest.h>

#include <string>

namespace interlock::runtime {
namespace {

TEST(EstimatedTokens, FollowTheText) {
  EXPECT_EQ(EstimateTokens(""), 0);
  EXPECT_EQ(EstimateTokens("Hello"), 1);
  EXPECT_EQ(EstimateTokens("Hello world"), 2);
  EXPECT_EQ(EstimateTokens("\n\n"), 1);
  EXPECT_EQ(EstimateTokens("1234567"), 3);
  EXPECT_EQ(EstimateTokens(R"({"id":1})"), 5);
  EXPECT_EQ(EstimateTokens("\xE4\xBD\xA0\xE5\xA5\xBD"), 2);  // two Chinese characters
  EXPECT_EQ(EstimateTokens("\xC3\xA4\xC3\xB6\xC3\xBC"), 2);  // three umlauts
  EXPECT_EQ(EstimateTokens("\xF0\x9F\x98\x80"), 2);          // an emoji
}

TEST(EstimatedTokens, TakeAnyBytesAndAddUp) {
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes += static_cast<char>(i * 131 % 256);
  EXPECT_GT(EstimateTokens(bytes), 0);
  EXPECT_LE(EstimateTokens(bytes), 2 * 100'000);
  EXPECT_EQ(EstimateTokens("ab ab ab"), 3);
}

}  // namespace
}  // namespace interlock::runtime
