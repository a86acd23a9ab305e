// What a log that stopped means to those who wait for its next entry.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "fault_vfs.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

TEST(StoppedLog, WhoWatchesARunIsToldAndReadsWhy) {
  audit::Faults& faults = audit::InstallFaultVfs();
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans = {FakePlanner::Ask("which one?")};
  const std::string ended = h.CreateRun()->id;
  h.WaitForState(ended, RunState::kWaitingForUser);
  ASSERT_TRUE(h.Cancel(ended).ok());
  h.WaitForState(ended, RunState::kCancelled);
  h.planner.plans = {FakePlanner::Ask("which one?")};
  const std::string run = h.CreateRun()->id;
  const std::int64_t last = h.WaitForState(run, RunState::kWaitingForUser).entries - 1;
  EXPECT_TRUE(h.engine().ReadEvents(h.integrator, run, last, 10, false)->empty());
  EXPECT_TRUE(h.engine().GetRun(h.integrator, ended).ok());  // and everything is flushed
  EXPECT_GE(h.Number("SELECT count(*) FROM p_run"), 2);

  std::promise<void> told;
  std::atomic<bool> heard = false;
  const std::uint64_t subscription = h.engine().Subscribe(run, [&] {
    if (!heard.exchange(true)) told.set_value();
  });
  faults.sync_fails = true;
  // Of another run: nothing happens to the one that is watched.
  EXPECT_FALSE(h.CreateRun().ok());
  faults.sync_fails = false;
  EXPECT_EQ(told.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  const auto more = h.engine().ReadEvents(h.integrator, run, last, 10, false).status();
  EXPECT_EQ(more.code(), core::StatusCode::kDataLoss) << more;
  h.engine().Unsubscribe(subscription);
}

// The rows of calls that still have an intent without an outcome.
std::int64_t Intended(Harness& h) {
  return h.Number("SELECT count(*) FROM p_call WHERE state = " +
                  std::to_string(static_cast<int>(CallState::kIntended)));
}

TEST(StoppedLog, ADirectCallWhoseOutcomeFoundNoRoomIsSettledWhenThereIsSome) {
  audit::Faults& faults = audit::InstallFaultVfs();
  Harness h(AllowAll(), {{.name = "note", .effect = tools::Effect::kWrite}});
  h.tools.On("note", [&](const tools::CallSpec&, const FakeTools::Done& done) {
    faults.write_is_full = true;
    done(OkOutcome({{"done", true}}));
  });
  EXPECT_FALSE(h.Execute("note", {{"id", "a"}}).ok());
  faults.write_is_full = false;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (Intended(h) != 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(Intended(h), 0) << "without a restart";
  EXPECT_EQ(h.tools.runs("note"), 1);
}

}  // namespace
}  // namespace interlock::runtime::test
