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
  const std::string sql = RowTable<EffectRow>::CreateSql() +
                          "; INSERT INTO p_effect "
                          "VALUES('pay:1', 'call-1', 0, '', '')";
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

class RowTableRows : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(sqlite3_open(":memory:", &db_), SQLITE_OK);
    Do(RowTable<EffectRow>::CreateSql());
    // What reaches the table, in its order.
    Do("CREATE TABLE seen(what TEXT)");
    Do("CREATE TRIGGER put BEFORE INSERT ON p_effect BEGIN INSERT INTO seen VALUES('+' || "
       "NEW.key); END");
    Do("CREATE TRIGGER gone BEFORE DELETE ON p_effect BEGIN INSERT INTO seen VALUES('-' || "
       "OLD.key); END");
    ASSERT_TRUE(table_.Attach(db_).ok());
  }
  void TearDown() override {
    table_.Reset();
    sqlite3_close(db_);
  }
  void Do(const std::string& sql) {
    ASSERT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sql;
  }
  // What was written since this was asked last.
  std::string Seen() {
    std::string all;
    sqlite3_exec(
        db_, "SELECT what FROM seen ORDER BY rowid; ",
        [](void* out, int, char** values, char**) {
          *static_cast<std::string*>(out) += values[0];
          return 0;
        },
        &all, nullptr);
    Do("DELETE FROM seen");
    return all;
  }

  sqlite3* db_ = nullptr;
  RowTable<EffectRow> table_;
};

TEST_F(RowTableRows, AreWrittenInTheOrderOfTheirKeysAndOnce) {
  table_.Edit("c").call = "1";
  table_.Edit("a").call = "1";
  table_.Edit("b").call = "1";
  table_.Edit("a").call = "2";
  ASSERT_TRUE(table_.Flush().ok());
  EXPECT_EQ(Seen(), "+a+b+c");
  ASSERT_TRUE(table_.Flush().ok());
  EXPECT_EQ(Seen(), "");
}

TEST_F(RowTableRows, ThatComeAndGoBetweenFlushesAreNotWritten) {
  table_.Edit("a").call = "1";
  table_.Erase("a");
  ASSERT_TRUE(table_.Flush().ok());
  EXPECT_EQ(Seen(), "");
  table_.Edit("a").call = "2";
  ASSERT_TRUE(table_.Flush().ok());
  table_.Erase("a");
  ASSERT_TRUE(table_.Flush().ok());
  EXPECT_EQ(Seen(), "+a-a");
  table_.Edit("a").call = "3";
  table_.Erase("a");
  ASSERT_TRUE(table_.Flush().ok());
  EXPECT_EQ(Seen(), "");
}

TEST_F(RowTableRows, AreWrittenAnewWhenTheTableHasThem) {
  table_.Edit("b").call = "1";
  ASSERT_TRUE(table_.Flush().ok());
  table_.Edit("a").call = "2";
  table_.Edit("b").call = "2";
  table_.Edit("c").call = "2";
  ASSERT_TRUE(table_.Flush().ok());
  EXPECT_EQ(Seen(), "+b+a+c+b");
  table_.Reset();  // what stands in the table now
  ASSERT_TRUE(table_.Attach(db_).ok());
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_NE(table_.Find(key), nullptr) << key;
    EXPECT_EQ(table_.Find(key)->key, key);
    EXPECT_EQ(table_.Find(key)->call, "2") << key;
  }
}

TEST_F(RowTableRows, AreKeptInMemoryWhileTheyAreUsed) {
  const auto in_memory = [this](const char* key) {
    EffectRow row;
    std::int64_t batch = 0;
    return table_.PeekAt(key, row, batch) == RowTable<EffectRow>::Peek::kFound;
  };
  table_.Edit("old").call = "1";
  ASSERT_TRUE(table_.Flush().ok());
  table_.Edit("new").call = "1";
  ASSERT_TRUE(table_.Flush().ok());
  table_.Trim(2);  // two are few
  EXPECT_TRUE(in_memory("old"));
  table_.Edit("dirty").call = "1";
  table_.Trim(0);  // not between two flushes: pointers to rows are out
  EXPECT_TRUE(in_memory("old"));
  ASSERT_TRUE(table_.Flush().ok());
  ASSERT_NE(table_.Find("new"), nullptr);
  table_.Trim(0);
  EXPECT_FALSE(in_memory("old"));
  EXPECT_TRUE(in_memory("new"));
  EXPECT_TRUE(in_memory("dirty"));
}

TEST_F(RowTableRows, AreFoundAlthoughGreaterKeysNeedNoLook) {
  table_.Edit("m").call = "1";
  ASSERT_TRUE(table_.Flush().ok());
  ASSERT_TRUE(table_.Flush().ok());
  table_.Trim(0);  // memory forgets; the table has it
  ASSERT_NE(table_.Find("m"), nullptr);
  EXPECT_EQ(table_.Find("m")->call, "1");
  EXPECT_EQ(table_.Find("n"), nullptr);
  EXPECT_EQ(table_.Find("a"), nullptr);
  // A table that was filled before: the greatest key is read when it is attached.
  table_.Reset();
  ASSERT_TRUE(table_.Attach(db_).ok());
  ASSERT_NE(table_.Find("m"), nullptr);
  EXPECT_EQ(table_.Find("m")->call, "1");
}

}  // namespace
}  // namespace interlock::runtime
