// Policies, tools and outcomes that several tests of the engine share.
#pragma once

#include <string>
#include <vector>

#include "harness.h"

namespace interlock::runtime::test {

inline constexpr const char* kPolicyHead =
    R"(policy "p" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
)";

inline std::string AllowAll() {
  return std::string(kPolicyHead) + R"(on("*", "all", function(c) return allow() end))";
}

inline ToolSpec ReadTool(std::string name) { return {.name = std::move(name)}; }
inline ToolSpec WriteTool(std::string name) {
  return {.name = std::move(name), .effect = tools::Effect::kWrite};
}
inline ToolSpec MoneyTool(std::string name) {
  return {.name = std::move(name),
          .effect = tools::Effect::kMoney,
          .effect_key = "pay:{args.id}",
          .money = true};
}

// `pay` of any amount is asked about; `approvers` as Lua texts.
inline std::string AskAlways(const std::string& approvers, const std::string& expires = "1h") {
  return std::string(kPolicyHead) + R"(on("*", "ask", function(c)
  return require_approval { approvers = { )" +
         approvers + R"( }, expires = ")" + expires + R"(" }
end))";
}

inline std::string WithBudget(const std::string& limit) {
  return std::string(kPolicyHead) + R"(local DAY = budget "day" { unit = "USD", limit = usd()" +
         limit +
         R"(), per = "tenant", window = "1d" }
on("pay", "reserve", function(c) return reserve(DAY, usd(c.args.amount)) end)
on("pay", "ok", function(c) return allow() end))";
}

inline std::string WithApproval(const std::string& approvers, int quorum) {
  return std::string(kPolicyHead) +
         R"(fact "order" { tool = "orders.get", args = { id = "{args.id}" }, on = "pay" }
on("pay", "ask", function(c)
  if c.facts.order.blocked then return deny { code = "BLOCKED", say = "blocked" } end
  return require_approval { approvers = { )" +
         approvers + R"( }, quorum = )" + std::to_string(quorum) +
         R"(, expires = "1h", show = { "args.id", "facts.order.total" } }
end))";
}

inline std::vector<ToolSpec> PayTools() { return {MoneyTool("pay"), ReadTool("orders.get")}; }

inline void SetOrder(Harness& h, int total, bool blocked) {
  h.tools.Answers("orders.get", {{"total", total}, {"blocked", blocked}});
}

inline tools::Outcome PaidOutcome(const std::string& amount) {
  return OkOutcome({{"amount", amount}, {"currency", "USD"}});
}

inline void Pays(Harness& h, const std::string& amount) {
  h.tools.On("pay", [amount](const tools::CallSpec&, const FakeTools::Done& done) {
    done(PaidOutcome(amount));
  });
}

inline constexpr std::int64_t kMinuteMicros = 60'000'000;

}  // namespace interlock::runtime::test
