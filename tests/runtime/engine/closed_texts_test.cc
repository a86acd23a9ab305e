// Full text over logs that were closed: found as one list, recorded by log, forgotten in every
// file.
#include "closed_texts.h"

#include <sys/wait.h>
#include <unistd.h>

#include "audit/search.h"
#include "engine/archives.h"
#include "harness/read_only_mount.h"

namespace interlock::runtime::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// ---------------------------------------------------------------- one list over all logs

TEST_F(ClosedTexts, AreFoundNewestFirstByLogAndIndex) {
  FillThreeLogs();
  const auto found = Search(h_, "rusk");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_THAT(found->page.items, SizeIs(3));
  EXPECT_EQ(found->unsearched_logs, 0u);
  const std::string logs[] = {"", "audit-0002.db", "audit-0001.db"};
  const std::string origins[] = {"", "test/main/2", "test/main"};
  for (std::size_t i = 0; i < 3; ++i) {
    const FoundText& hit = found->page.items[i];
    EXPECT_EQ(hit.log_file, logs[i]);
    EXPECT_EQ(hit.log, origins[i]);
    // The index is one of the log that is named: its content says so.
    DiscloseSpec spec;
    spec.entry_index = hit.index;
    spec.reason = "case 7";
    spec.log = hit.log;
    const auto shown = h_.engine().DisclosePayloads(h_.auditor, spec);
    ASSERT_TRUE(shown.ok()) << shown.status();
    EXPECT_THAT(shown->payloads.at(0).content, HasSubstr("rusk"));
    EXPECT_EQ(h_.engine().GetCall(h_.auditor, hit.call)->id, hit.call);
  }
  EXPECT_THAT(Found("nowhere"), IsEmpty());
}

TEST_F(ClosedTexts, ArePagedAcrossLogsEachHitOnce) {
  for (int log = 0; log < 3; ++log) {
    if (log > 0) RotateAndRestart(h_);
    for (int i = 0; i < 3; ++i) Note("rusk " + std::to_string(log * 3 + i), "bob");
  }
  for (const int size : {1, 2, 3, 4, 9, 50}) {
    std::vector<std::string> seen;
    std::string cursor;
    int pages = 0;
    do {
      const auto page = Page("rusk", size, cursor);
      ASSERT_TRUE(page.ok()) << page.status();
      EXPECT_LE(page->page.items.size(), static_cast<std::size_t>(size));
      for (const FoundText& hit : page->page.items) seen.push_back(hit.snippet);
      cursor = page->page.next_cursor;
      ++pages;
    } while (!cursor.empty());
    EXPECT_EQ(pages, (9 + size - 1) / size);
    ASSERT_THAT(seen, SizeIs(9)) << size;
    for (int i = 0; i < 9; ++i) {
      EXPECT_THAT(seen[static_cast<std::size_t>(i)],
                  HasSubstr("[rusk] " + std::to_string(8 - i) + "\""));
    }
  }
}

// A page token outlives a rotation: what was the open log is a closed one then.
TEST_F(ClosedTexts, APageGoesOnAfterTheLogWasClosed) {
  for (int i = 0; i < 3; ++i) Note("rusk " + std::to_string(i), "bob");
  const auto first = Page("rusk", 1, "");
  ASSERT_TRUE(first.ok()) << first.status();
  RotateAndRestart(h_);
  Note("rusk of later", "bob");
  const auto rest = Page("rusk", 50, first->page.next_cursor);
  ASSERT_TRUE(rest.ok()) << rest.status();
  ASSERT_THAT(rest->page.items, SizeIs(2));
  EXPECT_THAT(rest->page.items[0].snippet, HasSubstr("[rusk] 1"));
  EXPECT_THAT(rest->page.items[1].snippet, HasSubstr("[rusk] 0"));
  const auto lost = Page("rusk", 50, "512@test/other");
  EXPECT_EQ(lost.status().code(), core::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(core::Message(lost.status())), HasSubstr("begin anew"));
}

TEST_F(ClosedTexts, EachLogThatIsShownOfIsOnRecord) {
  FillThreeLogs();
  const std::uint64_t before = h_.log().size();
  const auto found = Search(h_, "zwieback");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_THAT(found->page.items, SizeIs(2));
  std::vector<core::Json> bodies;
  for (std::uint64_t i = before; i < h_.log().size(); ++i) {
    const core::Json entry = core::Json::parse(h_.log().Read(i)->bytes);
    if (entry["kind"] == "access.read") bodies.push_back(entry["body"]);
  }
  ASSERT_THAT(bodies, SizeIs(2));  // none for audit-0002.db, of which nothing was shown
  EXPECT_FALSE(bodies[0].contains("log"));
  EXPECT_EQ(bodies[1]["log"], "test/main");
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(bodies[i]["what"], "search");
    EXPECT_EQ(bodies[i]["text"], h_.keys().Hmac("search", "zwieback"));
    ASSERT_THAT(bodies[i]["payloads"], SizeIs(1));
    EXPECT_EQ(bodies[i]["payloads"][0].get<std::uint64_t>() >> 8, found->page.items[i].index);
  }
  EXPECT_EQ(h_.Number("SELECT count(*) FROM v_access WHERE what = 'search' AND log = 'test/main'"),
            1);
  h_.Stop();
  EXPECT_EQ(audit::VerifyFolder(h_.folder, {}, MakeProjectors).report.verdict,
            audit::Verdict::kIntact);
}

// ---------------------------------------------------------------- erasure and retention

TEST_F(ClosedTexts, OfAnErasedPersonStandInNoFileAndOthersAreStillFound) {
  FillThreeLogs();
  ASSERT_THAT(Found("zwieback"), SizeIs(2));
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"),  // the twin: there it was
              AllOf(Contains(EndsWith("search-0001.db")), Contains(EndsWith("search.db"))));
  const ino_t untouched = Inode(At("search-0002.db"));
  ASSERT_TRUE(Erase(h_, "ann").ok());
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"), IsEmpty());
  EXPECT_THAT(Found("zwieback"), IsEmpty());
  EXPECT_THAT(Found("rusk"), SizeIs(3));
  EXPECT_EQ(Inode(At("search-0002.db")), untouched);  // nothing of hers stood there
  h_.Restart();
  EXPECT_THAT(Found("zwieback"), IsEmpty());
  EXPECT_THAT(Found("rusk"), SizeIs(3));
  EXPECT_EQ(Inode(At("search-0002.db")), untouched);
  h_.Stop();
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"), IsEmpty());
  EXPECT_EQ(audit::VerifyFolder(h_.folder, {}, MakeProjectors).report.verdict,
            audit::Verdict::kIntact);
}

TEST_F(ClosedTexts, AnIndexOfBeforeTheErasureIsNotUsedAgain) {
  FillThreeLogs();
  ASSERT_THAT(Found("zwieback"), SizeIs(2));
  h_.Restart();
  for (const char* file : {"search-0001.db", "search-0002.db"}) {
    fs::copy_file(At(file), h_.folder + "-" + file);
  }
  ASSERT_TRUE(Erase(h_, "ann").ok());
  h_.Stop();
  for (const char* file : {"search-0001.db", "search-0002.db"}) {
    fs::rename(h_.folder + "-" + file, At(file));
  }
  ASSERT_THAT(FilesWith(h_.folder, "zwieback"), Not(IsEmpty()));
  h_.Start();
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"), IsEmpty());
  EXPECT_THAT(Found("zwieback"), IsEmpty());
  EXPECT_THAT(Found("rusk"), SizeIs(3));
}

// Erased while full text was off: what a backup brings back then is of before as well.
TEST_F(ClosedTexts, AnErasureCountsWhileFullTextIsOff) {
  FillThreeLogs();
  ASSERT_THAT(Found("zwieback"), SizeIs(2));
  h_.Stop();
  fs::copy_file(At("search-0001.db"), h_.folder + "-old");
  h_.WithoutSearch();
  EXPECT_EQ(ReasonOf(Search(h_, "rusk").status()), "SEARCH_OFF");
  for (const auto& file : fs::directory_iterator(h_.folder)) {
    EXPECT_FALSE(file.path().filename().string().starts_with("search")) << file.path();
  }
  ASSERT_TRUE(Erase(h_, "ann").ok());
  h_.Stop();
  fs::rename(h_.folder + "-old", At("search-0001.db"));
  h_.WithSearch();
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"), IsEmpty());
  EXPECT_THAT(Found("zwieback"), IsEmpty());
  EXPECT_THAT(Found("rusk"), SizeIs(3));
}

// The key is destroyed and nothing else was done yet: what it sealed is found no more.
TEST_F(ClosedTexts, AnErasureThatIsNotFinishedIsFinishedBeforeASearch) {
  FillThreeLogs();
  ASSERT_THAT(Found("zwieback"), SizeIs(2));
  const std::string key = *h_.keys().KeyIdOf("ann");
  const std::string body = R"({"key":")" + key + R"(","reason":"asked","subject":")" +
                           h_.keys().Hmac("subject", "ann") + R"(","what":"subject"})";
  ASSERT_TRUE(h_.log()
                  .Append({.kind = "payload.erased",
                           .run = "",
                           .actor = "principal:ops1",
                           .body = body,
                           .cites = {}})
                  .ok());
  ASSERT_TRUE(h_.keys().DestroyKey(key).ok());
  EXPECT_THAT(Found("zwieback"), IsEmpty());
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"), IsEmpty());
  EXPECT_THAT(Found("rusk"), SizeIs(3));
}

TEST_F(ClosedTexts, ThatExpiredAreForgottenInTheirLogOnly) {
  Note("zwieback", "ann");
  RotateAndRestart(h_);
  Later(200);
  Note("rusk", "ann");
  h_.retention = {8, 8, 8};
  RotateAndRestart(h_);
  ASSERT_THAT(Found("zwieback"), SizeIs(1));
  ASSERT_THAT(FilesWith(h_.folder, "zwieback"), ElementsAre(EndsWith("search-0001.db")));
  Later(100);
  ASSERT_THAT(Found("rusk"), SizeIs(1));
  const ino_t untouched = Inode(At("search-0002.db"));
  ASSERT_TRUE(
      ApplyRetention(h_, /*validate_only=*/false).ok());  // or the daily job was there first
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"), IsEmpty());
  EXPECT_THAT(Found("zwieback"), IsEmpty());
  EXPECT_THAT(Found("rusk"), SizeIs(1));
  EXPECT_EQ(Inode(At("search-0002.db")), untouched);
  EXPECT_THAT(*h_.keys().UnfinishedErasures(), IsEmpty());
}

// A kill between an expiry's entry and the end of its words, and a rotation before the next start.
TEST_F(ClosedTexts, WhatExpiredBeforeItsLogWasClosedIsForgottenThere) {
  Note("zwieback", "ann");
  ASSERT_THAT(Found("zwieback"), SizeIs(1));
  ASSERT_TRUE(h_.keys().NoteErasure("retention test/main").ok());
  h_.Stop();
  EditDatabase(At("audit.db"), "UPDATE payload SET sealed = NULL");
  ASSERT_THAT(FilesWith(h_.folder, "zwieback"), ElementsAre(HasSubstr("search.db")));
  ASSERT_TRUE(Rotate(h_).ok());
  h_.Start();
  EXPECT_THAT(Found("zwieback"), IsEmpty());
  EXPECT_THAT(FilesWith(h_.folder, "zwieback"), IsEmpty());
  EXPECT_THAT(*h_.keys().UnfinishedErasures(), IsEmpty());
}

// Whose file is on a disk that nobody may write: no entry says that something of it is gone.
TEST_F(ClosedTexts, OfALogThatCannotBeWrittenNothingExpires) {
  if (const std::string why = interlock::test::ReadOnlyMount::Prepare(); !why.empty()) {
    GTEST_SKIP() << why;
  }
  Note("zwieback", "ann");
  h_.retention = {8, 8, 8};
  RotateAndRestart(h_);
  interlock::test::ReadOnlyMount mount(At("audit-0001.db"));
  ASSERT_TRUE(mount.ok());
  Later(300);
  EXPECT_FALSE(ApplyRetention(h_, /*validate_only=*/false).ok());
  EXPECT_THAT(h_.Kinds(""), Not(Contains("payload.erased")));
  EXPECT_THAT(Found("zwieback"), SizeIs(1));
  mount.Undo();
  EXPECT_TRUE(ApplyRetention(h_, /*validate_only=*/false).ok());
  EXPECT_THAT(Found("zwieback"), IsEmpty());
}

// An erasure that was killed leaves the file's journal, which no reader can do away with.
TEST_F(ClosedTexts, AJournalThatAKilledErasureLeftIsTakenBack) {
  Note("zwieback", "ann");
  RotateAndRestart(h_);
  ASSERT_THAT(Found("zwieback"), SizeIs(1));
  h_.Stop();
  const std::string closed = At("audit-0001.db");
  const pid_t killed = ::fork();
  if (killed == 0) {
    fs::permissions(closed, fs::perms::owner_all);
    sqlite3* db = nullptr;
    sqlite3_open(closed.c_str(), &db);
    sqlite3_exec(db, "BEGIN; UPDATE payload SET sealed = NULL", nullptr, nullptr, nullptr);
    sqlite3_db_cacheflush(db);
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(killed, nullptr, 0), killed);
  ASSERT_GT(fs::file_size(closed + "-journal"), 0u);
  h_.Start();
  EXPECT_THAT(Found("zwieback"), SizeIs(1));
}

// ---------------------------------------------------------------- indexes that are missing or lie

TEST_F(ClosedTexts, AMissingOrDamagedIndexIsMadeAnew) {
  FillThreeLogs();
  ASSERT_THAT(Found("rusk"), SizeIs(3));
  h_.Stop();
  fs::remove(At("search-0001.db"));
  std::ofstream(At("search-0002.db"), std::ios::trunc) << "no database at all";
  h_.Start();
  EXPECT_THAT(Found("rusk"), SizeIs(3));
  h_.Stop();
  // What no look at the head of the file sees.
  for (const char* file : {"search.db", "search-0001.db", "search-0002.db"}) {
    EditDatabase(At(file), "UPDATE document_data SET block = X'FFFFFFFFFFFFFFFFFFFF'");
  }
  h_.Start();
  EXPECT_THAT(Found("rusk"), SizeIs(3));
  EXPECT_THAT(Found("zwieback"), SizeIs(2));
}

TEST_F(ClosedTexts, AnIndexOfAnotherLogIsNotUsed) {
  FillThreeLogs();
  ASSERT_THAT(Found("zwieback"), SizeIs(2));
  h_.Stop();
  fs::copy_file(At("search-0001.db"), At("search-0002.db"), fs::copy_options::overwrite_existing);
  fs::copy_file(At("search-0001.db"), At("search.db"), fs::copy_options::overwrite_existing);
  fs::copy_file(At("search-0001.db"), At("search-0007.db"));   // of a log that is not here
  fs::copy_file(At("search-0001.db"), At("search-notes.db"));  // not ours
  h_.Start();
  EXPECT_FALSE(fs::exists(At("search-0007.db")));
  EXPECT_TRUE(fs::exists(At("search-notes.db")));
  EXPECT_THAT(Found("rusk"), SizeIs(3));
  EXPECT_THAT(Found("zwieback"),
              ElementsAre(HasSubstr("[zwieback] third"), HasSubstr("[zwieback] first")));
}

// An archive that was moved away: nobody would erase in its index.
TEST_F(ClosedTexts, ALogThatIsNotHereIsSaidToBeUnsearchedAndLeavesNoIndex) {
  FillThreeLogs();
  ASSERT_THAT(Found("rusk"), SizeIs(3));
  h_.Stop();
  fs::rename(At("audit-0001.db"), h_.folder + "-away");
  h_.Start();
  EXPECT_FALSE(fs::exists(At("search-0001.db")));
  const auto found = Search(h_, "rusk");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->page.items, SizeIs(2));
  EXPECT_EQ(found->unsearched_logs, 1u);
  h_.Stop();
  fs::rename(h_.folder + "-away", At("audit-0001.db"));
  h_.Start();
  EXPECT_THAT(Found("rusk"), SizeIs(3));
}

// Closed the moment the last call had ended: what full text did not have yet is taken from the log.
TEST_F(ClosedTexts, WhatTheIndexDidNotHaveWhenItsLogClosedIsTakenFromTheLog) {
  Note("rusk one", "bob");
  ASSERT_THAT(Found("rusk"), SizeIs(1));
  const ino_t followed = Inode(At("search.db"));
  Note("rusk two", "bob");
  RotateAndRestart(h_);
  EXPECT_THAT(Found("rusk"), SizeIs(2));
  EXPECT_EQ(Inode(At("search-0001.db")), followed);  // it went with its log
}

// One search takes no more of closed logs in than it may; it says so, and the next goes on.
TEST_F(ClosedTexts, ASearchSaysWhatItDoesNotCoverYet) {
  FillThreeLogs();
  FillBusyLog();
  h_.search_fill_max = 1;
  bool partial = false;
  for (int life = 0; life < 20 && !partial; ++life) {
    h_.Stop();
    fs::remove(At("search-0001.db"));
    fs::remove(At("search-0002.db"));
    h_.Start();
    for (std::uint64_t left = 2; left > 0;) {
      const auto found = Search(h_, "rusk");
      ASSERT_TRUE(found.ok()) << found.status();
      ASSERT_LE(found->unsearched_logs, left);
      left = found->unsearched_logs;
      partial = partial || left > 0;  // or a look of the housekeeper's came first
      // What the first page did not cover, the last one tells.
      auto page = Page("rusk", 1, "");
      ASSERT_TRUE(page.ok()) << page.status();
      const std::uint64_t first = page->unsearched_logs;
      while (page.ok() && !page->page.next_cursor.empty())
        page = Page("rusk", 1, page->page.next_cursor);
      ASSERT_TRUE(page.ok()) << page.status();
      EXPECT_GE(page->unsearched_logs, first);
      EXPECT_GE(found->page.items.size(), 3 - left);
    }
    EXPECT_THAT(Found("rusk"), SizeIs(3));
  }
  EXPECT_TRUE(partial);
}

// A place where no index can be made: the others are searched, and doctor names the log.
TEST_F(ClosedTexts, AnIndexThatCannotBeMadeHoldsUpNoOther) {
  FillThreeLogs();
  h_.Stop();
  fs::remove(At("search-0001.db"));
  fs::create_directory(At("search-0001.db"));
  h_.Start();
  const auto found = Search(h_, "rusk");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->page.items, SizeIs(2));
  EXPECT_EQ(found->unsearched_logs, 1u);
  EXPECT_THAT(h_.engine().warnings(), ElementsAre(HasSubstr("`audit-0001.db`")));
  fs::remove(At("search-0001.db"));
  EXPECT_THAT(Found("rusk"), SizeIs(3));
  EXPECT_THAT(h_.engine().warnings(), IsEmpty());
}

// What stands there and cannot be removed may hold the erased words: nothing is searched, all else
// is erased, and the refusal says what to do.
TEST_F(ClosedTexts, WhatCannotBeForgottenIsSaidInOneLine) {
  FillThreeLogs();
  h_.Stop();
  fs::remove(At("search-0001.db"));
  fs::create_directory(At("search-0001.db"));
  h_.Start();
  EXPECT_FALSE(Erase(h_, "ann", "r-ann").ok());
  EXPECT_EQ(SealedUnder(At("audit-0001.db"), "ann"), 0);
  const auto refused = Search(h_, "rusk");
  EXPECT_EQ(refused.status().code(), core::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(core::Message(refused.status())),
              AllOf(HasSubstr("nothing is searched before"), HasSubstr("search-0001.db"),
                    HasSubstr("remove the file"), Not(HasSubstr("\n"))));
  fs::remove(At("search-0001.db"));
  EXPECT_THAT(Found("rusk"), SizeIs(3));
  EXPECT_THAT(Found("zwieback"), IsEmpty());
}

}  // namespace
}  // namespace interlock::runtime::test
