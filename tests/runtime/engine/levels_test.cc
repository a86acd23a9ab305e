// Entries say where a call ran, or was to run: also where no box reports it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "replays.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The newest entry of the kind.
std::string EntryOf(Harness& h, const std::string& run, std::string_view kind) {
  std::string found = "no " + std::string(kind);
  for (const audit::Entry& entry : h.Entries(run)) {
    if (entry.kind == kind) found = entry.bytes;
  }
  return found;
}

// A run whose plan is this one call.
std::string RunOf(Harness& h, const std::string& tool) {
  h.planner.plans = {FakePlanner::Calls({{"a", tool, "{}"}})};
  const auto run = h.CreateRun();
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? run->id : "";
}

TEST(Levels, IntentAndOutcomeOfARequestAreNoBuiltins) {
  Harness h(AllowAll(), {ReadTool("remote.get")});
  h.tools.level = "http";
  h.tools.Answers("remote.get", {{"ok", true}});
  ASSERT_TRUE(h.Execute("remote.get", core::Json::object()).ok());
  EXPECT_THAT(EntryOf(h, "", "call.intended"), HasSubstr(R"("level":"http")"));
  EXPECT_THAT(EntryOf(h, "", "call.outcome"), HasSubstr(R"("level":"http")"));
}

TEST(Levels, ACallThatNothingRanOfSaysWhatThereWas) {
  Harness h(AllowAll(), {ReadTool("boxed.get")});
  h.tools.level = "landlock-only";
  h.tools.On("boxed.get", [](const tools::CallSpec&, const FakeTools::Done& done) {
    tools::Outcome refused;
    refused.error_code = "SETUP";
    refused.error = "this machine gives sandbox level `landlock-only`";
    done(refused);
  });
  ASSERT_TRUE(h.Execute("boxed.get", core::Json::object()).ok());
  const std::string outcome = EntryOf(h, "", "call.outcome");
  EXPECT_THAT(outcome, HasSubstr(R"("kind":"not_started","level":"landlock-only")"));
}

TEST(Levels, ABoxIsNamedWithItsFilterAndProgram) {
  Harness h(AllowAll(), {ReadTool("boxed.get")});
  h.tools.level = "full";
  h.tools.On("boxed.get", [](const tools::CallSpec&, const FakeTools::Done& done) {
    tools::Outcome outcome = OkOutcome({{"ok", true}});
    outcome.sandboxed = true;
    outcome.box.level = sandbox::Level::kNone;  // its own report counts
    outcome.box.filter_digest.fill(0xab);
    outcome.box.program_digest.fill(0xcd);
    done(outcome);
  });
  const std::string run = RunOf(h, "boxed.get");
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(EntryOf(h, run, "call.intended"), HasSubstr(R"("level":"full")"));
  const std::string outcome = EntryOf(h, run, "call.outcome");
  EXPECT_THAT(outcome, HasSubstr(R"("level":"none")"));
  EXPECT_THAT(outcome, HasSubstr(R"("filter_digest":"sha256:abab)"));
  EXPECT_THAT(outcome, HasSubstr(R"("program_digest":"sha256:cdcd)"));
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Levels, AdviceForTheAuthorStandsSealedBesideTheOutcomeAndIsNotShownToThePlanner) {
  Harness h(AllowAll(), {ReadTool("boxed.get")});
  h.tools.On("boxed.get", [](const tools::CallSpec&, const FakeTools::Done& done) {
    tools::Outcome outcome = FailedOutcome("EXIT_1");
    outcome.advice = "it says `EROFS`: only /tmp";
    done(outcome);
  });
  const std::string run = RunOf(h, "boxed.get");
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(EntryOf(h, run, "call.outcome"), HasSubstr(R"("advice":{"bytes":26,)"));
  const std::vector<PlanRequest> seen = h.planner.seen();
  ASSERT_EQ(seen.size(), 2u);
  for (const ChatMessage& message : seen[1].messages) {
    EXPECT_THAT(message.text, Not(HasSubstr("EROFS")));
  }
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Levels, ACallThatACrashLostSaysWhereItRanThen) {
  Harness h(AllowAll(), {WriteTool("boxed.put")});
  h.tools.level = "full-nocgroup";
  h.tools.Holds("boxed.put");
  const std::string run = RunOf(h, "boxed.put");
  h.tools.WaitUntilHeld("boxed.put", 1);
  const std::string copy = h.CopyFiles();
  h.tools.Release("boxed.put", OkOutcome({{"ok", true}}));
  h.WaitForState(run, RunState::kCompleted);
  h.tools.level = "landlock-only";  // what the next daemon finds is another matter
  h.RestartFrom(copy);
  while (h.CallsOf(run).at(0).state == CallState::kIntended) std::this_thread::yield();
  const std::string outcome = EntryOf(h, run, "call.outcome");
  EXPECT_THAT(outcome, HasSubstr(R"("code":"LOST")"));
  EXPECT_THAT(outcome, HasSubstr(R"("level":"full-nocgroup")"));
  EXPECT_THAT(outcome, Not(HasSubstr("builtin")));
}

TEST(Levels, ARetryAfterACrashSaysWhereItRanItself) {
  ToolSpec tool = WriteTool("boxed.put");
  tool.idempotent = true;
  Harness h(AllowAll(), {tool});
  h.tools.level = "full";
  h.tools.Holds("boxed.put");
  const std::string run = RunOf(h, "boxed.put");
  h.tools.WaitUntilHeld("boxed.put", 1);
  const std::string copy = h.CopyFiles();
  h.tools.Answers("boxed.put", {{"ok", true}});
  h.tools.Release("boxed.put", OkOutcome({{"ok", true}}));
  h.WaitForState(run, RunState::kCompleted);
  h.tools.level = "landlock-only";
  h.RestartFrom(copy);
  while (h.CallsOf(run).at(0).state != CallState::kOk) std::this_thread::yield();
  EXPECT_THAT(EntryOf(h, run, "call.intended"), HasSubstr(R"("level":"landlock-only")"));
  EXPECT_THAT(EntryOf(h, run, "call.outcome"), HasSubstr(R"("level":"landlock-only")"));
  ExpectMadeAnew(h, run, {&h.agent});
}

}  // namespace
}  // namespace interlock::runtime::test
