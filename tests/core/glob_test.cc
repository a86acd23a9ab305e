#include "core/glob.h"

#include <gtest/gtest.h>

namespace interlock::core {
namespace {

TEST(Glob, MatchesAsAShellDoesWithStarsOnly) {
  EXPECT_TRUE(GlobMatches("*", ""));
  EXPECT_TRUE(GlobMatches("refund-*", "refund-eu"));
  EXPECT_TRUE(GlobMatches("*-eu-*x", "a-eu-bx"));
  EXPECT_FALSE(GlobMatches("refund", "refund-eu"));
  EXPECT_FALSE(GlobMatches("a*b", "ac"));
}

}  // namespace
}  // namespace interlock::core
