// Whoever edits the tables that the gate decides on, between two starts and with the stock SQLite,
// changes nothing: they are made anew from the entries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "rules.h"

namespace interlock::runtime::test {
namespace {

std::string PayPolicy() {
  return std::string(kPolicyHead) +
         R"(local DAY = budget "day" { unit = "USD", limit = usd(100), per = "tenant", window = "1d" }
on("pay", "hourly", function(c) return limit { key = c.args.id, max = 1, per = "1h" } end)
on("pay", "reserve", function(c) return reserve(DAY, usd(c.args.amount)) end)
on("pay", "ok", function(c) return allow() end))";
}

constexpr const char* kEdits[] = {
    "DELETE FROM p_effect",
    "UPDATE p_budget SET settled = 0",
    "DELETE FROM p_budget",
    "DELETE FROM p_counter",
    "DELETE FROM p_effect; DELETE FROM p_counter; UPDATE p_budget SET settled = 0, version = 9",
    "DELETE FROM p_request",
    "UPDATE p_watermark SET next_idx = 0",
    "UPDATE p_watermark SET schema_digest = substr(schema_digest, 1, instr(schema_digest, ' ') - "
    "1)",
    "DELETE FROM p_watermark",
};

TEST(SealedRows, EditsOfTheTablesOpenNoWayToPayTwice) {
  for (const char* edit : kEdits) {
    Harness h(PayPolicy(), {MoneyTool("pay")});
    Pays(h, "90.00");
    const core::Json args = {{"id", "o1"}, {"amount", 90}};
    const std::string request = h.NewRequestId();
    const auto paid = h.Execute("pay", args, request);
    ASSERT_TRUE(paid.ok()) << paid.status();
    ASSERT_EQ(paid->state, CallState::kOk);
    h.Stop();
    EditDatabase(h.folder + "/audit.db", edit);
    h.Start();
    const auto same = h.Execute("pay", args, request);  // answered, not run again
    ASSERT_TRUE(same.ok()) << same.status();
    EXPECT_EQ(same->id, paid->id) << edit;
    const auto again = h.Execute("pay", args);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->state, CallState::kDenied) << edit;
    const auto other = h.Execute("pay", {{"id", "o2"}, {"amount", 90}});
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ(other->code, "BUDGET") << edit;
    EXPECT_EQ(h.tools.runs("pay"), 1) << edit;
  }
}

TEST(SealedRows, AnOlderStateOfTheTablesUnderANewerWatermarkIsNotBelieved) {
  Harness h(PayPolicy(), {MoneyTool("pay")});
  Pays(h, "40.00");
  ASSERT_TRUE(h.Execute("pay", {{"id", "o1"}, {"amount", 40}}).ok());
  h.Stop();
  EditDatabase(h.folder + "/audit.db", "CREATE TABLE old_budget AS SELECT * FROM p_budget");
  h.Start();
  ASSERT_TRUE(h.Execute("pay", {{"id", "o2"}, {"amount", 40}}).ok());
  h.Stop();
  EditDatabase(h.folder + "/audit.db",
               "DELETE FROM p_budget; INSERT INTO p_budget SELECT * FROM old_budget;"
               "DROP TABLE old_budget");
  h.Start();
  EXPECT_EQ(h.Budget("day").settled, 8000);
}

TEST(SealedRows, AGrantThatSomebodyWroteIntoARowIsNone) {
  for (const char* lie : {"phase = 1, granted_by = 'principal:dora'", "quorum = 0",
                          "approvers = 'role:integrator'", "binding = 'x'", "tool = 'other'"}) {
    SCOPED_TRACE(lie);
    Harness h(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")});
    Pays(h, "5.00");
    const std::string request = h.NewRequestId();
    const auto parked = h.Execute("pay", {{"id", "o1"}}, request);
    ASSERT_TRUE(parked.ok()) << parked.status();
    h.Stop();
    EditDatabase(h.folder + "/audit.db", "UPDATE p_approval SET " + std::string(lie));
    h.Start();
    EXPECT_EQ(h.Execute("pay", {{"id", "o1"}}, request)->state, CallState::kParked);
    EXPECT_EQ(h.tools.runs("pay"), 0);
    ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals.at(0), true).ok());
    EXPECT_EQ(h.Execute("pay", {{"id", "o1"}}, request)->state, CallState::kOk);
  }
}

TEST(SealedRows, TablesThatNobodyTouchedAreKept) {
  Harness h(PayPolicy(), {MoneyTool("pay")});
  Pays(h, "40.00");
  ASSERT_TRUE(h.Execute("pay", {{"id", "o1"}, {"amount", 40}}).ok());
  h.Stop();
  // A table that no seal covers shows whether all of them were made anew.
  EditDatabase(h.folder + "/audit.db", "UPDATE p_call SET code = 'SEEN'");
  h.Start();
  const std::string copy = h.CopyFiles();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((copy + "/audit.db").c_str(), &db), SQLITE_OK);
  sqlite3_stmt* rows = nullptr;
  ASSERT_EQ(sqlite3_prepare_v2(db, "SELECT code FROM p_call", -1, &rows, nullptr), SQLITE_OK);
  ASSERT_EQ(sqlite3_step(rows), SQLITE_ROW);
  EXPECT_STREQ(reinterpret_cast<const char*>(sqlite3_column_text(rows, 0)), "SEEN");
  sqlite3_finalize(rows);
  sqlite3_close(db);
}

}  // namespace
}  // namespace interlock::runtime::test
