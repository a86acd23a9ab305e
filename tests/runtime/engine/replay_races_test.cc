// Replay of runs that something came across: a restart, a person, a cancel at a bad moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "replays.h"
#include "rules.h"
#include "trip.h"
#include "writer_pause.h"

namespace interlock::runtime::test {
namespace {

constexpr std::int64_t kMinuteMicros = 60'000'000;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string RunOf(Harness& h) {
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? run->id : "";
}

std::vector<std::string> Kinds(Harness& h, const std::string& run, std::string_view first) {
  std::vector<std::string> kinds;
  for (const audit::Entry& entry : h.Entries(run)) {
    if (!kinds.empty() || entry.kind == first) kinds.push_back(entry.kind);
  }
  return kinds;
}

// The body of its newest decision.
core::Json DecidedIn(Harness& h, const std::string& run) {
  core::Json body;
  for (const audit::Entry& entry : h.Entries(run)) {
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    if (entry.kind == "call.decided" && json.ok()) body = (*json)["body"];
  }
  return body;
}

// The newest result that a request to the planner held.
std::string ToldAt(Harness& h, std::size_t request) {
  std::string told;
  const std::vector<PlanRequest> seen = h.planner.seen();
  for (const ChatMessage& message : seen.at(request).messages) {
    if (message.role == Role::kTool) told = message.text;
  }
  return told;
}

// What the planner reads of the call is the same before and after a restart.
TEST(ReplayRaces, ACallThatAPersonHasToExplain) {
  Harness h(AllowAll(), {WriteTool("door.open")});
  h.tools.On("door.open",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}}), FakePlanner::Answer("wait"),
                     FakePlanner::Answer("it is open")};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kWaitingForPerson);
  ExpectMadeAnew(h, run, {&h.agent});
  h.Restart();
  ASSERT_TRUE(h.Send(run, "and?").ok());
  h.WaitFor(run, [](const RunInfo& info) { return info.steps == 2; });
  EXPECT_THAT(ToldAt(h, 1), HasSubstr("unknown"));
  h.WaitForState(run, RunState::kWaitingForPerson);
  ASSERT_TRUE(h.Resolve(h.operator_one, h.CallsOf(run).at(0).id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.planner.seen().size(), 3u);  // each plan was asked for once
  ExpectMadeAnew(h, run, {&h.agent});
}

// The first look at a counter after a restart does not know it: the journal refuses.
TEST(ReplayRaces, ALimitThatMemoryDidNotKnow) {
  Harness h(std::string(kPolicyHead) + R"(
on("mail.send", "few", function(c) return limit { key = c.args.id, max = 1, per = "1h" } end)
on("mail.send", "may", function(c) return allow() end))",
            {WriteTool("mail.send")});
  h.tools.Answers("mail.send", {{"ok", true}});
  h.planner.plans = {FakePlanner::Calls({{"a", "mail.send", R"({"id":"x"})"}})};
  h.WaitForState(RunOf(h), RunState::kCompleted);
  h.Restart();
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.CallsOf(run).at(0).code, "LIMIT");
  ExpectMadeAnew(h, run, {&h.agent});
}

// The tool is another one when the approval is given: it is asked about anew, and the old approval
// says nothing of the call any more.
TEST(ReplayRaces, AToolThatChangesWhileItsCallWaits) {
  ToolSpec tool = WriteTool("door.open");
  Harness h(AskAlways(R"("role:cs-manager")"), {tool});
  h.tools.Answers("door.open", {{"open", true}});
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kWaitingForApproval);
  tool.failure = tools::FailureMeaning::kNoEffect;
  h.SetTools({tool});
  h.Restart();
  const std::string old = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.AnswerApproval(h.manager, old, true).ok());
  h.WaitFor(run, [&h](const RunInfo&) { return !h.Pending().empty(); });
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true).ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("door.open"), 1);
  EXPECT_EQ(h.CallsOf(run).at(0).state, CallState::kOk);
  const auto kinds = h.Kinds(run);
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "approval.voided"), 1);
}

TEST(ReplayRaces, OfTwoApprovalsOneIsRefused) {
  Harness h(AskAlways(R"("role:cs-manager")"), {WriteTool("door.open")});
  h.planner.plans = {
      FakePlanner::Calls({{"a", "door.open", R"({"id":1})"}, {"b", "door.open", R"({"id":2})"}})};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kWaitingForApproval);
  std::vector<ApprovalInfo> asked = h.Pending();
  ASSERT_EQ(asked.size(), 2u);
  ASSERT_TRUE(h.AnswerApproval(h.manager, asked[0].state.id, false).ok());
  h.WaitForState(run, RunState::kWaitingForApproval);
  const audit::Entry parked = h.Entries(run).back();
  ASSERT_EQ(parked.kind, "run.parked");
  EXPECT_EQ(core::ParseJson(parked.bytes, core::kPayloadLimits)->at("body").at("approvals"),
            core::Json::array({asked[1].state.id}));
  ASSERT_TRUE(h.AnswerApproval(h.manager, asked[1].state.id, false).ok());
  h.WaitForState(run, RunState::kCompleted);
  ExpectMadeAnew(h, run, {&h.agent});
}

// It stands in the log in front of the request, and so must be what the planner reads.
TEST(ReplayRaces, AnApprovalThatEndsWhileAPlanIsAskedFor) {
  Harness h(AskAlways(R"("role:cs-manager")", "30m") +
                "\nbudget \"llm\" { unit = \"tokens\", charges = \"model\", per = \"tenant\", "
                "limit = 100000, window = \"1d\" }\n",
            {WriteTool("door.open")});
  h.planner.bound = {.tokens = 300};
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kWaitingForApproval);
  bool once = false;
  h.planner.before_asked = [&] {
    if (std::exchange(once, true)) return;
    h.clock.Shift(31 * kMinuteMicros);
    while (h.Kinds(run).back() != "approval.expired") {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  ASSERT_TRUE(h.Send(run, "any news?").ok());
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(ToldAt(h, 1), HasSubstr("APPROVAL_EXPIRED"));
  ExpectMadeAnew(h, run, {&h.agent});
}

// What is paid for is looked at first.
std::string LooksAtOrder() {
  return AllowAll() + R"(
fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" })";
}

// It is proposed behind the cancel, and refused.
TEST(ReplayRaces, ACancelWhileACallIsOnItsWayToTheGate) {
  Harness h(LooksAtOrder(), PayTools());
  h.tools.Holds("orders.get");
  h.planner.plans = {
      FakePlanner::Calls({{"a", "pay", R"({"id":"o1"})"}, {"b", "pay", R"({"id":"o2"})"}})};
  const std::string run = RunOf(h);
  h.tools.WaitUntilHeld("orders.get", 1);
  ASSERT_TRUE(h.Cancel(run).ok());
  h.tools.Release("orders.get", OkOutcome({{"total", 1}}));
  h.WaitForState(run, RunState::kCancelled);
  EXPECT_THAT(Kinds(h, run, "run.cancelling"),
              ElementsAre("run.cancelling", "call.proposed", "facts.gathered", "call.decided",
                          "run.cancelled"));
  EXPECT_EQ(h.tools.runs("pay"), 0);
  ExpectMadeAnew(h, run, {&h.agent});
}

// It stands in front of the decision, which knows of it: the user has named the order by then.
TEST(ReplayRaces, AMessageWhileACallIsDecided) {
  Harness h(LooksAtOrder(), PayTools());
  h.tools.Holds("orders.get");
  h.tools.Answers("pay", {{"amount", "3.00"}, {"currency", "USD"}});
  h.planner.plans = {FakePlanner::Calls({{"a", "pay", R"({"id":"order-4711"})"}})};
  const std::string run = RunOf(h);
  h.tools.WaitUntilHeld("orders.get", 1);
  WriterPause pause(h.log());
  // Mostly it comes to the journal before the decision.
  auto sent = std::async(std::launch::async, [&] { return h.Send(run, "it is order-4711"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  h.tools.Answers("orders.get", {{"total", 1}});
  h.tools.Release("orders.get", OkOutcome({{"total", 1}}));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  pause.End();
  EXPECT_TRUE(sent.get().ok());
  h.WaitForState(run, RunState::kCompleted);
  ExpectMadeAnew(h, run, {&h.agent});
}

// Its last try is refused, and the user has written before that was said: there are new ones.
TEST(ReplayRaces, AMessageWhileAnAnswerIsRefused) {
  Harness h(AllowAll() + R"(
on(answer(), "plain", function(c)
  if glob("*secret*", c.answer.text) then return deny { code = "SECRET", say = "Leave it out." } end
end))",
            PayTools());
  h.agent = AgentNamed("tester", "", "steps_max: 8, repairs_max: 0");
  h.Restart();
  std::promise<void> asked;
  std::promise<void> replies;
  h.planner.before_reply = [&, once = std::make_shared<bool>()] {
    if (std::exchange(*once, true)) return;
    asked.set_value();
    replies.get_future().wait();
  };
  h.planner.plans = {FakePlanner::Answer("a secret"), FakePlanner::Answer("nothing")};
  const std::string run = RunOf(h);
  asked.get_future().wait();
  WriterPause pause(h.log());
  replies.set_value();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  auto sent = std::async(std::launch::async, [&] { return h.Send(run, "never mind"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  pause.End();
  EXPECT_TRUE(sent.get().ok());
  EXPECT_EQ(h.WaitForState(run, RunState::kCompleted).answer, "nothing");
  ExpectMadeAnew(h, run, {&h.agent});
}

// A rule about a result asks what the call was made with, and what was read by its end, also where
// a message and a restart stand in between.
TEST(ReplayRaces, ARestartBetweenAnOutcomeAndItsRelease) {
  Harness h(AllowAll() + R"(
on(result("orders.get"), "whose", function(c)
  if c.flow.untrusted or not contains(sources(c.args, "id"), "user") then
    return deny { code = "NOT_ASKED", say = "Nobody asked for that." }
  end
end)
on(message(), "foreign", function(c)
  if glob("*forwarded*", c.message.text) then return label { message = { "untrusted" } } end
end))",
            {ReadTool("orders.get"), ReadTool("stock.get")});
  h.tools.Answers("orders.get", {{"total", 5}});
  h.tools.Holds("stock.get");
  h.planner.plans = {FakePlanner::Calls(
      {{"a", "orders.get", R"({"id":"order-4711"})"}, {"b", "stock.get", R"({"id":"s1"})"}})};
  const auto made = h.CreateRun("how much is order-4711?");
  ASSERT_TRUE(made.ok()) << made.status();
  const std::string run = made->id;
  h.tools.WaitUntilHeld("stock.get", 1);
  h.WaitFor(run, [&h, &run](const RunInfo&) {
    const auto kinds = h.Kinds(run);
    return std::find(kinds.begin(), kinds.end(), "call.outcome") != kinds.end();
  });
  ASSERT_TRUE(h.Send(run, "this was forwarded to me").ok());
  const std::string copy = h.CopyFiles();
  h.tools.Release("stock.get", OkOutcome({{"left", 1}}));
  h.WaitForState(run, RunState::kCompleted);
  ExpectMadeAnew(h, run, {&h.agent});
  h.RestartFrom(copy);
  h.WaitForState(run, RunState::kCompleted);
  ExpectMadeAnew(h, run, {&h.agent});
}

// And where the message comes to the log just before the outcome.
TEST(ReplayRaces, AMessageWhileAResultIsJudged) {
  Harness h(AllowAll() + R"(
on(result("orders.get"), "late", function(c)
  if c.flow.untrusted then return label { result = { "late" } } end
end)
on(message(), "foreign", function(c)
  if glob("*by mail*", c.message.text) then return label { message = { "untrusted" } } end
end))",
            {ReadTool("orders.get"), ReadTool("stock.get")});
  h.tools.Holds("orders.get");
  h.tools.Holds("stock.get");
  h.planner.plans = {
      FakePlanner::Calls({{"a", "orders.get", "{}"}, {"b", "stock.get", R"({"id":"s1"})"}})};
  const auto made = h.CreateRun();
  ASSERT_TRUE(made.ok()) << made.status();
  h.tools.WaitUntilHeld("orders.get", 1);
  h.tools.WaitUntilHeld("stock.get", 1);
  WriterPause pause(h.log());
  auto sent = std::async(std::launch::async, [&] { return h.Send(made->id, "this came by mail"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  h.tools.Release("orders.get", OkOutcome({{"total", 5}}));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  pause.End();
  EXPECT_TRUE(sent.get().ok());
  h.tools.Release("stock.get", OkOutcome({{"left", 1}}));
  h.WaitForState(made->id, RunState::kCompleted);
  const std::vector<audit::Entry> entries = h.Entries(made->id);
  const auto late = [](const auto& entry) {
    return entry.bytes.find("tag:late") != std::string::npos;
  };
  EXPECT_EQ(std::count_if(entries.begin(), entries.end(), late), 1);
  ExpectMadeAnew(h, made->id, {&h.agent});
}

// A request that waits for its budget is of a conversation that has gone on, once a parked call is
// at work.
TEST(ReplayRaces, AnApprovalWhileARequestWaitsForItsBudget) {
  Harness h(AllowAll() +
                R"(
on("door.open", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end))"
                "\nbudget \"llm\" { unit = \"tokens\", charges = \"model\", per = \"tenant\", "
                "limit = 700, window = \"1d\" }\n",
            {WriteTool("door.open"), ReadTool("mail.read")});
  h.planner.bound = {.tokens = 300};
  h.tools.Answers("mail.read", {{"text", "the door is at 4711"}});
  Plan dear =
      FakePlanner::Calls({{"a", "mail.read", "{}"}, {"b", "door.open", R"({"id":"4711"})"}});
  dear.prompt_tokens = 290;
  dear.completion_tokens = 10;
  h.planner.plans = {dear};
  h.tools.Holds("door.open");
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kWaitingForApproval);  // 300 of the budget are used
  h.planner.Holds();
  const std::string other = RunOf(h);
  h.planner.WaitUntilHeld();  // and 300 held
  ASSERT_TRUE(h.Send(run, "any news?").ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true).ok());
  h.tools.WaitUntilHeld("door.open", 1);
  Plan cheap = FakePlanner::Answer("none");
  cheap.prompt_tokens = 5;
  cheap.completion_tokens = 5;
  h.planner.GoesOn(cheap);
  h.WaitForState(other, RunState::kCompleted);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  h.tools.Release("door.open", OkOutcome({{"open", true}}));
  h.WaitFor(run, [](const RunInfo& info) { return IsFinal(info.state); });
  ExpectMadeAnew(h, run, {&h.agent});
}

// False: the cancel came when the call had waited for its lock long enough; that says nothing.
bool CancelledWhileItWaited() {
  Harness h(AllowAll(),
            {{.name = "door.open", .effect = tools::Effect::kWrite, .locks = {"door:{args.id}"}}});
  h.limits.lock_wait_us = 400'000;
  h.Restart();
  h.tools.Holds("door.open");
  auto first = std::async(std::launch::async, [&h] {
    return h.Execute("door.open", {{"id", "d1"}});
  });
  h.tools.WaitUntilHeld("door.open", 1);
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", R"({"id":"d1"})"}})};
  const std::string run = RunOf(h);
  h.WaitFor(run, [&h, &run](const RunInfo&) {
    const auto kinds = h.Kinds(run);
    return std::find(kinds.begin(), kinds.end(), "plan.received") != kinds.end();
  });
  const bool cancelled = h.Cancel(run).ok();
  h.WaitFor(run, [](const RunInfo& info) { return IsFinal(info.state); });
  h.tools.Release("door.open", OkOutcome({{"done", true}}));
  EXPECT_TRUE(first.get().ok());
  const core::Json refused = DecidedIn(h, run);
  if (!cancelled || refused.value("code", "") != "RUN_ENDED") return false;
  EXPECT_FALSE(refused.contains("decision"));
  ExpectMadeAnew(h, run, {&h.agent});
  return true;
}

// No rule was asked: the lock that it waited for was not given up in time.
TEST(ReplayRaces, ACancelWhileACallWaitsForALockInVain) {
  bool seen = false;
  for (int tries = 0; tries < 20 && !seen; ++tries) seen = CancelledWhileItWaited();
  EXPECT_TRUE(seen);
}

// False: the call came to the journal before the switch; that says nothing.
bool AnotherSwitchCameFirst() {
  Harness h(AllowAll(), {WriteTool("door.open"), ReadTool("idle.read")});
  h.tools.Answers("idle.read", {{"ok", true}});
  EXPECT_TRUE(h.engine().SetSwitch(h.operator_one, "tool:door.open", "it sticks").ok());
  WriterPause pause(h.log());
  auto all = std::async(std::launch::async, [&h] {
    return h.engine().SetSwitch(h.operator_one, "all", "everything sticks");
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(h.Check("idle.read", core::Json::object()).ok());
  auto call =
      std::async(std::launch::async, [&h] { return h.Execute("door.open", core::Json::object()); });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(h.Check("idle.read", core::Json::object()).ok());
  pause.End();
  EXPECT_TRUE(all.get().ok());
  const auto refused = call.get();
  EXPECT_TRUE(refused.ok() && refused->code == "KILLED") << refused.status();
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind == "call.decided") return false;
    const bool is_all =
        entry.kind == "switch.set" && entry.bytes.find("\"all\"") != std::string::npos;
    if (!is_all) continue;
    EXPECT_THAT(refused->say, HasSubstr("`all`"));
    return true;
  }
  return false;
}

// The switch that a refused call names is one that stands where the call does in the log.
TEST(ReplayRaces, AnotherSwitchWhileACallIsOnItsWayToTheJournal) {
  bool seen = false;
  for (int tries = 0; tries < 50 && !seen; ++tries) seen = AnotherSwitchCameFirst();
  EXPECT_TRUE(seen);
}

// At once, and when the run has long ended.
TEST(ReplayRaces, AToolThatAnswersAgainIsHeardOnce) {
  Harness h(AllowAll(), {WriteTool("door.open")});
  FakeTools::Done again;
  h.tools.On("door.open", [&again](const tools::CallSpec&, const FakeTools::Done& done) {
    again = done;
    done(OkOutcome({{"done", true}}));
    done(FailedOutcome("BROKEN"));
  });
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kCompleted);
  again(UnknownOutcome());
  const auto calls = h.CallsOf(run);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].state, CallState::kOk);
  const auto kinds = h.Kinds(run);
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "call.outcome"), 1);
  ExpectMadeAnew(h, run, {&h.agent});
}

// A person says what came of two calls in the moment in which the run begins to take back what it
// did: it is taken back in the order in which the log has that.
TEST(ReplayRaces, TwoCallsAreExplainedWhileTheRunBeginsToTakeBack) {
  std::vector<ToolSpec> tools = TripTools();
  for (ToolSpec& tool : tools) tool.idempotent = false;  // nobody asks it again
  Harness h(CancelsAre("allow()"), tools);
  const auto lost = [](const tools::CallSpec&, const FakeTools::Done& done) {
    done(UnknownOutcome());
  };
  h.tools.On("flight.book", lost);
  h.tools.On("hotel.book", lost);
  h.planner.plans = {FakePlanner::Calls({{"a", "flight.book", "{}"}, {"b", "hotel.book", "{}"}}),
                     core::InvalidArgument("no plan for this")};
  const std::string run = RunOf(h);
  h.WaitForState(run, RunState::kWaitingForPerson);
  std::promise<void> asked;
  std::promise<void> replies;
  h.planner.before_reply = [&] {
    asked.set_value();
    replies.get_future().wait();
  };
  ASSERT_TRUE(h.Send(run, "and?").ok());
  asked.get_future().wait();
  const std::vector<CallInfo> calls = h.CallsOf(run);
  WriterPause pause(h.log());
  std::vector<std::future<core::Status>> explained;
  for (const char* tool : {"flight.book", "hotel.book"}) {
    const auto of = std::find_if(calls.begin(), calls.end(),
                                 [tool](const CallInfo& call) { return call.tool == tool; });
    ASSERT_NE(of, calls.end());
    explained.push_back(std::async(std::launch::async, [&h, id = of->id] {
      return h.Resolve(h.operator_one, id, true).status();
    }));
    // Mostly they come to the journal one after the other, and both before the failure.
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  replies.set_value();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  pause.End();
  for (auto& one : explained) EXPECT_TRUE(one.get().ok());
  // Both were tried; nobody knows by which reference they could be taken back.
  h.WaitForState(run, RunState::kUncompensated);
  core::Json newest_first = core::Json::array();
  for (const audit::Entry& entry : h.Entries(run)) {
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    if (entry.kind != "call.resolved" || !json.ok()) continue;
    newest_first.insert(newest_first.begin(), (*json)["body"]["call"]);
  }
  EXPECT_EQ(newest_first.size(), 2u);
  EXPECT_EQ(BodyOf(h, run, "run.compensating")["calls"], newest_first);
  ExpectMadeAnew(h, run, {&h.agent});
}

// The next attempt finds that a person has spoken. The run has gone on with that, and asks its
// planner once.
TEST(ReplayRaces, APersonIsFasterThanTheNextAttempt) {
  Harness h(AllowAll(), {{.name = "door.open",
                          .effect = tools::Effect::kWrite,
                          .failure = tools::FailureMeaning::kNoEffect,
                          .idempotent = true}});
  h.limits.retry_pause_us = 300'000;
  h.Restart();
  h.tools.On("door.open",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  h.planner.plans = {FakePlanner::Calls({{"a", "door.open", "{}"}})};
  const std::string run = RunOf(h);
  h.WaitFor(run, [&h, &run](const RunInfo&) {
    const std::vector<CallInfo> calls = h.CallsOf(run);
    return !calls.empty() && calls[0].state == CallState::kUnknown;
  });
  h.planner.Holds();
  ASSERT_TRUE(h.Resolve(h.operator_one, h.CallsOf(run).at(0).id, true).ok());
  h.planner.WaitUntilHeld();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // it is tried by now
  h.planner.GoesOn(FakePlanner::Answer("open"));
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("door.open"), 1);
  EXPECT_EQ(h.planner.seen().size(), 2u);
  ExpectMadeAnew(h, run, {&h.agent});
}

// Of two ends the log's order decides (rule 11).
TEST(ReplayRaces, ACancelBetweenAFailureAndItsEnd) {
  Harness h(AllowAll(), {WriteTool("door.open")});
  std::promise<void> asked;
  std::promise<void> replies;
  h.planner.before_reply = [&] {
    asked.set_value();
    replies.get_future().wait();
  };
  h.planner.plans = {core::Unavailable("the model is away")};
  const std::string run = RunOf(h);
  asked.get_future().wait();
  WriterPause pause(h.log());
  replies.set_value();
  // Mostly the failure comes to the journal first; the other order ends the same way.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  auto cancelled = std::async(std::launch::async, [&] { return h.Cancel(run); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  pause.End();
  EXPECT_TRUE(cancelled.get().ok());
  h.WaitForState(run, RunState::kCancelled);
  ExpectMadeAnew(h, run, {&h.agent});
}

}  // namespace
}  // namespace interlock::runtime::test
