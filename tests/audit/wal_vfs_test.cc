// The layer that puts the frames of a transaction together: fewer writes, and the same file.
#include "wal_vfs.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <filesystem>

#include "fault_vfs.h"
#include "fixture.h"

namespace interlock::audit {
namespace {

struct CloseConnection {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

int Do(sqlite3* db, const std::string& sql) {
  return sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
}

std::string Ask(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* query = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &query, nullptr), SQLITE_OK);
  EXPECT_EQ(sqlite3_step(query), SQLITE_ROW) << sqlite3_errmsg(db);
  const unsigned char* text = sqlite3_column_text(query, 0);
  const std::string answer = text == nullptr ? "" : reinterpret_cast<const char*>(text);
  sqlite3_finalize(query);
  return answer;
}

class WalVfsTest : public ::testing::Test {
 protected:
  ~WalVfsTest() override { InstallFaultVfs(); }

  Connection Open(const char* vfs) {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open_v2((folder_.path() + "/x.db").c_str(), &db,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs),
              SQLITE_OK);
    return Connection(db);
  }
  Connection OpenToWrite() {
    Connection db = Open(WalVfsName());
    EXPECT_EQ(Do(db.get(),
                 "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                 "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, bytes BLOB)"),
              SQLITE_OK);
    return db;
  }
  static int Fill(sqlite3* db, int rows) {
    return Do(db, "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < " +
                      std::to_string(rows) +
                      ") INSERT INTO t(bytes) SELECT randomblob(6000) FROM n");
  }

  Faults& faults_ = InstallFaultVfs();
  TempFolder folder_;
};

TEST_F(WalVfsTest, FramesOfATransactionAreWrittenTogether) {
  const Connection db = OpenToWrite();
  faults_.Arm(Faults::At::kNever, 0);
  ASSERT_EQ(Fill(db.get(), 60), SQLITE_OK);
  const std::uint64_t together = faults_.operations();
  EXPECT_LE(together, 10u);  // about 65 frames, 14 at once
  const Connection plain = Open(nullptr);
  faults_.Arm(Faults::At::kNever, 0);
  ASSERT_EQ(Fill(plain.get(), 60), SQLITE_OK);
  EXPECT_GT(faults_.operations(), 120u);
}

// Another connection is told of a commit that does not wait for the disk, and must find it.
TEST_F(WalVfsTest, WhatIsCommittedIsReadByOthersAtOnce) {
  const Connection db = OpenToWrite();
  ASSERT_EQ(Do(db.get(), "PRAGMA synchronous = OFF"), SQLITE_OK);
  const Connection other = Open(nullptr);
  for (int rows = 1; rows <= 40; ++rows) {
    ASSERT_EQ(Fill(db.get(), 1), SQLITE_OK);
    ASSERT_EQ(Ask(other.get(), "SELECT count(*) FROM t WHERE length(bytes) = 6000"),
              std::to_string(rows));
  }
  EXPECT_EQ(Ask(other.get(), "PRAGMA integrity_check"), "ok");
}

// Pages that do not fit its cache go to the log before their commit, and come back from there.
TEST_F(WalVfsTest, ATransactionReadsWhatItHasWritten) {
  const Connection db = OpenToWrite();
  ASSERT_EQ(Do(db.get(), "PRAGMA cache_size = 4; BEGIN"), SQLITE_OK);
  ASSERT_EQ(Fill(db.get(), 100), SQLITE_OK);
  EXPECT_EQ(Ask(db.get(), "SELECT count(*) FROM t WHERE length(bytes) = 6000"), "100");
  ASSERT_EQ(Do(db.get(), "UPDATE t SET bytes = zeroblob(6000) WHERE id % 7 = 0"), SQLITE_OK);
  EXPECT_EQ(Ask(db.get(), "SELECT count(*) FROM t WHERE bytes = zeroblob(6000)"), "14");
  ASSERT_EQ(Do(db.get(), "ROLLBACK"), SQLITE_OK);
  EXPECT_EQ(Ask(db.get(), "SELECT count(*) FROM t"), "0");
  ASSERT_EQ(Fill(db.get(), 30), SQLITE_OK);
  const Connection other = Open(nullptr);
  EXPECT_EQ(Ask(other.get(), "SELECT count(*) FROM t WHERE length(bytes) = 6000"), "30");
  EXPECT_EQ(Ask(other.get(), "PRAGMA integrity_check"), "ok");
}

// SQLite takes the transaction back; what was kept of it is never seen.
TEST_F(WalVfsTest, AReadThatCannotWriteWhatIsKeptFails) {
  const Connection db = OpenToWrite();
  ASSERT_EQ(Do(db.get(), "PRAGMA cache_size = 4; BEGIN"), SQLITE_OK);
  ASSERT_EQ(Fill(db.get(), 12), SQLITE_OK);
  ASSERT_EQ(Do(db.get(), "PRAGMA cache_spill = OFF"), SQLITE_OK);  // now nothing but reads
  faults_.write_fails = true;
  EXPECT_EQ(Do(db.get(), "SELECT sum(length(bytes)) FROM t"), SQLITE_IOERR);
  faults_.write_fails = false;
  EXPECT_NE(sqlite3_get_autocommit(db.get()), 0);
  ASSERT_EQ(Fill(db.get(), 2), SQLITE_OK);
  const Connection other = Open(nullptr);
  EXPECT_EQ(Ask(other.get(), "SELECT sum(length(bytes)) FROM t"), "12000");
  EXPECT_EQ(Ask(other.get(), "PRAGMA integrity_check"), "ok");
}

// A page that was spilled and changed again gives its frame, and those behind it, other checksums;
// the header that ends the transaction is then the last that is written, without a page.
TEST_F(WalVfsTest, ACommitThatWritesHeadersAnewIsReadByOthersAtOnce) {
  const Connection db = OpenToWrite();
  ASSERT_EQ(Do(db.get(), "PRAGMA synchronous = OFF; PRAGMA cache_size = 4"), SQLITE_OK);
  ASSERT_EQ(Fill(db.get(), 40), SQLITE_OK);
  for (int round = 0; round < 8; ++round) {
    ASSERT_EQ(Do(db.get(),
                 "BEGIN; UPDATE t SET bytes = randomblob(6000);"
                 "UPDATE t SET bytes = zeroblob(6000) WHERE id % 3 = 0; COMMIT"),
              SQLITE_OK);
    const std::string files = folder_.path();
    const std::string copy = files + "/copy.db";  // as a kill now would leave it
    std::filesystem::copy_file(files + "/x.db", copy,
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(files + "/x.db-wal", copy + "-wal",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::remove(copy + "-shm");
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(copy.c_str(), &raw), SQLITE_OK);
    const Connection killed(raw);
    EXPECT_EQ(Ask(killed.get(), "SELECT group_concat(hex(substr(bytes, 1, 64)), '') FROM t"),
              Ask(db.get(), "SELECT group_concat(hex(substr(bytes, 1, 64)), '') FROM t"));
    ASSERT_EQ(Fill(db.get(), 1), SQLITE_OK);
  }
}

// The kept frames are written by the commit, which therefore is what fails, and wholly.
TEST_F(WalVfsTest, AWriteThatFailsFailsItsCommit) {
  const Connection db = OpenToWrite();
  ASSERT_EQ(Fill(db.get(), 3), SQLITE_OK);
  faults_.write_fails = true;
  EXPECT_EQ(Fill(db.get(), 3), SQLITE_IOERR);
  faults_.write_fails = false;
  faults_.write_is_full = true;
  EXPECT_EQ(Fill(db.get(), 3), SQLITE_FULL);
  faults_.write_is_full = false;
  EXPECT_EQ(Ask(db.get(), "SELECT count(*) FROM t"), "3");
  ASSERT_EQ(Fill(db.get(), 2), SQLITE_OK);
  EXPECT_EQ(Ask(Open(nullptr).get(), "SELECT count(*) FROM t"), "5");
}

// What is synced was in the file before: no metadata has to go with it.
TEST_F(WalVfsTest, AFileGrowsAheadOfWhatIsWritten) {
  const std::string log = folder_.path() + "/x.db-wal";
  const Connection db = OpenToWrite();
  ASSERT_EQ(Fill(db.get(), 1), SQLITE_OK);
  const std::uintmax_t size = std::filesystem::file_size(log);
  EXPECT_GT(size, 400'000u);
  for (int i = 0; i < 12; ++i) ASSERT_EQ(Fill(db.get(), 1), SQLITE_OK);
  EXPECT_EQ(std::filesystem::file_size(log), size);
  for (int i = 0; i < 60; ++i) ASSERT_EQ(Fill(db.get(), 1), SQLITE_OK);
  EXPECT_GT(std::filesystem::file_size(log), size);
  EXPECT_EQ(std::filesystem::file_size(log) % size, 0u);
  const Connection plain = Open(nullptr);
  EXPECT_EQ(Ask(plain.get(), "SELECT count(*) FROM t"), "73");
  EXPECT_EQ(Ask(plain.get(), "PRAGMA integrity_check"), "ok");
}

// A log that begins anew in a file that was cut meanwhile, by another connection.
TEST_F(WalVfsTest, AFileThatWasCutGrowsAgain) {
  const std::string log = folder_.path() + "/x.db-wal";
  const Connection db = OpenToWrite();
  ASSERT_EQ(Fill(db.get(), 5), SQLITE_OK);
  const std::uintmax_t size = std::filesystem::file_size(log);
  const Connection other = Open(nullptr);
  ASSERT_EQ(Ask(other.get(), "PRAGMA wal_checkpoint(TRUNCATE)"), "0");
  ASSERT_EQ(std::filesystem::file_size(log), 0u);
  ASSERT_EQ(Fill(db.get(), 1), SQLITE_OK);
  EXPECT_EQ(std::filesystem::file_size(log), size);
  EXPECT_EQ(Ask(other.get(), "SELECT count(*) FROM t"), "6");
}

// Frames that another connection wrote in between stand, however far it went.
TEST_F(WalVfsTest, WhatOthersWroteIsNotWrittenOver) {
  const Connection db = OpenToWrite();
  ASSERT_EQ(Fill(db.get(), 5), SQLITE_OK);
  const Connection other = Open(nullptr);
  ASSERT_EQ(Do(other.get(), "PRAGMA synchronous = FULL"), SQLITE_OK);
  for (int round = 0; round < 4; ++round) {
    ASSERT_EQ(Fill(other.get(), 70), SQLITE_OK);
    ASSERT_EQ(Fill(db.get(), 1), SQLITE_OK);
  }
  const std::string copy = folder_.path() + "/copy.db";  // read from its files alone
  std::filesystem::copy_file(folder_.path() + "/x.db", copy);
  std::filesystem::copy_file(folder_.path() + "/x.db-wal", copy + "-wal");
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(copy.c_str(), &raw), SQLITE_OK);
  const Connection killed(raw);
  EXPECT_EQ(Ask(killed.get(), "SELECT count(*) FROM t"), "289");
  EXPECT_EQ(Ask(killed.get(), "PRAGMA integrity_check"), "ok");
}

// The zeros are of use, and not needed.
TEST_F(WalVfsTest, AFileThatCannotGrowAheadIsWrittenAllTheSame) {
  const Connection db = OpenToWrite();
  faults_.Arm(Faults::At::kNever, 0);
  ASSERT_EQ(Fill(db.get(), 1), SQLITE_OK);
  const std::uint64_t operations = faults_.operations();
  ASSERT_EQ(Do(db.get(), "PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
  std::uint64_t taken = 0;
  for (std::uint64_t number = 1; number <= operations; ++number) {
    faults_.Arm(Faults::At::kFails, number);
    if (Fill(db.get(), 1) == SQLITE_OK) ++taken;
    faults_.Disarm();
    EXPECT_EQ(Ask(db.get(), "SELECT count(*) FROM t"), std::to_string(taken + 1));
    ASSERT_EQ(Do(db.get(), "PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
  }
  EXPECT_GT(taken, 0u);
  EXPECT_LT(taken, operations);
  EXPECT_EQ(Ask(Open(nullptr).get(), "PRAGMA integrity_check"), "ok");
}

}  // namespace
}  // namespace interlock::audit
