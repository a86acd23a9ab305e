#include "cli/io.h"

#include <gtest/gtest.h>

#include <sstream>

namespace interlock::runtime::cli {
namespace {

struct Escape {
  std::string text;
  std::string safe;
};

class Escapes : public ::testing::TestWithParam<Escape> {};

TEST_P(Escapes, MakeTextSafeForATerminal) {
  EXPECT_EQ(EscapeForTerminal(GetParam().text), GetParam().safe);
}

INSTANTIATE_TEST_SUITE_P(
    Attacks, Escapes,
    ::testing::Values(Escape{"\x1b[2J\x1b]0;owned\x07",
                             "\\x1b[2J\\x1b]0;owned\\x07"},   // clear screen, set title
                      Escape{"a\nb\rc\td", "a\\nb\\rc\\td"},  // a forged second line
                      Escape{"pay \xe2\x80\xae"
                             "001 USD",
                             "pay \\u{202e}001 USD"},  // right-to-left override
                      Escape{"a\xe2\x80\x8b"
                             "b",
                             "a\\u{200b}b"},  // zero width space
                      Escape{"\xc2\x9b"
                             "31m",
                             "\\u{9b}31m"},                      // C1 control sequence
                      Escape{"\xf3\xa0\x81\x81", "\\u{e0041}"},  // invisible tag letter
                      Escape{"\xe2\x80\xa8", "\\u{2028}"},       // line separator
                      Escape{"\x9b"
                             "31m",
                             "\\x9b31m"},                                  // a lone C1 byte
                      Escape{"\xc0\xaf", "\\xc0\\xaf"},                    // overlong slash
                      Escape{"\xed\xa0\x80", "\\xed\\xa0\\x80"},           // surrogate
                      Escape{"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},  // beyond U+10FFFF
                      Escape{"\xe2\x82", "\\xe2\\x82"},                    // cut short
                      Escape{std::string("a\0b", 3), "a\\x00b"}, Escape{"\x7f", "\\x7f"}));

INSTANTIATE_TEST_SUITE_P(
    HarmlessTwins, Escapes,
    ::testing::Values(Escape{"", ""}, Escape{"plain text 1.50 €", "plain text 1.50 €"},
                      Escape{"Grüße, Ωmega, 漢字, 🙂", "Grüße, Ωmega, 漢字, 🙂"},
                      Escape{"back\\slash", "back\\slash"}));

TEST(EscapeAndCut, CutsByCodePointsAndSaysSo) {
  EXPECT_EQ(EscapeAndCut("äöü", 3), "äöü");
  EXPECT_EQ(EscapeAndCut("äöüß", 3), "äöü…");
}

TEST(EscapeLines, KeepsLineFeedsOnly) {
  EXPECT_EQ(EscapeLines("a\n\x1b"
                        "b\r\n",
                        2),
            "  a\n  \\x1bb\\r\n  ");
}

TEST(Table, PadsByColumnsAndEscapesCells) {
  std::ostringstream out;
  std::istringstream in;
  Io io{out, out, in};
  Table table({"A", "B"});
  table.Add({"äö", "x"});
  table.Add({"\n", "y"});
  table.Print(io);
  EXPECT_EQ(out.str(), "A   B\näö  x\n\\n  y\n");
}

TEST(Io, ColoursOnTerminalsOnly) {
  std::ostringstream out;
  std::istringstream in;
  Io io{out, out, in};
  EXPECT_EQ(io.Paint(Style::kRed, "no"), "no");
  io.colour_out = true;
  EXPECT_EQ(io.Paint(Style::kRed, "no"), "\x1b[31mno\x1b[0m");
}

TEST(ParseTime, TakesDaysTimesAndMicroseconds) {
  EXPECT_EQ(*ParseTime("1970-01-02"), 86'400'000'000);
  EXPECT_EQ(*ParseTime("1970-01-01T00:00:01Z"), 1'000'000);
  EXPECT_EQ(*ParseTime("1234567"), 1'234'567);
  for (const char* bad :
       {"", "yesterday", "1970-13-01", "1970-01-01T", "1970-01-01T00:00:01+02:00", "12x"}) {
    EXPECT_FALSE(ParseTime(bad).ok()) << bad;
  }
}

TEST(ParseTimeUntil, CountsADayToItsEnd) {
  EXPECT_EQ(*ParseTimeUntil("1970-01-02"), 2 * 86'400'000'000 - 1);
  EXPECT_EQ(*ParseTimeUntil("1970-01-02T00:00:00Z"), 86'400'000'000);
  EXPECT_EQ(*ParseTimeUntil("1970-01-02 00:00:00"), 86'400'000'000);
  EXPECT_EQ(*ParseTimeUntil("1234567"), 1'234'567);
  EXPECT_EQ(*ParseTimeUntil("-5"), -5);
  for (const char* bad : {"", "-", "yesterday", "1970-13-01", "1970-01-01T"}) {
    EXPECT_FALSE(ParseTimeUntil(bad).ok()) << bad;
  }
}

TEST(Format, TimesDurationsAndAmounts) {
  EXPECT_EQ(FormatTime(1'000'001'234'000), "1970-01-12 13:46:41.234");
  EXPECT_EQ(FormatTime(0), "-");
  EXPECT_EQ(FormatDuration(850), "850 µs");
  EXPECT_EQ(FormatDuration(71'400), "71 ms");
  EXPECT_EQ(FormatDuration(2'440'000), "2.4 s");
  EXPECT_EQ(FormatAmount(12'900, "USD"), "129.00 USD");
  EXPECT_EQ(FormatAmount(3, "calls"), "3 calls");
}

TEST(PrintError, CarriesCodeAndReason) {
  std::ostringstream out;
  std::istringstream in;
  Io io{out, out, in};
  io.json = true;
  EXPECT_EQ(PrintError(io, WithErrorReason(core::NotFound("no run `x`"), "RUN_NOT_FOUND")),
            kCouldNotTell);
  const core::Json error = core::Json::parse(out.str())["error"];
  EXPECT_EQ(error["code"], "NOT_FOUND");
  EXPECT_EQ(error["reason"], "RUN_NOT_FOUND");
  EXPECT_EQ(error["message"], "no run `x`");
}

}  // namespace
}  // namespace interlock::runtime::cli
