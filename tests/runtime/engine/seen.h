// What the planner and the log saw, and the policy of tests about who may be written to.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "rules.h"

namespace interlock::runtime::test {

// Mail goes to people that trusted data names, and from plans that read nothing untrusted.
inline constexpr const char* kKnownPeoplePolicy =
    R"(policy "p" { version = "1", owner = "tests", tools = { "*" } }
on("*", "all", function(c) return allow() end)
on("mail.send", "to-people-we-know", function(c)
  if not trusted(c.args, "to") then return deny { code = "UNTRUSTED_TO" } end
  if c.flow.untrusted then return deny { code = "UNTRUSTED_FLOW" } end
end))";

inline std::string TextOf(const PlanRequest& request) {
  std::string all;
  for (const ChatMessage& message : request.messages) all += message.text + "\n";
  return all;
}

// All that the planner was given with its newest request.
inline std::string Seen(Harness& h) { return TextOf(h.planner.seen().back()); }

// The first call of this tool, whole. A failed test when there is none.
inline CallInfo CallOf(Harness& h, const std::string& run, const std::string& tool) {
  for (const CallInfo& call : h.CallsOf(run)) {
    if (call.tool != tool) continue;
    const auto whole = h.engine().GetCall(h.operator_one, call.id);
    EXPECT_TRUE(whole.ok()) << whole.status();
    return whole.ok() ? *whole : CallInfo{};
  }
  ADD_FAILURE() << "`" << tool << "` was not proposed";
  return {};
}

}  // namespace interlock::runtime::test
