// Who asks, and what a request_id stands for (rules 12 and 14).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

// The status of a call that is made with this very request_id.
template <typename T>
core::Status StatusOf(const std::function<void(Reply<T>)>& start) {
  auto promise = std::make_shared<std::promise<core::Status>>();
  auto future = promise->get_future();
  start([promise](const core::StatusOr<T>& value) { promise->set_value(value.status()); });
  return future.get();
}

core::Status SendAs(Harness& h, const std::string& run, const std::string& text,
                    const std::string& request) {
  return StatusOf<RunInfo>([&](Reply<RunInfo> reply) {
    h.engine().SendMessage(h.integrator, run, text, request, std::move(reply));
  });
}

core::Status CancelAs(Harness& h, const std::string& run, const std::string& request) {
  return StatusOf<RunInfo>([&](Reply<RunInfo> reply) {
    h.engine().CancelRun(h.integrator, run, "", request, std::move(reply));
  });
}

core::Status AnswerAs(Harness& h, const std::string& approval, bool grant,
                      const std::string& request) {
  const auto shown = h.engine().GetApproval(h.operator_one, approval);
  EXPECT_TRUE(shown.ok()) << shown.status();
  const struct Answer answer {
    .approval = approval, .grant = grant, .etag = shown->etag, .reason = "", .on_behalf_of = "",
    .request_id = request
  };
  return StatusOf<ApprovalInfo>([&](Reply<ApprovalInfo> reply) {
    h.engine().AnswerApproval(h.manager, answer, std::move(reply));
  });
}

core::Status ResolveAs(Harness& h, const std::string& call, bool happened,
                       const std::string& request) {
  const ResolveSpec spec{.call = call,
                         .happened = happened,
                         .reason = "looked",
                         .evidence = "",
                         .request_id = request};
  return StatusOf<CallInfo>([&](Reply<CallInfo> reply) {
    h.engine().ResolveCall(h.operator_one, spec, std::move(reply));
  });
}

TEST(Requests, Rule14_AnApprovedDirectCallIsDecidedWithTheAskersRolesOfNow) {
  Harness h(std::string(kPolicyHead) + R"(on("pay", "roles", function(c)
  if not any(c.principal.roles, function(r) return r == "integrator" end) then
    return deny { code = "NO_ROLE" }
  end
  if any(c.principal.roles, function(r) return r == "trainee" end) then
    return deny { code = "TRAINEE" }
  end
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end))",
            {MoneyTool("pay")});
  Pays(h, "5.00");
  const auto ask = [&](const std::string& id, const std::string& request) {
    const auto call = h.Execute("pay", {{"id", id}}, request);
    EXPECT_TRUE(call.ok()) << call.status();
    return *call;
  };
  const std::string first = h.NewRequestId();
  ASSERT_TRUE(h.AnswerApproval(h.manager, ask("o1", first).approvals.at(0), true).ok());
  h.Restart();
  EXPECT_EQ(ask("o1", first).state, CallState::kOk);
  const std::string second = h.NewRequestId();
  ASSERT_TRUE(h.AnswerApproval(h.manager, ask("o2", second).approvals.at(0), true).ok());
  h.integrator.roles.emplace_back("trainee");  // while it was parked
  EXPECT_EQ(ask("o2", second).code, "TRAINEE");
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

TEST(Requests, Rule12_ARequestIdOfAnotherMethodIsRefusedAndDoesNothing) {
  Harness h(AskAlways(R"("role:cs-manager")"), {WriteTool("orders.cancel")});
  h.planner.plans = {FakePlanner::Calls({{"c1", "orders.cancel", "{}"}})};
  const std::string request = h.NewRequestId();
  const auto run = h.CreateRun("help", "u1", request);
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  const auto kinds = [&h] {
    std::vector<std::string> kinds_now = h.Kinds("");
    std::erase(kinds_now, "run.parked");  // may follow the state
    return kinds_now;
  };
  const std::vector<std::string> before = kinds();
  EXPECT_EQ(ReasonOf(SendAs(h, run->id, "please stop", request)), "REQUEST_ID_REUSED");
  EXPECT_EQ(ReasonOf(CancelAs(h, run->id, request)), "REQUEST_ID_REUSED");
  EXPECT_EQ(ReasonOf(h.Execute("orders.cancel", core::Json::object(), request).status()),
            "REQUEST_ID_REUSED");
  EXPECT_EQ(kinds(), before);
}

TEST(Requests, Rule12_TheSameRequestIsAnsweredAgainAndAnotherContentIsRefused) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans = {FakePlanner::Ask("which?"), FakePlanner::Ask("sure?")};
  const std::string create = h.NewRequestId();
  const auto run = h.CreateRun("help", "u1", create);
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  h.Restart();
  EXPECT_EQ(h.CreateRun("help", "u1", create)->id, run->id);
  EXPECT_EQ(ReasonOf(h.CreateRun("help", "u2", create).status()), "REQUEST_ID_REUSED");
  EXPECT_EQ(ReasonOf(h.CreateRun("other", "u1", create).status()), "REQUEST_ID_REUSED");
  const std::string message = h.NewRequestId();
  EXPECT_TRUE(SendAs(h, run->id, "the blue one", message).ok());
  EXPECT_TRUE(SendAs(h, run->id, "the blue one", message).ok());
  EXPECT_EQ(ReasonOf(SendAs(h, run->id, "the red one", message)), "REQUEST_ID_REUSED");
  const auto kinds = h.Kinds(run->id);
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "message.received"), 2);
}

TEST(Requests, Rule12_AnAnswerToOneApprovalIsNotAnAnswerToAnother) {
  Harness h(AskAlways(R"("role:cs-manager")"), {WriteTool("orders.cancel")});
  const auto one = h.Execute("orders.cancel", {{"id", "o1"}});
  const auto two = h.Execute("orders.cancel", {{"id", "o2"}});
  ASSERT_TRUE(one.ok() && two.ok()) << one.status() << two.status();
  const std::string request = h.NewRequestId();
  EXPECT_TRUE(AnswerAs(h, one->approvals.at(0), true, request).ok());
  EXPECT_TRUE(AnswerAs(h, one->approvals.at(0), true, request).ok());
  EXPECT_EQ(ReasonOf(AnswerAs(h, one->approvals.at(0), false, request)), "REQUEST_ID_REUSED");
  EXPECT_EQ(ReasonOf(AnswerAs(h, two->approvals.at(0), true, request)), "REQUEST_ID_REUSED");
  EXPECT_EQ(h.Pending().size(), 1u);
}

TEST(Requests, Rule12_AWordAboutOneCallIsNotAWordAboutAnother) {
  Harness h(AllowAll(), {WriteTool("orders.cancel")});
  h.tools.On("orders.cancel",
             [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  const auto one = h.Execute("orders.cancel", {{"id", "o1"}});
  const auto two = h.Execute("orders.cancel", {{"id", "o2"}});
  ASSERT_TRUE(one.ok() && two.ok()) << one.status() << two.status();
  const std::string request = h.NewRequestId();
  EXPECT_TRUE(ResolveAs(h, one->id, true, request).ok());
  EXPECT_TRUE(ResolveAs(h, one->id, true, request).ok());
  EXPECT_EQ(ReasonOf(ResolveAs(h, one->id, false, request)), "REQUEST_ID_REUSED");
  EXPECT_EQ(ReasonOf(ResolveAs(h, two->id, true, request)), "REQUEST_ID_REUSED");
}

TEST(Requests, Rule12_AnotherUserOrSessionDoesNotReadTheFirstOnesResult) {
  Harness h(AllowAll(), {WriteTool("orders.cancel")});
  h.tools.Holds("orders.cancel");
  const std::string request = h.NewRequestId();
  auto first = std::async(std::launch::async, [&] {
    return h.Execute("orders.cancel", {{"id", "o1"}}, request, "u1");
  });
  h.tools.WaitUntilHeld("orders.cancel", 1);
  // While the first is in flight, and from the record.
  EXPECT_EQ(ReasonOf(h.Execute("orders.cancel", {{"id", "o1"}}, request, "u2").status()),
            "REQUEST_ID_REUSED");
  h.tools.Release("orders.cancel", OkOutcome({{"secret", "of u1"}}));
  const auto done = first.get();
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(ReasonOf(h.Execute("orders.cancel", {{"id", "o1"}}, request, "u2").status()),
            "REQUEST_ID_REUSED");
  h.Restart();
  EXPECT_EQ(ReasonOf(h.Execute("orders.cancel", {{"id", "o1"}}, request, "u2").status()),
            "REQUEST_ID_REUSED");
  const auto again = h.Execute("orders.cancel", {{"id", "o1"}}, request, "u1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, done->id);
  EXPECT_EQ(again->result, done->result);
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

}  // namespace
}  // namespace interlock::runtime::test
