#include <gmock/gmock.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "harness/temp_folder.h"
#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kRefund[] = R"(description: a happy refund
steps:
  - say: "Let me look"
    calls: [{tool: orders.get, args: {order_id: "o-1", n: 1}}]
  - calls:
      - {tool: refunds.create, args: {amount: "{r1.result.total}", note: "for {last.result.id}"}}
      - {tool: no/such tool, args_text: '{"amount": NaN, "x": "{last}"'}
  - ask: "Shall I go on with {session.order}?"
  - answer: "Done: {last.result.status}."
)";

class ScriptedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Write("refund", kRefund);
    auto planner = MakeScriptedPlanner({.folder = folder_});
    ASSERT_TRUE(planner.ok()) << planner.status();
    planner_ = *std::move(planner);
    request_.agent = "refund";
    request_.session = {{"order", "o-1"}};
    Say(Role::kUser, "I want my money back");
  }

  void Write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ + "/" + name + ".yaml", std::ios::trunc) << text;
  }
  void Say(Role role, std::string text) {
    request_.messages.push_back(
        {.role = role, .text = std::move(text), .calls = {}, .call_id = {}});
  }
  core::StatusOr<Plan> Propose() {
    core::StatusOr<Plan> got = core::Internal("done was not called");
    planner_->Propose(request_, [&](core::StatusOr<Plan> plan) { got = std::move(plan); });
    return got;
  }
  std::string ProposeError() {
    const auto plan = Propose();
    return plan.ok() ? "ok" : std::string(core::Message(plan.status()));
  }
  // The error of a script that is this text.
  std::string ErrorOf(std::string_view text) {
    Write("bad", text);
    request_.session["script"] = "bad";
    std::string error = ProposeError();
    const std::size_t at = error.find(folder_);
    return at == std::string::npos ? error
                                   : error.substr(0, at) + error.substr(at + folder_.size() + 1);
  }

  const test::TempFolder temp_;
  const std::string folder_ = temp_.path();
  std::unique_ptr<Planner> planner_;
  PlanRequest request_;
};

TEST_F(ScriptedTest, PlaysItsStepsInOrder) {
  auto plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kCalls);
  EXPECT_EQ(plan->text, "Let me look");
  ASSERT_EQ(plan->calls.size(), 1u);
  EXPECT_EQ(plan->calls[0].tool, "orders.get");
  EXPECT_EQ(plan->calls[0].args_text, R"({"n":1,"order_id":"o-1"})");

  Say(Role::kAssistant, plan->text);
  Say(Role::kTool, R"({"ok":true,"result":{"id":"o-1","total":12.5}})");
  plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->calls.size(), 2u);
  EXPECT_EQ(plan->calls[0].args_text, R"({"amount":12.5,"note":"for o-1"})");
  EXPECT_EQ(plan->calls[1].tool, "no/such tool");
  EXPECT_EQ(plan->calls[1].args_text, R"({"amount": NaN, "x": "{last}")");
  EXPECT_NE(plan->calls[0].id, plan->calls[1].id);

  Say(Role::kAssistant, plan->text);
  Say(Role::kTool, R"({"ok":true,"result":{"status":"refunded"}})");
  plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kAsk);
  EXPECT_EQ(plan->text, "Shall I go on with o-1?");

  Say(Role::kAssistant, plan->text);
  Say(Role::kUser, "yes");
  plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->finish, Finish::kAnswer);
  EXPECT_EQ(plan->text, "Done: refunded.");

  Say(Role::kAssistant, plan->text);
  plan = Propose();
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->finish, Finish::kAnswer);
  EXPECT_EQ(plan->text, "I have nothing more to do.");
}

TEST_F(ScriptedTest, AFreshPlannerGoesOnWhereTheConversationIs) {
  Say(Role::kAssistant, "Let me look");
  Say(Role::kTool, R"({"ok":true,"result":{"id":"o-1","total":1}})");
  auto fresh = MakeScriptedPlanner({.folder = folder_});
  ASSERT_TRUE(fresh.ok());
  planner_ = *std::move(fresh);
  const auto plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->calls.at(0).tool, "refunds.create");
}

TEST_F(ScriptedTest, TheSessionNamesTheScript) {
  Write("other", "steps: [{answer: from the other}]");
  request_.session["script"] = "other";
  EXPECT_EQ(Propose().value().text, "from the other");
}

TEST_F(ScriptedTest, ReadsAScriptAgainWhenItChanged) {
  EXPECT_EQ(Propose().value().text, "Let me look");
  Write("refund", "steps: [{answer: changed}]");
  EXPECT_EQ(Propose().value().text, "changed");
  // The same size: the time alone must tell.
  Write("refund", "steps: [{answer: chanGed}]");
  fs::last_write_time(folder_ + "/refund.yaml",
                      fs::last_write_time(folder_ + "/refund.yaml") + std::chrono::seconds(1));
  EXPECT_EQ(Propose().value().text, "chanGed");
}

TEST_F(ScriptedTest, AScriptNameIsNoPath) {
  for (const core::Json& name :
       {core::Json("../refund"), core::Json("/etc/passwd"), core::Json("a.b"), core::Json("A"),
        core::Json(std::string(65, 'a')), core::Json(1)}) {
    request_.session["script"] = name;
    EXPECT_THAT(ProposeError(), HasSubstr("`session.script` must be")) << name;
  }
  request_.session["script"] = "absent";
  EXPECT_EQ(Propose().status().code(), core::StatusCode::kNotFound);
  request_.session = nullptr;
  request_.agent = "";
  EXPECT_THAT(ProposeError(), HasSubstr("names no script"));
}

TEST_F(ScriptedTest, AMissingObservationNamesFileAndLine) {
  Say(Role::kAssistant, "Let me look");
  Say(Role::kTool, R"({"ok":false,"denied":{"code":"X"}})");
  EXPECT_THAT(ProposeError(), HasSubstr("refund.yaml:5: `r1.result.total` is missing"));
}

TEST_F(ScriptedTest, RefusesScriptsThatAreWrong) {
  EXPECT_EQ(ErrorOf("step: []"), "bad.yaml:1: the script needs `steps`");
  EXPECT_EQ(ErrorOf("steps: []\nextra: 1"), "bad.yaml:2: unknown key `extra` in the script");
  EXPECT_EQ(ErrorOf("steps:\n  - say: x"),
            "bad.yaml:2: a step needs exactly one of `calls`, `ask`, `answer`");
  EXPECT_EQ(ErrorOf("steps:\n  - {ask: x, answer: y}"),
            "bad.yaml:2: a step needs exactly one of `calls`, `ask`, `answer`");
  EXPECT_EQ(ErrorOf("steps:\n  - {answer: y, say: z}"), "bad.yaml:2: unknown key `say` in a step");
  EXPECT_EQ(ErrorOf("steps:\n  - calls: []"), "bad.yaml:2: `calls` must have 1 to 32 calls");
  EXPECT_EQ(ErrorOf("steps:\n  - calls: [{tool: t, arg: {}}]"),
            "bad.yaml:2: unknown key `arg` in a call");
  EXPECT_EQ(ErrorOf("steps:\n  - calls: [{tool: t, args: {}, args_text: x}]"),
            "bad.yaml:2: `args_text` beside `args`");
  EXPECT_EQ(ErrorOf("steps:\n  - answer: '{nobody.x}'"),
            "bad.yaml:2: template `{nobody.x}`: unknown name `nobody` at position 0");
  EXPECT_EQ(ErrorOf("a: 1\n---\nb: 1"), "bad.yaml: a script is one yaml document");
}

TEST_F(ScriptedTest, NeedsItsFolder) {
  EXPECT_EQ(MakeScriptedPlanner({.folder = folder_ + "/none"}).status().code(),
            core::StatusCode::kNotFound);
}

}  // namespace
}  // namespace interlock::runtime
