// MCP servers die with their run, and each end is in the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SessionEnds, ARunThatEndsEndsItsServersAndTheyHaveAnEntry) {
  Harness h(AllowAll(), {ReadTool("slow.read")});
  h.tools.level = "full-nocgroup";
  std::string run_of_call;
  h.tools.On("slow.read", [&](const tools::CallSpec& spec, FakeTools::Done done) {
    run_of_call = spec.run;
    tools::Outcome outcome = OkOutcome({{"ok", true}});
    outcome.sandboxed = false;
    done(outcome);
  });
  h.planner.plans = {FakePlanner::Calls({{"a", "slow.read", "{}"}})};
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  EXPECT_EQ(run_of_call, run->id);
  while (h.tools.ended_runs().empty()) std::this_thread::yield();
  EXPECT_THAT(h.tools.ended_runs(), Contains(run->id));

  tools::SessionEnd end{
      .run = run->id, .command = "/srv/x", .calls = 3, .why = "secret words", .box = {}};
  end.box.kind = sandbox::EndKind::kExit;
  end.box.level = sandbox::Level::kFull;
  h.tools.EndSession(std::move(end));
  const auto written = [&h] {
    const auto kinds = h.Kinds("");
    return std::find(kinds.begin(), kinds.end(), "server.ended") != kinds.end();
  };
  while (!written()) std::this_thread::yield();
  std::string found;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind == "server.ended") found = entry.bytes;
  }
  EXPECT_THAT(found, HasSubstr(R"("calls":3,)"));
  EXPECT_THAT(found, HasSubstr("\"target_run\":\"" + run->id + "\""));
  EXPECT_EQ(found.find("secret"), std::string::npos) << "no words of a server stand there";
  for (const audit::Entry& entry : h.Entries(run->id)) {
    if (entry.kind == "call.outcome") {
      EXPECT_THAT(entry.bytes, HasSubstr(R"("level":"full-nocgroup")"));
    }
  }
}

TEST(SessionEnds, OperatorsHearWhyAServerDidNotServe) {
  Harness h(AllowAll(), {ReadTool("slow.read")});
  const auto end = [](std::string run, std::int64_t calls, bool refused, std::string why) {
    tools::SessionEnd made{.run = std::move(run),
                           .command = "/srv/x --fast",
                           .calls = calls,
                           .refused = refused,
                           .why = std::move(why),
                           .box = {}};
    made.box.kind = sandbox::EndKind::kExit;
    made.box.level = sandbox::Level::kFull;
    return made;
  };
  h.tools.EndSession(end("", 0, false, "exit status 1: no licence"));
  h.tools.EndSession(end("r-1", 0, true, "the server lists tool `nuke`, which is not pinned"));
  h.tools.EndSession(end("r-2", 7, true, "the server lists tool `nuke`, which is not pinned"));
  h.tools.EndSession(end("r-3", 7, false, "exit status 1: what a call was about"));
  h.tools.EndSession(end("r-4", 0, false, ""));
  const std::lock_guard lock(h.warned_mutex);
  EXPECT_THAT(h.warned,
              ElementsAre("MCP server `/srv/x --fast`: exit status 1: no licence",
                          "MCP server `/srv/x --fast` of run r-1: the server lists tool `nuke`, "
                          "which is not pinned",
                          "MCP server `/srv/x --fast` of run r-2: the server lists tool `nuke`, "
                          "which is not pinned"));
}

}  // namespace
}  // namespace interlock::runtime::test
