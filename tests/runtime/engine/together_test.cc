// Effects that belong together (ADR 71): a run that ends with half of them has failed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "trip.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;

// An agent for whole trips, which is told once that half of one is none.
class Desk {
 public:
  Desk() : h(CancelsAre("allow()"), TripTools()) {
    h.agent = AgentNamed("tester", "together: [[flight.book, hotel.book]]\n",
                         "steps_max: 8, repairs_max: 1");
    PlanTrip(h);
    h.Restart();
  }
  std::string Run(std::vector<core::StatusOr<Plan>> plans) {
    h.planner.plans = std::move(plans);
    const auto run = h.CreateRun();
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? run->id : "";
  }
  int Refused(const std::string& run) {
    const auto kinds = h.Kinds(run);
    return static_cast<int>(std::count(kinds.begin(), kinds.end(), "answer.checked"));
  }
  Harness h;
};

TEST(Together, HalfATripThatIsCalledAnAnswerFailsAndGoesBack) {
  Desk desk;
  desk.h.tools.Fails("hotel.book", "SOLD_OUT");
  const std::string run =
      desk.Run({Books("flight"), Books("hotel"), FakePlanner::Answer("the flight is booked"),
                FakePlanner::Answer("as I said")});
  const RunInfo ended = desk.h.WaitForState(run, RunState::kFailed);
  EXPECT_EQ(ended.code, "INCOMPLETE");
  EXPECT_THAT(ended.reason, HasSubstr("`flight.book` took effect and `hotel.book` did not"));
  EXPECT_EQ(desk.Refused(run), 2);
  EXPECT_EQ(BodyOf(desk.h, run, "answer.checked")["code"], "TOGETHER");
  EXPECT_EQ(desk.h.tools.runs("flight.cancel"), 1);
  EXPECT_THAT(desk.h.planner.seen().back().messages.back().text,
              HasSubstr("Nobody was given this (TOGETHER). `flight.book` took effect"));
  ExpectReplays(desk.h, run);
}

TEST(Together, AWholeTripAndNoneAtAllComplete) {
  Desk desk;
  std::string run = desk.Run({Books("flight"), Books("hotel"), FakePlanner::Answer("booked")});
  EXPECT_EQ(desk.h.WaitForState(run, RunState::kCompleted).answer, "booked");
  EXPECT_EQ(desk.Refused(run), 0);
  ExpectReplays(desk.h, run);
  run = desk.Run({FakePlanner::Answer("nothing to do")});
  desk.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(desk.h.tools.runs("flight.cancel"), 0);
}

TEST(Together, APlannerThatIsToldMayDoTheRest) {
  Desk desk;
  const std::string run = desk.Run({Books("flight"), FakePlanner::Answer("the flight is booked"),
                                    Books("hotel"), FakePlanner::Answer("both are booked")});
  EXPECT_EQ(desk.h.WaitForState(run, RunState::kCompleted).answer, "both are booked");
  EXPECT_EQ(desk.Refused(run), 1);
  EXPECT_EQ(desk.h.tools.runs("flight.cancel"), 0);
  ExpectReplays(desk.h, run);
}

// Between the two a run may wait, over a restart too, and whoever cancels it wants no half.
TEST(Together, AQuestionIsNoEnd) {
  Desk desk;
  const std::string run =
      desk.Run({Books("flight"), FakePlanner::Ask("which hotel?"),
                FakePlanner::Answer("then only the flight"), FakePlanner::Answer("really")});
  desk.h.WaitForState(run, RunState::kWaitingForUser);
  EXPECT_EQ(desk.Refused(run), 0);
  desk.h.Restart();
  ASSERT_TRUE(desk.h.Send(run, "none").ok());
  EXPECT_EQ(desk.h.WaitForState(run, RunState::kFailed).code, "INCOMPLETE");
  EXPECT_EQ(desk.h.tools.runs("flight.cancel"), 1);
  ExpectReplays(desk.h, run);
}

std::vector<Effect> StepThatKnowsNoGroups(RunCore& run, const Event& event) {
  run.together.clear();
  return Step(run, event);
}

TEST(Together, ReplayFindsAStepThatLetsHalvesPass) {
  Desk desk;
  const std::string run = desk.Run({Books("flight"), FakePlanner::Answer("the flight is booked"),
                                    FakePlanner::Answer("as I said")});
  desk.h.WaitForState(run, RunState::kFailed);
  const auto report = ReplayOf(desk.h, run, {&desk.h.agent}, &StepThatKnowsNoGroups);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(report->first.has_value());
  EXPECT_EQ(report->first->kind, "answer.checked");
}

TEST(Together, AToolThatCannotBeTakenBackBelongsToNoGroup) {
  Desk desk;
  desk.h.agent = AgentNamed("tester", "together: [[flight.book, look]]\n");
  desk.h.Stop();
  desk.h.OpenLog();
  EXPECT_THAT(std::string(core::Message(desk.h.StartEngine())),
              HasSubstr("agent `tester`: tool `look` of `together` could not be taken back; name "
                        "`compensate` in its manifest"));
  desk.h.agent = AgentNamed("tester", "together: [[flight.book, flight.bok]]\n");
  EXPECT_THAT(std::string(core::Message(desk.h.StartEngine())),
              HasSubstr("tool `flight.bok` of `together` is no tool; see `interlock tools list`"));
}

}  // namespace
}  // namespace interlock::runtime::test
