// What a log that stopped means to those who wait for its next entry.
#include <gtest/gtest.h>

#include <future>

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

}  // namespace
}  // namespace interlock::runtime::test
