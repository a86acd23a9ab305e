// The file of a full-text index: what it is of, what it forgets, and how it goes with its log.
#include "audit/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fixture.h"
#include "harness/no_more_files.h"
#include "sqlite.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SearchTest : public ::testing::Test {
 protected:
  using Index = std::unique_ptr<SearchIndex>;

  std::string At(const std::string& file) { return folder_.path() + "/" + file; }
  Index Open(const std::string& log, const std::string& origin = "a", std::int64_t generation = 0) {
    auto index = SearchIndex::Open(At(log), {origin, generation});
    EXPECT_TRUE(index.ok()) << index.status();
    return index.ok() ? *std::move(index) : nullptr;
  }
  static SearchDocument Document(std::uint64_t entry, const std::string& text) {
    return {.entry_index = entry,
            .slot = 0,
            .key = "k-ann",
            .call = "c",
            .field = "args",
            .text = text};
  }
  // The index of a log with one document of a hundred entries.
  void Fill(const std::string& log, const std::string& origin = "a") {
    const core::Status added =
        Open(log, origin)->Add({{Document(7, "zwieback")}, {{8 << 8, "k-bob"}}, 100});
    EXPECT_TRUE(added.ok()) << added;
  }
  static std::size_t Hits(SearchIndex& index) {
    const auto hits = index.Find("zwieback", std::int64_t{1} << 40, 10);
    EXPECT_TRUE(hits.ok()) << hits.status();
    return hits.ok() ? hits->size() : 0;
  }

  std::string ExcerptOf(const std::string& text, const std::string& words) {
    const Index index = Open("audit.db");
    EXPECT_TRUE(index->Add({{Document(next_++, text)}, {}, next_}).ok());
    const auto hits = index->Find(words, std::int64_t{1} << 40, 1);
    EXPECT_TRUE(hits.ok() && !hits->empty()) << hits.status();
    return hits.ok() && !hits->empty() ? hits->front().snippet : "";
  }

  // A process that ends with pages of a transaction in the file, as a kill -9 leaves it.
  bool DieInACommit() {
    const pid_t child = ::fork();
    if (child == 0) {
      auto db = OpenDb(At("search.db"), SQLITE_OPEN_READWRITE);
      const char* const half =
          "PRAGMA cache_size = 1; PRAGMA journal_mode = TRUNCATE; BEGIN; UPDATE p_mark SET "
          "next_idx = 999; CREATE TABLE p_big(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
          "SELECT i + 1 FROM n WHERE i < 500) INSERT INTO p_big SELECT randomblob(900) FROM n";
      ::_exit(db.ok() && Exec(db->get(), half).ok() ? 0 : 1);
    }
    int status = -1;
    return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
  }

  TempFolder folder_;
  std::uint64_t next_ = 0;
};

TEST_F(SearchTest, AFileOfAnotherStampIsRemoved) {
  Fill("audit.db");
  EXPECT_EQ(*Open("audit.db")->next_index(), 100u);  // the twin
  EXPECT_EQ(*Open("audit.db", "b")->next_index(), 0u);
  Fill("audit.db");
  EXPECT_EQ(*Open("audit.db", "a", 1)->next_index(), 0u);
  EXPECT_EQ(*Open("audit.db", "a", 1)->unreadable(), 0u);
}

TEST_F(SearchTest, TellsWhoseTextItHolds) {
  Fill("audit.db");
  const Index index = Open("audit.db");
  EXPECT_TRUE(*index->Holds("k-ann"));
  EXPECT_TRUE(*index->Holds("k-bob"));  // counted as unreadable
  EXPECT_FALSE(*index->Holds("k-eve"));
  ASSERT_TRUE(index->Restamp(5).ok());
  EXPECT_EQ(Hits(*Open("audit.db", "a", 5)), 1u);
  ASSERT_TRUE(index->Forget(6).ok());
  EXPECT_FALSE(fs::exists(At("search.db")));
  EXPECT_FALSE(*index->Holds("k-ann"));
  EXPECT_EQ(Hits(*index), 0u);
}

TEST_F(SearchTest, ADamagedFileBeginsAnew) {
  Fill("audit.db");
  const Index index = Open("audit.db");
  {
    const auto db = OpenDb(At("search.db"), SQLITE_OPEN_READWRITE);
    ASSERT_TRUE(Exec(db->get(), "UPDATE document_data SET block = X'FFFFFFFFFFFFFFFFFFFF'").ok());
  }
  const auto hits = index->Find("zwieback", std::int64_t{1} << 40, 10);
  EXPECT_EQ(hits.status().code(), core::StatusCode::kAborted) << hits.status();
  EXPECT_EQ(*index->next_index(), 0u);
  ASSERT_TRUE(index->Add({{Document(7, "zwieback")}, {}, 100}).ok());
  EXPECT_EQ(Hits(*index), 1u);
}

TEST_F(SearchTest, GoesWithItsLogAndARepeatFinishes) {
  Fill("audit.db");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(SearchIndex::Follow(At("audit.db"), At("audit-0001.db")).ok());
    EXPECT_FALSE(fs::exists(At("search.db")));
    EXPECT_EQ(Hits(*Open("audit-0001.db")), 1u);
  }
  std::ofstream(At("search.db")) << "no database";
  ASSERT_TRUE(SearchIndex::Follow(At("audit.db"), At("audit-0002.db")).ok());
  EXPECT_FALSE(fs::exists(At("search.db")));
  EXPECT_FALSE(fs::exists(At("search-0002.db")));
}

// Killed in the middle of a commit: the journal that takes it back belongs to the file by its name.
TEST_F(SearchTest, AHalfCommitIsTakenBackBeforeTheFileIsUsedOrGoes) {
  Fill("audit.db");
  ASSERT_TRUE(DieInACommit());
  ASSERT_GT(fs::file_size(At("search.db-journal")), 0u);
  EXPECT_EQ(*Open("audit.db")->next_index(), 100u);
  EXPECT_EQ(Hits(*Open("audit.db")), 1u);
  ASSERT_TRUE(DieInACommit());
  ASSERT_GT(fs::file_size(At("search.db-journal")), 0u);
  ASSERT_TRUE(SearchIndex::Follow(At("audit.db"), At("audit-0001.db")).ok());
  EXPECT_FALSE(fs::exists(At("search.db-journal")));
  EXPECT_EQ(*Open("audit-0001.db")->next_index(), 100u);
  EXPECT_EQ(Hits(*Open("audit-0001.db")), 1u);
}

TEST_F(SearchTest, OnlyIndexesOfOtherLogsAreRemoved) {
  for (const char* log : {"audit.db", "audit-0001.db", "audit-0002.db"}) Fill(log);
  std::ofstream(At("search-0003.db-journal")) << "words";
  std::ofstream(At("search-notes.db")) << "not ours";
  std::ofstream(At("searching.db")) << "not ours";
  ASSERT_TRUE(SearchIndex::RemoveOthers(folder_.path(), {"audit.db", "audit-0002.db"}).ok());
  EXPECT_TRUE(fs::exists(At("search.db")));
  EXPECT_FALSE(fs::exists(At("search-0001.db")));
  EXPECT_TRUE(fs::exists(At("search-0002.db")));
  EXPECT_FALSE(fs::exists(At("search-0003.db-journal")));
  ASSERT_TRUE(SearchIndex::RemoveAll(folder_.path()).ok());
  EXPECT_FALSE(fs::exists(At("search.db")));
  EXPECT_TRUE(fs::exists(At("search-notes.db")));
  EXPECT_TRUE(fs::exists(At("searching.db")));
}

// What may pass says nothing of the file.
TEST_F(SearchTest, AFileThatCannotBeReadNowStays) {
  Fill("audit.db");
  Index index;
  {
    const interlock::test::NoMoreFiles full;
    index = Open("audit.db");
    const auto next = index->next_index();
    EXPECT_FALSE(next.ok());
    EXPECT_NE(next.status().code(), core::StatusCode::kAborted) << next.status();
  }
  EXPECT_EQ(*index->next_index(), 100u);
  EXPECT_EQ(Hits(*index), 1u);
  // It is not used before its stamp was seen.
  {
    const interlock::test::NoMoreFiles full;
    index = Open("audit.db", "a", 1);
  }
  EXPECT_EQ(*index->next_index(), 0u);
  EXPECT_EQ(Hits(*index), 0u);
}

// A backup that is put back while the daemon runs, before the index is made.
TEST_F(SearchTest, AFileThatStandsThereIsNotTakenForANewOne) {
  Fill("audit.db");
  fs::copy_file(At("search.db"), At("old"));
  const Index index = Open("audit.db", "a", 1);
  ASSERT_FALSE(fs::exists(At("search.db")));
  fs::copy_file(At("old"), At("search.db"));
  EXPECT_EQ(*index->next_index(), 0u);
  EXPECT_EQ(Hits(*index), 0u);
  EXPECT_FALSE(*index->Holds("k-ann"));
}

TEST_F(SearchTest, OfWhichNobodyKnowsTheLogIsOnlyForgottenIn) {
  Fill("audit.db");
  EXPECT_TRUE(*Open("audit.db", "")->Holds("k-ann"));
  ASSERT_TRUE(Open("audit.db", "")->Restamp(3).ok());
  EXPECT_EQ(Hits(*Open("audit.db", "a", 3)), 1u);
  EXPECT_EQ(*Open("audit.db", "")->next_index(), 0u);  // of another generation
  const Index none = Open("audit-0001.db", "");
  EXPECT_FALSE(*none->Holds("k-ann"));
  ASSERT_TRUE(none->Restamp(4).ok());
  EXPECT_FALSE(fs::exists(At("search-0001.db")));
}

TEST_F(SearchTest, ShowsAFewWordsAroundTheFirstHit) {
  EXPECT_EQ(ExcerptOf(R"({"text":"rusk 8"})", "rusk"), R"({"text":"[rusk] 8"})");
  EXPECT_EQ(ExcerptOf("one two three four five six", "\"three four\""),
            "one two [three four] five six");
  EXPECT_EQ(ExcerptOf("b a b a", "a b"), "[b] a b a");
  EXPECT_EQ(ExcerptOf("1 2 3 4 5 6 7 8 hit 1 2 3 4 5 6 7 8 9", "hit"),
            "…5 6 7 8 [hit] 1 2 3 4 5 6 7…");
  EXPECT_EQ(ExcerptOf("Zürich, \xC3\x84rger", "arger"), "Zürich, [\xC3\x84rger]");
}

// SQLite's own snippet() takes minutes for the first of these, and gives all of the second.
TEST_F(SearchTest, AnExcerptIsShortAndSoonThere) {
  std::string many;
  for (int i = 0; i < 300'000; ++i) many += "rusk ";
  EXPECT_EQ(ExcerptOf(many, "rusk"), "[rusk] rusk rusk rusk rusk rusk rusk rusk…");
  std::string long_word;
  for (int i = 0; i < 50'000; ++i) long_word += "\xC3\xA4";  // ä
  const std::string excerpt = ExcerptOf(long_word + " hit " + long_word, "hit");
  EXPECT_THAT(excerpt, AllOf(StartsWith("…\xC3\xA4"), HasSubstr(" [hit] "), EndsWith("ä…")));
  EXPECT_LT(excerpt.size(), 500u);
}

TEST_F(SearchTest, AsManyWordsAsFitAreLookedFor) {
  std::string words;
  for (int i = 0; i < 256; ++i) words += std::to_string(100 + i) + " ";
  ASSERT_EQ(words.size(), kSearchTextBytesMax);
  EXPECT_THAT(ExcerptOf("x " + words, words), StartsWith("x [100] 101"));
  EXPECT_EQ(*Open("audit.db")->next_index(), 1u);
}

}  // namespace
}  // namespace interlock::audit
