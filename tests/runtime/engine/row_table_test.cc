// The write-back cache: a row that cannot be read is not a row that is not there.
#include "engine/row_table.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "engine/rows.h"

namespace interlock::runtime {
namespace {

int Interrupt(void*) { return 1; }

TEST(RowTable, ARowThatCannotBeReadIsNotTakenForAbsent) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
  const std::string sql =
      RowTable<EffectRow>::CreateSql() + "; INSERT INTO p_effect VALUES('pay:1', 'call-1')";
  ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  {
    RowTable<EffectRow> table;
    ASSERT_TRUE(table.Attach(db).ok());
    sqlite3_progress_handler(db, 1, Interrupt, nullptr);
    table.Find("pay:1");
    EXPECT_TRUE(table.TakeReadError());
    table.Edit("pay:1").call = "call-2";
    EXPECT_TRUE(table.TakeReadError());
    sqlite3_progress_handler(db, 0, nullptr, nullptr);
    EXPECT_TRUE(table.Flush().ok());  // nothing was changed
    ASSERT_NE(table.Find("pay:1"), nullptr);
    EXPECT_EQ(table.Find("pay:1")->call, "call-1");
    EXPECT_EQ(table.Find("pay:2"), nullptr);
    EXPECT_FALSE(table.TakeReadError());
  }
  sqlite3_close(db);
}

}  // namespace
}  // namespace interlock::runtime
