// A closed log has a rollback journal where the open one has a write-ahead log: content that was
// erased from it stays erased, whatever operation is the last before the power goes.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "audit/erase.h"
#include "audit/verify.h"
#include "fault_vfs.h"
#include "fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

constexpr int kPayloads = 40;  // of several pages

class ArchivePowerCutTest : public LogFixture {
 protected:
  ArchivePowerCutTest() : faults_(InstallFaultVfs()) {
    const auto keys = *KeyStore::Open(folder_.path() + "/keys", &random_);
    const auto key = *keys->KeyFor("ann");
    const auto log = MustOpen();
    for (std::int64_t i = 0; i < kPayloads; ++i) {
      const SealedPayload payload = keys->Seal(*key, "text/plain", std::string(900, 'x'));
      const std::string body = R"({"text":)" + CommitmentText(payload, 0) + "}";
      EXPECT_TRUE(log->Append(EntryOf("message.received", "", body), {payload}).ok());
      sealed_.push_back(payload.sealed);
      rows_.push_back(i << 8);
      ids_ += (i == 0 ? "" : ",") + std::to_string(i << 8);
    }
    // What is erased is said first, here and by the daemon.
    const std::string body = R"({"payloads":[)" + ids_ + "]}";
    EXPECT_TRUE(log->Append(EntryOf("payload.erased", "", body)).ok());
  }
  ~ArchivePowerCutTest() override { InstallFaultVfs(); }

  // As a rotation leaves it.
  std::string Closed(const TempFolder& place) {
    const std::string path = place.path() + "/audit-0001.db";
    std::filesystem::copy_file(Database(), path);
    RawDb(path).Do("PRAGMA journal_mode = DELETE");
    return path;
  }
  bool Holds(const std::string& bytes) const {
    return std::any_of(sealed_.begin(), sealed_.end(), [&](const std::string& sealed) {
      return bytes.find(sealed.substr(0, 64)) != std::string::npos;
    });
  }
  static std::string Lost(const std::string& path) {
    return RawDb(path).Column("SELECT count(*) FROM payload WHERE sealed IS NULL").at(0);
  }

  Faults& faults_;
  std::vector<std::string> sealed_;
  std::vector<std::int64_t> rows_;
  std::string ids_;
};

TEST_F(ArchivePowerCutTest, WhatIsAnsweredAsErasedStaysErased) {
  std::uint64_t operations = 1;
  int erased = 0;
  bool whole = false;
  for (std::uint64_t number = 1; !whole; ++number, ++operations) {
    const TempFolder place;
    const std::string path = Closed(place);
    faults_.watches_journals = true;
    faults_.Arm(Faults::At::kPowerCut, number);
    const auto done = EraseInArchive(path, rows_);
    whole = !faults_.power_is_off();
    std::map<Kept, std::map<std::string, std::string>> disks;
    for (const Kept kept : {Kept::kNothing, Kept::kEverything, Kept::kHalf, Kept::kReordered}) {
      disks[kept] = faults_.FilesAfterPowerCut(kept);
    }
    InstallFaultVfs();
    erased += done.ok() ? 1 : 0;
    for (const auto& [kept, files] : disks) {
      SCOPED_TRACE("operation " + std::to_string(number) + ", kept " +
                   std::to_string(static_cast<int>(kept)));
      const TempFolder after;
      WriteFiles(files, after.path());
      const std::string copy = after.path() + "/audit-0001.db";
      if (done.ok()) {
        for (const auto& [name, bytes] : files) ASSERT_FALSE(Holds(bytes)) << name;
        ASSERT_EQ(Lost(copy), std::to_string(kPayloads));
      }
      ASSERT_EQ(RawDb(copy).Column("PRAGMA integrity_check").at(0), "ok");
      // The daemon finishes what it did not hear of.
      ASSERT_TRUE(EraseInArchive(copy, rows_).ok());
      ASSERT_EQ(Lost(copy), std::to_string(kPayloads));
    }
  }
  EXPECT_GT(operations, 20u);
  EXPECT_GT(erased, 0);
}

// Its twin: before an erasure the bytes that it looks for are found.
TEST_F(ArchivePowerCutTest, TheContentIsThereBefore) {
  const TempFolder place;
  std::ifstream file(Closed(place), std::ios::binary);
  EXPECT_TRUE(Holds(std::string(std::istreambuf_iterator<char>(file), {})));
}

}  // namespace
}  // namespace interlock::audit
