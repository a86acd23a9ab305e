// A repeat of ExecuteToolCall reads the record, and says what the first answer said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

constexpr const char* kRequest = "0192f0c1-0000-7000-8000-0000000000aa";

struct Case {
  const char* name;
  const char* policy;
  CallState state;
  const char* code;
  tools::Outcome outcome = OkOutcome({{"ok", true}});
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

tools::Outcome Boxed(tools::Outcome outcome) {
  outcome.sandboxed = true;
  outcome.box.level = sandbox::Level::kFullNoCgroup;
  return outcome;
}

tools::Outcome NotStartedOutcome() {
  tools::Outcome outcome;
  outcome.error_code = "SETUP";
  return outcome;
}

constexpr const char* kAllow = R"(on("*", "all", function(c) return allow() end))";

class Repeats : public ::testing::TestWithParam<Case> {};

void ExpectSame(const CallInfo& one, const CallInfo& other) {
  EXPECT_EQ(one.id, other.id);
  EXPECT_EQ(one.tool, other.tool);
  EXPECT_EQ(one.state, other.state);
  EXPECT_EQ(one.verdict, other.verdict);
  EXPECT_EQ(one.code, other.code);
  EXPECT_EQ(one.say, other.say);
  ASSERT_EQ(one.rules.size(), other.rules.size());
  for (std::size_t i = 0; i < one.rules.size(); ++i) {
    EXPECT_EQ(one.rules[i].id, other.rules[i].id);
    EXPECT_EQ(one.rules[i].verdict, other.rules[i].verdict);
  }
  EXPECT_EQ(one.approvals, other.approvals);
  EXPECT_EQ(one.args, other.args);
  EXPECT_EQ(one.result, other.result);
  EXPECT_EQ(one.outcome, other.outcome);
  EXPECT_EQ(one.sandbox_level, other.sandbox_level);
  EXPECT_EQ(one.create_time_us, other.create_time_us);
  EXPECT_EQ(one.update_time_us, other.update_time_us);
  EXPECT_EQ(one.newest.index, other.newest.index);
  EXPECT_EQ(one.newest.leaf_hash, other.newest.leaf_hash);
}

TEST_P(Repeats, SayWhatTheFirstAnswerSaid) {
  const Case& c = GetParam();
  Harness h(std::string(kPolicyHead) + c.policy, {WriteTool("orders.put")});
  h.tools.On("orders.put",
             [&](const tools::CallSpec&, const FakeTools::Done& done) { done(c.outcome); });
  const core::Json args = {{"id", "o1"}};
  const auto first = h.Execute("orders.put", args, kRequest);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->state, c.state);
  EXPECT_EQ(first->code, c.code);
  EXPECT_GT(first->create_time_us, 0);
  EXPECT_GE(first->update_time_us, first->create_time_us);
  const auto repeat = h.Execute("orders.put", args, kRequest);
  ASSERT_TRUE(repeat.ok()) << repeat.status();
  ExpectSame(*first, *repeat);
  const auto read = h.engine().GetCall(h.operator_one, first->id);
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectSame(*first, *read);
}

INSTANTIATE_TEST_SUITE_P(
    Calls, Repeats,
    ::testing::Values(
        Case{"Ok", kAllow, CallState::kOk, "OK"},
        Case{"OkInABox", kAllow, CallState::kOk, "OK", Boxed(OkOutcome({{"ok", true}}))},
        Case{"Unknown", kAllow, CallState::kUnknown, "LOST", UnknownOutcome()},
        Case{"NotStarted", kAllow, CallState::kNotStarted, "SETUP", NotStartedOutcome()},
        Case{"Denied",
             R"(on("*", "no", function(c) return deny { code = "NO", say = "Not today." } end))",
             CallState::kDenied, "NO"},
        Case{"Parked",
             R"(on("*", "ask", function(c)
  return require_approval { approvers = { "role:x" }, expires = "1h" } end))",
             CallState::kParked, "APPROVAL_REQUIRED"},
        Case{"Modified",
             R"(on("*", "cap", function(c)
  if c.args.id ~= "o2" then return modify { ["args.id"] = "o2" } end
  return allow() end))",
             CallState::kOk, "OK"}),
    [](const auto& item) { return std::string(item.param.name); });

TEST(Repeats, ADryRunMakesNoCallThatAnyoneCouldLookFor) {
  Harness h(AllowAll(), {WriteTool("orders.put")});
  const auto checked = h.Check("orders.put", {{"id", "o1"}});
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->verdict, "allow");
  EXPECT_EQ(checked->id, "");
  EXPECT_TRUE(h.Kinds("").empty() || h.Kinds("").back() != "call.decided");
}

// What goes on when it is asked for again is read from the record too: the approval it used is
// told.
TEST(Repeats, AnApprovedCallIsToldAsItIsReadLater) {
  Harness h(AskAlways("\"role:cs-manager\""), {WriteTool("orders.put")});
  h.tools.Answers("orders.put", {{"ok", true}});
  const core::Json args = {{"id", "o1"}};
  const auto parked = h.Execute("orders.put", args, kRequest);
  ASSERT_TRUE(parked.ok()) << parked.status();
  ASSERT_EQ(parked->approvals.size(), 1u);
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals[0], true).ok());
  const auto ran = h.Execute("orders.put", args, kRequest);
  ASSERT_TRUE(ran.ok()) << ran.status();
  EXPECT_EQ(ran->state, CallState::kOk);
  EXPECT_EQ(ran->approvals, parked->approvals);
  const auto repeat = h.Execute("orders.put", args, kRequest);
  ASSERT_TRUE(repeat.ok()) << repeat.status();
  ExpectSame(*ran, *repeat);
}

}  // namespace
}  // namespace interlock::runtime::test
