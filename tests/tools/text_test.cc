#include "text.h"

#include <gtest/gtest.h>

namespace interlock::tools {
namespace {

TEST(OneLine, KeepsPlainText) {
  EXPECT_EQ(OneLine("no such order o-1"), "no such order o-1");
  EXPECT_EQ(OneLine("Grüße, 東京 🙂"), "Grüße, 東京 🙂");
}

TEST(OneLine, EscapesWhatMovesTheCursor) {
  EXPECT_EQ(OneLine("a\nb\tc\r\x1b[2J"), "a\\nb\\tc\\u{d}\\u{1b}[2J");
  EXPECT_EQ(OneLine(std::string_view("a\0b", 3)), "a\\u{0}b");
  EXPECT_EQ(OneLine("pay \u202Eeno\u2028x\u200By"), "pay \\u{202e}eno\\u{2028}x\\u{200b}y");
  EXPECT_EQ(OneLine("\xC2\x9B"
                    "31m"),
            "\\u{9b}31m");
}

TEST(OneLine, RepairsBytesThatAreNotUtf8) {
  EXPECT_EQ(OneLine("a\xFF"
                    "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(OneLine("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // overlong
  EXPECT_EQ(OneLine("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // surrogate
  EXPECT_EQ(OneLine("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // cut short
  EXPECT_EQ(OneLine("\xF4\x90\x80\x80").size(), 12u);                          // beyond U+10FFFF
}

TEST(OneLine, NeverPassesItsCapAndShowsTheCut) {
  EXPECT_EQ(OneLine("abcdef", 6), "abcdef");
  EXPECT_EQ(OneLine("abcdefg", 6), "abc…");
  EXPECT_EQ(OneLine("ab🙂🙂", 8), "ab…");
  for (std::size_t cap = 0; cap < 40; ++cap) {
    EXPECT_LE(OneLine("\n\n\n\n🙂🙂🙂\xFF\xFF plain text", cap).size(), cap) << cap;
  }
}

}  // namespace
}  // namespace interlock::tools
