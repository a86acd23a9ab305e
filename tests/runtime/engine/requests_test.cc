// Who asks, and what a request_id stands for (rules 12 and 14).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

TEST(Requests, Rule14_AnApprovedDirectCallIsDecidedWithTheAskersRolesOfNow) {
  Harness h(std::string(kPolicyHead) + R"(on("pay", "roles", function(c)
  if not any(c.principal.roles, function(r) return r == "integrator" end) then
    return deny { code = "NO_ROLE" }
  end
  if any(c.principal.roles, function(r) return r == "trainee" end) then
    return deny { code = "TRAINEE" }
  end
  return require_approval { approvers = { "role:cs-manager" }, expires = "1h" }
end))",
            {MoneyTool("pay")});
  Pays(h, "5.00");
  const auto ask = [&](const std::string& id, const std::string& request) {
    const auto call = h.Execute("pay", {{"id", id}}, request);
    EXPECT_TRUE(call.ok()) << call.status();
    return *call;
  };
  const std::string first = h.NewRequestId();
  ASSERT_TRUE(h.AnswerApproval(h.manager, ask("o1", first).approvals.at(0), true).ok());
  h.Restart();
  EXPECT_EQ(ask("o1", first).state, CallState::kOk);
  const std::string second = h.NewRequestId();
  ASSERT_TRUE(h.AnswerApproval(h.manager, ask("o2", second).approvals.at(0), true).ok());
  h.integrator.roles.emplace_back("trainee");  // while it was parked
  EXPECT_EQ(ask("o2", second).code, "TRAINEE");
  EXPECT_EQ(h.tools.runs("pay"), 1);
}

}  // namespace
}  // namespace interlock::runtime::test
