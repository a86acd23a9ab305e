// A dry run says what the call would meet, of the policy and of the journal, and leaves nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "rules.h"
#include "writer_pause.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;

// The dry run comes first, says what the call then meets, and leaves nothing in the log.
void ExpectSame(Harness& h, const std::string& tool, const core::Json& args,
                const std::string& code) {
  SCOPED_TRACE(tool + " " + args.dump());
  const std::uint64_t size = h.log().size();
  const auto checked = h.Check(tool, args);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(h.log().size(), size);
  EXPECT_EQ(checked->id, "");
  EXPECT_TRUE(checked->approvals.empty());
  EXPECT_EQ(checked->code, code);
  const auto made = h.Execute(tool, args);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->verdict, checked->verdict);
  EXPECT_EQ(made->code, checked->code);
  EXPECT_EQ(made->say.empty(), checked->say.empty());
  EXPECT_EQ(made->state == CallState::kDenied, checked->state == CallState::kDenied);
}

TEST(Checks, AnEffectThatHasHappenedIsNotAskedAboutAgain) {
  Harness h(std::string(kPolicyHead) + R"(on("pay", "ask", function(c)
  if c.args.amount < 10 then return allow() end
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end))",
            {MoneyTool("pay")});
  Pays(h, "5.00");
  const auto paid = h.Execute("pay", {{"id", "o1"}, {"amount", 5}});
  ASSERT_TRUE(paid.ok()) << paid.status();
  for (const bool restarted : {false, true}) {
    if (restarted) h.Restart();
    ExpectSame(h, "pay", {{"id", "o1"}, {"amount", 5}}, "DUPLICATE_EFFECT");
    ExpectSame(h, "pay", {{"id", "o1"}, {"amount", 50}}, "DUPLICATE_EFFECT");
  }
  EXPECT_THAT(h.Check("pay", {{"id", "o1"}, {"amount", 50}})->say, HasSubstr(paid->id));
  ExpectSame(h, "pay", {{"id", "o2"}, {"amount", 50}}, "APPROVAL_REQUIRED");
  ExpectSame(h, "pay", {{"id", "o3"}, {"amount", 5}}, "OK");
  EXPECT_EQ(h.tools.runs("pay"), 2);
}

TEST(Checks, AnObjectWhoseLastCallIsUnsettledIsNamed) {
  Harness h(
      AllowAll(),
      {{.name = "orders.cancel", .effect = tools::Effect::kWrite, .locks = {"order:{args.id}"}},
       {.name = "orders.get", .effect = tools::Effect::kRead, .locks = {"order:{args.id}"}}});
  h.tools.On("orders.cancel",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  h.tools.Answers("orders.get", {{"status", "?"}});
  ASSERT_EQ(h.Execute("orders.cancel", {{"id", "o1"}})->state, CallState::kUnknown);
  h.tools.Answers("orders.cancel", {{"ok", true}});
  ExpectSame(h, "orders.cancel", {{"id", "o1"}}, "UNSETTLED");
  ExpectSame(h, "orders.get", {{"id", "o1"}}, "OK");
  ExpectSame(h, "orders.cancel", {{"id", "o2"}}, "OK");
}

// After a start memory knows no balance and no counter.
TEST(Checks, BalancesAndCountersAreThoseOfTheJournal) {
  Harness h(WithBudget("10") + R"(
on("note", "often", function(c) return limit { key = c.user, max = 1, per = "1h" } end)
on("note", "noted", function(c) return allow() end))",
            {MoneyTool("pay"), WriteTool("note")});
  h.tools.On("pay", [](const tools::CallSpec& spec, const FakeTools::Done& done) {
    done(PaidOutcome(spec.args.value.value("amount", "0")));
  });
  h.tools.Answers("note", {{"ok", true}});
  ASSERT_EQ(h.Execute("pay", {{"id", "o1"}, {"amount", "8.00"}})->state, CallState::kOk);
  ASSERT_EQ(h.Execute("note", {{"n", 1}})->state, CallState::kOk);
  for (const bool restarted : {false, true}) {
    const auto start = [&] { restarted ? h.Restart() : void(); };
    start();
    ExpectSame(h, "pay", {{"id", "o2"}, {"amount", "8.00"}}, "BUDGET");
    start();
    ExpectSame(h, "note", {{"n", 2}}, "LIMIT");
  }
  h.Restart();
  ExpectSame(h, "pay", {{"id", "o3"}, {"amount", "2.00"}}, "OK");
}

// What asks for nothing of the journal does not wait for it.
TEST(Checks, ACallWithoutKeysOrBalancesIsAnsweredWhileTheLogIsBusy) {
  Harness h(AllowAll(), {ReadTool("orders.get"), WriteTool("orders.put")});
  WriterPause pause(h.log());
  EXPECT_EQ(h.Check("orders.get", core::Json::object())->verdict, "allow");
  EXPECT_EQ(h.Check("orders.put", core::Json::object())->verdict, "allow");
  pause.End();
}

// The call itself would wait for it.
TEST(Checks, ACallAtWorkOnTheSameObjectIsNotInTheWay) {
  Harness h(
      AllowAll(),
      {{.name = "orders.put", .effect = tools::Effect::kWrite, .locks = {"order:{args.id}"}}});
  h.tools.Holds("orders.put");
  auto first = std::async(std::launch::async, [&h] {
    return h.Execute("orders.put", {{"id", "o1"}});
  });
  h.tools.WaitUntilHeld("orders.put", 1);
  EXPECT_EQ(h.Check("orders.put", {{"id", "o1"}})->code, "OK");
  h.tools.Release("orders.put", UnknownOutcome());
  EXPECT_EQ(first.get()->state, CallState::kUnknown);
  EXPECT_EQ(h.Check("orders.put", {{"id", "o1"}})->code, "UNSETTLED");
}

}  // namespace
}  // namespace interlock::runtime::test
