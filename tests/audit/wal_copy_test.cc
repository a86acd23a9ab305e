// The write-ahead log is copied beside the writer, which only has the rest to do.
#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "audit/merkle.h"
#include "fixture.h"
#include "maintenance.h"
#include "schema.h"

namespace interlock::audit {
namespace {

constexpr int kManyPages = 4'096;  // that are worth a copy

class NotedHost final : public MaintenanceHost {
 public:
  void StoreCheckpoint(Checkpoint) override {}
  void WalIsNearlyCopied() override { copied.set_value(); }
  void Heartbeat() override {}
  void Damaged(const core::Status& why) override { FAIL() << why; }

  std::promise<void> copied;
};

using WalCopy = LogFixture;

TEST_F(WalCopy, PutsThePagesIntoTheDatabase) {
  std::filesystem::create_directories(Options().folder);
  auto writer = OpenForWriting(Options().folder);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(CreateTables(writer->db.get()).ok());
  ASSERT_TRUE(Exec(writer->db.get(),
                   "CREATE TABLE p_mine(bytes BLOB); INSERT INTO p_mine VALUES(zeroblob(500000))")
                  .ok());
  ASSERT_LT(std::filesystem::file_size(Database()), 500'000u);

  NotedHost host;
  const LogOptions options = Options();
  Maintenance maintenance(options, &host);
  ASSERT_TRUE(maintenance.Start({{0, EmptyRoot()}, {}, {}}).ok());
  maintenance.WalGrew(kManyPages);
  host.copied.get_future().wait();
  maintenance.Stop();
  EXPECT_GE(std::filesystem::file_size(Database()), 500'000u);
}

}  // namespace
}  // namespace interlock::audit
