// A look at content leaves an entry, whoever looks and whichever way; only the run's own principal
// and an approver who is asked leave none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;

const core::Principal kAuditor{.tenant = "main", .id = "audi", .roles = {"auditor"}};

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() : h_(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")}) {
    h_.planner.plans = {FakePlanner::Calls({{"c1", "pay", R"({"id":"o1"})"}}),
                        FakePlanner::Answer("a word to the user")};
    Pays(h_, "5.00");
    run_ = h_.CreateRun()->id;
    h_.WaitForState(run_, RunState::kWaitingForApproval);
    approval_ = h_.Pending().at(0).state.id;
    call_ = h_.CallsOf(run_).at(0).id;
    looks_before_ = Looks();
  }
  // Since the test began.
  std::int64_t looks() { return Looks() - looks_before_; }
  std::int64_t Looks() {
    const auto kinds = h_.Kinds("");
    return std::count(kinds.begin(), kinds.end(), "access.read");
  }
  // That `look` left exactly one record, which names the run and what was seen.
  template <typename Look>
  void LeavesARecord(Look look, const std::string& who = "audi") {
    const std::int64_t before = looks();
    look();
    ASSERT_EQ(looks(), before + 1);
    const std::vector<audit::Entry> entries = h_.Entries("");
    const auto last = std::find_if(entries.rbegin(), entries.rend(),
                                   [](const auto& entry) { return entry.kind == "access.read"; });
    EXPECT_THAT(last->bytes, HasSubstr(R"("actor":"principal:)" + who + '"'));
    EXPECT_THAT(last->bytes, HasSubstr(R"("body":{"first":)"));
  }

  Harness h_;
  std::string run_;
  std::string call_;
  std::string approval_;
  std::int64_t looks_before_ = 0;
};

TEST_F(AccessTest, AnAuditorsLookAtACallOrAnApprovalIsAnEntry) {
  LeavesARecord([&] {
    const auto call = h_.engine().GetCall(kAuditor, call_);
    ASSERT_TRUE(call.ok()) << call.status();
    EXPECT_EQ(call->args, R"({"id":"o1"})");
  });
  LeavesARecord([&] {
    const auto approval = h_.engine().GetApproval(kAuditor, approval_);
    ASSERT_TRUE(approval.ok()) << approval.status();
    EXPECT_EQ(approval->args, R"({"id":"o1"})");
  });
  LeavesARecord([&] {
    const auto page = h_.engine().ListApprovals(kAuditor, {}, std::nullopt, "");
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->items.size(), 1u);
  });
  LeavesARecord([&] { ASSERT_TRUE(h_.engine().ReadEvents(kAuditor, run_, -1, 100, true).ok()); });
}

TEST_F(AccessTest, TheRecordOfALookAtOneFieldNamesThatFieldAndNothingElse) {
  std::vector<std::uint64_t> with_args;
  const std::int64_t before = looks();
  for (const audit::Entry& entry : h_.Entries("")) {
    DiscloseSpec spec;
    spec.entry_index = entry.index;
    spec.fields = {"id", "no_such_field"};
    const auto shown = h_.engine().DisclosePayloads(kAuditor, spec);
    ASSERT_TRUE(shown.ok()) << shown.status();
    if (!shown->access_index) continue;
    with_args.push_back(entry.index);
    const audit::Entry look = *h_.log().Read(*shown->access_index);
    EXPECT_THAT(look.bytes, HasSubstr(R"("body":{"fields":["id"],"first":)"));
  }
  EXPECT_EQ(looks(), before + static_cast<std::int64_t>(with_args.size()));
  EXPECT_EQ(with_args.size(), 1u);  // call.proposed
}

TEST_F(AccessTest, AnOperatorsLookIsAnEntryToo) {
  const std::string ops = h_.operator_one.id;
  LeavesARecord([&] { ASSERT_TRUE(h_.engine().GetCall(h_.operator_one, call_).ok()); }, ops);
  LeavesARecord([&] { ASSERT_TRUE(h_.engine().GetApproval(h_.operator_one, approval_).ok()); },
                ops);
  LeavesARecord(
      [&] { ASSERT_TRUE(h_.engine().ListApprovals(h_.operator_one, {}, std::nullopt, "").ok()); },
      ops);
  LeavesARecord(
      [&] { ASSERT_TRUE(h_.engine().ReadEvents(h_.operator_one, run_, -1, 100, true).ok()); }, ops);
}

TEST_F(AccessTest, AnApproverLeavesOneExceptAtWhatAsksForTheAnswer) {
  const std::string maria = h_.manager.id;
  EXPECT_TRUE(h_.engine().GetApproval(h_.manager, approval_).ok());
  EXPECT_TRUE(h_.engine().ListApprovals(h_.manager, {}, std::nullopt, "").ok());
  EXPECT_EQ(looks(), 0);
  LeavesARecord([&] { ASSERT_TRUE(h_.engine().GetCall(h_.manager, call_).ok()); }, maria);
  LeavesARecord([&] { ASSERT_TRUE(h_.engine().ReadEvents(h_.manager, run_, -1, 100, true).ok()); },
                maria);
  const core::Principal another{.tenant = "main", .id = "olga", .roles = {"approver"}};
  LeavesARecord([&] { ASSERT_TRUE(h_.engine().GetApproval(another, approval_).ok()); }, "olga");
  LeavesARecord([&] { ASSERT_TRUE(h_.engine().ListApprovals(another, {}, std::nullopt, "").ok()); },
                "olga");
  // Once it is answered there is nothing left to decide.
  ASSERT_TRUE(h_.AnswerApproval(h_.manager, approval_, true).ok());
  h_.WaitForState(run_, RunState::kCompleted);
  LeavesARecord([&] { ASSERT_TRUE(h_.engine().GetApproval(h_.manager, approval_).ok()); }, maria);
}

TEST_F(AccessTest, WhoMadeTheRunLeavesNoRecordAndNeitherDoWhatListsShow) {
  EXPECT_TRUE(h_.engine().GetCall(h_.integrator, call_).ok());
  EXPECT_TRUE(h_.engine().GetApproval(h_.integrator, approval_).ok());
  EXPECT_TRUE(h_.engine().ListApprovals(h_.integrator, {}, std::nullopt, "").ok());
  EXPECT_TRUE(h_.engine().ReadEvents(h_.integrator, run_, -1, 100, true).ok());
  for (const core::Principal& who : {kAuditor, h_.manager, h_.operator_one}) {
    EXPECT_TRUE(h_.engine().GetRun(who, run_).ok()) << who.id;
    EXPECT_TRUE(h_.engine().ListRuns(who, {}, std::nullopt).ok()) << who.id;
    const auto calls = h_.engine().ListCalls(who, {}, std::nullopt, run_);
    ASSERT_TRUE(calls.ok()) << who.id;
    EXPECT_EQ(calls->items.at(0).args, "") << who.id;
    EXPECT_TRUE(h_.engine().ReadEvents(who, run_, -1, 100, false).ok()) << who.id;
  }
  EXPECT_EQ(looks(), 0);
}

TEST_F(AccessTest, TheAnswerOfARunIsNotAmongWhatOthersGetUnrecorded) {
  ASSERT_TRUE(h_.AnswerApproval(h_.manager, approval_, true).ok());
  h_.WaitForState(run_, RunState::kCompleted);
  EXPECT_EQ(h_.engine().GetRun(h_.integrator, run_)->answer, "a word to the user");
  for (const core::Principal& who : {kAuditor, h_.manager, h_.operator_one}) {
    EXPECT_EQ(h_.engine().GetRun(who, run_)->answer, "") << who.id;
    EXPECT_EQ(h_.engine().ListRuns(who, {}, std::nullopt)->items.at(0).answer, "") << who.id;
  }
  EXPECT_EQ(looks(), 0);
}

TEST_F(AccessTest, NeitherIsItInTheAnswerToARepeatedMessage) {
  const std::string request = h_.NewRequestId();
  const auto send = [&] {
    std::promise<core::StatusOr<RunInfo>> told;
    h_.engine().SendMessage(h_.operator_one, run_, "refund him", request,
                            [&](core::StatusOr<RunInfo> info) { told.set_value(std::move(info)); });
    return told.get_future().get();
  };
  ASSERT_TRUE(send().ok());
  ASSERT_TRUE(h_.AnswerApproval(h_.manager, approval_, true).ok());
  h_.WaitForState(run_, RunState::kCompleted);
  const auto again = send();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->state, RunState::kCompleted);
  EXPECT_EQ(again->answer, "");
  EXPECT_EQ(looks(), 0);
}

// Who watches slowly costs no more than a batch of it.
TEST(Access, ABatchOfEventsEndsWithItsContentAndTheRecordNamesNoMore) {
  constexpr std::size_t kMessages = 6;
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans.assign(kMessages + 1, FakePlanner::Ask("and?"));
  const std::string run = h.CreateRun()->id;
  const std::string text(kMessageBytesMax, 'x');
  for (std::size_t i = 0; i < kMessages; ++i) {
    h.WaitForState(run, RunState::kWaitingForUser);
    ASSERT_TRUE(h.Send(run, text).ok());
  }
  const std::size_t all = h.WaitForState(run, RunState::kWaitingForUser).entries;
  std::int64_t after = -1;
  std::size_t seen = 0;
  std::size_t texts = 0;
  int batches = 0;
  for (; seen < all; ++batches) {
    const auto events = h.engine().ReadEvents(kAuditor, run, after, 1000, true);
    ASSERT_TRUE(events.ok()) << events.status();
    ASSERT_FALSE(events->empty());
    std::size_t bytes = 0;
    for (const RunEvent& event : *events) {
      for (const auto& [field, content] : event.content) bytes += content.size();
      texts += event.entry.kind == "message.received" && event.content.size() == 1 ? 1 : 0;
    }
    EXPECT_LT(bytes, (256u << 10) + 2 * kMessageBytesMax);
    const auto looks = h.Entries("");
    const auto look = std::find_if(looks.rbegin(), looks.rend(),
                                   [](const auto& entry) { return entry.kind == "access.read"; });
    EXPECT_THAT(look->bytes,
                HasSubstr("\"last\":" + std::to_string(events->back().entry.index) + ","));
    after = events->back().entry.run_seq;
    seen += events->size();
  }
  EXPECT_EQ(seen, all);
  EXPECT_EQ(texts, kMessages + 1);
  EXPECT_GT(batches, 1);
}

}  // namespace
}  // namespace interlock::runtime::test
