// Who only looks sees one state of a log, whatever others do to its file meanwhile.
#include "read_only.h"

#include <filesystem>

#include "audit/erase.h"
#include "rotate_fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;

class ReadOnly : public RotateFixture {
 protected:
  static std::int64_t Entries(const LogReading& reading) {
    const auto count = QueryInt(reading.db(), "SELECT count(*) FROM entry");
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(-1);
  }
  LogReading MustRead(const std::string& path) {
    auto reading = OpenAtRest(path);
    EXPECT_TRUE(reading.ok()) << reading.status();
    if (!reading.ok()) std::abort();
    return *std::move(reading);
  }
};

// An erasure leaves the write-ahead log empty beside a daemon that goes on.
TEST_F(ReadOnly, AnEmptyWriteAheadLogIsNoSignThatNobodyWrites) {
  const auto log = MustOpen();
  for (int i = 0; i < 400; ++i) Set(*log, "k" + std::to_string(i), std::string(200, 'v'));
  ASSERT_TRUE(EmptyWal(Options().folder).ok());
  ASSERT_EQ(fs::file_size(Database() + "-wal"), 0u);
  const LogReading reading = MustRead(Database());
  EXPECT_EQ(Entries(reading), 400);
  for (int i = 0; i < 400; ++i) Set(*log, "k" + std::to_string(i), std::string(300, 'w'));
  EXPECT_EQ(EmptyWal(Options().folder).code(), core::StatusCode::kUnavailable);  // we read
  EXPECT_EQ(Entries(reading), 400);
  EXPECT_TRUE(reading.IsOneState());
  EXPECT_EQ(Entries(MustRead(Database())), 800);
}

TEST_F(ReadOnly, ALogThatNobodyHoldsIsReadWithoutATrace) {
  Fill(3, "v");
  const LogReading reading = MustRead(Database());
  EXPECT_EQ(Entries(reading), 3);
  EXPECT_TRUE(reading.IsOneState());
  EXPECT_FALSE(fs::exists(Database() + "-wal"));
  EXPECT_FALSE(fs::exists(Database() + "-shm"));
}

TEST_F(ReadOnly, ADaemonThatCameIsSeenAlsoWhenItHasGone) {
  Fill(3, "v");
  const LogReading reading = MustRead(Database());
  {
    const auto log = MustOpen();
    EXPECT_FALSE(reading.IsOneState());
    Set(*log, "k", "v");
  }
  EXPECT_FALSE(reading.IsOneState());
  EXPECT_EQ(Check().report.verdict, Verdict::kIntact);
}

TEST_F(ReadOnly, AClosedLogThatIsWrittenToIsNoOneState) {
  Fill(3, "v");
  MustRotate();
  const std::string closed = At("audit-0001.db");
  const auto log = MustOpen();  // a daemon at work: the closed log is read without its locks
  const LogReading reading = MustRead(closed);
  EXPECT_GT(Entries(reading), 3);
  EXPECT_TRUE(reading.IsOneState());
  fs::permissions(closed, fs::perms::owner_read | fs::perms::owner_write);
  {
    RawDb db(closed);
    db.Do("PRAGMA busy_timeout = 0");
    db.Do("UPDATE p_mark SET v = 'other' WHERE k = 'k1'");  // waits for no reader
  }
  EXPECT_FALSE(reading.IsOneState());
  EXPECT_TRUE(MustRead(closed).IsOneState());
}

// A lie stands still, and is one.
TEST_F(ReadOnly, WhatWasChangedBeforeIsFoundBesideADaemon) {
  Fill(3, "v");
  {
    RawDb db(Database());
    db.Do("UPDATE p_mark SET v = 'other' WHERE k = 'k1'");
  }
  const VerifyReport report = Check().report;
  EXPECT_EQ(report.verdict, Verdict::kTampered) << report.reason;
  EXPECT_FALSE(report.written_to);
}

TEST_F(ReadOnly, HalfAChangeOfNobodyIsNotRead) {
  Fill(3, "v");
  { RawDb(Database() + "-journal").Do("CREATE TABLE t(a)"); }
  const auto reading = OpenAtRest(Database());
  ASSERT_FALSE(reading.ok());
  EXPECT_EQ(reading.status().code(), core::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace interlock::audit
