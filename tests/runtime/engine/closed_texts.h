// A tenant with closed logs and full text over all of them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "erasing.h"
#include "harness.h"
#include "rotating.h"

namespace interlock::runtime::test {

class ClosedTexts : public ::testing::Test {
 protected:
  ClosedTexts() {
    h_.WithSearch();
    h_.tools.Answers("notes.add", {{"saved", "yes"}});
  }

  void Note(const std::string& text, const std::string& user) {
    const auto call = h_.Execute("notes.add", {{"text", text}}, h_.NewRequestId(), user);
    ASSERT_TRUE(call.ok()) << call.status();
    ASSERT_EQ(call->state, CallState::kOk);
  }
  // Three logs: each has a word of ann's (but the second) and one of bob's.
  void FillThreeLogs() {
    Note("zwieback first", "ann");
    Note("rusk first", "bob");
    RotateAndRestart(h_);
    Note("rusk second", "bob");
    RotateAndRestart(h_);
    Note("zwieback third", "ann");
    Note("rusk third", "bob");
  }
  // So many entries that the housekeeper's first look after a start is not a quiet one.
  void FillBusyLog() {
    for (int i = 0; i < 20; ++i) Note("crumbs", "bob");
    ASSERT_GT(h_.log().size(), 60u);
  }
  // Days go by, which the log notices and an operator vouches for.
  void Later(std::int64_t days) {
    h_.clock.Shift(days * 24 * 3600 * 1'000'000);
    static_cast<void>(h_.Execute("notes.add", {{"text", "noticed"}}, h_.NewRequestId(), "bob"));
    ASSERT_TRUE(h_.engine().ConfirmClock(h_.operator_one, "time went by").ok());
  }
  core::StatusOr<FoundTexts> Page(const std::string& text, int size, const std::string& cursor) {
    return Wait<FoundTexts>([&](Reply<FoundTexts> reply) {
      h_.engine().SearchCalls(h_.auditor, {.size = size, .cursor = cursor}, text, std::move(reply));
    });
  }
  // What is found, newest first: "<file> <snippet>"; a search that says it is not whole fails.
  std::vector<std::string> Found(const std::string& text) {
    const auto found = Search(h_, text);
    EXPECT_TRUE(found.ok()) << found.status();
    std::vector<std::string> lines;
    if (!found.ok()) return lines;
    EXPECT_EQ(found->unsearched_logs, 0u);
    EXPECT_EQ(found->unreadable, 0u);
    for (const FoundText& one : found->page.items) lines.push_back(one.log_file + one.snippet);
    return lines;
  }
  // The one number that a query of a file yields; -1: none.
  static std::int64_t Number(const std::string& path, const std::string& sql) {
    sqlite3* db = nullptr;
    sqlite3_stmt* select = nullptr;
    std::int64_t number = -1;
    sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr);
    sqlite3_busy_timeout(db, 5000);
    sqlite3_prepare_v2(db, sql.c_str(), -1, &select, nullptr);
    if (sqlite3_step(select) == SQLITE_ROW) number = sqlite3_column_int64(select, 0);
    sqlite3_finalize(select);
    sqlite3_close(db);
    return number;
  }
  // Payload rows of a closed log that still have ciphertext of this user.
  std::int64_t SealedUnder(const std::string& path, const std::string& user) {
    return Number(path,
                  "SELECT count(*) FROM payload WHERE sealed IS NOT NULL AND id >> 8 IN (SELECT "
                  "proposed_index FROM p_call WHERE subject = '" +
                      h_.keys().Hmac("subject", user) + "')");
  }
  std::string At(const std::string& file) const { return h_.folder + "/" + file; }
  static ino_t Inode(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
  }

  Harness h_{kAllowAll, {Write("notes.add")}};
};

}  // namespace interlock::runtime::test
