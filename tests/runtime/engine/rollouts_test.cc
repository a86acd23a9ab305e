// Roll-outs of agent versions: who is given which, live, and for good within a run.
#include "engine/rollouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "erasing.h"
#include "replays.h"
#include "rotating.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;

AgentFile Version(const std::string& file, const std::string& version,
                  const std::string& more = "") {
  const auto agent =
      ParseAgent(file, "name: tester\nversion: \"" + version + "\"\nplanner: fake\nprompt: I am " +
                           version + "\ntools: [\"*\"]\n" + more);
  EXPECT_TRUE(agent.ok()) << agent.status();
  return agent.ok() ? *agent : AgentFile{};
}

// tester.yaml is version 1; there are tester@2.yaml and tester@3.yaml.
struct Desk : Harness {
  Desk() : Harness(AllowAll(), {ReadTool("orders.get")}) {
    agent = Version("tester.yaml", "1");
    versions = {Version("tester@2.yaml", "2"), Version("tester@3.yaml", "3")};
    Restart();
  }
  core::StatusOr<RolloutInfo> Set(const std::string& version, std::int64_t percent,
                                  const std::string& etag = "") {
    return engine().SetRollout(operator_one, {.agent = "tester",
                                              .version = version,
                                              .percent = percent,
                                              .reason = "a first few",
                                              .etag = etag});
  }
  // The version that the run was given, by its digest.
  std::string VersionOf(const std::string& run) {
    const std::string digest = engine().GetRun(integrator, run)->agent_digest;
    for (const AgentFile& one : versions) {
      if (one.digest == digest) return one.version;
    }
    return digest == agent.digest ? agent.version : "?";
  }
  std::string RunOf(const std::string& user) {
    const auto run = CreateRun("help", user);
    EXPECT_TRUE(run.ok()) << run.status();
    if (!run.ok()) return "";
    WaitForState(run->id, RunState::kCompleted);
    return run->id;
  }
  std::string VersionFor(const std::string& user) { return VersionOf(RunOf(user)); }
  // Of these users those who are given version `version`.
  std::set<std::string> Given(const std::string& version, int users) {
    std::set<std::string> given;
    for (int i = 0; i < users; ++i) {
      const std::string user = "user" + std::to_string(i);
      if (VersionFor(user) == version) given.insert(user);
    }
    return given;
  }
};

TEST(Rollouts, WithoutOneAndWithNoneOfAHundredEverybodyIsGivenTheAgentsOwnFile) {
  Desk h;
  EXPECT_TRUE(h.Given("2", 10).empty());
  ASSERT_TRUE(h.Set("2", 0).ok());
  EXPECT_EQ(h.Given("1", 30).size(), 30u);
}

TEST(Rollouts, AHundredOfAHundredIsEverybody) {
  Desk h;
  const auto set = h.Set("2", 100);
  ASSERT_TRUE(set.ok());
  const audit::Entry entry = *h.log().Read(set->written.value().index);
  EXPECT_EQ(entry.kind, "rollout.set");
  EXPECT_EQ(entry.leaf_hash, set->written->leaf_hash);
  EXPECT_EQ(h.Given("2", 30).size(), 30u);
  EXPECT_EQ(h.VersionFor(""), "2");  // about nobody: by the run
}

// The same subject always; more of them as the share grows, and nobody goes back.
TEST(Rollouts, ASubjectStaysOnItsVersionWhileTheShareGrows) {
  Desk h;
  constexpr int kUsers = 60;
  ASSERT_TRUE(h.Set("2", 30).ok());
  const auto few = h.Given("2", kUsers);
  EXPECT_GT(few.size(), 2u);  // keys are random: one in millions
  EXPECT_LT(few.size(), 45u);
  EXPECT_EQ(h.Given("2", kUsers), few);
  ASSERT_TRUE(h.Set("2", 60).ok());
  const auto more = h.Given("2", kUsers);
  EXPECT_GT(more.size(), few.size());
  EXPECT_TRUE(std::includes(more.begin(), more.end(), few.begin(), few.end()));
  h.Restart();
  EXPECT_EQ(h.Given("2", kUsers), more);
}

// What the places are worth: each of a hundred is about a hundredth, whoever asks.
TEST(Rollouts, PlacesAreEvenAndOfTheTenantsOwnKey) {
  Desk h;
  std::vector<int> places(100);
  for (int i = 0; i < 20'000; ++i) {
    const std::int64_t place = RolloutPlace(h.keys(), "tester", "2", "s" + std::to_string(i));
    ASSERT_GE(place, 0);
    ASSERT_LT(place, 100);
    ++places[static_cast<std::size_t>(place)];
  }
  EXPECT_GT(*std::min_element(places.begin(), places.end()), 120);
  EXPECT_LT(*std::max_element(places.begin(), places.end()), 290);
  Desk other;
  int same = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::string subject = "s" + std::to_string(i);
    same += RolloutPlace(h.keys(), "tester", "2", subject) ==
                    RolloutPlace(other.keys(), "tester", "2", subject)
                ? 1
                : 0;
  }
  EXPECT_LT(same, 60);
}

TEST(Rollouts, ARunKeepsWhatItBeganWithAndReplaysEqual) {
  Desk h;
  h.tools.Answers("orders.get", {{"total", 1}});
  h.planner.plans = {FakePlanner::Ask("which?"), FakePlanner::Calls({{"a", "orders.get", "{}"}})};
  ASSERT_TRUE(h.Set("2", 100).ok());
  const auto run = h.CreateRun();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  ASSERT_TRUE(h.Set("3", 100).ok());
  const auto later = h.CreateRun();
  h.WaitForState(later->id, RunState::kWaitingForUser);
  h.Restart();
  ASSERT_TRUE(h.Send(run->id, "that one").ok());
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(h.planner.seen().back().messages.front().text, "I am 2");
  EXPECT_EQ(h.VersionOf(later->id), "3");
  const std::string started = h.Entries(run->id).front().bytes;
  EXPECT_THAT(started, HasSubstr(R"("percent":100,"place":)"));
  EXPECT_THAT(started, HasSubstr(R"("version":"2"})"));
  std::vector<const AgentFile*> agents = {&h.agent, &h.versions[0], &h.versions[1]};
  for (const std::string& id : {run->id, later->id}) ExpectMadeAnew(h, id, agents);
}

TEST(Rollouts, WhoseFileIsGoneIsGivenTheAgentsOwn) {
  Desk h;
  ASSERT_TRUE(h.Set("2", 100).ok());
  const std::string before = h.RunOf("u1");
  const auto kept = h.versions;
  h.versions.clear();
  h.Restart();
  EXPECT_EQ(h.VersionFor("u1"), "1");
  const auto all = h.engine().ListRollouts(h.auditor);
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 1u);
  EXPECT_FALSE(all->at(0).available);
  h.versions = kept;
  h.Restart();
  EXPECT_EQ(h.VersionFor("u1"), "2");
  EXPECT_TRUE(h.engine().ListRollouts(h.auditor)->at(0).available);
  EXPECT_EQ(h.VersionOf(before), "2");
}

TEST(Rollouts, AnEditedFileIsGivenToNobodyUntilItIsSetAnew) {
  Desk h;
  ASSERT_TRUE(h.Set("2", 100).ok());
  EXPECT_EQ(h.VersionFor("u1"), "2");
  h.versions[0] = Version("tester@2.yaml", "2", "description: edited\n");
  h.Restart();
  EXPECT_EQ(h.VersionFor("u1"), "1");
  EXPECT_FALSE(h.engine().ListRollouts(h.auditor)->at(0).available);
  ASSERT_TRUE(h.Set("2", 100).ok());
  EXPECT_EQ(h.VersionFor("u1"), "2");
  h.versions.clear();
  h.Restart();
  ASSERT_TRUE(h.Set("2", 0).ok()) << "which needs no file";
  EXPECT_EQ(ReasonOf(h.Set("2", 1).status()), "VERSION_NOT_FOUND");
}

TEST(Rollouts, OnlyWhatIsThereIsSetByOperatorsWhoHaveLooked) {
  Desk h;
  const RolloutSpec good{
      .agent = "tester", .version = "2", .percent = 10, .reason = "why", .etag = ""};
  for (const core::Principal& who : {h.integrator, h.manager, h.auditor}) {
    EXPECT_EQ(h.engine().SetRollout(who, good).status().code(),
              core::StatusCode::kPermissionDenied);
  }
  const auto error = [&](auto change) {
    RolloutSpec spec = good;
    change(spec);
    return h.engine().SetRollout(h.operator_one, spec).status();
  };
  EXPECT_EQ(ReasonOf(error([](RolloutSpec& s) { s.agent = "nobody"; })), "AGENT_NOT_FOUND");
  for (const char* version : {"1", "9", ""}) {
    EXPECT_EQ(ReasonOf(error([&](RolloutSpec& s) { s.version = version; })), "VERSION_NOT_FOUND");
  }
  for (const std::int64_t percent : {std::int64_t{-1}, std::int64_t{101}, std::int64_t{1} << 40}) {
    EXPECT_EQ(core::Message(error([&](RolloutSpec& s) { s.percent = percent; })),
              "`percent` must be 0 to 100");
  }
  EXPECT_EQ(core::Message(error([](RolloutSpec& s) { s.reason = "two\nlines"; })),
            "`reason` must be one line of 1 to 200 bytes");
  EXPECT_EQ(ReasonOf(error([](RolloutSpec& s) { s.etag = "1"; })), "STALE_ROLLOUT");
  const auto first = h.Set("2", 10);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(h.Set("2", 20, first->etag).ok());
  EXPECT_EQ(ReasonOf(h.Set("2", 30, first->etag).status()), "STALE_ROLLOUT");
  const auto all = h.engine().ListRollouts(h.integrator);
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ(all->at(0).percent, 20);
  EXPECT_EQ(all->at(0).by, "ops1");
}

// A roll-out that is set while runs begin: each has the version that the newest entry before its
// first one gives it.
TEST(Rollouts, EveryRunBeganUnderTheRolloutThatStandsBeforeIt) {
  Desk h;
  std::atomic<bool> stop{false};
  std::thread operators([&] {
    for (int i = 0; !stop; ++i) static_cast<void>(h.Set(i % 2 == 0 ? "2" : "3", 100));
  });
  std::vector<std::string> runs;
  for (int i = 0; i < 40; ++i) runs.push_back(h.RunOf("u" + std::to_string(i)));
  stop = true;
  operators.join();
  std::map<std::string, std::string> given;
  for (const std::string& run : runs) given[run] = h.VersionOf(run);
  std::string stands = "1";
  int looked = 0;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind == "rollout.set") {
      stands = entry.bytes.find(R"("version":"2")") != std::string::npos ? "2" : "3";
    } else if (entry.kind == "run.started" && given.contains(entry.run)) {
      EXPECT_EQ(given[entry.run], stands) << entry.index;
      ++looked;
    }
  }
  EXPECT_EQ(looked, 40);
  h.Stop();
  EXPECT_EQ(VerifyFolder(h.folder).verdict, audit::Verdict::kIntact);
}

TEST(Rollouts, ARolloutHoldsInTheNextLogToo) {
  Desk h;
  ASSERT_TRUE(h.Set("2", 100).ok());
  EXPECT_EQ(h.VersionFor("u1"), "2");
  RotateAndRestart(h);
  EXPECT_EQ(h.VersionFor("u1"), "2");
}

}  // namespace
}  // namespace interlock::runtime::test
