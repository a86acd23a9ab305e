// Bundles from text and decisions about a made-up call, for the tests of policies.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policies/bundle.h"

namespace interlock::policies {

// Balances and counters that a test sets.
class FakeState final : public StateReader {
 public:
  std::map<std::string, std::int64_t> used;    // by budget name
  std::map<std::string, std::int64_t> held;    // of that
  std::map<std::string, std::int64_t> counts;  // by counter key
  std::map<std::string, std::int64_t> sums;    // too

  VersionedRead BudgetUsed(const BudgetDecl& budget, std::string_view scope) const override {
    const auto at = used.find(budget.name);
    const auto part = held.find(budget.name);
    return {.key = "budget/" + budget.name + "/" + std::string(scope),
            .version = 1,
            .value = at == used.end() ? 0 : at->second,
            .held = part == held.end() ? 0 : part->second};
  }
  VersionedRead Count(std::string_view key, std::int64_t, std::int64_t) const override {
    const auto at = counts.find(std::string(key));
    return {.key = "counter/" + std::string(key),
            .version = 1,
            .value = at == counts.end() ? 0 : at->second};
  }
  VersionedRead Sum(std::string_view key, std::int64_t, std::int64_t) const override {
    const auto at = sums.find(std::string(key));
    return {.key = "counter/" + std::string(key),
            .version = 1,
            .value = at == sums.end() ? 0 : at->second};
  }
};

// A policy `p` over every tool, with these rules below its head.
inline std::string PolicyText(const std::string& rules) {
  return "policy \"p\" { owner = \"tests\", tools = { \"*\" } }\n" + rules;
}
// One rule `r` about every tool; the body starts in line 2.
inline std::string RuleText(const std::string& body) {
  return PolicyText("on(\"*\", \"r\", function(c) " + body + " end)\n");
}
inline const char kAllowAll[] = "on(\"*\", \"broad\", function(c) return allow() end)\n";

// A call of `t.write` by run r1 of user u1, with facts `order` (there) and `gone` (failed look-up).
struct TestCall {
  std::string tool = "t.write";
  std::string effect = "write";
  std::string user = "u1";
  core::Json args = {{"id", "o1"},
                     {"amount", 20},
                     {"price", 48.5},
                     {"note", nullptr},
                     {"items", {{{"sku", "a"}, {"n", 1}}, {{"sku", "b"}, {"n", 2}}}}};
  core::Json session = {{"shop", "s1"}};
  std::vector<std::string> roles = {"integrator"};
  std::vector<Fact> facts = {
      {.name = "order", .present = true, .value = {{"status", "paid"}, {"total", 100}}},
      {.name = "gone", .present = false, .value = nullptr, .error_code = "NOT_FOUND"}};
  std::int64_t now_us = 1'767'225'600'000'000;
  bool untrusted = false;
  FakeState state;
};

inline Decision DecideWith(Engine& engine, const TestCall& call) {
  DecisionInput input;
  input.call = {
      .id = "c1", .run = "r1", .tool = call.tool, .effect = call.effect, .agent = "a1", .step = 1};
  input.tenant = "main";
  input.principal = "ticketing";
  input.principal_roles = &call.roles;
  input.user = call.user;
  input.args = &call.args;
  input.session = &call.session;
  input.facts = &call.facts;
  input.now_us = call.now_us;
  input.flow_untrusted = call.untrusted;
  input.state = &call.state;
  return engine.Decide(input);
}

// About `content` in a phase that is not a call's; the result is one of mail.read.
inline DecisionInput AboutContent(RulePhase phase, const core::Json& content,
                                  const TestCall& call) {
  DecisionInput input;
  const bool has_tool = phase == RulePhase::kResult;
  input.phase = phase;
  input.call = {.id = "c1",
                .run = "r1",
                .tool = has_tool ? "mail.read" : "",
                .effect = has_tool ? "read" : "",
                .agent = "a1",
                .step = 1};
  input.args = has_tool ? &call.args : nullptr;
  input.session = &call.session;
  input.content = &content;
  input.state = &call.state;
  return input;
}

inline core::StatusOr<std::unique_ptr<Engine>> MakeEngine(
    const std::string& text, std::vector<Finding>* findings = nullptr) {
  core::StatusOr<std::shared_ptr<const Bundle>> bundle =
      Bundle::Load({{.path = "p.lua", .text = text}}, {}, findings);
  if (!bundle.ok()) return bundle.status();
  return Engine::Make(*std::move(bundle));
}

// The decision of a policy about a call; a policy that does not load is a test failure.
inline Decision DecideText(const std::string& text, const TestCall& call = {}) {
  core::StatusOr<std::unique_ptr<Engine>> engine = MakeEngine(text);
  EXPECT_TRUE(engine.ok()) << core::Message(engine.status());
  if (!engine.ok()) return {};
  return DecideWith(**engine, call);
}

// What a policy that must not load was refused with.
inline std::string LoadError(const std::string& text) {
  const core::StatusOr<std::unique_ptr<Engine>> engine = MakeEngine(text);
  return engine.ok() ? "" : std::string(core::Message(engine.status()));
}

inline const FiredRule* FiredBy(const Decision& decision, const std::string& id) {
  for (const FiredRule& rule : decision.rules) {
    if (rule.id == id) return &rule;
  }
  return nullptr;
}

}  // namespace interlock::policies
