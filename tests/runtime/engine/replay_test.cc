// Replay: what was recorded makes every entry of a run anew, and nothing else does.
#include "engine/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <numeric>

#include "audit/merkle.h"
#include "audit/rotate.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Asked {
  std::string candidate = {};  // policy text; empty: as recorded
  StepFn step = &Step;
};

ReplayParts PartsOf(Harness& h, audit::Log& log, audit::KeyStore& keys) {
  ReplayParts parts;
  parts.tenant = "main";
  parts.log = &log;
  parts.keys = &keys;
  parts.registry = h.registry();
  parts.bundle = h.LoadPolicy(h.policy());
  parts.agent_of = [&h](const std::string&, const std::string& digest) -> const AgentFile* {
    return h.agent.digest == digest ? &h.agent : nullptr;
  };
  return parts;
}

core::StatusOr<ReplayReport> Replay(Harness& h, const std::string& run, const Asked& asked = {}) {
  ReplayParts parts = PartsOf(h, h.log(), h.keys());
  if (!asked.candidate.empty()) parts.candidate = h.LoadPolicy(asked.candidate);
  parts.step = asked.step;
  return ReplayRun(parts, run);
}

std::string Said(const ReplayReport& report) {
  if (!report.first) return "no divergence";
  return report.first->kind + " at " + std::to_string(report.first->run_seq) + ": " +
         report.first->why + "\nrecorded " + report.first->recorded + "\nrebuilt  " +
         report.first->rebuilt;
}

// Passes, with nothing left out, to the root that the log's own leaves have.
void ExpectReplays(Harness& h, const std::string& run) {
  const auto report = Replay(h, run);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->passes()) << Said(*report);
  EXPECT_THAT(report->left_out, IsEmpty());
  audit::Frontier root;
  const auto entries = h.Entries(run);
  for (const audit::Entry& entry : entries) root.Add(audit::LeafHash(entry.bytes));
  EXPECT_EQ(report->rebuilt_root, root.Root());
  EXPECT_EQ(report->recorded_root, root.Root());
  const auto taken =
      std::accumulate(report->taken.begin(), report->taken.end(), std::int64_t{0},
                      [](std::int64_t sum, const auto& kind) { return sum + kind.second; });
  EXPECT_EQ(report->rebuilt + taken, static_cast<std::int64_t>(entries.size()));
  EXPECT_GT(report->rebuilt, taken);
}

std::string Policy(int limit_usd) {
  return std::string(kPolicyHead) + R"(
fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" }
local DAY = budget "day" { unit = "USD", limit = usd()" +
         std::to_string(limit_usd) + R"(), per = "tenant", window = "1d" }
on("pay", "reserve", function(c) return reserve(DAY, usd(c.args.amount)) end)
on("pay", "often", function(c) return limit { key = c.user, max = 5, per = "1h" } end)
on("*", "all", function(c) return allow() end)
)";
}

Plan PayBoth() {
  return FakePlanner::Calls({{"c1", "pay", R"({"amount":5,"id":"o1"})"},
                             {"c2", "pay", R"({"amount":7,"id":"o2"})"},
                             {"c3", "orders.get", R"({"id":"o3"})"},
                             {"c4", "no.such", R"({"id":"o3"})"}});
}

// A run that does most of what runs do: facts, holds, limits, a denial, a question, an answer.
std::string PaidRun(Harness& h) {
  Pays(h, "5.00");
  SetOrder(h, 12, false);
  h.planner.plans = {PayBoth(), FakePlanner::Ask("Which one?"),
                     FakePlanner::Calls({{"d1", "pay", R"({"amount":90,"id":"o4"})"}}),
                     FakePlanner::Answer("two were paid")};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  EXPECT_TRUE(h.Send(run->id, "the third one").ok());
  h.WaitForState(run->id, RunState::kCompleted);
  return run->id;
}

TEST(Replay, EveryEntryOfARunIsMadeAnew) {
  Harness h(Policy(100), PayTools());
  const std::string run = PaidRun(h);
  ASSERT_EQ(h.CallsOf(run).size(), 5u);
  ExpectReplays(h, run);
}

// What `interlock runs replay` does: beside a daemon and after it.
TEST(Replay, TheFolderIsEnough) {
  Harness h(Policy(100), PayTools());
  const std::string run = PaidRun(h);
  for (const bool stopped : {false, true}) {
    if (stopped) h.Stop();
    const auto log = audit::OpenArchive(h.folder + "/audit.db");
    ASSERT_TRUE(log.ok()) << log.status();
    const auto keys = audit::KeyStore::OpenForReading(h.folder, &h.random);
    ASSERT_TRUE(keys.ok()) << keys.status();
    const auto report = ReplayRun(PartsOf(h, **log, **keys), run);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->passes()) << Said(*report);
    const auto other = ReplayRun(PartsOf(h, **log, **keys), h.NewRequestId());
    EXPECT_EQ(other.status().code(), core::StatusCode::kNotFound);
  }
}

TEST(Replay, ARunWithAnApprovalAndARestartIsMadeAnew) {
  Harness h(WithApproval(R"("role:cs-manager")", 2), PayTools());
  Pays(h, "1.00");
  SetOrder(h, 5, false);
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  h.Restart();
  const std::string approval = h.Pending().at(0).state.id;
  ASSERT_TRUE(h.AnswerApproval(h.manager, approval, true).ok());
  ASSERT_TRUE(h.AnswerApproval(h.second, approval, true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("pay"), 1);
  ExpectReplays(h, run->id);
}

TEST(Replay, ARunWhoseCallWasEditedIsMadeAnew) {
  Harness h(std::string(kPolicyHead) + R"(on("pay", "ask", function(c)
  if c.args.amount > 80 then return deny { code = "OVER" } end
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end))",
            {MoneyTool("pay")});
  Pays(h, "1.00");
  h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"amount":60,"id":"o1"})"}}),
                     FakePlanner::Calls({{"c2", "pay", R"({"amount":50,"id":"o2"})"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  const auto edit = [&](const core::Principal& who, const std::string& args) {
    h.WaitFor(run->id, [&](const RunInfo& info) {
      return info.state == RunState::kWaitingForApproval && !h.Pending().empty();
    });
    const ApprovalInfo open = h.Pending().at(0);
    std::promise<core::StatusOr<CallInfo>> done;
    h.engine().EditArguments(
        who,
        {.approval = open.state.id,
         .args = args,
         .etag = open.etag,
         .reason = "half",
         .on_behalf_of = "",
         .request_id = h.NewRequestId()},
        [&done](core::StatusOr<CallInfo> info) { done.set_value(std::move(info)); });
    return done.get_future().get();
  };
  EXPECT_FALSE(edit(h.manager, R"({"amount":90,"id":"o1"})").ok());
  ASSERT_TRUE(edit(h.manager, R"({"id":"o1","amount":30})").ok());
  h.Restart();
  ASSERT_TRUE(h.AnswerApproval(h.second, h.Pending().at(0).state.id, true).ok());
  h.WaitFor(run->id, [](const RunInfo& info) { return info.steps == 2; });
  ASSERT_TRUE(edit(h.second, R"({"amount":40,"id":"o3"})").ok());
  ASSERT_TRUE(h.AnswerApproval(h.manager, h.Pending().at(0).state.id, true).ok());
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.tools.runs("pay"), 2);
  ExpectReplays(h, run->id);
}

TEST(Replay, WhatRulesMadeOfTextsAndResultsIsMadeAnew) {
  Harness h(AllowAll() + R"(
on(message(), "plain", function(c) return modify { ["message.text"] = "please help" } end)
on(result("*"), "odd", function(c) return label { result = { "odd" } } end)
on(answer(), "polite", function(c) return modify { ["answer.text"] = "it is 5!" } end)
)",
            {ReadTool("orders.get")});
  h.tools.Answers("orders.get", {{"total", 5}});
  h.planner.plans = {FakePlanner::Calls({{"c1", "orders.get", "{}"}}),
                     FakePlanner::Answer("it is 5")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, "it is 5!");
  ExpectReplays(h, run->id);
}

TEST(Replay, AFailedAndACancelledRunAreMadeAnew) {
  Harness h(AllowAll(), {WriteTool("orders.cancel")});
  h.tools.Fails("orders.cancel", "NO_SUCH_ORDER");
  h.planner.plans = {core::Unavailable("the model is away")};
  const auto failed = h.CreateRun();
  ASSERT_TRUE(failed.ok()) << failed.status();
  h.WaitForState(failed->id, RunState::kFailed);
  ExpectReplays(h, failed->id);
  h.planner.plans = {FakePlanner::Ask("well?")};
  const auto cancelled = h.CreateRun();
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  h.WaitForState(cancelled->id, RunState::kWaitingForUser);
  ASSERT_TRUE(h.Cancel(cancelled->id).ok());
  h.WaitForState(cancelled->id, RunState::kCancelled);
  ExpectReplays(h, cancelled->id);
}

TEST(Replay, FilesThatAToolLeftAreMadeAnew) {
  Harness h(AllowAll(), {ReadTool("report.make")});
  h.tools.On("report.make",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(OutcomeWithFiles()); });
  h.planner.plans = {FakePlanner::Calls({{"c1", "report.make", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  ExpectReplays(h, run->id);
}

TEST(Replay, WhatAPersonSaysOfACallSettlesItsHoldsAgain) {
  for (const bool happened : {true, false}) {
    Harness h(WithBudget("100"), {MoneyTool("pay")});
    h.tools.On("pay",
               [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
    h.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"amount":5,"id":"o1"})"}})};
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    h.WaitForState(run->id, RunState::kWaitingForPerson);
    const std::string call = h.CallsOf(run->id).at(0).id;
    ASSERT_TRUE(h.Resolve(h.operator_one, call, happened).ok());
    ASSERT_TRUE(h.Resolve(h.operator_two, call, happened).ok());
    h.WaitForState(run->id, RunState::kCompleted);
    EXPECT_EQ(h.Budget("day").settled, happened ? 500 : 0);
    ExpectReplays(h, run->id);
  }
}

TEST(Replay, AnotherRuleDiffersAtItsFirstDecision) {
  Harness h(Policy(100), PayTools());
  const std::string run = PaidRun(h);
  const auto same = Replay(h, run, {.candidate = Policy(100)});
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_TRUE(same->passes()) << Said(*same);
  const auto words = Replay(h, run, {.candidate = Policy(100) + "-- in other words\n"});
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_TRUE(words->passes()) << "a bundle is not another for its id: " << Said(*words);

  const auto tighter = Replay(h, run, {.candidate = Policy(6)});
  ASSERT_TRUE(tighter.ok()) << tighter.status();
  ASSERT_FALSE(tighter->passes());
  EXPECT_THAT(tighter->first->kind, AnyOf("call.decided", "budget.held"));
  const auto first = h.Entries(run);
  EXPECT_EQ(first[static_cast<std::size_t>(tighter->first->run_seq)].index, tighter->first->index);
  EXPECT_NE(tighter->first->recorded, tighter->first->rebuilt);
  EXPECT_EQ(tighter->rebuilt_root, core::Digest{});
}

// Rules that allow, deny, fail, speak in shadow, and judge texts and results.
std::string ManyRules(const std::string& deny_by, const std::string& say) {
  return AllowAll() + R"(
on("orders.cancel", ")" +
         deny_by + R"(", function(c)
  return deny { code = "CLOSED", say = ")" +
         say + R"(" }
end)
on("orders.put", "broken", function(c) return c.args.amount + c.args.id end)
on("orders.get", "later", { mode = "shadow", ends = "2099-01-01" }, function(c)
  return deny { code = "LATER" }
end)
on(message(), "plain", function(c) return modify { ["message.text"] = "please help" } end)
on(result("orders.get"), "odd", function(c) return label { result = { "odd" } } end)
on(answer(), "polite", function(c) return modify { ["answer.text"] = "it is 5!" } end)
)";
}

std::string ManyRulesRun(Harness& h) {
  h.tools.Answers("orders.get", {{"total", 5}});
  h.planner.plans = {FakePlanner::Calls({{"c1", "orders.get", "{}"},
                                         {"c2", "orders.cancel", "{}"},
                                         {"c3", "orders.put", R"({"amount":1,"id":"o1"})"}}),
                     FakePlanner::Answer("it is 5")};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, "it is 5!");
  return run->id;
}

std::vector<ToolSpec> OrderTools() {
  return {ReadTool("orders.get"), WriteTool("orders.cancel"), WriteTool("orders.put")};
}

TEST(Replay, WhereARuleStandsInItsFileDecidesNothing) {
  Harness h(ManyRules("closed", "No."), OrderTools());
  const std::string run = ManyRulesRun(h);
  const auto calls = h.CallsOf(run);
  EXPECT_TRUE(std::any_of(calls.begin(), calls.end(),
                          [](const CallInfo& call) { return call.code == "RULE_ERROR"; }));
  ExpectReplays(h, run);
  const auto moved = Replay(h, run, {.candidate = "-- one\n-- two\n" + h.policy()});
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_TRUE(moved->passes()) << Said(*moved);
}

TEST(Replay, TwoDecisionsThatDifferAreToldInWords) {
  Harness h(ManyRules("closed", "No."), OrderTools());
  const std::string run = ManyRulesRun(h);
  const auto say = [&](const std::string& candidate) {
    const auto report = Replay(h, run, {.candidate = "-- moved\n" + candidate});
    EXPECT_TRUE(report.ok()) << report.status();
    const bool told = report.ok() && report->first && report->first->decisions;
    EXPECT_TRUE(told);
    EXPECT_EQ(told ? report->first->kind : "", "call.decided");
    return told ? InWords(*report->first->decisions) : "";
  };
  EXPECT_EQ(say(ManyRules("shut", "No.")), "recorded: deny by p/closed; now: deny by p/shut");
  EXPECT_EQ(say(ManyRules("closed", "Never.")),
            "recorded and now: deny by p/closed; what differs: rules, say");
  EXPECT_EQ(say(ManyRules("closed", "No.") + R"(
on("orders.get", "who", function(c)
  return require_approval { approvers = { "role:x" }, expires = "1h" }
end))"),
            "recorded: allow OK by p/all; now: ask APPROVAL_REQUIRED by p/who");
}

std::vector<Effect> SameStep(RunCore& run, const Event& event) { return Step(run, event); }

// Hears a user's words twice.
std::vector<Effect> StepThatStutters(RunCore& run, const Event& event) {
  if (std::holds_alternative<event::Message>(event)) run.messages.push_back({});
  return Step(run, event);
}

// Forgets the last call of a plan.
std::vector<Effect> StepThatForgets(RunCore& run, const Event& event) {
  const auto* received = std::get_if<event::PlanReceived>(&event);
  if (received == nullptr || received->plan.calls.size() < 2) return Step(run, event);
  Plan fewer = received->plan;
  fewer.calls.pop_back();
  return Step(run, event::PlanReceived{fewer});
}

// Makes the calls of a plan from its end.
std::vector<Effect> StepThatTurnsRound(RunCore& run, const Event& event) {
  auto effects = Step(run, event);
  if (std::holds_alternative<event::PlanReceived>(event) && run.slots.size() > 1) {
    std::swap(run.slots.front(), run.slots.back());
  }
  return effects;
}

// Says something else than what was passed.
std::vector<Effect> StepThatAddsToAnswers(RunCore& run, const Event& event) {
  auto effects = Step(run, event);
  for (Effect& effect : effects) {
    if (auto* finish = std::get_if<effect::Finish>(&effect)) finish->answer += ", thank you";
  }
  return effects;
}

// Asks for a plan where it should wait.
std::vector<Effect> StepThatNeverWaits(RunCore& run, const Event& event) {
  auto effects = Step(run, event);
  for (Effect& effect : effects) {
    if (std::holds_alternative<effect::WaitForUser>(effect)) effect = effect::RequestPlan{};
  }
  return effects;
}

TEST(Replay, AMutatedStepFails) {
  Harness h(Policy(100), PayTools());
  const std::string run = PaidRun(h);
  const auto same = Replay(h, run, {.step = &SameStep});
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_TRUE(same->passes()) << Said(*same);
  const struct {
    const char* name;
    StepFn step;
  } mutations[] = {
      {"stutters", &StepThatStutters},      {"forgets", &StepThatForgets},
      {"turns round", &StepThatTurnsRound}, {"adds to answers", &StepThatAddsToAnswers},
      {"never waits", &StepThatNeverWaits},
  };
  for (const auto& mutation : mutations) {
    const auto report = Replay(h, run, {.step = mutation.step});
    ASSERT_TRUE(report.ok()) << mutation.name << ": " << report.status();
    EXPECT_FALSE(report->passes()) << mutation.name;
    EXPECT_TRUE(report->first.has_value()) << mutation.name;
  }
}

// What another engine would have written stands in the log like any entry.
TEST(Replay, AnEntryThatTheEngineWouldNotWriteFails) {
  const std::vector<std::pair<std::string, std::string>> planted = {
      {"plan.requested", R"({"messages":99,"planner":"fake","results":[],"step":1})"},
      {"run.parked", R"({"approvals":[]})"},
      {"run.failed", R"({"code":"STEP_LIMIT"})"},
  };
  for (const auto& [kind, body] : planted) {
    Harness h(AllowAll(), {ReadTool("orders.get")});
    h.planner.plans = {FakePlanner::Ask("well?")};
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    h.WaitForState(run->id, RunState::kWaitingForUser);
    ExpectReplays(h, run->id);
    const auto added = h.log().Append(
        {.kind = kind, .run = run->id, .actor = "engine", .body = body, .cites = {}});
    ASSERT_TRUE(added.ok()) << added.status();
    const auto report = Replay(h, run->id);
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(report->first.has_value()) << kind;
    EXPECT_EQ(report->first->kind, kind);
    EXPECT_EQ(report->first->index, added->index);
  }
}

TEST(Replay, ErasedContentIsNamedAndNothingIsSaid) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  std::promise<core::Status> erased;
  h.engine().EraseSubject(h.operator_one,
                          {.subject = "u1", .reason = "asked", .legal_basis = "", .request_id = ""},
                          [&](const auto& erasure) { erased.set_value(erasure.status()); });
  ASSERT_TRUE(erased.get_future().get().ok());
  const auto report = Replay(h, run->id);
  EXPECT_EQ(report.status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(report.status()), "PAYLOAD_ERASED");
  EXPECT_THAT(std::string(core::Message(report.status())), HasSubstr("content of entry "));
}

TEST(Replay, AnotherEngineVersionIsNamedAndNothingIsSaid) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans = {FakePlanner::Ask("well?")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  ASSERT_TRUE(h.log()
                  .Append({.kind = "recovery",
                           .run = "",
                           .actor = "engine",
                           .body = R"({"engine":"0","open_intents":0,"runs":1})",
                           .cites = {}})
                  .ok());
  ExpectReplays(h, run->id);  // it wrote nothing of this run yet
  ASSERT_TRUE(h.Send(run->id, "go on").ok());
  h.WaitForState(run->id, RunState::kCompleted);
  const auto report = Replay(h, run->id);
  EXPECT_EQ(ReasonOf(report.status()), "ENGINE_VERSION");
  EXPECT_THAT(std::string(core::Message(report.status())), HasSubstr("version `0`"));
}

TEST(Replay, AKindThatReplayDoesNotKnowIsNamedAndNothingIsSaid) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans = {FakePlanner::Ask("well?")};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  ASSERT_TRUE(
      h.log()
          .Append(
              {.kind = "run.reborn", .run = run->id, .actor = "engine", .body = "{}", .cites = {}})
          .ok());
  const auto report = Replay(h, run->id);
  EXPECT_EQ(ReasonOf(report.status()), "KIND_NOT_REPLAYED");
  EXPECT_THAT(std::string(core::Message(report.status())), HasSubstr("`run.reborn`"));
}

TEST(Replay, AnotherToolIsNamedAndNothingIsSaid) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.tools.Answers("orders.get", {{"total", 5}});
  h.planner.plans = {FakePlanner::Calls({{"c1", "orders.get", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  ExpectReplays(h, run->id);
  ToolSpec other = ReadTool("orders.get");
  other.trust = tools::ResultTrust::kUntrusted;
  h.SetTools({other});
  const auto report = Replay(h, run->id);
  EXPECT_EQ(ReasonOf(report.status()), "TOOL_CHANGED");
}

}  // namespace
}  // namespace interlock::runtime::test
