// What is left of an erasure when something stands in its way, and what retention leaves.
#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "erasing.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;

// A connection of another program, in the middle of something.
class OtherProgram {
 public:
  OtherProgram(const std::string& path, const std::string& sql) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db_);
  }
  ~OtherProgram() { Close(); }
  OtherProgram(const OtherProgram&) = delete;
  OtherProgram& operator=(const OtherProgram&) = delete;
  void Close() {
    sqlite3_close(db_);
    db_ = nullptr;
  }

 private:
  sqlite3* db_ = nullptr;
};

bool ComesTrue(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return condition();
}

TEST(EraseRest, PlannersForgetTheRepliesThatTheyKeep) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann").ok());
  const int before = h.planner.forgotten;
  ASSERT_TRUE(Erase(h, "ann").ok());
  EXPECT_GT(h.planner.forgotten, before);
}

// Truncating the write-ahead log behind a reader once held SQLite's writer lock for five seconds of
// every seven.
TEST(EraseRest, AReaderThatStaysDelaysOldPagesAndNothingElse) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann").ok());
  OtherProgram reader(h.folder + "/audit.db", "BEGIN; SELECT count(*) FROM entry");
  const auto start = std::chrono::steady_clock::now();
  const auto erased = Erase(h, "ann");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_TRUE(erased->old_pages_pending);
  EXPECT_THAT(h.engine().warnings(), ElementsAre(HasSubstr("old pages")));
  std::chrono::steady_clock::duration slowest{};
  while (std::chrono::steady_clock::now() - start < std::chrono::seconds(6)) {  // a few ticks
    const auto before = std::chrono::steady_clock::now();
    ASSERT_TRUE(h.Execute("notes.add", {{"text", "x"}}, h.NewRequestId(), "bob").ok());
    slowest = std::max(slowest, std::chrono::steady_clock::now() - before);
  }
  EXPECT_LT(slowest, std::chrono::seconds(3));
  // The subject may come back meanwhile: its old key is gone.
  EXPECT_TRUE(h.Execute("notes.add", {{"text", "again"}}, h.NewRequestId(), "ann").ok());
  reader.Close();
  EXPECT_TRUE(ComesTrue([&] { return h.keys().UnfinishedErasures()->empty(); }));
  EXPECT_TRUE(ComesTrue([&] { return h.engine().warnings().empty(); }));
}

// An unlinked file may come back after a power cut, and any file from a backup.
TEST(EraseRest, AnIndexOfBeforeTheErasureIsNotUsedAgain) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.WithSearch();
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann").ok());
  ASSERT_EQ(Search(h, "zwieback")->page.items.size(), 1u);
  h.Restart();
  ASSERT_THAT(FilesWith(h.folder, "zwieback"), Not(IsEmpty()));  // the twin: a start keeps it
  std::filesystem::copy_file(h.folder + "/search.db", h.folder + "-search.old");
  ASSERT_TRUE(Erase(h, "ann").ok());
  h.Stop();
  std::filesystem::rename(h.folder + "-search.old", h.folder + "/search.db");
  ASSERT_THAT(FilesWith(h.folder, "zwieback"), Not(IsEmpty()));
  h.Start();
  EXPECT_THAT(Search(h, "zwieback")->page.items, IsEmpty());
  EXPECT_THAT(FilesWith(h.folder, "zwieback"), IsEmpty());
}

// The entry stands, and keys.db could not be written: the repeat destroys the key before it says
// that all is done.
TEST(EraseRest, ARepeatFinishesWhatTheFirstTryCouldNot) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann").ok());
  const std::string key = *h.keys().KeyIdOf("ann");
  const std::string wrapped = WrappedKeys(h.folder).at(key);
  OtherProgram writer(h.folder + "/keys.db", "BEGIN IMMEDIATE");
  EXPECT_FALSE(Erase(h, "ann", "r-1").ok());
  EXPECT_THAT(h.Kinds(""), Contains("payload.erased"));
  EXPECT_THAT(WrappedKeys(h.folder), Contains(Key(key)));
  writer.Close();
  const auto again = Erase(h, "ann", "r-1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->old_pages_pending);
  EXPECT_THAT(WrappedKeys(h.folder), Not(Contains(Key(key))));
  EXPECT_THAT(FilesWith(h.folder, wrapped), IsEmpty());
  EXPECT_EQ(h.keys().UnfinishedErasures()->size(), 0u);
}

// A call of no run is open as well: who resolves it must see what it was.
TEST(RetentionRest, LeavesWhatOpenCallsAreAbout) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.retention = {.conversation_months = 7, .calls_months = 7, .approvals_months = 7};
  h.Restart();
  h.tools.Answers("notes.add", {{"ok", true}});
  const auto over = h.Execute("notes.add", {{"text", "over"}}, h.NewRequestId(), "ann");
  ASSERT_TRUE(over.ok());
  h.tools.On("notes.add",
             [](const tools::CallSpec&, FakeTools::Done done) { done(UnknownOutcome()); });
  const auto open = h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann");
  ASSERT_TRUE(open.ok());
  ASSERT_EQ(open->state, CallState::kUnknown);
  h.clock.Shift(8 * kMonthMicros);
  static_cast<void>(h.Execute("notes.add", {{"text", "new"}}, h.NewRequestId(), "bob"));
  ASSERT_TRUE(h.engine().ConfirmClock(h.operator_one, "time went by").ok());
  const auto applied = ApplyRetention(h, /*validate_only=*/false);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_GT(applied->payloads, 0);
  EXPECT_EQ(h.engine().GetCall(h.operator_one, over->id)->args, "");
  EXPECT_THAT(h.engine().GetCall(h.operator_one, open->id)->args, HasSubstr("zwieback"));
}

}  // namespace
}  // namespace interlock::runtime::test
