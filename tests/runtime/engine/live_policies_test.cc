// Policies that change while a daemon serves (ADR 45): whole, in the order of the log, sealed where
// a trust root says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "live.h"
#include "policies/seal.h"
#include "replays.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;

policies::SealKey Key(const std::string& name) {
  return policies::MakeSealKey(name, std::string(32, name[0]));
}

TEST(LivePolicies, AreInForceFromOneEntryOnAndWhoDidItIsOnRecord) {
  Live live(UpTo(5, "FIVE"));
  EXPECT_EQ(live.CodeOf(7), "FIVE");
  live.Write(UpTo(9, "NINE"));
  const auto now = live.Activate();
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(live.CodeOf(7), "OK");
  EXPECT_EQ(live.CodeOf(10), "NINE");
  const auto entries = live.h.Entries("");
  const auto activated = std::find_if(entries.rbegin(), entries.rend(), [](const auto& entry) {
    return entry.kind == "bundle.activated";
  });
  ASSERT_NE(activated, entries.rend());
  EXPECT_THAT(activated->bytes, HasSubstr(R"("actor":"principal:ops1")"));
  EXPECT_THAT(activated->bytes, HasSubstr(R"("reason":"a new ceiling")"));
  ASSERT_TRUE(now->written.has_value());
  EXPECT_EQ(now->written->index, activated->index);
  EXPECT_EQ(now->written->leaf_hash, activated->leaf_hash);
  EXPECT_FALSE(live.Activate()->written.has_value()) << "they are in force";
  EXPECT_THAT(activated->bytes, HasSubstr(now->bundle));
  EXPECT_EQ(live.h.engine().GetPolicy(live.h.integrator)->bundle, now->bundle);
  const auto run = live.h.CreateRun();
  EXPECT_THAT(live.h.Entries(run->id).at(0).bytes, HasSubstr(now->bundle));
}

TEST(LivePolicies, WhatIsWrongKeepsTheOldOnesAndIsSaid) {
  Live live(UpTo(5, "FIVE"));
  live.Write(UpTo(9, "NINE") + "rule \"broken\" { on = \"*\", alow = true }\n");
  const auto refused = live.Activate();
  EXPECT_EQ(refused.status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(core::Message(refused.status())),
              HasSubstr("the bundle of before stays: test.lua:"));
  EXPECT_EQ(live.CodeOf(7), "FIVE");
  EXPECT_EQ(live.h.engine().Unhealthy(), "");
  EXPECT_THAT(live.h.engine().warnings(), testing::Contains(HasSubstr("were refused: test.lua:")));
  live.Write(UpTo(9, "NINE"));
  ASSERT_TRUE(live.Activate().ok());
  EXPECT_TRUE(live.h.engine().GetPolicy(live.h.auditor)->problem.empty());
  EXPECT_EQ(live.CodeOf(7), "OK");
}

TEST(LivePolicies, OnlyOperatorsChangeThem) {
  Live live(UpTo(5, "FIVE"));
  live.Write(UpTo(9, "NINE"));
  const auto refused = live.h.engine().ActivatePolicy(live.h.integrator, "why not");
  EXPECT_EQ(refused.status().code(), core::StatusCode::kPermissionDenied);
  EXPECT_EQ(live.h.engine().ActivatePolicy(live.h.operator_one, "").status().code(),
            core::StatusCode::kInvalidArgument);
  EXPECT_EQ(live.CodeOf(7), "FIVE");
}

TEST(LivePolicies, ATrustRootTakesSealedOnesOfRisingRevisionOnly) {
  const policies::SealKey trusted = Key("desk");
  Live live("", trusted.verifier);
  live.h.policy_folders.problem = "the bundle has no seal; sign it: interlock policy sign";
  live.Restart();
  EXPECT_EQ(live.CodeOf(1), "NO_BUNDLE");
  EXPECT_THAT(live.h.engine().Unhealthy(),
              HasSubstr("everything is denied: the bundle has no seal"));
  live.Write(UpTo(5, "FIVE"));
  const auto said = [&] {
    const auto now = live.Activate();
    return now.ok() ? "" : std::string(core::Message(now.status()));
  };
  EXPECT_THAT(said(), HasSubstr("has no seal"));
  live.Seal(Key("else"), 1);
  EXPECT_THAT(said(), HasSubstr("no trusted key signed"));
  live.Seal(trusted, 4);
  EXPECT_EQ(said(), "");
  EXPECT_EQ(live.CodeOf(7), "FIVE");
  EXPECT_EQ(live.h.engine().Unhealthy(), "");
  const auto info = live.h.engine().GetPolicy(live.h.operator_one);
  EXPECT_EQ(info->revision, 4);
  EXPECT_EQ(info->signed_by, "desk");
  EXPECT_TRUE(info->seal_required);

  live.Write(UpTo(9, "NINE"));
  EXPECT_THAT(said(), HasSubstr("not those that were signed"));
  live.Seal(trusted, 3);
  EXPECT_THAT(said(), HasSubstr("revision 3 is not above the active one, 4"));
  live.Seal(trusted, 4);
  EXPECT_THAT(said(), HasSubstr("revision 4 is not above the active one, 4"));
  EXPECT_EQ(live.CodeOf(7), "FIVE");
  live.Seal(trusted, 5);
  EXPECT_EQ(said(), "");
  EXPECT_EQ(live.CodeOf(7), "OK");
}

// The log knows what was in force: an older folder, put back while the daemon was down, is refused.
TEST(LivePolicies, ARestartDoesNotRollBack) {
  const policies::SealKey trusted = Key("desk");
  Live live(UpTo(5, "FIVE"), trusted.verifier);
  live.Write(UpTo(5, "FIVE"));
  live.Seal(trusted, 2);
  ASSERT_TRUE(live.Activate().ok());
  live.Write(UpTo(9, "NINE"));
  live.Seal(trusted, 3);
  ASSERT_TRUE(live.Activate().ok());

  live.h.SetPolicy(UpTo(5, "FIVE"));
  live.h.policy_folders.seal = {.origin = kOrigin, .revision = 2, .signed_by = "desk"};
  live.Restart();
  EXPECT_EQ(live.CodeOf(1), "NO_BUNDLE");
  EXPECT_THAT(live.h.engine().Unhealthy(), HasSubstr("revision 2 is not above the active one, 3"));
  live.h.SetPolicy(UpTo(9, "NINE"));
  live.h.policy_folders.seal.revision = 3;
  live.Restart();
  EXPECT_EQ(live.CodeOf(7), "OK");
}

// Whatever was on its way is decided by what is in force where its decision stands, and none is
// lost.
TEST(LivePolicies, UnderLoadNoDecisionIsDroppedOrMixed) {
  const std::string fact =
      R"(fact "stock" { tool = "stock.get", args = {}, on = "orders.get" }
on("orders.get", "stocked", function(c) if c.facts.stock.left < 1 then return deny { code = "OUT" } end end)
)";
  const std::string low = UpTo(5, "FIVE");
  const std::string high = UpTo(9, "NINE", fact);
  Live live(low);
  std::atomic<bool> stop{false};
  std::atomic<int> odd{0};
  std::atomic<int> made{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      while (!stop) {
        const auto call = live.h.Execute("orders.get", {{"n", 7}});
        odd += !call.ok() || (call->state != CallState::kOk && call->code != "FIVE");
        ++made;
      }
    });
  }
  for (int i = 0; i < 12; ++i) {
    live.Write(i % 2 == 0 ? high : low);
    const auto now = live.Activate();
    EXPECT_TRUE(now.ok()) << now.status();
    const int before = made;
    while (made < before + 20) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(odd, 0);
  std::string active;
  int decided = 0;
  int activated = 0;
  for (const audit::Entry& entry : live.h.Entries("")) {
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    ASSERT_TRUE(json.ok());
    if (entry.kind == "bundle.activated") {
      active = (*json)["body"]["bundle"].get<std::string>();
      ++activated;
    }
    if (entry.kind != "call.decided") continue;
    EXPECT_EQ((*json)["cites"][0].get<std::string>(), active);
    ++decided;
  }
  EXPECT_EQ(activated, 13);
  EXPECT_EQ(decided, made);
}

// A message that the old rules let by in silence is judged again too.
TEST(LivePolicies, NoMessageBehindAnActivationWasJudgedByTheOldOnes) {
  Live live(UpTo(5, "FIVE"));
  std::atomic<bool> stop{false};
  std::atomic<int> made{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      for (; !stop; ++made) EXPECT_TRUE(live.h.CreateRun("a magic word").ok());
    });
  }
  const auto wait = [&made](int more) {
    for (const int until = made + more; made < until;) std::this_thread::yield();
  };
  wait(10);
  live.Write(UpTo(5, "FIVE", R"(on(message(), "no-magic", function(c)
  if glob("*magic*", c.message.text) then return deny { code = "MAGIC" } end
end))"));
  const auto now = live.Activate();
  EXPECT_TRUE(now.ok()) << now.status();
  wait(10);
  stop = true;
  for (std::thread& caller : callers) caller.join();
  bool behind = false;
  int judged = 0;
  for (const audit::Entry& entry : live.h.Entries("")) {
    behind = behind || (entry.kind == "bundle.activated" &&
                        entry.bytes.find(now->bundle) != std::string::npos);
    if (!behind || entry.kind != "message.received") continue;
    EXPECT_THAT(entry.bytes, HasSubstr(R"("code":"MAGIC")"));
    EXPECT_THAT(entry.bytes, HasSubstr(R"("cites":[")" + now->bundle + R"("])"));
    ++judged;
  }
  EXPECT_GT(judged, 5);
}

// What judged a text is what its entry cites, and a replay tells an activation from a fault.
TEST(LivePolicies, AnAnswerCitesTheBundleThatJudgedIt) {
  const auto says = [](const std::string& word) {
    return UpTo(5, "FIVE",
                "on(answer(), \"word\", function(c) return modify { [\"answer.text\"] = \"" + word +
                    "\" } end)");
  };
  Live live(says("old"));
  live.h.planner.plans = {FakePlanner::Ask("which one?"), FakePlanner::Answer("bye")};
  const auto run = live.h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  live.h.WaitForState(run->id, RunState::kWaitingForUser);
  const std::string before = live.h.engine().GetPolicy(live.h.integrator)->bundle;
  live.Write(says("new"));
  const auto now = live.Activate();
  ASSERT_TRUE(now.ok()) << now.status();
  ASSERT_TRUE(live.h.Send(run->id, "the red one").ok());
  EXPECT_EQ(live.h.WaitForState(run->id, RunState::kCompleted).answer, "new");
  std::vector<std::string> cited;
  for (const audit::Entry& entry : live.h.Entries(run->id)) {
    if (entry.kind != "answer.checked") continue;
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    ASSERT_TRUE(json.ok());
    cited.push_back((*json)["cites"][0].get<std::string>());
  }
  EXPECT_THAT(cited, testing::ElementsAre(before, now->bundle));
  ExpectMadeAnew(live.h, run->id, {&live.h.agent});
}

TEST(LivePolicies, ACandidateCountsWhereItPartsAndDecidesNothing) {
  Live live(UpTo(5, "FIVE"));
  EXPECT_THAT(
      std::string(core::Message(live.h.engine().WatchCandidate(live.h.operator_one).status())),
      HasSubstr("the bundle of before stays"));
  live.Write(UpTo(9, "NINE"), "candidate");
  const auto watched = live.h.engine().WatchCandidate(live.h.operator_one);
  ASSERT_TRUE(watched.ok()) << watched.status();
  EXPECT_EQ(live.CodeOf(3), "OK");
  EXPECT_EQ(live.CodeOf(7), "FIVE");
  EXPECT_EQ(live.CodeOf(10), "FIVE");
  const auto info = live.h.engine().GetPolicy(live.h.operator_one);
  EXPECT_EQ(info->candidate, watched->candidate);
  EXPECT_EQ(info->diverged.decisions, 3u);
  EXPECT_EQ(info->diverged.parted, 1u);
  EXPECT_EQ(info->diverged.by_change.at("deny -> allow"), 1u);
  EXPECT_EQ(info->diverged.by_rule.at("p/most"), 1u);
  ASSERT_TRUE(live.h.engine().StopCandidate(live.h.operator_one).ok());
  EXPECT_EQ(live.CodeOf(7), "FIVE");
  EXPECT_EQ(live.h.engine().GetPolicy(live.h.operator_one)->candidate, "");
  EXPECT_EQ(live.h.engine().GetPolicy(live.h.operator_one)->diverged.decisions, 0u);
}

// ---------------------------------------------------------------- replay

// A run that is decided by both, speaks under both, and is read back in between.
std::string RunOverAnActivation(Live& live) {
  Harness& h = live.h;
  h.planner.plans = {
      FakePlanner::Calls({{"a", "orders.get", R"({"n":7})"}}), FakePlanner::Ask("more?"),
      FakePlanner::Calls({{"b", "orders.get", R"({"n":7})"}, {"c", "orders.get", R"({"n":10})"}}),
      FakePlanner::Answer("that was it")};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  live.Write(UpTo(9, "NINE", R"(on(answer(), "polite", function(c)
  return modify { ["answer.text"] = "that was it, thank you" }
end))"));
  EXPECT_TRUE(live.Activate().ok());
  EXPECT_TRUE(h.Send(run->id, "yes").ok());
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCompleted).answer, "that was it, thank you");
  return run->id;
}

TEST(LivePolicies, ARunThatSawTwoIsMadeAnewByBoth) {
  Live live(UpTo(5, "FIVE"));
  const std::string run = RunOverAnActivation(live);
  ExpectMadeAnew(live.h, run, {&live.h.agent});
  live.Restart();
  ExpectMadeAnew(live.h, run, {&live.h.agent});
}

TEST(LivePolicies, ReplayDecidesAllOfSuchARunByACandidate) {
  Live live(UpTo(5, "FIVE"));
  const std::string run = RunOverAnActivation(live);
  const auto old = ReplayOf(live.h, run, {&live.h.agent}, &Step, UpTo(5, "FIVE"));
  ASSERT_TRUE(old.ok()) << old.status();
  ASSERT_TRUE(old->first.has_value()) << "the second plan was decided by another";
  EXPECT_EQ(old->first->kind, "call.decided");
  EXPECT_THAT(old->first->recorded, HasSubstr(R"("effect":"allow")"));
  EXPECT_THAT(old->first->rebuilt, HasSubstr(R"("code":"FIVE")"));
  const auto now = ReplayOf(live.h, run, {&live.h.agent}, &Step, UpTo(9, "NINE"));
  ASSERT_TRUE(now.ok()) << now.status();
  ASSERT_TRUE(now->first.has_value());
  EXPECT_THAT(now->first->recorded, HasSubstr(R"("code":"FIVE")"));
}

TEST(LivePolicies, ARunWithoutPoliciesIsMadeAnewToo) {
  const policies::SealKey trusted = Key("desk");
  Live live("", trusted.verifier);
  live.h.planner.plans = {FakePlanner::Calls({{"a", "orders.get", R"({"n":1})"}}),
                          FakePlanner::Answer("nothing goes")};
  const auto run = live.h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  live.h.WaitForState(run->id, RunState::kFailed);
  live.Write(UpTo(5, "FIVE"));
  live.Seal(trusted, 1);
  ASSERT_TRUE(live.Activate().ok());
  const auto report = ReplayOf(live.h, run->id, {&live.h.agent});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->passes()) << (report->first ? report->first->why : "roots differ");
  EXPECT_TRUE(report->left_out.empty());
  EXPECT_GE(report->rebuilt, 3);
}

}  // namespace
}  // namespace interlock::runtime::test
