// Kill switches: what is stopped does not happen, whenever the switch comes; what is lifted goes
// on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "rules.h"
#include "writer_pause.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kFact =
    R"(
fact "order" { tool = "orders.get", args = { id = "1" }, on = "pay" })";

SwitchInfo Stop(Harness& h, const std::string& name) {
  auto set = h.engine().SetSwitch(h.operator_one, name, "odd refunds");
  EXPECT_TRUE(set.ok()) << set.status();
  return set.ok() ? *set : SwitchInfo{};
}

void Lift(Harness& h, const std::string& name) {
  const auto lifted = h.engine().LiftSwitch(h.operator_two, {name, "it was the test", ""});
  EXPECT_TRUE(lifted.ok()) << lifted.status();
}

std::int64_t Count(Harness& h, std::string_view kind) {
  const auto kinds = h.Kinds("");
  return std::count(kinds.begin(), kinds.end(), kind);
}

// A command of its own, so that it stands in the writer's queue when this returns.
class SetUnheard final : public audit::Command {
 public:
  core::Status Apply(audit::Transaction& transaction) override {
    return transaction
        .Append({.kind = "switch.set",
                 .run = "",
                 .actor = "principal:ops1",
                 .body = R"({"reason":"now","switch":"all"})",
                 .cites = {}},
                {})
        .status();
  }
  void Done(const core::Status& status) override { done.set_value(status); }
  std::promise<core::Status> done;
};

TEST(Switches, AStoppedToolIsDeniedInOneLineThatNamesSwitchWhoAndWhen) {
  Harness h(AllowAll() + kFact, {MoneyTool("pay"), MoneyTool("credit"), ReadTool("orders.get")});
  Pays(h, "1.00");
  h.tools.Answers("credit", {{"amount", "1.00"}, {"currency", "USD"}});
  Stop(h, "tool:pay");
  const auto call = h.Execute("pay", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kDenied);
  EXPECT_EQ(call->code, "KILLED");
  EXPECT_THAT(call->say,
              ::testing::MatchesRegex("Stopped by the kill switch `tool:pay`, set by ops1 at "
                                      "20..-..-..T..:..:..Z\\."));
  EXPECT_EQ(h.Check("pay", {{"id", "o1"}})->code, "KILLED");
  EXPECT_EQ(h.tools.lookups("orders.get"), 0) << "nothing is looked up for a stopped call";
  EXPECT_EQ(h.Execute("credit", {{"id", "o2"}})->state, CallState::kOk);
  EXPECT_THAT(h.engine().warnings(),
              ElementsAre(::testing::AllOf(HasSubstr("`tool:pay`"), HasSubstr("odd refunds"))));
  EXPECT_EQ(h.engine().Unhealthy(), "");
  Lift(h, "tool:pay");
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("pay"), 1);
  EXPECT_THAT(h.engine().warnings(), IsEmpty());
}

TEST(Switches, AGlobStopsAllThatItNames) {
  Harness h(AllowAll(), {WriteTool("orders.cancel"), WriteTool("orders.ship"), ReadTool("stock")});
  for (const char* tool : {"orders.cancel", "orders.ship", "stock"}) {
    h.tools.Answers(tool, {{"ok", true}});
  }
  Stop(h, "tool:orders.*");
  EXPECT_EQ(h.Execute("orders.cancel", core::Json::object())->code, "KILLED");
  EXPECT_EQ(h.Execute("orders.ship", core::Json::object())->code, "KILLED");
  EXPECT_EQ(h.Execute("stock", core::Json::object())->state, CallState::kOk);
}

TEST(Switches, ASwitchSaysWhichEntrySetIt) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  const SwitchInfo set = Stop(h, "tool:pay");
  ASSERT_TRUE(set.written.has_value());
  const audit::Entry entry = *h.log().Read(set.written->index);
  EXPECT_EQ(entry.kind, "switch.set");
  EXPECT_EQ(entry.leaf_hash, set.written->leaf_hash);
  EXPECT_FALSE(Stop(h, "tool:pay").written.has_value()) << "it stands";
}

TEST(Switches, AMistypedNameStopsNothingAndSaysSo) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  const auto set = [&](const std::string& name, const std::string& reason) {
    return h.engine().SetSwitch(h.operator_one, name, reason).status();
  };
  EXPECT_EQ(ReasonOf(set("tool:pya", "odd")), "SWITCH_NAMES_NOTHING");
  EXPECT_EQ(ReasonOf(set("agent:pay", "odd")), "SWITCH_NAMES_NOTHING");
  for (const char* name : {"", "pay", "tool:", "tenant:main", "tool:pay now"}) {
    EXPECT_EQ(set(name, "odd").code(), core::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(set("tool:pay", "").code(), core::StatusCode::kInvalidArgument);
  EXPECT_EQ(set("tool:pay", "two\nlines").code(), core::StatusCode::kInvalidArgument);
  EXPECT_EQ(h.engine().SetSwitch(h.integrator, "all", "odd").status().code(),
            core::StatusCode::kPermissionDenied);
  EXPECT_EQ(h.engine().LiftSwitch(h.integrator, {"all", "odd", ""}).status().code(),
            core::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(h.engine().LiftSwitch(h.operator_one, {"all", "odd", ""}).status()),
            "SWITCH_NOT_FOUND");
  EXPECT_EQ(Count(h, "switch.set"), 0);
}

// Rule 2: without the fact the rule that needs it denies.
TEST(Switches, AStoppedLookUpIsNotMade) {
  Harness h(WithApproval(R"("role:cs-manager")", 1), PayTools());
  Pays(h, "1.00");
  SetOrder(h, 5, false);
  Stop(h, "tool:orders.get");
  const auto call = h.Execute("pay", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kDenied);
  EXPECT_EQ(h.tools.lookups("orders.get"), 0);
  EXPECT_EQ(h.tools.runs("pay"), 0);
}

// The call passed the first look; the journal's order decides.
TEST(Switches, AStopBetweenDecisionAndIntentDenies) {
  Harness h(AllowAll() + kFact, {MoneyTool("pay"), ReadTool("orders.get")});
  Pays(h, "1.00");
  h.tools.Holds("orders.get");
  auto call = std::async(std::launch::async, [&] { return h.Execute("pay", {{"id", "o1"}}); });
  h.tools.WaitUntilHeld("orders.get", 1);
  Stop(h, "tool:pay");
  h.tools.Release("orders.get", OkOutcome({{"total", 5}}));
  const auto info = call.get();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, CallState::kDenied);
  EXPECT_EQ(info->code, "KILLED");
  EXPECT_THAT(info->say, HasSubstr("`tool:pay`"));
  EXPECT_EQ(h.tools.runs("pay"), 0);
  EXPECT_EQ(Count(h, "call.intended"), 0);
}

// Rule 11. Intent and stop are durable in one batch, before the worker hears of either.
TEST(Switches, AStopBetweenIntentAndStartLeavesItUnstarted) {
  Harness h(AllowAll() + kFact, {MoneyTool("pay"), ReadTool("orders.get"), ReadTool("idle.read")});
  h.limits.workers = 1;
  h.Restart();
  Pays(h, "1.00");
  h.tools.Holds("orders.get");
  auto call = std::async(std::launch::async, [&] { return h.Execute("pay", {{"id", "o1"}}); });
  h.tools.WaitUntilHeld("orders.get", 1);
  WriterPause pause(h.log());
  h.tools.Release("orders.get", OkOutcome({{"total", 5}}));
  EXPECT_TRUE(h.Check("idle.read", core::Json::object()).ok());  // the decision is in the queue
  auto set = std::make_unique<SetUnheard>();
  std::future<core::Status> done = set->done.get_future();
  h.log().Submit(std::move(set), audit::Urgency::kNormal);
  pause.End();
  EXPECT_TRUE(done.get().ok());
  const auto info = call.get();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->state, CallState::kNotStarted);
  EXPECT_EQ(info->code, "KILLED");
  EXPECT_EQ(Count(h, "call.intended"), 1);
  EXPECT_EQ(h.tools.runs("pay"), 0);
}

// Rule 11: what only reads is stopped halfway, what changes the world goes on to its outcome.
TEST(Switches, AStartedEffectGoesOnAndAReadIsStopped) {
  Harness h(AllowAll(), {MoneyTool("pay"), ReadTool("orders.get")});
  h.tools.Holds("pay");
  h.tools.Holds("orders.get");
  auto paid = std::async(std::launch::async, [&] { return h.Execute("pay", {{"id", "o1"}}); });
  h.tools.WaitUntilHeld("pay", 1);
  auto read =
      std::async(std::launch::async, [&] { return h.Execute("orders.get", core::Json::object()); });
  h.tools.WaitUntilHeld("orders.get", 1);
  Stop(h, "all");
  h.tools.Release("orders.get", FailedOutcome("CANCELLED"));
  h.tools.Release("pay", PaidOutcome("1.00"));
  EXPECT_EQ(read.get()->state, CallState::kFailed);
  EXPECT_EQ(paid.get()->state, CallState::kOk);
  const auto cancelled = h.tools.cancelled();
  EXPECT_EQ(std::set<std::uint64_t>(cancelled.begin(), cancelled.end()).size(), 1u)
      << "the read's handle, and not that of the payment";
}

TEST(Switches, AStopSurvivesAKill) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  Pays(h, "1.00");
  const SwitchInfo set = Stop(h, "tool:pay");
  h.RestartFrom(h.CopyFiles());
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->code, "KILLED");
  const auto found = h.engine().ListSwitches(h.auditor);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->at(0).by, "ops1");
  EXPECT_EQ(found->at(0).reason, "odd refunds");
  EXPECT_EQ(found->at(0).etag, set.etag);
  EXPECT_EQ(found->at(0).time_us, set.time_us);
  Lift(h, "tool:pay");
  h.RestartFrom(h.CopyFiles());
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->state, CallState::kOk);
}

TEST(Switches, OfOperatorsAtOnceTheFirstOneStands) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  std::vector<std::future<core::StatusOr<SwitchInfo>>> sets;
  for (int i = 0; i < 6; ++i) {
    sets.push_back(std::async(std::launch::async, [&h, i] {
      return h.engine().SetSwitch(i % 2 == 0 ? h.operator_one : h.operator_two, "tool:pay",
                                  "operator " + std::to_string(i));
    }));
  }
  std::set<std::string> reasons;
  for (auto& set : sets) {
    const auto info = set.get();
    ASSERT_TRUE(info.ok()) << info.status();
    reasons.insert(info->reason);
  }
  EXPECT_EQ(reasons.size(), 1u) << "all were told of the same one";
  EXPECT_EQ(Count(h, "switch.set"), 1);

  const std::string seen = h.engine().ListSwitches(h.operator_one)->at(0).etag;
  Lift(h, "tool:pay");
  Stop(h, "tool:pay");  // for another reason
  EXPECT_EQ(ReasonOf(h.engine().LiftSwitch(h.operator_one, {"tool:pay", "fine", seen}).status()),
            "STALE_SWITCH");
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->code, "KILLED");
  std::vector<std::future<core::StatusOr<audit::EntryRef>>> lifts;
  for (int i = 0; i < 4; ++i) {
    lifts.push_back(std::async(std::launch::async, [&h] {
      return h.engine().LiftSwitch(h.operator_one, {"tool:pay", "fine", ""});
    }));
  }
  int lifted = 0;
  for (auto& lift : lifts) lifted += lift.get().ok() ? 1 : 0;
  EXPECT_EQ(lifted, 1);
  EXPECT_EQ(Count(h, "switch.lifted"), 2);
}

TEST(Switches, EverythingStoppedStillLetsPeopleReadAndAnswer) {
  Harness h(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")});
  h.planner.plans = {FakePlanner::Calls({{"a", "pay", R"({"id":"o1"})"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  Stop(h, "all");
  EXPECT_EQ(ReasonOf(h.CreateRun().status()), "KILLED");
  EXPECT_EQ(h.Execute("pay", {{"id", "o2"}})->code, "KILLED");
  const auto pending = h.Pending();
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_TRUE(h.engine().GetApproval(h.manager, pending[0].state.id).ok());
  EXPECT_TRUE(h.engine().ReadEvents(h.auditor, run->id, -1, 100, true).ok());
  EXPECT_TRUE(h.engine().QueryCalls(h.auditor, {}, "").ok());
  EXPECT_TRUE(h.engine().ListBudgets(h.auditor, {}).ok());
  EXPECT_TRUE(h.engine().CheckpointNow(h.auditor).ok());
  EXPECT_TRUE(h.log().Read(0).ok());
  ASSERT_TRUE(h.AnswerApproval(h.manager, pending[0].state.id, true).ok());
  h.WaitForState(run->id, RunState::kWaitingForSwitch);
  const auto calls = h.CallsOf(run->id);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].code, "KILLED") << "an approval is no way round a switch";
  EXPECT_EQ(h.tools.runs("pay"), 0);
  ASSERT_TRUE(h.Cancel(run->id).ok());
  h.WaitForState(run->id, RunState::kCancelled);
}

TEST(Switches, ARunOfAStoppedAgentWaitsOverRestartsAndGoesOn) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.tools.Holds("orders.get");
  h.planner.plans = {FakePlanner::Calls({{"a", "orders.get", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.tools.WaitUntilHeld("orders.get", 1);
  Stop(h, "agent:tester");
  h.tools.Release("orders.get", OkOutcome({{"total", 5}}));
  h.WaitForState(run->id, RunState::kWaitingForSwitch);
  EXPECT_EQ(h.planner.seen().size(), 1u);
  h.Restart();
  ASSERT_TRUE(h.Send(run->id, "are you there?").ok());  // kept, and read later
  h.WaitFor(run->id, [&](const RunInfo& info) {
    const auto kinds = h.Kinds(run->id);
    return info.state == RunState::kWaitingForSwitch &&
           std::count(kinds.begin(), kinds.end(), "run.waiting") == 2;
  });
  EXPECT_EQ(h.planner.seen().size(), 1u);
  Lift(h, "agent:tester");
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.planner.seen().size(), 2u);
  EXPECT_THAT(h.Kinds(run->id), Contains("run.resumed"));
}

TEST(Switches, AStoppedAgentDoesNotAnswer) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans = {FakePlanner::Answer("the code is 4711")};
  h.planner.before_reply = [&h] { Stop(h, "agent:tester"); };
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kWaitingForSwitch).answer, "");
  EXPECT_THAT(h.Kinds(run->id), Not(Contains("run.completed")));
  h.planner.before_reply = nullptr;
  Lift(h, "agent:tester");
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, "the code is 4711");
  EXPECT_EQ(h.planner.seen().size(), 1u) << "what was said is not asked again";
}

// Rule 9: a retry obeys; once it is lifted the call is settled without anybody's help.
TEST(Switches, ARetryIsNotMadeUntilItIsLifted) {
  Harness h(AllowAll(), {{.name = "pay",
                          .effect = tools::Effect::kMoney,
                          .effect_key = "pay:{args.id}",
                          .idempotent = true}});
  h.tools.On("pay", [&h](const tools::CallSpec&, const FakeTools::Done& done) {
    Stop(h, "tool:pay");
    done(UnknownOutcome());
  });
  const auto call = h.Execute("pay", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kUnknown);
  EXPECT_EQ(h.tools.runs("pay"), 1);
  Pays(h, "1.00");
  Lift(h, "tool:pay");
  CallState state = CallState::kUnknown;
  for (int i = 0; i < 400 && state != CallState::kOk; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    state = h.engine().GetCall(h.integrator, call->id)->state;
  }
  EXPECT_EQ(state, CallState::kOk);
  EXPECT_EQ(h.tools.runs("pay"), 2);
}

}  // namespace
}  // namespace interlock::runtime::test
