// What the writer's own connection may do: a mistake in a projector, or text of ours that somebody
// found a way into, changes no row of the log.
#include <gmock/gmock.h>

#include "fixture.h"
#include "schema.h"

namespace interlock::audit {
namespace {

class WriterTest : public LogFixture {
 protected:
  // The connection as it is once the log is open, over a log of two entries and one payload.
  void SetUp() override {
    const auto keys = *KeyStore::Open(folder_.path() + "/keys", &random_);
    {
      const auto log = MustOpen();
      const SealedPayload payload = keys->Seal(**keys->KeyFor("ann"), "text/plain", "hello");
      const std::string body = R"({"text":)" + CommitmentText(payload, 0) + "}";
      ASSERT_TRUE(log->Append(EntryOf("run.started", kRunA)).ok());
      ASSERT_TRUE(log->Append(EntryOf("message.received", kRunA, body), {payload}).ok());
    }
    auto opened = OpenForWriting(Options().folder);
    ASSERT_TRUE(opened.ok()) << opened.status();
    db_ = std::move(opened->db);
    ASSERT_TRUE(Exec(db_.get(), "CREATE TABLE p_mine(n INTEGER) STRICT").ok());
    LockDownWriter(db_.get(), &own_statements_);
  }
  std::string Try(const std::string& sql) {
    char* error = nullptr;
    const int rc = sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, &error);
    std::string text = rc == SQLITE_OK ? "" : (error == nullptr ? "error" : error);
    sqlite3_free(error);
    return text;
  }

  Db db_;
  bool own_statements_ = false;
};

TEST_F(WriterTest, ChangesNoRowOfTheLog) {
  for (const char* sql :
       {"UPDATE entry SET bytes = x'7b7d'",
        "DELETE FROM entry",
        "DELETE FROM entry WHERE idx = 1",
        "INSERT OR REPLACE INTO entry SELECT 0, hash, bytes FROM entry WHERE idx = 1",
        "INSERT INTO entry SELECT 2, hash, bytes FROM entry WHERE idx = 1",
        "INSERT INTO entry(idx, hash, bytes) SELECT 1, hash, x'7b7d' FROM entry WHERE idx = 1 "
        "ON CONFLICT(idx) DO UPDATE SET bytes = excluded.bytes",
        "UPDATE checkpoint SET note = 'x'",
        "DELETE FROM checkpoint",
        "INSERT OR REPLACE INTO checkpoint SELECT size, root, 'x' FROM checkpoint",
        "UPDATE tile SET root = x''",
        "DELETE FROM tile",
        "UPDATE log SET tenant = 'x'",
        "INSERT OR REPLACE INTO log VALUES(1, 'x', 'x', 'x', 1)",
        "DELETE FROM payload",
        "UPDATE payload SET commitment = zeroblob(32)",
        "UPDATE payload SET key_id = 'x'",
        "UPDATE payload SET id = 7",
        "INSERT OR REPLACE INTO payload SELECT id, key_id, commitment, media, plain_bytes, x'00' "
        "FROM payload",
        "DELETE FROM blob",
        "DELETE FROM cosignature"}) {
    EXPECT_EQ(Try(sql), "not authorized") << sql;
  }
}

TEST_F(WriterTest, ChangesNoTableNorHowItIsOpen) {
  for (const char* sql : {"DROP TABLE entry",
                          "ALTER TABLE entry RENAME TO e",
                          "DROP TRIGGER entry_no_update",
                          "CREATE TRIGGER t AFTER INSERT ON p_mine BEGIN DELETE FROM entry; END",
                          "CREATE TABLE t(a)",
                          "CREATE TEMP TABLE t(a)",
                          "CREATE VIEW v AS SELECT 1",
                          "CREATE INDEX i ON entry(hash)",
                          "DROP TABLE p_mine",
                          "ATTACH ':memory:' AS x",
                          "DETACH main",
                          "PRAGMA writable_schema = ON",
                          "PRAGMA journal_mode = DELETE",
                          "PRAGMA synchronous = OFF",
                          "PRAGMA user_version = 7",
                          "VACUUM",
                          "REINDEX",
                          "ANALYZE",
                          "DELETE FROM sqlite_schema",
                          "INSERT INTO sqlite_schema SELECT * FROM sqlite_schema"}) {
    EXPECT_NE(Try(sql), "") << sql;
  }
  EXPECT_EQ(Try("DROP TABLE entry"), "not authorized");
  EXPECT_EQ(Try("PRAGMA synchronous = OFF"), "not authorized");
}

TEST_F(WriterTest, DoesWhatItIsThereFor) {
  for (const char* sql :
       {"SELECT count(*) FROM entry", "INSERT INTO p_mine VALUES(1)", "UPDATE p_mine SET n = 2",
        "INSERT OR REPLACE INTO p_mine VALUES(1)", "DELETE FROM p_mine",
        "UPDATE payload SET sealed = NULL", "BEGIN", "SAVEPOINT s", "RELEASE s", "COMMIT"}) {
    EXPECT_EQ(Try(sql), "") << sql;
  }
  own_statements_ = true;  // as while the store runs a statement of its own
  EXPECT_EQ(Try("INSERT INTO entry SELECT 2, hash, bytes FROM entry WHERE idx = 1"), "");
  EXPECT_EQ(Try("UPDATE entry SET bytes = x'7b7d'"), "not authorized");
  EXPECT_EQ(Try("DELETE FROM entry"), "not authorized");
}

}  // namespace
}  // namespace interlock::audit
