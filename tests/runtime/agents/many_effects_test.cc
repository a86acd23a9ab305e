// Lists that are too long for an entry are payloads of it (ADR 83): a tree that did more than an
// entry can name ends as any other.
#include <gmock/gmock.h>

#include "cast.h"
#include "erasing.h"

namespace interlock::runtime::test {
namespace {

using ::testing::SizeIs;

constexpr int kPlans = 53;
constexpr int kEffects = kPlans * static_cast<int>(kPlanCallsMax);  // an entry has room for 1,660

// Bookings that can be taken back, no two of them the same.
std::vector<core::StatusOr<Plan>> ManyBookings() {
  std::vector<core::StatusOr<Plan>> plans;
  plans.reserve(kPlans);
  for (int plan = 0; plan < kPlans; ++plan) {
    std::vector<ProposedCall> calls;
    for (std::size_t i = 0; i < kPlanCallsMax; ++i) {
      const std::string name = std::to_string(plan) + "-" + std::to_string(i);
      calls.push_back({name, "flight.book", core::CanonicalJson({{"id", name}})});
    }
    plans.emplace_back(FakePlanner::Calls(std::move(calls)));
  }
  return plans;
}

// As default limits would never let them.
void LiftLimits(Company& company) {
  company.h.others.front() = AgentNamed("helper", "", "steps_max: 60, calls_max: 2000");
  company.h.agent = AgentNamed("tester", "agents: [helper]\n", "steps_max: 100, calls_max: 5000");
  company.h.Restart();
}

// All three lists of a tree that fails: what the run below did, what is taken back, what stands.
TEST(ManyEffects, OfATreeThatFailsAreTakenBackOneByOneAndNamed) {
  Company company(AllowAll(), TripTools());
  LiftLimits(company);
  company.h.tools.Answers("flight.book", {{"ref", "f1"}});
  company.cast.plans["helper"] = ManyBookings();
  company.cast.plans["tester"] = {Asks("helper", "book"), FakePlanner::Ask("Was that right?"),
                                  core::InvalidArgument("no plan")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kWaitingForUser);
  const auto outcomes = company.Bodies(run, "call.outcome");
  ASSERT_THAT(outcomes, SizeIs(1));
  EXPECT_FALSE(outcomes[0]["ended"].contains("effects"));
  company.h.tools.Fails("flight.cancel", "TOO_LATE");
  company.h.Restart();  // the effects are read back from the log
  ASSERT_TRUE(company.h.Send(run, "no").ok());
  company.h.WaitForState(run, RunState::kUncompensated);
  EXPECT_EQ(company.h.tools.runs("flight.cancel"), kEffects);
  const auto begun = company.Bodies(run, "run.compensating");
  const auto ended = company.Bodies(run, "run.failed");
  ASSERT_THAT(begun, SizeIs(1));
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_TRUE(begun[0]["calls"].is_object());
  const core::Json stands = ended[0]["uncompensated"];
  ASSERT_TRUE(stands.is_object());
  EXPECT_EQ(stands.value("bytes", 0), kEffects * 39 + 1);  // names, commas and brackets
  ExpectMadeAnew(company.h, run, company.agents());
  company.h.Stop();
  const audit::VerifyReport report = VerifyFolder(company.h.folder);
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
}

}  // namespace
}  // namespace interlock::runtime::test
