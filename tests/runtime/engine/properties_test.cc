// DESIGN's consequences, each as a test of the whole engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "audit/verify.h"
#include "harness.h"
#include "runtime/projectors.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kAllowAll = R"(
policy "open" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("*", "everything", function(c) return allow() end)
)";

ToolSpec Read(std::string name) { return {.name = std::move(name)}; }
ToolSpec Write(std::string name) {
  return {.name = std::move(name), .effect = tools::Effect::kWrite};
}

TEST(Properties, Property1_NoEffectWithoutDurableIntent) {
  Harness h(kAllowAll, {Write("orders.cancel")});
  h.tools.Answers("orders.cancel", {{"ok", true}});
  std::vector<std::string> at_run;
  h.tools.before_run = [&](const core::PermitTerms& terms) {
    const auto page = h.log().ReadRange(0, 1000);
    for (const audit::Entry& entry : page->entries) {
      if (entry.bytes.find(terms.call_id) != std::string::npos) at_run.push_back(entry.kind);
    }
  };
  const auto call = h.Execute("orders.cancel", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kOk);
  EXPECT_THAT(at_run, ElementsAre("call.proposed", "call.decided", "call.intended"));
}

TEST(Properties, Property1_NoAllowWithoutARule) {
  Harness h(R"(policy "shut" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("orders.get", "reads", function(c) return allow() end))",
            {Read("orders.get"), Write("orders.cancel")});
  const auto call = h.Execute("orders.cancel", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kDenied);
  EXPECT_EQ(call->code, "DEFAULT_DENY");
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
  EXPECT_THAT(h.Kinds(""), Not(Contains("call.intended")));
}

TEST(Properties, Property2_UnknownOutcomeIsNeverRunAgainBlindly) {
  Harness h(kAllowAll, {Write("orders.cancel")});
  h.tools.On("orders.cancel",
             [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  const std::string request = h.NewRequestId();
  const auto call = h.Execute("orders.cancel", {{"id", "o1"}}, request);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kUnknown);
  const auto again = h.Execute("orders.cancel", {{"id", "o1"}}, request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->state, CallState::kUnknown);
  h.Restart();
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
}

TEST(Properties, Property2_IdempotentToolIsRetriedWithTheSameKey) {
  Harness h(kAllowAll,
            {{.name = "orders.cancel", .effect = tools::Effect::kWrite, .idempotent = true}});
  std::vector<std::string> keys;
  h.tools.On("orders.cancel", [&](const tools::CallSpec& spec, FakeTools::Done done) {
    keys.push_back(spec.idempotency_key);
    done(keys.size() == 1 ? UnknownOutcome() : OkOutcome({{"ok", true}}));
  });
  const auto call = h.Execute("orders.cancel", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kOk);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0], keys[1]);
}

TEST(Properties, Property2_ReconcileAsksBeforeAnythingElse) {
  Harness h(
      kAllowAll,
      {{.name = "orders.cancel", .effect = tools::Effect::kWrite, .reconcile = "orders.state"},
       Read("orders.state")});
  h.tools.On("orders.cancel",
             [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  h.tools.Answers("orders.state", {{"done", true}});
  const auto call = h.Execute("orders.cancel", {{"id", "o1"}});
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kOk);
  EXPECT_EQ(call->outcome, "reconciled_done");
  EXPECT_EQ(h.tools.runs("orders.cancel"), 1);
  EXPECT_EQ(h.tools.lookups("orders.state"), 1);
}

TEST(Properties, Property3_ARestartReadsTheSameRunBack) {
  Harness h(kAllowAll, {Read("orders.get")});
  h.tools.Answers("orders.get", {{"status", "paid"}});
  h.planner.plans = {FakePlanner::Calls({{"c1", "orders.get", R"({"id":"o1"})"}}),
                     FakePlanner::Ask("Which one?"), FakePlanner::Answer("bye")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  h.Restart();
  const auto sent = h.Send(run->id, "the first");
  ASSERT_TRUE(sent.ok()) << sent.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, "bye");
  const std::vector<PlanRequest> seen = h.planner.seen();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_FALSE(seen[0].tenant.empty());  // it keeps the replies of tenants apart
  // What was said before the restart stands before what came after it, byte for byte.
  for (std::size_t i = 0; i < seen[1].messages.size(); ++i) {
    EXPECT_EQ(seen[2].messages[i].text, seen[1].messages[i].text);
    EXPECT_EQ(seen[2].messages[i].call_id, seen[1].messages[i].call_id);
  }
  EXPECT_EQ(seen[2].messages.back().text, "the first");
}

TEST(Properties, Property4_TheLogOfARunVerifies) {
  Harness h(kAllowAll, {Read("orders.get")});
  h.tools.Answers("orders.get", {{"status", "paid"}});
  h.planner.plans = {FakePlanner::Calls({{"c1", "orders.get", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  h.Stop();
  audit::VerifyOptions options;
  options.database = h.folder + "/audit.db";
  const auto projectors = MakeProjectors();
  for (const auto& projector : projectors) options.projectors.push_back(projector.get());
  const audit::VerifyReport report = audit::Verify(options);
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
  EXPECT_GT(report.entries, 5u);
}

TEST(Properties, Property5_EntriesHoldNoContent) {
  Harness h(kAllowAll, {Write("notes.write")});
  h.tools.Answers("notes.write", {{"secret_result", "zanzibar"}});
  h.planner.plans = {FakePlanner::Calls({{"c1", "notes.write", R"({"text":"quetzalcoatl"})"}}),
                     FakePlanner::Answer("xylophone")};
  const auto run = h.CreateRun("my name is Ramanujan", "ramanujan@example.com");
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  for (const audit::Entry& entry : h.Entries("")) {
    for (const char* word : {"zanzibar", "quetzalcoatl", "xylophone", "Ramanujan", "ramanujan"}) {
      EXPECT_THAT(entry.bytes, Not(HasSubstr(word)));
    }
  }
  // And yet those who may can read it.
  const auto events = h.engine().ReadEvents(h.integrator, run->id, -1, 100, true);
  ASSERT_TRUE(events.ok()) << events.status();
  std::string all;
  for (const RunEvent& event : *events) {
    for (const auto& [field, text] : event.content) all += text;
  }
  EXPECT_THAT(all, HasSubstr("quetzalcoatl"));
  EXPECT_THAT(all, HasSubstr("zanzibar"));
}

TEST(Properties, Property6_CallsOnOneLockDoNotInterleave) {
  Harness h(
      kAllowAll,
      {{.name = "orders.cancel", .effect = tools::Effect::kWrite, .locks = {"order:{args.id}"}}});
  h.tools.Holds("orders.cancel");
  auto first = std::async(std::launch::async, [&] {
    return h.Execute("orders.cancel", {{"id", "o1"}, {"n", 1}});
  });
  h.tools.WaitUntilHeld("orders.cancel", 1);
  auto second = std::async(std::launch::async, [&] {
    return h.Execute("orders.cancel", {{"id", "o1"}, {"n", 2}});
  });
  auto other = std::async(std::launch::async, [&] {
    return h.Execute("orders.cancel", {{"id", "o2"}, {"n", 3}});
  });
  h.tools.WaitUntilHeld("orders.cancel", 2);  // the other order's
  EXPECT_EQ(h.tools.runs("orders.cancel"), 2);
  h.tools.Release("orders.cancel", OkOutcome({{"ok", true}}));
  EXPECT_EQ(first.get()->state, CallState::kOk);
  EXPECT_EQ(other.get()->state, CallState::kOk);
  h.tools.WaitUntilHeld("orders.cancel", 1);
  h.tools.Release("orders.cancel", OkOutcome({{"ok", true}}));
  EXPECT_EQ(second.get()->state, CallState::kOk);
}

TEST(Properties, Property7_NoBundleDeniesAll) {
  Harness h("", {Read("orders.get")});
  h.tools.Answers("orders.get", {{"status", "paid"}});
  const auto call = h.Execute("orders.get", core::Json::object());
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->state, CallState::kDenied);
  EXPECT_EQ(call->code, "NO_BUNDLE");
  EXPECT_EQ(h.tools.runs("orders.get"), 0);
}

TEST(Properties, Property7_MissingFactDenies) {
  Harness h(R"(policy "p" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "orders.cancel" }
on("orders.cancel", "only-pending", function(c)
  if c.facts.order.status == "pending" then return allow() end
end))",
            {Read("orders.get"), Write("orders.cancel")});
  h.tools.Fails("orders.get", "NOT_FOUND");
  h.tools.Answers("orders.cancel", {{"ok", true}});
  const auto denied = h.Execute("orders.cancel", {{"id", "o1"}});
  ASSERT_TRUE(denied.ok()) << denied.status();
  EXPECT_EQ(denied->state, CallState::kDenied);
  EXPECT_EQ(denied->code, "RULE_ERROR");
  EXPECT_EQ(h.tools.runs("orders.cancel"), 0);
  h.tools.Answers("orders.get", {{"status", "pending"}});  // the harmless twin
  EXPECT_EQ(h.Execute("orders.cancel", {{"id", "o1"}})->state, CallState::kOk);
}

}  // namespace
}  // namespace interlock::runtime::test
