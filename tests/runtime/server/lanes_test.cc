// Requests that wait for a signer, a bundle or the disk, and those that must not wait behind them.
#include "server/lanes.h"

#include <atomic>
#include <future>
#include <thread>

#include "fixture.h"

namespace interlock::runtime {
namespace {

using Audit = wire::AuditService::Stub;
using std::chrono::system_clock;

class LanesTest : public ServerTest {
 protected:
  ~LanesTest() override { engine_.ReleaseSigner(); }  // a failed test ends too
};

// A kill switch is not set later because somebody asks for a checkpoint.
TEST_F(LanesTest, ASignerThatHangsHoldsNobodyElseUp) {
  engine_.AddEvents(1);
  engine_.fake_log.entries.resize(2);
  engine_.HoldSigner();
  std::vector<std::thread> clients;
  clients.reserve(4);
  std::atomic<int> signed_heads = 0;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      wire::GetCheckpointRequest request;
      request.set_parent("tenants/main");
      if (Call("audi", &Audit::GetCheckpoint, request).ok()) ++signed_heads;
    });
  }
  ASSERT_TRUE(engine_.WaitForSigner(2));

  wire::SetSwitchRequest set;
  set.set_parent("tenants/main");
  set.set_switch_("all");
  set.set_reason("it pays twice");
  EXPECT_TRUE(Call("op", &wire::SwitchService::Stub::SetSwitch, set).ok());
  wire::CancelRunRequest cancel;
  cancel.set_name(RunName());
  cancel.set_request_id(kRequestId);
  EXPECT_TRUE(Call("ticketing", &wire::RunService::Stub::CancelRun, cancel).ok());
  wire::ActivatePolicyRequest activate;
  activate.set_parent("tenants/main");
  activate.set_reason("the mended rules");
  EXPECT_TRUE(Call("op", &wire::PolicyService::Stub::ActivatePolicy, activate).ok());
  const auto context = Context("ticketing");
  const auto stub = wire::RunService::NewStub(channel_);
  wire::WatchRunRequest watch;
  watch.set_name(RunName());
  const auto reader = stub->WatchRun(context.get(), watch);
  wire::WatchRunResponse event;
  EXPECT_TRUE(reader->Read(&event));
  context->TryCancel();
  (void)reader->Finish();

  engine_.ReleaseSigner();
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(signed_heads, 4);
}

TEST_F(LanesTest, WhatASignedHeadCoversAsksNoSigner) {
  engine_.fake_log.entries.resize(4);
  engine_.fake_log.newest =
      audit::Checkpoint{.origin = "fake/main", .size = 3, .root = {}, .note = "signed\n"};
  engine_.HoldSigner();
  wire::GetInclusionProofRequest inclusion;
  inclusion.set_name("tenants/main/entries/1");
  inclusion.set_tree_size(3);
  wire::InclusionProof included;
  ASSERT_TRUE(Call("audi", &Audit::GetInclusionProof, inclusion, &included).ok());
  EXPECT_EQ(included.tree_size(), 3);
  EXPECT_EQ(included.checkpoint().note(), "signed\n");
  wire::GetConsistencyProofRequest consistency;
  consistency.set_parent("tenants/main");
  consistency.set_old_tree_size(1);
  consistency.set_tree_size(2);
  wire::ConsistencyProof consistent;
  ASSERT_TRUE(Call("audi", &Audit::GetConsistencyProof, consistency, &consistent).ok());
  EXPECT_EQ(consistent.checkpoint().note(), "signed\n");
  engine_.fake_log.newest->size = 4;  // everything
  wire::GetCheckpointRequest newest;
  newest.set_parent("tenants/main");
  wire::Checkpoint head;
  ASSERT_TRUE(Call("audi", &Audit::GetCheckpoint, newest, &head).ok());
  EXPECT_EQ(head.note(), "signed\n");
}

TEST(Lanes, ALaneHasAnEndAndHoldsNoOtherUp) {
  Lanes lanes;
  std::promise<void> opens;
  const auto opened = opens.get_future().share();
  std::atomic<int> done = 0;
  std::atomic<int> refused = 0;
  const auto never = system_clock::time_point::max();
  const auto ask = [&] {
    lanes.Run<int>(
        Lane::kPolicies, never,
        [&](const core::StatusOr<int>& answer) {
          if (answer.ok()) ++done;
          if (ReasonOf(answer.status()) == "TOO_MANY_WAIT") ++refused;
        },
        [&]() -> core::StatusOr<int> {
          opened.wait();
          return 1;
        });
  };
  for (int i = 0; i < kLaneRequestsMax + 3; ++i) ask();
  EXPECT_EQ(refused, 3);
  std::promise<int> other;
  lanes.Run<int>(
      Lane::kSwitches, never, [&](const core::StatusOr<int>& answer) { other.set_value(*answer); },
      [] { return core::StatusOr<int>(7); });
  EXPECT_EQ(other.get_future().get(), 7);
  EXPECT_EQ(done, 0);
  opens.set_value();
  while (done < kLaneRequestsMax) std::this_thread::yield();
  EXPECT_EQ(refused, 3);
}

TEST(Lanes, WhoseTimeIsOverIsToldSoAndNothingIsDone) {
  Lanes lanes;
  std::promise<core::StatusOr<int>> answer;
  lanes.Run<int>(
      Lane::kLog, system_clock::now() - std::chrono::seconds(1),
      [&](core::StatusOr<int> told) { answer.set_value(std::move(told)); },
      []() -> core::StatusOr<int> {
        ADD_FAILURE() << "it was done";
        return 1;
      });
  EXPECT_EQ(answer.get_future().get().status().code(), core::StatusCode::kDeadlineExceeded);
}

// An engine is gone soon after.
TEST(Lanes, CloseWaitsForWhatIsAtWork) {
  Lanes lanes;
  std::promise<void> begun;
  std::promise<void> opens;
  std::atomic<bool> ended = false;
  const auto never = system_clock::time_point::max();
  const auto nobody = [](const core::StatusOr<int>&) {};
  lanes.Run<int>(Lane::kPolicies, never, nobody, [&]() -> core::StatusOr<int> {
    begun.set_value();
    opens.get_future().wait();
    ended = true;
    return 1;
  });
  begun.get_future().wait();
  std::thread closing([&] {
    lanes.Close();
    EXPECT_TRUE(ended);
  });
  opens.set_value();
  closing.join();
}

}  // namespace
}  // namespace interlock::runtime
