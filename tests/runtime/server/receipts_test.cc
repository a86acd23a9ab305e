// Rule 23: each reply to a change says which entry of which log it made, under which newest head;
// and proofs are to be had of closed logs too.
#include "core/digest.h"
#include "fixture.h"

namespace interlock::runtime {
namespace {

const core::Digest kLeaf = core::Sha256("leaf");

class ReceiptsTest : public ServerTest {
 protected:
  ReceiptsTest() {
    engine_.fake_log.newest = audit::Checkpoint{"fake/main", 9, {}, "newest\n"};
    engine_.fake_log.entries.resize(12);
    for (std::size_t i = 0; i < engine_.fake_log.entries.size(); ++i) {
      engine_.fake_log.entries[i].index = i;
      engine_.fake_log.entries[i].leaf_hash = kLeaf;
    }
    engine_.written = audit::EntryRef{.index = 8, .leaf_hash = kLeaf};
  }
  template <typename Stub, typename Request, typename Response>
  wire::Receipt Of(const std::string& who,
                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request) {
    Response response;
    const grpc::Status status = Call(who, method, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.has_receipt(), made_) << Request::descriptor()->name();
    return response.receipt();
  }
  // Each change that an operator, an approver or an auditor can make, with the index of its entry.
  std::vector<std::pair<std::int64_t, wire::Receipt>> OfEachThatMayRepeat();
  std::vector<std::pair<std::int64_t, wire::Receipt>> OfEachThatNeverDoes();

  bool made_ = true;  // whether the changes are new
};

std::vector<std::pair<std::int64_t, wire::Receipt>> ReceiptsTest::OfEachThatMayRepeat() {
  wire::ApproveRequest approve;
  approve.set_name(std::string("tenants/main/approvals/") + kApprovalId);
  approve.set_etag("e1");
  wire::RejectRequest reject;
  reject.set_name(approve.name());
  reject.set_etag("e1");
  wire::DelegateRequest hand_on;
  hand_on.set_parent("tenants/main");
  hand_on.set_to("sam");
  hand_on.mutable_until_time()->set_seconds(2'000'000'000);
  wire::SetSwitchRequest stop;
  stop.set_parent("tenants/main");
  stop.set_switch_("tool:pay");
  stop.set_reason("odd sums");
  wire::ActivatePolicyRequest activate;
  activate.set_parent("tenants/main");
  activate.set_reason("a new ceiling");
  return {{8, Of("dora", &wire::ApprovalService::Stub::Approve, approve)},
          {8, Of("dora", &wire::ApprovalService::Stub::Reject, reject)},
          {8, Of("dora", &wire::ApprovalService::Stub::Delegate, hand_on)},
          {8, Of("op", &wire::SwitchService::Stub::SetSwitch, stop)},
          {8, Of("op", &wire::PolicyService::Stub::ActivatePolicy, activate)}};
}

std::vector<std::pair<std::int64_t, wire::Receipt>> ReceiptsTest::OfEachThatNeverDoes() {
  wire::SetRolloutRequest rollout;
  rollout.set_parent("tenants/main");
  rollout.set_agent("support");
  rollout.set_version("2");
  rollout.set_percent(10);
  rollout.set_reason("a first few");
  wire::EraseSubjectRequest erase;
  erase.set_parent("tenants/main");
  erase.set_subject("ann");
  erase.set_reason("asked");
  wire::ConfirmClockRequest clock;
  clock.set_parent("tenants/main");
  clock.set_reason("seen the other clock");
  wire::RotateSignerKeyRequest rotate;
  rotate.set_parent("tenants/main");
  wire::DisclosePayloadsRequest disclose;
  disclose.set_name("tenants/main/entries/3");
  disclose.set_reason("a complaint");
  return {{8, Of("op", &wire::RolloutService::Stub::SetRollout, rollout)},
          {11, Of("op", &wire::AuditService::Stub::EraseSubject, erase)},
          {4, Of("op", &wire::AuditService::Stub::ConfirmClock, clock)},
          {5, Of("op", &wire::AuditService::Stub::RotateSignerKey, rotate)},
          {7, Of("audi", &wire::AuditService::Stub::DisclosePayloads, disclose)}};
}

TEST_F(ReceiptsTest, EachChangeSaysWhichEntryOfWhichLogItMade) {
  auto all = OfEachThatMayRepeat();
  for (auto& one : OfEachThatNeverDoes()) all.push_back(std::move(one));
  for (const auto& [index, receipt] : all) {
    EXPECT_EQ(receipt.index(), index);
    EXPECT_EQ(receipt.leaf_hash().size(), 32u);
    EXPECT_EQ(receipt.log_origin(), "fake/main");
    EXPECT_EQ(receipt.checkpoint_note(), "newest\n");
  }
  EXPECT_EQ(all.front().second.leaf_hash(), core::AsBytes(kLeaf));
}

TEST_F(ReceiptsTest, AChangeThatWasMadeBeforeHasNone) {
  engine_.written.reset();
  made_ = false;
  EXPECT_EQ(OfEachThatMayRepeat().size(), 5u);
}

TEST_F(ReceiptsTest, ALogThatWasNeverSignedHasNoHeadToTell) {
  engine_.fake_log.newest.reset();
  for (const auto& [index, receipt] : OfEachThatMayRepeat()) {
    EXPECT_EQ(receipt.index(), index);
    EXPECT_EQ(receipt.checkpoint_note(), "");
  }
}

TEST_F(ReceiptsTest, ProofsAreOfTheLogThatIsNamed) {
  wire::GetInclusionProofRequest inclusion;
  inclusion.set_name("tenants/main/entries/3");
  wire::GetConsistencyProofRequest consistency;
  consistency.set_parent("tenants/main");
  consistency.set_old_tree_size(2);
  wire::GetCheckpointRequest head;
  head.set_parent("tenants/main");
  const auto ask = [&](const std::string& log) {
    inclusion.set_log(log);
    consistency.set_log(log);
    head.set_log(log);
    return std::vector<grpc::Status>{
        Call("audi", &wire::AuditService::Stub::GetInclusionProof, inclusion),
        Call("audi", &wire::AuditService::Stub::GetConsistencyProof, consistency),
        Call("audi", &wire::AuditService::Stub::GetCheckpoint, head)};
  };
  for (const char* here : {"", "fake/main"}) {
    for (const grpc::Status& status : ask(here)) EXPECT_TRUE(status.ok()) << here;
  }
  for (const grpc::Status& status : ask("fake/old")) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(ReasonIn(status), "LOG_NOT_FOUND");
  }
}

TEST_F(ReceiptsTest, WhatIsErasedIsToldWhereAskedFor) {
  engine_.fake_log.erased = {{3, {1, 2}}};
  wire::GetEntryRequest get;
  get.set_name("tenants/main/entries/3");
  wire::Entry entry;
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::GetEntry, get, &entry).ok());
  EXPECT_FALSE(entry.has_erased_slots());
  get.set_show_erased(true);
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::GetEntry, get, &entry).ok());
  EXPECT_THAT(entry.erased_slots().slots(), ::testing::ElementsAre(1, 2));
  wire::ListEntriesRequest list;
  list.set_parent("tenants/main");
  list.set_start_index(2);
  list.set_end_index(4);
  list.set_show_erased(true);
  wire::ListEntriesResponse page;
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::ListEntries, list, &page).ok());
  ASSERT_EQ(page.entries_size(), 2);
  EXPECT_TRUE(page.entries(0).has_erased_slots());
  EXPECT_EQ(page.entries(0).erased_slots().slots_size(), 0);
  EXPECT_THAT(page.entries(1).erased_slots().slots(), ::testing::ElementsAre(1, 2));
}

}  // namespace
}  // namespace interlock::runtime
