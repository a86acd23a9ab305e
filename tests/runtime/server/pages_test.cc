#include "server/pages.h"

#include <gtest/gtest.h>

namespace interlock::runtime {
namespace {

const PageTokens kTokens("0123456789abcdef");

TEST(PageTokens, GiveTheCursorBack) {
  const std::string cursor("c\0/+\xff", 5);
  const std::string token = kTokens.Seal("scope", cursor);
  EXPECT_EQ(
      token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
      std::string::npos);
  EXPECT_EQ(*kTokens.Open("scope", token), cursor);
  EXPECT_EQ(kTokens.Seal("scope", ""), "");
  EXPECT_EQ(*kTokens.Open("scope", ""), "");
}

TEST(PageTokens, RefuseAnyChangeOfAByte) {
  const std::string token = kTokens.Seal("scope", "018f0000-cursor");
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(kTokens.Open("scope", changed).status().code(), core::StatusCode::kInvalidArgument)
        << i;
  }
  for (const std::string& other :
       {token + "A", token.substr(1), token + "=", std::string(5000, 'A')}) {
    EXPECT_FALSE(kTokens.Open("scope", other).ok()) << other.substr(0, 40);
  }
}

TEST(PageTokens, AreBoundToScopeAndKey) {
  const std::string token = kTokens.Seal("ListRuns\ntenants/a", "c");
  EXPECT_FALSE(kTokens.Open("ListRuns\ntenants/b", token).ok());
  EXPECT_FALSE(PageTokens("another key of 16").Open("ListRuns\ntenants/a", token).ok());
  // Scope and cursor do not run together.
  EXPECT_FALSE(kTokens.Open("ab", kTokens.Seal("a", "bc")).ok());
}

TEST(PageTokens, SizesAreCoerced) {
  EXPECT_EQ(*PageSize(0), 50);
  EXPECT_EQ(*PageSize(7), 7);
  EXPECT_EQ(*PageSize(100'000), 1000);
  EXPECT_EQ(PageSize(-1).status().code(), core::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace interlock::runtime
