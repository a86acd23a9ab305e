// What planners write is shown while it comes, and never what a rule would withhold (ADR 70).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "live.h"

namespace interlock::runtime::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const char* const kPolite = R"(
on(answer(), "polite", function(c) return modify { ["answer.text"] = "thank you" } end))";

class Reader {
 public:
  void Add(const PlannerText& text) {
    const std::lock_guard lock(mutex_);
    parts_.push_back((text.begins ? "+" : "") + std::to_string(text.step) + ":" + text.text);
  }
  std::vector<std::string> parts() {
    const std::lock_guard lock(mutex_);
    return parts_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> parts_;
};

// A run whose planner has been asked and writes what the test says.
struct Writing {
  explicit Writing(Harness& h) : h_(h) {
    h.planner.Holds();
    const auto run = h.CreateRun();
    EXPECT_TRUE(run.ok()) << run.status();
    id = run->id;
    h.planner.WaitUntilHeld();
    write = h.planner.seen().back().on_text;
  }
  ~Writing() {  // a cancel ends the request
    if (h_.Cancel(id).ok()) h_.WaitForState(id, RunState::kCancelled);
  }
  core::StatusOr<std::uint64_t> Watch(const core::Principal& who) {
    return h_.engine().SubscribeText(who, id,
                                     [this](const PlannerText& text) { reader.Add(text); });
  }
  std::string id;
  std::function<void(const TextDelta&)> write;
  Reader reader;

 private:
  Harness& h_;
};

void Streams(Harness& h) {
  h.agent = AgentNamed("tester", "stream: true\n");
  h.Restart();
}

TEST(PlannerTexts, ReachWhoWatchesAsTheyCome) {
  Harness h(AllowAll(), {});
  Streams(h);
  Writing writing(h);
  ASSERT_NE(writing.write, nullptr);
  writing.write({.text = "before anybody looks ", .restarted = false});
  const auto watch = writing.Watch(h.integrator);
  ASSERT_TRUE(watch.ok()) << watch.status();
  writing.write({.text = "gr\xC3", .restarted = false});
  writing.write({.text = "\xBC\x1b[2J", .restarted = false});
  writing.write({.text = "anew", .restarted = true});
  EXPECT_THAT(writing.reader.parts(), ElementsAre("0:gr", "0:\xC3\xBC\\u{1b}[2J", "+0:anew"));
  h.engine().UnsubscribeText(*watch);
  writing.write({.text = "unseen", .restarted = false});
  EXPECT_EQ(writing.reader.parts().size(), 3u);
  for (const audit::Entry& entry : h.Entries(writing.id)) {
    EXPECT_THAT(entry.bytes, Not(HasSubstr("anew")));
  }
}

TEST(PlannerTexts, AreOnlyOfAgentsThatStream) {
  Harness h(AllowAll(), {});
  Writing writing(h);
  EXPECT_EQ(writing.write, nullptr);
}

TEST(PlannerTexts, ShowNothingWhileARuleSpeaksOfAnswers) {
  Harness h(AllowAll() + kPolite, {});
  Streams(h);
  Writing writing(h);
  EXPECT_EQ(writing.write, nullptr);
}

TEST(PlannerTexts, AreForTheCallerOperatorsAndApprovers) {
  Harness h(AllowAll(), {});
  Streams(h);
  Writing writing(h);
  const core::Principal other{.tenant = "main", .id = "else", .roles = {"integrator"}};
  EXPECT_EQ(writing.Watch(other).status().code(), core::StatusCode::kNotFound);
  EXPECT_EQ(writing.Watch(h.auditor).status().code(), core::StatusCode::kPermissionDenied);
  EXPECT_TRUE(writing.Watch(h.operator_one).ok());
  EXPECT_TRUE(writing.Watch(h.manager).ok());
}

TEST(PlannerTexts, AreVoidFromAnActivationOnThatWouldJudgeThem) {
  Live live(UpTo(5, "FIVE"));
  Streams(live.h);
  Writing writing(live.h);
  ASSERT_NE(writing.write, nullptr);
  ASSERT_TRUE(writing.Watch(live.h.integrator).ok());
  writing.write({.text = "a card: ", .restarted = false});
  live.Write(UpTo(5, "FIVE", kPolite));
  ASSERT_TRUE(live.Activate().ok());
  writing.write({.text = "4111", .restarted = false});
  writing.write({.text = "1111", .restarted = false});
  EXPECT_THAT(writing.reader.parts(), ElementsAre("+0:a card: ", "+0:"));
  // A request of before stays silent, also when nobody judges answers any more.
  live.Write(UpTo(6, "SIX"));
  ASSERT_TRUE(live.Activate().ok());
  writing.write({.text = "1111", .restarted = true});
  EXPECT_EQ(writing.reader.parts().size(), 2u);
}

TEST(PlannerTexts, AreShownAgainWhenNoRuleJudgesAnswersAnyMore) {
  Live live(UpTo(5, "FIVE", kPolite));
  Streams(live.h);
  EXPECT_EQ(Writing(live.h).write, nullptr);
  live.Write(UpTo(5, "FIVE"));
  ASSERT_TRUE(live.Activate().ok());
  EXPECT_NE(Writing(live.h).write, nullptr);
  live.Write("this is no policy");
  EXPECT_FALSE(live.Activate().ok());
  EXPECT_NE(Writing(live.h).write, nullptr) << "the policies of before are in force";
}

}  // namespace
}  // namespace interlock::runtime::test
