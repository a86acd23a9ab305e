// Lists of calls by filter, over many made rows: what an index finds is what a scan finds, in the
// same order and page by page, and no typical question reads much more than it answers.
#include "engine/call_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <functional>
#include <random>

#include "audit/rotate.h"
#include "core/digest.h"
#include "engine/row_table.h"
#include "engine/rows.h"
#include "erasing.h"
#include "harness.h"

namespace interlock::runtime::test {
namespace {

using ::testing::ElementsAreArray;
using ::testing::SizeIs;

constexpr int kCallsMade = 4000;
constexpr std::int64_t kFirstUs = 1'700'000'000'000'000;
constexpr int kStepsBetween = 100;  // SQLite's own, between two counts

std::string HmacOf(std::string_view purpose, std::string_view text) {
  return core::Hex(core::Sha256(std::string(purpose) + "/" + std::string(text)));
}

CallRow MadeCall(int i, std::mt19937_64& random, std::int64_t& time_us) {
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  CallRow row;
  if (!one_in(3)) time_us += static_cast<std::int64_t>(random() % 2'000'000);
  row.create_us = time_us;
  char id[48];
  // Not in the order of their times.
  std::snprintf(id, sizeof id, "%08llx-call-%06d", static_cast<unsigned long long>(random() % 997),
                i);
  row.call = id;
  if (!one_in(4)) row.run = "run-" + std::to_string(random() % 300);
  row.tool = (one_in(2) ? "orders." : "refunds.") + std::to_string(random() % 5);
  row.principal = one_in(900) ? "night" : one_in(2) ? "desk" : "shop";
  row.agent = one_in(3) ? "" : "agent-" + std::to_string(random() % 4);
  row.subject = HmacOf("subject", "person-" + std::to_string(random() % 200));
  row.subject_part = SubjectPart(row.subject);
  row.verdict = one_in(9) ? "deny" : one_in(40) ? "refuse" : "allow";
  row.effect = row.verdict != "allow" ? "" : row.tool[0] == 'r' ? "money" : "write";
  row.outcome = row.effect.empty() ? "" : one_in(50) ? "failed" : "ok";
  if (row.verdict != "allow") row.code = one_in(30) ? "RARE" : "LIMIT";
  row.rules = one_in(3) ? "p/may" : one_in(1000) ? "p/may p/seldom" : "p/may p/cap";
  if (one_in(100))
    row.approved_by = one_in(2) ? "principal:maria" : "principal:maria principal:sam";
  if (row.effect == "money" && row.outcome == "ok") {
    row.amount = static_cast<std::int64_t>(random() % 100'000);
    row.unit = one_in(5) ? "USD" : "EUR";
    if (one_in(60)) row.amount = -row.amount;
  }
  row.proposed_index = i;
  return row;
}

class CallQuery : public ::testing::Test {
 protected:
  CallQuery() : h_(kAllowAll, {}) {
    h_.Stop();
    Insert();
    auto log = audit::OpenArchive(h_.folder + "/audit.db");
    EXPECT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Insert() {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((h_.folder + "/audit.db").c_str(), &db), SQLITE_OK);
    std::mt19937_64 random(20);
    std::int64_t time_us = kFirstUs;
    const std::string columns = ColumnList<CallRow>();
    std::string marks = "?";
    for (const char c : columns) marks += c == ',' ? ",?" : "";
    sqlite3_exec(db, "BEGIN", nullptr, nullptr, nullptr);
    const auto insert = Prepare(db, "INSERT INTO p_call(" + columns + ") VALUES(" + marks + ")");
    ASSERT_TRUE(insert.ok()) << insert.status();
    for (int i = 0; i < kCallsMade; ++i) {
      const CallRow row = MadeCall(i, random, time_us);
      int at = 0;
      CallRow::Fields(row, [&](const char*, const auto& field) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, std::string>) {
          BindText(insert->get(), ++at, field);
        } else {
          sqlite3_bind_int64(insert->get(), ++at, static_cast<sqlite3_int64>(field));
        }
      });
      ASSERT_EQ(sqlite3_step(insert->get()), SQLITE_DONE) << sqlite3_errmsg(db);
      sqlite3_reset(insert->get());
      calls_.push_back(row);
    }
    const std::string more =
        "INSERT INTO p_run(" + ColumnList<RunRow>() + ") SELECT * FROM (SELECT " + RunOf() +
        ") LIMIT 300; INSERT INTO p_call_user(call, user, create_us) SELECT call, '" +
        HmacOf("user", "ann") +
        "', create_us FROM p_call WHERE run = '' AND proposed_index % 100 = 0; COMMIT";
    char* error = nullptr;
    ASSERT_EQ(sqlite3_exec(db, more.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(db);
  }
  // Columns of a run for each of run-0 to run-299; the first ten are ann's.
  static std::string RunOf() {
    std::string list;
    const RunRow row;
    RunRow::Fields(row, [&](const char* name, const auto& field) {
      const bool text = std::is_same_v<std::remove_cvref_t<decltype(field)>, std::string>;
      std::string value = text ? "''" : "0";
      if (name == std::string("run")) value = "'run-' || value";
      if (name == std::string("user")) {
        value = "CASE WHEN value < 10 THEN '" + HmacOf("user", "ann") + "' ELSE 'x' END";
      }
      list += (list.empty() ? "" : ", ") + value;
    });
    return list +
           " FROM (WITH RECURSIVE n(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n WHERE "
           "value < 299) SELECT value FROM n)";
  }

  SqlFilter Compiled(const std::string& text) {
    auto compiled = CompileCallFilter(text, HmacOf);
    EXPECT_TRUE(compiled.ok()) << text << ": " << compiled.status();
    return *std::move(compiled);
  }
  std::vector<std::string> Listed(const std::string& text, int page_size) {
    const SqlFilter filter = Compiled(text);
    std::vector<std::string> found;
    PageSpec page{.size = page_size, .cursor = ""};
    do {
      const auto some = QueryCallsOf(*log_, filter, page);
      EXPECT_TRUE(some.ok()) << text << ": " << some.status();
      if (!some.ok()) return found;
      EXPECT_LE(some->items.size(), static_cast<std::size_t>(page_size));
      for (const AuditedCall& call : some->items) found.push_back(call.call);
      page.cursor = some->next_cursor;
    } while (!page.cursor.empty());
    return found;
  }
  std::vector<std::string> Scanned(const std::string& text) {
    const SqlFilter filter = Compiled(text);
    std::vector<std::string> found;
    const core::Status status = log_->Query([&](sqlite3* db) -> core::Status {
      INTERLOCK_ASSIGN_OR_RETURN(
          const Statement select,
          Prepare(db, "SELECT c.call FROM p_call c NOT INDEXED WHERE " + filter.where +
                          " ORDER BY c.create_us DESC, c.call DESC"));
      for (std::size_t i = 0; i < filter.bound.size(); ++i) {
        const int at = static_cast<int>(i) + 1;
        if (const auto* number = std::get_if<std::int64_t>(&filter.bound[i])) {
          sqlite3_bind_int64(select.get(), at, *number);
        } else {
          BindText(select.get(), at, std::get<std::string>(filter.bound[i]));
        }
      }
      while (sqlite3_step(select.get()) == SQLITE_ROW) found.push_back(ColumnText(select.get(), 0));
      return core::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }
  // Steps of SQLite's machine, in hundreds.
  int StepsOf(const std::function<void()>& query) {
    int steps = 0;
    const auto watch = [&](int (*count)(void*)) {
      EXPECT_TRUE(log_->Query([&](sqlite3* db) {
                        sqlite3_progress_handler(db, count == nullptr ? 0 : kStepsBetween, count,
                                                 &steps);
                        return core::OkStatus();
                      })
                      .ok());
    };
    watch([](void* at) { return ++*static_cast<int*>(at), 0; });
    query();
    watch(nullptr);
    return steps;
  }

  Harness h_;
  std::vector<CallRow> calls_;
  std::unique_ptr<audit::Log> log_;
};

std::string TimeAt(int percent) {
  return std::to_string(kFirstUs + std::int64_t{percent} * kCallsMade * 6'000);
}

std::string AnyTerm(std::mt19937_64& random) {
  const std::vector<std::string> terms = {"tool = \"refunds.1\"",
                                          "tool = \"refunds.*\"",
                                          "tool != \"orders.0\"",
                                          "tool = \"*.2\"",
                                          "actor = desk",
                                          "actor = night",
                                          "actor = nobody",
                                          "agent = agent-1",
                                          "agent = \"\"",
                                          "subject = person-7",
                                          "subject != person-7",
                                          "user = ann",
                                          "user = nobody",
                                          "verdict = deny",
                                          "verdict = refuse",
                                          "verdict = allow",
                                          "verdict != allow",
                                          "verdict != deny",
                                          "code = RARE",
                                          "code = LIMIT",
                                          "code != \"\"",
                                          "code = \"R*\"",
                                          "outcome = ok",
                                          "outcome = failed",
                                          "outcome = \"\"",
                                          "effect = money",
                                          "effect != write",
                                          "rule:p/cap",
                                          "rule:p/seldom",
                                          "NOT rule:p/cap",
                                          "rule:p/*",
                                          "rule:none",
                                          "approver:maria",
                                          "approver:sam",
                                          "NOT approver:maria",
                                          "approver:*",
                                          "approver:\"\"",
                                          "amount != 0",
                                          "amount > 0",
                                          "amount >= 99000",
                                          "amount < 0",
                                          "amount <= -5",
                                          "amount <= 0",
                                          "amount = 0",
                                          "amount > -1",
                                          "amount <= 500",
                                          "amount < 100",
                                          "currency = USD",
                                          "run = run-17",
                                          "run = \"\"",
                                          "time >= " + TimeAt(20),
                                          "time < " + TimeAt(70),
                                          "time <= " + TimeAt(30),
                                          "time > " + TimeAt(90)};
  return terms[random() % terms.size()];
}

std::string AnyFilter(std::mt19937_64& random, int depth) {
  std::string text;
  const std::uint64_t terms = 1 + random() % 3;
  for (std::uint64_t i = 0; i < terms; ++i) {
    if (i > 0) text += random() % 3 == 0 ? " OR " : " AND ";
    if (depth > 0 && random() % 4 == 0) {
      text += (random() % 3 == 0 ? "NOT (" : "(") + AnyFilter(random, depth - 1) + ")";
    } else {
      text += AnyTerm(random);
    }
  }
  return text;
}

TEST_F(CallQuery, FindsWhatAScanFindsInThatOrderPageByPage) {
  std::mt19937_64 random(7);
  std::size_t found = 0;
  for (int i = 0; i < 250; ++i) {
    const std::string filter = i == 0 ? "" : AnyFilter(random, 2);
    const auto scanned = Scanned(filter);
    const int page_size = 1 + static_cast<int>(scanned.size() / (1 + random() % 7));
    ASSERT_THAT(Listed(filter, page_size), ElementsAreArray(scanned)) << filter;
    found += scanned.empty() ? 0 : 1;
  }
  EXPECT_GT(found, 120u);  // or nothing was tested
}

TEST_F(CallQuery, AmountsCompareAsNumbers) {
  const std::vector<std::pair<std::string, std::function<bool(std::int64_t)>>> all = {
      {"amount = 0", [](std::int64_t a) { return a == 0; }},
      {"amount != 0", [](std::int64_t a) { return a != 0; }},
      {"amount > 9999", [](std::int64_t a) { return a > 9999; }},
      {"amount >= 10000", [](std::int64_t a) { return a >= 10'000; }},
      {"amount > 98765 AND amount < 99001",
       [](std::int64_t a) { return a > 98'765 && a < 99'001; }},
      {"amount < -20", [](std::int64_t a) { return a < -20; }},
      {"amount <= 70", [](std::int64_t a) { return a <= 70; }},
      {"amount > 0 AND NOT amount >= 300", [](std::int64_t a) { return a > 0 && a < 300; }},
      {"amount >= -50 AND amount < 0", [](std::int64_t a) { return a >= -50 && a < 0; }},
      {"amount > 9223372036854775806", [](std::int64_t a) { return a > 9223372036854775806; }},
  };
  for (const auto& [filter, holds] : all) {
    std::size_t expected = 0;
    for (const CallRow& call : calls_) expected += holds(call.amount) ? 1 : 0;
    EXPECT_THAT(Listed(filter, 100), SizeIs(expected)) << filter;
  }
  const std::int64_t one = std::find_if(calls_.begin(), calls_.end(), [](const CallRow& call) {
                             return call.amount > 10;
                           })->amount;
  EXPECT_FALSE(Listed("amount = " + std::to_string(one), 10).empty());
}

TEST_F(CallQuery, NoTypicalQuestionReadsMuchMoreThanItAnswers) {
  const std::vector<std::string> typical = {"",
                                            "run = run-17",
                                            "tool = \"refunds.1\"",
                                            "tool = \"refunds.*\"",
                                            "actor = night",
                                            "actor = desk",
                                            "agent = agent-1",
                                            "subject = person-7",
                                            "user = ann",
                                            "verdict = deny",
                                            "verdict = refuse",
                                            "verdict != allow",
                                            "code = RARE",
                                            "outcome = failed",
                                            "effect = money",
                                            "rule:p/seldom",
                                            "rule:p/cap",
                                            "approver:maria",
                                            "approver:sam",
                                            "amount != 0",
                                            "amount >= 99000",
                                            "amount >= 99800",
                                            "amount > 0 AND currency = USD",
                                            "time >= " + TimeAt(20) + " AND time < " + TimeAt(21),
                                            "tool = \"refunds.1\" AND verdict = deny",
                                            "tool = \"refunds.1\" AND actor = desk",
                                            "rule:p/seldom AND verdict = allow",
                                            "actor = night AND verdict = allow",
                                            "approver:maria AND amount >= 50000",
                                            "subject = person-7 AND tool = \"refunds.*\"",
                                            "user = ann AND verdict = deny",
                                            "verdict = deny AND time < " + TimeAt(10),
                                            "tool = \"orders.3\" OR tool = \"orders.4\"",
                                            "NOT rule:p/cap AND verdict = refuse"};
  for (const std::string& filter : typical) {
    const SqlFilter compiled = Compiled(filter);
    const auto ask = [&] {
      const auto page = QueryCallsOf(*log_, compiled, {.size = 50, .cursor = ""});
      ASSERT_TRUE(page.ok()) << page.status();
      ASSERT_FALSE(page->items.empty()) << filter;
    };
    ask();
    EXPECT_LE(StepsOf(ask), 250) << filter;
  }
  // The twin: where no index can tell, all is read.
  EXPECT_GE(StepsOf([&] { Listed("amount = 17 OR run = \"none\"", 50); }), 400);
}

TEST_F(CallQuery, ALogWithoutTheIndexesIsAskedAllTheSame) {
  const std::vector<std::string> filters = {
      "rule:p/seldom",   "actor = night AND verdict = allow",
      "amount >= 99000", "tool = \"refunds.*\" AND code = RARE",
      "approver:sam",    "user = ann"};
  std::vector<std::vector<std::string>> before;
  for (const std::string& filter : filters) before.push_back(Listed(filter, 20));
  log_.reset();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((h_.folder + "/audit.db").c_str(), &db), SQLITE_OK);
  for (const char* name : {"tool", "rules", "actor", "money", "refused", "approver"}) {
    ASSERT_EQ(sqlite3_exec(db, ("DROP INDEX p_call_" + std::string(name)).c_str(), nullptr, nullptr,
                           nullptr),
              SQLITE_OK)
        << name;
  }
  ASSERT_EQ(sqlite3_exec(db, "DROP INDEX p_call_user_time", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  log_ = *audit::OpenArchive(h_.folder + "/audit.db");
  for (std::size_t i = 0; i < filters.size(); ++i) {
    EXPECT_THAT(Listed(filters[i], 20), ElementsAreArray(before[i])) << filters[i];
    EXPECT_FALSE(before[i].empty()) << filters[i];
  }
}

}  // namespace
}  // namespace interlock::runtime::test
