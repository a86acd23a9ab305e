// What the verifier says of the engine's own tables and views after somebody changed them.
#include "audit/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

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
  Sql("UPDATE p_call SET amount = 1 WHERE call = (SELECT min(call) FROM p_call)");
  ExpectLie("p_call");
}

}  // namespace
}  // namespace interlock::runtime::test
