#include <gtest/gtest.h>

#include "cli/eval/record.h"

namespace interlock::runtime::cli {
namespace {

using core::Json;

// Entries of one run, as the log has them.
class Feed {
 public:
  explicit Feed(RunRecord& record) : record_(record) {}
  void Give(const char* kind, const char* body,
            const std::map<std::string, std::string>& content = {}) {
    record_.Take({{"kind", kind}, {"index", index_++}, {"body", Json::parse(body)}}, content);
  }

 private:
  RunRecord& record_;
  std::int64_t index_ = 10;
};

// Call k1, which waits for approval a1.
void GiveAsked(Feed& feed) {
  feed.Give("call.proposed", R"({"call":"k1","tool":"t"})");
  feed.Give("approval.requested",
            R"({"call":"k1","approval":"a1","approvers":["role:x"],"rule":"r"})");
}

TEST(RunRecord, FollowsACallThroughItsApproval) {
  RunRecord record;
  Feed feed(record);
  feed.Give("run.started", "{}");
  feed.Give("call.proposed", R"({"call":"k1","tool":"cancel"})");
  feed.Give(
      "call.decided",
      R"({"call":"k1","effect":"ask","code":"ASK","rules":[{"id":"s/confirm","verdict":"ask"}]})",
      {{"say", "sure?"}});
  feed.Give("approval.requested",
            R"({"call":"k1","approval":"a1","approvers":["run-user"],"rule":"s/confirm"})");
  feed.Give("run.parked", R"({"approvals":["a1"]})");
  ASSERT_EQ(record.calls().size(), 1u);
  EXPECT_TRUE(record.calls()[0].open());
  EXPECT_EQ(record.phase(), RunPhase::kParked);
  EXPECT_EQ(record.calls()[0].say, "sure?");

  feed.Give("approval.granted", R"({"call":"k1","approval":"a1","by":"run-user","complete":true})");
  feed.Give("run.resumed", "{}");
  feed.Give("call.decided", R"({"call":"k1","effect":"allow","code":"OK","rules":[]})");
  feed.Give("approval.consumed", R"({"call":"k1","approval":"a1"})");
  feed.Give("call.intended", R"({"call":"k1"})");
  feed.Give("call.outcome", R"({"call":"k1","kind":"ok","level":"full"})");
  const CallRecord& call = record.calls()[0];
  EXPECT_FALSE(call.open());
  EXPECT_TRUE(call.executed());
  EXPECT_EQ(call.effect, "allow");
  EXPECT_EQ(call.approvals[0].phase, "consumed");
  EXPECT_EQ(call.proposed_index, 11);
  EXPECT_EQ(call.decided_index, 17) << "the decision that counts is the newest";
  EXPECT_EQ(call.intended_index, 19);
  EXPECT_EQ(call.outcome_index, 20);
  EXPECT_EQ(call.level, "full");
}

TEST(RunRecord, AGrantThatIsNotCompleteLeavesTheApprovalOpen) {
  RunRecord record;
  Feed feed(record);
  GiveAsked(feed);
  feed.Give("approval.granted", R"({"call":"k1","approval":"a1","complete":false})");
  EXPECT_EQ(record.calls()[0].approvals[0].phase, "requested");
  feed.Give("approval.rejected", R"({"call":"k1","approval":"a1","complete":true})");
  EXPECT_EQ(record.calls()[0].approvals[0].phase, "rejected");
}

TEST(RunRecord, CountsQuestionsToTheUserOnly) {
  RunRecord record;
  Feed feed(record);
  feed.Give("run.waiting", R"({"for":"user"})");
  EXPECT_EQ(record.phase(), RunPhase::kWaitsForUser);
  feed.Give("message.received", R"({"from":"user"})");
  EXPECT_EQ(record.phase(), RunPhase::kGoing);
  feed.Give("run.waiting", R"({"for":"person"})");
  EXPECT_EQ(record.phase(), RunPhase::kWaitsForPerson);
  feed.Give("run.resumed", "{}");
  feed.Give("run.waiting", R"({"for":"run","runs":["r2"]})");
  EXPECT_EQ(record.phase(), RunPhase::kGoing);
  EXPECT_EQ(record.questions(), 1);
}

TEST(RunRecord, ARemarkBesideAnOpenCallIsNoQuestion) {
  RunRecord record;
  Feed feed(record);
  GiveAsked(feed);
  feed.Give("run.waiting", R"({"for":"user"})", {{"text", "I asked the manager."}});
  feed.Give("run.parked", R"({"approvals":["a1"]})");
  EXPECT_EQ(record.phase(), RunPhase::kParked);
  feed.Give("approval.granted", R"({"call":"k1","approval":"a1","complete":true})");
  feed.Give("run.waiting", R"({"for":"user"})", {{"text", "It is on its way."}});
  feed.Give("run.resumed", "{}");
  feed.Give("call.intended", R"({"call":"k1"})");
  feed.Give("run.waiting", R"({"for":"user"})", {{"text", "It is at work."}});
  EXPECT_EQ(record.phase(), RunPhase::kGoing);
  feed.Give("call.outcome", R"({"call":"k1","kind":"unknown"})");
  feed.Give("run.waiting", R"({"for":"user"})", {{"text", "Somebody looks into it."}});
  EXPECT_EQ(record.questions(), 0);
  feed.Give("call.outcome", R"({"call":"k1","kind":"reconciled_done"})");
  feed.Give("run.waiting", R"({"for":"user"})", {{"text", "Done. What else?"}});
  EXPECT_EQ(record.questions(), 1);
}

TEST(RunRecord, KeepsHowTheRunEnded) {
  RunRecord record;
  Feed feed(record);
  feed.Give("run.failed", R"({"code":"STEP_LIMIT","reason":"too many steps"})");
  EXPECT_EQ(record.phase(), RunPhase::kEnded);
  EXPECT_EQ(record.ended_as(), "run.failed STEP_LIMIT: too many steps");
}

TEST(RunRecord, PassesOverWhatItDoesNotKnow) {
  RunRecord record;
  Feed feed(record);
  feed.Give("moon.risen", R"({"call":"k9"})");
  feed.Give("call.outcome", R"({"call":"never-proposed","kind":"ok"})");
  EXPECT_TRUE(record.calls().empty());
}

}  // namespace
}  // namespace interlock::runtime::cli
