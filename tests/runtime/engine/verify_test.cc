// What the verifier says of the engine's own tables and views after somebody changed them.
#include "audit/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <regex>

#include "engine/row_table.h"
#include "rules.h"

namespace interlock::runtime::test {
namespace {

using ::testing::HasSubstr;

class VerifyViews : public ::testing::Test {
 protected:
  VerifyViews() : h_(AllowAll(), {MoneyTool("pay")}) {
    Pays(h_, "5.00");
    for (int i = 0; i < 40; ++i) {
      EXPECT_TRUE(h_.Execute("pay", {{"id", "o" + std::to_string(i)}}).ok());
    }
    h_.Stop();
  }
  void Sql(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((h_.folder + "/audit.db").c_str(), &db), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_free(error);
    sqlite3_close(db);
  }
  std::string Text(const std::string& sql) {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open((h_.folder + "/audit.db").c_str(), &db), SQLITE_OK);
    const std::string text = [&] {
      const auto select = Prepare(db, sql);
      EXPECT_TRUE(select.ok() && sqlite3_step(select->get()) == SQLITE_ROW);
      return ColumnText(select->get(), 0);
    }();
    sqlite3_close(db);
    return text;
  }
  audit::VerifyReport Report() {
    const StatePtr state = MakeState();
    audit::VerifyOptions options;
    options.database = h_.folder + "/audit.db";
    options.projectors = {ProjectorOf(*state)};
    return audit::Verify(options);
  }
  void ExpectLie(const std::string& name) {
    const audit::VerifyReport report = Report();
    EXPECT_EQ(report.verdict, audit::Verdict::kTampered);
    EXPECT_THAT(report.reason, HasSubstr(name));
  }

  Harness h_;
};

TEST_F(VerifyViews, UntouchedIsIntact) {
  const audit::VerifyReport report = Report();
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
}

// Others have queries on them: columns may be added at the end, never renamed or taken away.
TEST_F(VerifyViews, TheViewsAreThoseOfTheGuide) {
  std::ifstream guide(INTERLOCK_SOURCE_DIR "/docs/auditor_guide.md");
  const std::regex row(R"(\| `(v_\w+)` \|[^|]*\| (.*) \|)");
  const std::regex aside(R"( \([^)]*\))");
  int views = 0;
  for (std::string line; std::getline(guide, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    ++views;
    EXPECT_EQ(
        Text("SELECT group_concat(name, ', ') FROM pragma_table_info('" + match[1].str() + "')"),
        std::regex_replace(match[2].str(), aside, ""))
        << match[1];
  }
  EXPECT_EQ(views, std::stoi(Text("SELECT count(*) FROM sqlite_schema WHERE type = 'view'")));
  EXPECT_EQ(Text("SELECT tool || ' ' || verdict FROM v_calls LIMIT 1"), "pay allow");
  EXPECT_EQ(Text("SELECT tool || ' ' || verdict FROM v_decisions LIMIT 1"), "pay allow");
  EXPECT_EQ(Text("SELECT amount || ' ' || currency FROM v_money LIMIT 1"), "500 USD");
}

TEST_F(VerifyViews, AViewMadeAnewIsFound) {
  Sql("DROP VIEW v_money; CREATE VIEW v_money AS SELECT call, run, tool FROM p_call WHERE amount < "
      "100");
  ExpectLie("v_money");
}

TEST_F(VerifyViews, AViewThatIsGoneOrStrangeIsFound) {
  Sql("CREATE VIEW v_more AS SELECT 1");
  ExpectLie("v_more");
  Sql("DROP VIEW v_more; DROP VIEW v_access");
  ExpectLie("v_access");
}

TEST_F(VerifyViews, ATriggerOnAProjectionIsFound) {
  Sql("CREATE TRIGGER hide AFTER INSERT ON p_call BEGIN DELETE FROM p_call; END");
  ExpectLie("hide");
}

TEST_F(VerifyViews, AnIndexThatIsNotItsTablesIsFound) {
  Sql("CREATE TABLE p_spare AS SELECT * FROM p_call");
  ExpectLie("p_spare");
  // The rows stay as they are; the index loses its own.
  Sql("DROP TABLE p_spare; PRAGMA writable_schema = ON;"
      "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = "
      "'p_call_run') "
      "WHERE name = 'p_call_time'; PRAGMA writable_schema = RESET");
  EXPECT_NE(Report().verdict, audit::Verdict::kIntact);
}

TEST_F(VerifyViews, ARowThatLiesIsNamed) {
  const std::string first = Text("SELECT min(call) FROM p_call");
  Sql("UPDATE p_call SET amount = 1 WHERE call = '" + first + "'");
  ExpectLie("projection `p_call` lies: the row `" + first +
            "` is not what the entries say, in `amount`");
}

TEST_F(VerifyViews, ARowThatIsGoneIsNamedAndNotTheNextOne) {
  const std::string first = Text("SELECT min(call) FROM p_call");
  Sql("DELETE FROM p_call WHERE call = '" + first + "'");
  ExpectLie("projection `p_call` lies: the row `" + first + "` is missing");
}

TEST_F(VerifyViews, ARowTooManyIsNamed) {
  Sql("CREATE TEMP TABLE t AS SELECT * FROM p_call LIMIT 1; UPDATE t SET call = '0'; "
      "INSERT INTO p_call SELECT * FROM t");
  ExpectLie("projection `p_call` lies: the row `0` does not belong there");
}

}  // namespace
}  // namespace interlock::runtime::test
