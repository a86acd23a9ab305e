// What operators set and look at: roll-outs, kill switches, policies, budgets.
#include "fixture.h"

namespace interlock::runtime {
namespace {

using ::testing::Contains;

using OperatorRequestsTest = ServerTest;

TEST_F(OperatorRequestsTest, OnlyOperatorsSetRollouts) {
  wire::SetRolloutRequest set;
  set.set_parent("tenants/main");
  set.set_agent("support");
  set.set_version("2");
  set.set_percent(10);
  set.set_reason("a first few");
  set.set_etag("7");
  wire::Rollout stands;
  ASSERT_TRUE(Call("op", &wire::RolloutService::Stub::SetRollout, set, &stands).ok());
  EXPECT_EQ(stands.name(), "tenants/main/rollouts/support");
  EXPECT_EQ(stands.percent(), 10);
  EXPECT_EQ(stands.principal(), "op");
  EXPECT_TRUE(stands.available());
  EXPECT_THAT(engine_.seen(), Contains("SetRollout op support 7"));
  for (const char* id : {"ticketing", "dora", "audi"}) {
    EXPECT_EQ(Call(id, &wire::RolloutService::Stub::SetRollout, set).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
  }
  set.clear_reason();
  EXPECT_EQ(FieldIn(Call("op", &wire::RolloutService::Stub::SetRollout, set)), "reason");
  set.set_reason("a first few");
  set.set_version(std::string(65, 'v'));
  EXPECT_EQ(FieldIn(Call("op", &wire::RolloutService::Stub::SetRollout, set)), "version");
  wire::ListRolloutsRequest list;
  list.set_parent("tenants/main");
  wire::ListRolloutsResponse found;
  ASSERT_TRUE(Call("ticketing", &wire::RolloutService::Stub::ListRollouts, list, &found).ok());
  ASSERT_EQ(found.rollouts_size(), 1);
  EXPECT_EQ(found.rollouts(0).version(), "2");
  EXPECT_FALSE(found.rollouts(0).available());
}

TEST_F(OperatorRequestsTest, OnlyOperatorsSetAndLiftSwitches) {
  wire::SetSwitchRequest set;
  set.set_parent("tenants/main");
  set.set_switch_("tool:pay");
  set.set_reason("odd sums");
  wire::Switch stands;
  ASSERT_TRUE(Call("op", &wire::SwitchService::Stub::SetSwitch, set, &stands).ok());
  EXPECT_EQ(stands.name(), "tenants/main/switches/tool:pay");
  EXPECT_EQ(stands.principal(), "op");
  wire::LiftSwitchRequest lift;
  lift.set_parent("tenants/main");
  lift.set_switch_("tool:pay");
  lift.set_reason("it was right");
  lift.set_etag("3");
  wire::LiftSwitchResponse lifted;
  ASSERT_TRUE(Call("op", &wire::SwitchService::Stub::LiftSwitch, lift, &lifted).ok());
  EXPECT_EQ(lifted.receipt().index(), 6);
  EXPECT_THAT(engine_.seen(), Contains("LiftSwitch op tool:pay 3"));
  for (const char* id : {"ticketing", "dora", "audi"}) {
    EXPECT_EQ(Call(id, &wire::SwitchService::Stub::SetSwitch, set).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(Call(id, &wire::SwitchService::Stub::LiftSwitch, lift).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
  }
  set.clear_reason();
  EXPECT_EQ(FieldIn(Call("op", &wire::SwitchService::Stub::SetSwitch, set)), "reason");
  wire::ListSwitchesRequest list;
  list.set_parent("tenants/main");
  wire::ListSwitchesResponse found;
  ASSERT_TRUE(Call("ticketing", &wire::SwitchService::Stub::ListSwitches, list, &found).ok());
  ASSERT_EQ(found.switches_size(), 1);
  EXPECT_EQ(found.switches(0).etag(), "3");
}

TEST_F(OperatorRequestsTest, OnlyOperatorsChangePoliciesAndOthersSeeThem) {
  wire::ActivatePolicyRequest activate;
  activate.set_parent("tenants/main");
  activate.set_reason("a new ceiling");
  wire::Policy policy;
  ASSERT_TRUE(Call("op", &wire::PolicyService::Stub::ActivatePolicy, activate, &policy).ok());
  EXPECT_EQ(policy.name(), "tenants/main/policy");
  EXPECT_EQ(policy.revision(), 7);
  EXPECT_FALSE(policy.has_candidate());
  EXPECT_THAT(engine_.seen(), Contains("ActivatePolicy op a new ceiling"));
  wire::WatchCandidateRequest watch;
  watch.set_parent("tenants/main");
  ASSERT_TRUE(Call("op", &wire::PolicyService::Stub::WatchCandidate, watch, &policy).ok());
  EXPECT_EQ(policy.candidate().parted(), 2);
  EXPECT_EQ(policy.candidate().by_change(0).name(), "allow -> deny");
  wire::StopCandidateRequest stop;
  stop.set_parent("tenants/main");
  for (const char* id : {"ticketing", "dora", "audi"}) {
    EXPECT_EQ(Call(id, &wire::PolicyService::Stub::ActivatePolicy, activate).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(Call(id, &wire::PolicyService::Stub::WatchCandidate, watch).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(Call(id, &wire::PolicyService::Stub::StopCandidate, stop).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
    wire::GetPolicyRequest get;
    get.set_parent("tenants/main");
    EXPECT_TRUE(Call(id, &wire::PolicyService::Stub::GetPolicy, get, &policy).ok());
  }
  activate.clear_reason();
  EXPECT_EQ(FieldIn(Call("op", &wire::PolicyService::Stub::ActivatePolicy, activate)), "reason");
}

TEST_F(OperatorRequestsTest, BudgetsPageInOrder) {
  wire::ListBudgetsRequest request;
  request.set_parent("tenants/main");
  request.set_page_size(2);
  wire::ListBudgetsResponse first, second;
  ASSERT_TRUE(Call("op", &wire::BudgetService::Stub::ListBudgets, request, &first).ok());
  request.set_page_token(first.next_page_token());
  ASSERT_TRUE(Call("op", &wire::BudgetService::Stub::ListBudgets, request, &second).ok());
  ASSERT_EQ(first.budgets_size(), 2);
  ASSERT_EQ(second.budgets_size(), 1);
  EXPECT_EQ(first.budgets(0).budget() + first.budgets(1).budget() + second.budgets(0).budget(),
            "abc");
  EXPECT_EQ(second.next_page_token(), "");
}

TEST_F(OperatorRequestsTest, BudgetsOfAUserAndOfThePastAreAskedFor) {
  wire::ListBudgetsRequest request;
  request.set_parent("tenants/main");
  request.set_page_size(1);
  request.set_user("u1");
  request.set_show_past(true);
  wire::ListBudgetsResponse first;
  ASSERT_TRUE(Call("op", &wire::BudgetService::Stub::ListBudgets, request, &first).ok());
  EXPECT_THAT(engine_.seen(), Contains("ListBudgets op u1 past"));
  request.set_page_token(first.next_page_token());
  request.set_user("u2");
  EXPECT_EQ(FieldIn(Call("op", &wire::BudgetService::Stub::ListBudgets, request)), "page_token")
      << "a page of another list";
  request.clear_page_token();
  request.set_user(std::string(kPersonBytesMax + 1, 'u'));
  EXPECT_EQ(FieldIn(Call("op", &wire::BudgetService::Stub::ListBudgets, request)), "user");
}

}  // namespace
}  // namespace interlock::runtime
