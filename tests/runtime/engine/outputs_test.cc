// What tools write while they run reaches who watches, harmless for a terminal.
#include "engine/outputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::ElementsAre;

struct Bytes {
  const char* name;
  std::vector<std::string> parts;
  std::string text;
};
class SafeTexts : public ::testing::TestWithParam<Bytes> {};

TEST_P(SafeTexts, HarmNoTerminal) {
  SafeText text;
  std::string all;
  for (const std::string& part : GetParam().parts) all += text.Take(part);
  EXPECT_EQ(all, GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Streams, SafeTexts,
    ::testing::Values(Bytes{"Plain", {"a\tb\n", "ä€😀"}, "a\tb\nä€😀"},
                      Bytes{"Escapes", {"\x1b[2J\x1b]0;x\a"}, "\\u{1b}[2J\\u{1b}]0;x\\u{7}"},
                      Bytes{"CarriageReturn", {"50%\r100%"}, "50%\\u{d}100%"},
                      Bytes{"EscapeAcrossParts", {"\x1b", "[2J"}, "\\u{1b}[2J"},
                      Bytes{"EightBitControl", {"\u009b2J"}, "\\u{9b}2J"},
                      Bytes{"Reordering", {"\u202etxt"}, "\\u{202e}txt"},
                      Bytes{"Hidden", {"a\u200bb\ufeff"}, "a\\u{200b}b\\u{feff}"},
                      Bytes{"CharacterAcrossParts", {"\xF0\x9F", "\x98", "\x80!"}, "😀!"},
                      Bytes{"NoText",
                            {"\xff\xfe", "a\xC3(", "\xED\xA0\x80"},
                            "\ufffd\ufffda\ufffd(\ufffd\ufffd\ufffd"},
                      Bytes{"Overlong", {"\xC0\xAF"}, "\ufffd\ufffd"},
                      Bytes{"Markup", {"<script>"}, "<script>"}),  // a page inserts it as text
    [](const auto& item) { return std::string(item.param.name); });

TEST(Outputs, GoToWhoWatchesThatRunUntilHeStops) {
  const auto outputs = std::make_shared<Outputs>();
  std::vector<std::string> told;
  const auto id = outputs->Add("r1", [&](const ToolOutput& output) {
    told.push_back((output.is_stderr ? "!" : "") + output.call + ":" + output.text);
  });
  const auto first = outputs->For("r1", "c1");
  const auto other = outputs->For("r2", "c2");
  first({false, "half \xC3"});
  other({false, "not this"});
  first({true, "e"});
  first({false, "\xA4"});
  outputs->Remove(id);
  first({false, "late"});
  EXPECT_THAT(told, ElementsAre("c1:half ", "!c1:e", "c1:ä"));
}

TEST(Outputs, OfARunReachOperatorsBeforeAnyRuleHasSpoken) {
  Harness h(AllowAll(), {ReadTool("slow.read")});
  h.tools.On("slow.read", [](const tools::CallSpec& spec, FakeTools::Done done) {
    if (spec.on_output) spec.on_output({false, "working\x1b[1m"});
    done(OkOutcome({{"ok", true}}));
  });
  h.planner.plans = {FakePlanner::Ask("go on?"), FakePlanner::Calls({{"a", "slow.read", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  std::vector<std::string> told;
  const auto watcher = [&](const ToolOutput& output) { told.push_back(output.text); };
  for (const core::Principal& who : {h.auditor, h.integrator}) {
    EXPECT_EQ(h.engine().SubscribeOutput(who, run->id, watcher).status().code(),
              core::StatusCode::kPermissionDenied)
        << who.id;
  }
  EXPECT_EQ(h.engine()
                .SubscribeOutput(h.operator_one, core::NewUuidV7(h.clock, h.random), watcher)
                .status()
                .code(),
            core::StatusCode::kNotFound);
  const auto id = h.engine().SubscribeOutput(h.operator_one, run->id, watcher);
  ASSERT_TRUE(id.ok()) << id.status();
  ASSERT_TRUE(h.Send(run->id, "yes").ok());
  h.WaitForState(run->id, RunState::kCompleted);
  h.engine().UnsubscribeOutput(*id);
  EXPECT_THAT(told, ElementsAre("working\\u{1b}[1m"));
}

}  // namespace
}  // namespace interlock::runtime::test
