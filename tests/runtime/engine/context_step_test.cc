// What is left out of conversations that grow too long: properties over random ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "engine/context.h"
#include "engine/step.h"

namespace interlock::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Random = std::mt19937_64;

std::int64_t Below(Random& random, std::int64_t end) {
  return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end));
}

std::string Words(Random& random, std::int64_t most, const std::string& mark) {
  std::string text = mark;
  const std::int64_t count = Below(random, most + 1);
  for (std::int64_t i = 0; i < count; ++i) text += " w" + std::to_string(Below(random, 100000));
  return text;
}

struct Conversation {
  RunCore run;
  std::set<std::string> said;  // by the user, word for word
  int calls = 0;
};

std::string CallName(int number) { return "call-" + std::to_string(number); }

// One plan with calls, their decisions and ends; some stay parked.
void MakeCalls(Random& random, Conversation& c, const std::string& text) {
  Plan plan;
  plan.finish = Finish::kCalls;
  plan.text = text;
  plan.model = "m";
  const std::int64_t count = 1 + Below(random, 3);
  for (std::int64_t i = 0; i < count; ++i) {
    plan.calls.push_back({.id = "c" + std::to_string(i),
                          .tool = "tool.x",
                          .args_text = R"({"a":")" + Words(random, 60, "arg") + R"("})"});
  }
  if (Below(random, 2) == 0) plan.prompt_tokens = c.run.context.asked + Below(random, 50);
  Step(c.run, event::PlanReceived{std::move(plan)});
  const std::int64_t step = c.run.steps - 1;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string call = CallName(c.calls++);
    Step(c.run, event::CallDeciding{step, i, call});
    if (Below(random, 8) == 0) {
      Step(c.run, event::CallParked{call, R"({"ok":false,"pending":")" + call + "\"}"});
      continue;
    }
    Step(c.run, event::CallRunning{call});
    Step(c.run, event::CallDone{
                    call, R"({"ok":true,"result":")" + Words(random, 300, "res") + "\"}", false});
    Step(c.run, event::CallReleased{call, "", "r" + std::to_string(c.calls)});
  }
}

void Ask(RunCore& run) { Step(run, event::PlanRequested{}); }

Conversation Talk(std::uint64_t seed, std::int64_t budget, int turns) {
  Random random(seed);
  Conversation c;
  c.run.limits.steps_max = 1'000;
  c.run.limits.calls_max = 10'000;
  c.run.limits.repeats_max = 1'000;
  c.run.context.budget = {.tokens = budget, .overhead = 50, .family = TokenFamily::kOpenAi};
  const auto say = [&] {
    std::string text = Words(random, 20, "user" + std::to_string(c.said.size()));
    c.said.insert(text);
    Step(c.run, event::Message{.text = text});
  };
  say();
  for (int turn = 0; turn < turns; ++turn) {
    Ask(c.run);
    MakeCalls(random, c, Words(random, 80, "plan"));
    if (Below(random, 3) == 0) say();
    // A parked call ends late.
    for (const CallSlot& slot : std::vector<CallSlot>(c.run.slots)) {
      if (slot.phase != SlotPhase::kParked || Below(random, 3) != 0) continue;
      Step(c.run, event::CallDone{slot.call, R"({"ok":true,"result":"late"})", false});
    }
  }
  if (c.run.context.budget.tokens > 0) say();
  Ask(c.run);
  return c;
}

bool Same(const ChatMessage& a, const ChatMessage& b) {
  return a.role == b.role && a.text == b.text && a.call_id == b.call_id &&
         std::equal(a.calls.begin(), a.calls.end(), b.calls.begin(), b.calls.end(),
                    [](const ProposedCall& x, const ProposedCall& y) {
                      return x.id == y.id && x.tool == y.tool && x.args_text == y.args_text;
                    });
}

// Every result stands behind the plan that made the call, and every call has its one result.
void ExpectPairs(const RunCore& run) {
  std::multiset<std::string> open;
  for (const ChatMessage& message : run.messages) {
    if (message.role == Role::kTool) {
      const auto at = open.find(message.call_id);
      ASSERT_NE(at, open.end()) << "a result without its call";
      open.erase(at);
      continue;
    }
    ASSERT_THAT(open, IsEmpty()) << "a call without its result";
    for (const ProposedCall& call : message.calls) open.insert(call.id);
  }
  EXPECT_THAT(open, IsEmpty());
}

constexpr std::uint64_t kSeeds = 400;

TEST(Context, WhatTheUserSaidAndWhatIsOpenStays) {
  int left_out = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Conversation c = Talk(seed, 1'500 + static_cast<std::int64_t>(seed % 7) * 400, 14);
    std::set<std::string> there;
    for (const ChatMessage& message : c.run.messages) {
      if (message.role == Role::kUser) there.insert(message.text);
    }
    for (const std::string& text : c.said) EXPECT_TRUE(there.contains(text)) << text;
    for (const CallSlot& slot : c.run.slots) {
      if (slot.phase != SlotPhase::kParked) continue;
      EXPECT_TRUE(std::any_of(c.run.messages.begin(), c.run.messages.end(), [&](const auto& one) {
        return one.text == slot.observation;
      })) << slot.call;
    }
    left_out += c.run.context.left_out.any() ? 1 : 0;
  }
  EXPECT_GT(left_out, static_cast<int>(kSeeds) / 2);  // or the test says nothing
}

TEST(Context, CallsAndResultsStayTogether) {
  int dropped = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Conversation c = Talk(seed, 900, 14);
    ExpectPairs(c.run);
    dropped += c.run.context.left_out.plans > 0 ? 1 : 0;
  }
  EXPECT_GT(dropped, 20);
}

// Either it fits, or nothing more could be left out, and that is said before it is asked for.
TEST(Context, ItFitsOrTheRunIsToldSo) {
  int fits = 0;
  int full = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Conversation c = Talk(seed, 700 + static_cast<std::int64_t>(seed % 5) * 500, 12);
    MakeCalls(*std::make_unique<Random>(seed), c, "next");
    RunCore probe = c.run;
    const auto overflow = ContextOverflow(probe);
    Step(c.run, event::PlanRequested{});
    EXPECT_EQ(overflow.has_value(), PromptTokens(c.run) > c.run.context.budget.tokens);
    ++(overflow ? full : fits);
  }
  EXPECT_GT(fits, 50);
  EXPECT_GT(full, 10);
}

TEST(Context, OnceIsAsMuchAsTwice) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Conversation c = Talk(seed, 1'200, 12);
    const RunCore once = c.run;
    FitContext(c.run);
    ASSERT_EQ(once.messages.size(), c.run.messages.size());
    for (std::size_t i = 0; i < once.messages.size(); ++i) {
      EXPECT_TRUE(Same(once.messages[i], c.run.messages[i])) << i;
    }
    EXPECT_EQ(LeftOutLine(once), LeftOutLine(c.run));
  }
}

TEST(Context, TheSameEventsLeaveOutTheSame) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Conversation a = Talk(seed, 1'000, 12);
    const Conversation b = Talk(seed, 1'000, 12);
    EXPECT_EQ(PromptText(a.run, "s"), PromptText(b.run, "s"));
    EXPECT_NE(PromptText(a.run, "s"), PromptText(a.run, "t"));
  }
}

TEST(Context, WithoutABudgetNothingIsLeftOut) {
  const Conversation c = Talk(7, 0, 12);
  EXPECT_FALSE(c.run.context.left_out.any());
  EXPECT_EQ(LeftOutLine(c.run), "");
  for (const ChatMessage& message : c.run.messages) {
    EXPECT_THAT(message.text, Not(HasSubstr("left_out")));
  }
}

// Results go first, and one by one: what fits stays.
TEST(Context, OlderResultsGoFirstAndKeepTheirNames) {
  RunCore run;
  run.context.budget = {.tokens = 2'000, .overhead = 10, .family = TokenFamily::kOpenAi};
  Step(run, event::Message{.text = "look at all of them"});
  for (int i = 0; i < 4; ++i) {
    Step(run, event::PlanRequested{});
    Plan plan;
    plan.finish = Finish::kCalls;
    plan.text = "one more";
    plan.calls = {{.id = "a", .tool = "look", .args_text = "{\"n\":" + std::to_string(i) + "}"}};
    Step(run, event::PlanReceived{plan});
    const std::string call = CallName(i);
    Step(run, event::CallDeciding{i, 0, call});
    Step(run, event::CallRunning{call});
    std::string text;
    for (int word = 0; word < 600; ++word) text += "alpha ";
    Step(run, event::CallDone{call, text, false});
    Step(run, event::CallReleased{call, "", "r" + std::to_string(i + 1)});
  }
  EXPECT_EQ(ContextOverflow(run), std::nullopt);
  Step(run, event::PlanRequested{});
  std::vector<std::string> results;
  for (const ChatMessage& message : run.messages) {
    if (message.role == Role::kTool) results.push_back(message.text.substr(0, 40));
  }
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0], R"({"bytes":3600,"handle":"r1","left_out":t)");
  EXPECT_EQ(results[1], R"({"bytes":3600,"handle":"r2","left_out":t)");
  EXPECT_THAT(results[3], HasSubstr("alpha"));
  EXPECT_EQ(run.context.left_out.plans + run.context.left_out.texts, 0);
  EXPECT_THAT(LeftOutLine(run), HasSubstr("2 results, 0 plans in part, 0 plans with"));
  EXPECT_EQ(LeftOutLine(run).find('\n'), std::string::npos);
}

TEST(Context, WhatTheModelReportsCorrectsTheEstimate) {
  RunCore run;
  run.context.budget = {.tokens = 100'000, .overhead = 1'000, .family = TokenFamily::kOpenAi};
  Step(run, event::Message{.text = "hello"});
  Step(run, event::PlanRequested{});
  const std::int64_t before = PromptTokens(run);
  EXPECT_EQ(run.context.asked, before);
  Plan plan;
  plan.finish = Finish::kAsk;
  plan.text = "yes?";
  plan.model = "m";
  plan.prompt_tokens = before * 2;
  Step(run, event::PlanReceived{plan});
  EXPECT_NEAR(static_cast<double>(PromptTokens(run)), static_cast<double>(2 * before), 30);
  // Another model has told nothing yet; guesses and replies out of the cache tell nothing either,
  // and nobody is believed who is off by more than four.
  Step(run, event::Message{.text = "go on"});
  Step(run, event::PlanRequested{});
  plan.model = "n";
  plan.tokens_estimated = true;
  Step(run, event::PlanReceived{plan});
  EXPECT_LT(PromptTokens(run), before + 60);
  Step(run, event::Message{.text = "go on"});
  Step(run, event::PlanRequested{});
  plan.tokens_estimated = false;
  plan.prompt_tokens = before * 1'000;
  Step(run, event::PlanReceived{plan});
  EXPECT_LT(PromptTokens(run), before * 5);
  EXPECT_GT(PromptTokens(run), before * 3);
}

TEST(Context, FamiliesAreToldByTheirNames) {
  EXPECT_EQ(FamilyOf("gpt-4o-mini"), TokenFamily::kOpenAi);
  EXPECT_EQ(FamilyOf("openai/GPT-5"), TokenFamily::kOpenAi);
  EXPECT_EQ(FamilyOf("claude-sonnet-4"), TokenFamily::kAnthropic);
  EXPECT_EQ(FamilyOf("gemini-2.5-pro"), TokenFamily::kGemini);
  EXPECT_EQ(FamilyOf("Qwen3-32B"), TokenFamily::kLlama);
  EXPECT_EQ(FamilyOf("house-model"), TokenFamily::kOther);
  EXPECT_EQ(FamilyOf(""), TokenFamily::kOther);
  for (const TokenFamily family :
       {TokenFamily::kOther, TokenFamily::kOpenAi, TokenFamily::kAnthropic, TokenFamily::kGemini,
        TokenFamily::kLlama}) {
    EXPECT_EQ(FamilyNamed(FamilyName(family)), family);
    EXPECT_GE(EstimateTokens("some words of a text", family),
              EstimateTokens("some words of a text"));
  }
}

}  // namespace
}  // namespace interlock::runtime
