#include "envelope.h"

#include <gtest/gtest.h>

#include "core/json.h"

namespace interlock::runtime {
namespace {

std::string Outside(const std::string& number, const char* around = R"({"created":N})") {
  std::string json = around;
  json.replace(json.find('N'), 1, number);
  return WithoutHugeNumbers(json, Where::kOutsideArguments);
}

TEST(Envelope, WhatTheParserRefusesForItsSizeIsMadeTheLargestThatItTakes) {
  const std::string most = R"({"created":9007199254740991})";
  for (const char* huge :
       {"9007199254740992", "9999999999999999", "1764000000000000000", "18446744073709551616",
        "1.764e18", "9007199254740992.0", "1e20", "1e400", "123456789012345678901234567890"}) {
    EXPECT_FALSE(core::ParseJson(huge, core::kArgsLimits).ok()) << huge;
    EXPECT_EQ(Outside(huge), most) << huge;
  }
  EXPECT_EQ(Outside("-9007199254740992"), R"({"created":-9007199254740991})");
  for (const char* kept : {"0", "-1", "9007199254740991", "-9007199254740991", "1.5", "1e21",
                           "1e-400", "1E-400", "0.1234567890123456789"}) {
    EXPECT_TRUE(core::ParseJson(kept, core::kArgsLimits).ok()) << kept;
    EXPECT_EQ(Outside(kept), R"({"created":)" + std::string(kept) + "}") << kept;
  }
}

TEST(Envelope, ArgumentsStayAsTheModelWroteThem) {
  const std::string huge = "1764000000000000000";
  for (const char* key : {"arguments", "args", "input"}) {
    const std::string json = "{\"" + std::string(key) + R"(":{"a":[{"b":N}]},"seed":N})";
    std::string kept = json;
    kept.replace(kept.find('N'), 1, huge);
    std::string all = json;
    all.replace(all.find('N'), 1, huge).replace(all.find('N'), 1, huge);
    const auto end = kept.find('N');
    EXPECT_EQ(WithoutHugeNumbers(all, Where::kOutsideArguments),
              kept.replace(end, 1, "9007199254740991"));
    EXPECT_TRUE(
        core::ParseJson(WithoutHugeNumbers(all, Where::kEverywhere), core::kArgsLimits).ok());
  }
}

TEST(Envelope, WhatIsNoJsonStaysNone) {
  for (const char* text :
       {"", "{", "\"1764000000000000000", "[1764000000000000000", "-", "1-2e+"}) {
    const std::string without = WithoutHugeNumbers(text, Where::kEverywhere);
    EXPECT_FALSE(core::ParseJson(without, core::kArgsLimits).ok()) << text;
  }
  EXPECT_EQ(WithoutHugeNumbers(R"(["1764000000000000000\"",1])", Where::kEverywhere),
            R"(["1764000000000000000\"",1])")
      << "texts are left alone";
}

}  // namespace
}  // namespace interlock::runtime
