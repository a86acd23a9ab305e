// What limits and budgets decide while they move.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "replays.h"
#include "rules.h"
#include "trip.h"
#include "writer_pause.h"

namespace interlock::runtime::test {
namespace {

// Version of the only balance that this decision read.
std::string VersionIn(const core::Json& decided) {
  return decided["reads"].at(0).value("version", "");
}

// Waits for the writer when it returns: what is checked behind it on the one worker says so.
std::future<core::StatusOr<CallInfo>> BeginToPay(Harness& h, const std::string& id,
                                                 const std::string& amount) {
  const ToolCallSpec spec{.tool = "pay",
                          .args = core::CanonicalJson({{"amount", amount}, {"id", id}}),
                          .user = "u1",
                          .subject = "",
                          .session = core::Json::object(),
                          .request_id = "01890000-0000-7000-8000-00000000000" + id.substr(1)};
  auto told = std::make_shared<std::promise<core::StatusOr<CallInfo>>>();
  h.engine().ExecuteToolCall(h.integrator, spec,
                             [told](const auto& call) { told->set_value(call); });
  EXPECT_TRUE(h.Check("orders.get", {{"id", id}}).ok());
  return told->get_future();
}

// A refusal, too, rests on what stands where it does in the log (rule 1).
TEST(ReplayCounters, ABudgetThatMovesWhileACallIsRefusedForIt) {
  Harness h(AllowAll() + R"(
local PURSE = budget "purse" { unit = "USD", limit = usd(10), per = "tenant", window = "30d" }
on("pay", "purse", function(c) return reserve(PURSE, usd(c.args.amount)) end))",
            PayTools());
  h.limits.workers = 1;
  h.Restart();
  h.tools.Answers("pay", {{"amount", "3.00"}, {"currency", "USD"}});
  ASSERT_TRUE(h.Execute("pay", {{"id", "o0"}, {"amount", "3.00"}}).ok());  // memory knows it then
  WriterPause pause(h.log());
  auto small = BeginToPay(h, "o1", "3.00");
  auto large = BeginToPay(h, "o2", "20.00");
  pause.End();
  ASSERT_TRUE(small.get().ok());
  const auto refused = large.get();
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->code, "BUDGET");
  std::vector<core::Json> decided;
  for (const audit::Entry& entry : h.Entries("")) {
    const auto json = core::ParseJson(entry.bytes, core::kPayloadLimits);
    if (entry.kind == "call.decided" && json.ok()) decided.push_back((*json)["body"]);
  }
  ASSERT_EQ(decided.size(), 3u);
  ASSERT_EQ(decided[1].value("effect", ""), "allow");
  EXPECT_NE(VersionIn(decided[2]), VersionIn(decided[1]));
}

// A message is judged by what stands before it in the log, also where it was judged while a slot
// seemed to be free.
TEST(ReplayCounters, TwoMessagesForOneSlot) {
  Harness h(AllowAll() + R"(
on(message(), "slowly", function(c) return limit { key = "all", max = 2, per = "1h" } end))",
            {ReadTool("orders.get")});
  const auto first = h.CreateRun("first");  // memory knows the counter then
  ASSERT_TRUE(first.ok()) << first.status();
  WriterPause pause(h.log());
  const auto begin = [&h](const char* message) {
    return std::async(std::launch::async, [&h, message] { return h.CreateRun(message); });
  };
  auto one = begin("one");
  auto two = begin("two");
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(h.Check("orders.get", {{"id", "o1"}}).ok());
  pause.End();
  int withheld = 0;
  for (auto* created : {&one, &two}) {
    const auto run = created->get();
    ASSERT_TRUE(run.ok()) << run.status();
    h.WaitForState(run->id, RunState::kCompleted);
    for (const audit::Entry& entry : h.Entries(run->id)) {
      if (entry.bytes.find(R"("withheld":true)") != std::string::npos) ++withheld;
    }
    ExpectMadeAnew(h, run->id, {&h.agent});
  }
  EXPECT_EQ(withheld, 1);
}

}  // namespace
}  // namespace interlock::runtime::test
