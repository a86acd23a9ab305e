// Full text over closed logs of which one cannot be opened, is away, or is still to be taken in.
#include <future>

#include "closed_texts.h"

namespace interlock::runtime::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// ---------------------------------------------------------------- logs that cannot be opened

TEST_F(ClosedTexts, ALogThatCannotBeOpenedHoldsUpNoOther) {
  const auto first = h_.Execute("notes.add", {{"text", "rusk zero"}}, h_.NewRequestId(), "bob");
  FillThreeLogs();
  const std::string second = Search(h_, "rusk")->page.items[1].call;
  ASSERT_THAT(Found("rusk"), SizeIs(4));
  h_.Stop();
  fs::rename(At("audit-0001.db"), h_.folder + "-sound");
  std::ofstream(At("audit-0001.db")) << "no database at all";
  const ino_t index = Inode(At("search-0001.db"));
  h_.Start();

  const auto found = Search(h_, "rusk");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->page.items, SizeIs(2));
  EXPECT_EQ(found->unsearched_logs, 1u);
  ASSERT_THAT(found->unsearched, SizeIs(1));
  EXPECT_EQ(found->unsearched[0].log_file, "audit-0001.db");
  EXPECT_THAT(found->unsearched[0].why,
              AllOf(HasSubstr("cannot be opened"), HasSubstr("no SQLite database")));
  EXPECT_THAT(h_.engine().warnings(),
              Contains(HasSubstr("full text does not cover closed log `audit-0001.db`")));
  // What stands in the others is told; of what may stand in it nobody says that it is nowhere.
  EXPECT_TRUE(h_.engine().GetCall(h_.auditor, second).ok());
  const auto unknown = h_.engine().GetCall(h_.auditor, first->id);
  EXPECT_EQ(unknown.status().code(), core::StatusCode::kUnavailable) << unknown.status();

  fs::rename(h_.folder + "-sound", At("audit-0001.db"));
  EXPECT_THAT(Found("rusk"), SizeIs(4));
  EXPECT_EQ(Inode(At("search-0001.db")), index);  // it was sound all the time
  EXPECT_TRUE(h_.engine().GetCall(h_.auditor, first->id).ok());
  EXPECT_THAT(h_.engine().warnings(), Not(Contains(HasSubstr("full text"))));
}

TEST_F(ClosedTexts, AnErasureIsOwedToALogThatCannotBeOpened) {
  FillThreeLogs();
  ASSERT_THAT(Found("zwieback"), SizeIs(2));
  h_.Stop();
  fs::rename(At("audit-0001.db"), h_.folder + "-sound");
  std::ofstream(At("audit-0001.db")) << "no database at all";
  h_.Start();
  const auto erased = Erase(h_, "ann", "r-ann");
  EXPECT_THAT(std::string(core::Message(erased.status())),
              AllOf(HasSubstr("audit-0001.db"), HasSubstr("cannot be opened")));
  // The rest is done: her words stand in no file, that log's full text included.
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"), IsEmpty());
  EXPECT_THAT(*h_.keys().UnfinishedErasures(), ElementsAre(HasSubstr("closed logs ")));
  EXPECT_THAT(h_.engine().warnings(), Contains(HasSubstr("erased content still stands")));
  EXPECT_TRUE(Search(h_, "rusk").ok());
  fs::rename(h_.folder + "-sound", At("audit-0001.db"));
  ASSERT_GT(SealedUnder(At("audit-0001.db"), "ann"), 0);
  const auto again = Erase(h_, "ann", "r-ann");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->old_pages_pending);
  EXPECT_EQ(SealedUnder(At("audit-0001.db"), "ann"), 0);
  EXPECT_THAT(*h_.keys().UnfinishedErasures(), IsEmpty());
  EXPECT_THAT(Found("zwieback"), IsEmpty());
  EXPECT_THAT(h_.engine().warnings(), Not(Contains(HasSubstr("erased content"))));
}

TEST_F(ClosedTexts, NothingExpiresInALogThatCannotBeOpenedAndThatIsSaid) {
  FillThreeLogs();
  h_.Stop();
  std::ofstream(At("audit-0001.db"), std::ios::trunc) << "no database at all";
  h_.Start();
  const auto applied = ApplyRetention(h_, /*validate_only=*/false);
  EXPECT_THAT(std::string(core::Message(applied.status())), HasSubstr("`audit-0001.db`"));
  // The daily job came before.
  EXPECT_THAT(h_.engine().warnings(),
              Contains(AllOf(HasSubstr("older than it is kept"), HasSubstr("`audit-0001.db`"))));
}

// Read-only storage has them, as the runbook allows: each owes what was erased meanwhile.
TEST_F(ClosedTexts, ALogThatWasAwayIsErasedInOnceItIsBack) {
  FillThreeLogs();
  h_.Stop();
  for (const char* file : {"audit-0001.db", "audit-0002.db"}) {
    fs::rename(At(file), h_.folder + "-" + file);
  }
  h_.Start();
  const auto erased = Erase(h_, "ann", "r-ann");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_FALSE(erased->old_pages_pending);
  EXPECT_THAT(erased->logs_away, ElementsAre("test/main/2"));
  EXPECT_THAT(*h_.keys().UnfinishedErasures(), ElementsAre("log away test/main/2"));
  EXPECT_THAT(h_.engine().warnings(), IsEmpty());
  EXPECT_THAT(Search(h_, "rusk")->page.items, SizeIs(1));  // and holds up no search
  // One comes back, then the one before it.
  for (const char* file : {"audit-0002.db", "audit-0001.db"}) {
    EXPECT_THAT(*h_.keys().UnfinishedErasures(), SizeIs(1));
    h_.Stop();
    fs::rename(h_.folder + "-" + file, At(file));
    h_.Start();
    ASSERT_TRUE(Erase(h_, "ann", "r-ann").ok());  // a repeat, which waits for the thread
  }
  EXPECT_THAT(*h_.keys().UnfinishedErasures(), IsEmpty());
  EXPECT_EQ(SealedUnder(At("audit-0001.db"), "ann"), 0);
  EXPECT_GT(SealedUnder(At("audit-0001.db"), "bob"), 0);  // the twin
  EXPECT_THAT(Found("rusk"), SizeIs(3));
  h_.Stop();
  EXPECT_EQ(audit::VerifyFolder(h_.folder, {}, MakeProjectors).report.verdict,
            audit::Verdict::kIntact);
}

// Each is told once, and owes what it misses, whatever became of the others.
TEST_F(ClosedTexts, OneIsAwayWhileAnotherCannotBeOpened) {
  FillThreeLogs();
  RotateAndRestart(h_);
  h_.Stop();
  fs::rename(At("audit-0001.db"), h_.folder + "-away");
  fs::rename(At("audit-0003.db"), h_.folder + "-sound");
  std::ofstream(At("audit-0003.db")) << "no database at all";
  h_.Start();

  const auto found = Search(h_, "rusk");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->page.items, SizeIs(1));
  ASSERT_THAT(found->unsearched, SizeIs(2));
  EXPECT_EQ(found->unsearched[0].log_file, "audit-0003.db");
  EXPECT_EQ(found->unsearched[1].log, "test/main");
  EXPECT_THAT(found->unsearched[1].why, HasSubstr("not in the tenant's folder"));
  EXPECT_THAT(std::string(core::Message(Erase(h_, "ann", "r-ann").status())),
              HasSubstr("audit-0003.db"));
  EXPECT_THAT(*h_.keys().UnfinishedErasures(),
              ElementsAre(HasSubstr("closed logs "), "log away test/main"));

  fs::rename(h_.folder + "-sound", At("audit-0003.db"));
  h_.Stop();
  fs::rename(h_.folder + "-away", At("audit-0001.db"));
  h_.Start();
  ASSERT_TRUE(Erase(h_, "ann", "r-ann").ok());
  EXPECT_THAT(*h_.keys().UnfinishedErasures(), IsEmpty());
  EXPECT_EQ(SealedUnder(At("audit-0001.db"), "ann"), 0);
  EXPECT_EQ(SealedUnder(At("audit-0003.db"), "ann"), 0);
  EXPECT_GT(SealedUnder(At("audit-0003.db"), "bob"), 0);
}

// ---------------------------------------------------------------- filling

// Room that the log needs is not taken for what can be made at any later time.
TEST_F(ClosedTexts, OnADiskWithLittleRoomNothingIsTakenIn) {
  FillThreeLogs();
  ASSERT_THAT(Found("rusk"), SizeIs(3));
  const auto begin_with = [this](std::uint64_t bytes) {
    h_.Stop();
    fs::remove(At("search-0001.db"));
    h_.search_free_bytes_min = bytes;
    h_.Start();
  };
  begin_with(fs::space(h_.folder).available / 2 * 3);  // enough for the open log
  const auto found = Search(h_, "rusk");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->page.items, SizeIs(2));
  ASSERT_THAT(found->unsearched, SizeIs(1));
  EXPECT_THAT(found->unsearched[0].why, HasSubstr("make room"));
  begin_with(std::uint64_t{1} << 62);
  const auto refused = Search(h_, "rusk");
  EXPECT_EQ(refused.status().code(), core::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(core::Message(refused.status())), HasSubstr("make room"));
  begin_with(0);  // the twin
  EXPECT_THAT(Found("rusk"), SizeIs(3));
}

TEST_F(ClosedTexts, AreTakenInBesideADaemonThatIsBusy) {
  FillThreeLogs();
  FillBusyLog();
  h_.Stop();
  fs::remove(At("search-0001.db"));
  h_.Start();
  const auto taken_in = [this] {
    if (!fs::exists(At("search-0001.db"))) return false;
    return Number(At("search-0001.db"), "SELECT next_idx FROM p_mark") ==
           Number(At("audit-0001.db"), "SELECT count(*) FROM entry");
  };
  // So many entries that no look of the housekeeper's is a quiet one.
  for (int i = 0; i < 30'000 && !taken_in(); ++i) Note("crumbs", "bob");
  EXPECT_TRUE(taken_in());
}

TEST_F(ClosedTexts, AStopWaitsForNoMoreThanASlice) {
  for (int i = 0; i < 400; ++i) Note("rusk", "bob");
  RotateAndRestart(h_);
  ASSERT_THAT(Page("rusk", 500, "")->page.items, SizeIs(400));
  h_.Stop();
  fs::remove(At("search-0001.db"));
  h_.Start();
  std::promise<void> answered;
  h_.engine().SearchCalls(h_.auditor, {}, "rusk",
                          [&](const core::StatusOr<FoundTexts>&) { answered.set_value(); });
  h_.Stop();
  answered.get_future().get();
  const auto next = fs::exists(At("search-0001.db"))
                        ? Number(At("search-0001.db"), "SELECT next_idx FROM p_mark")
                        : 0;
  EXPECT_LT(next, Number(At("audit-0001.db"), "SELECT count(*) FROM entry"));
  h_.Start();
  EXPECT_THAT(Page("rusk", 500, "")->page.items, SizeIs(400));
}

}  // namespace
}  // namespace interlock::runtime::test
