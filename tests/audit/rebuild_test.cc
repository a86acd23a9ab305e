// Projections that somebody edited, made anew from entries that hold.
#include "audit/rebuild.h"

#include <gmock/gmock.h>

#include "rotate_fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RebuildTest : public RotateFixture {
 protected:
  RebuildTest() { Fill(40, "v"); }

  void Edit(const std::vector<std::string>& statements) {
    RawDb db(Database());
    for (const std::string& statement : statements) db.Do(statement);
  }
  RebuildReport MustRebuild() {
    auto report = RebuildProjections(Options());
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : RebuildReport();
  }
};

TEST_F(RebuildTest, OfSoundTablesNothingDiffers) {
  const RebuildReport report = MustRebuild();
  EXPECT_EQ(report.entries, 40u);
  EXPECT_EQ(report.folded, 40u);
  EXPECT_GT(report.checkpoints, 0u);
  EXPECT_THAT(report.differences, IsEmpty());
}

TEST_F(RebuildTest, SaysWhatDifferedAndLeavesALogThatVerifies) {
  Edit({"UPDATE p_mark SET v = 'mine' WHERE k IN ('k1', 'k2')", "DELETE FROM p_mark WHERE k = 'k3'",
        "CREATE VIEW v_more AS SELECT 1", "CREATE TABLE p_more(x); INSERT INTO p_more VALUES(1)"});
  EXPECT_EQ(Check().report.verdict, Verdict::kTampered);
  EXPECT_THAT(Check().report.reason, HasSubstr("interlock audit rebuild"));
  const RebuildReport report = MustRebuild();
  const auto difference = [](const std::string& name, std::uint64_t foreign,
                             std::uint64_t lacking) {
    return AllOf(Field(&ProjectionDifference::name, name),
                 Field(&ProjectionDifference::foreign, foreign),
                 Field(&ProjectionDifference::lacking, lacking));
  };
  EXPECT_THAT(report.differences,
              ElementsAre(difference("p_mark", 2, 3), difference("p_more", 1, 0),
                          difference("v_more", 1, 0)));
  EXPECT_EQ(Check().report.verdict, Verdict::kIntact) << Check().report.reason;
  EXPECT_EQ(Marks(*MustOpen()).at("k3"), "v38");
}

TEST_F(RebuildTest, WithoutAWatermarkEverythingIsFolded) {
  Edit({"DELETE FROM p_watermark", "DELETE FROM p_entry_run"});
  EXPECT_EQ(MustRebuild().folded, 0u);
  EXPECT_EQ(Check().report.verdict, Verdict::kIntact) << Check().report.reason;
}

TEST_F(RebuildTest, AsksTheSignerWhereHeadsAreGone) {
  RawDb(Database()).DoWithoutTriggers({"DELETE FROM checkpoint"});
  EXPECT_EQ(MustRebuild().signed_entries, 40u);
}

TEST_F(RebuildTest, ChangesNothingWhenTheSignerSignedMore) {
  RawDb db(Database());
  db.DoWithoutTriggers({"DELETE FROM checkpoint", "DELETE FROM entry WHERE idx >= 30",
                        "UPDATE p_watermark SET next_idx = 7"});
  const auto report = RebuildProjections(Options());
  EXPECT_EQ(report.status().code(), core::StatusCode::kDataLoss) << report.status();
  EXPECT_THAT(std::string(core::Message(report.status())), HasSubstr("signed 40 entries"));
  EXPECT_THAT(db.Column("SELECT next_idx FROM p_watermark"), ElementsAre("7"));
}

TEST_F(RebuildTest, ChangesNothingWhenTheEntriesDoNotHold) {
  RawDb db(Database());
  db.DoWithoutTriggers(
      {"UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'v7', 'v9') "
       "AS BLOB) WHERE idx = 7",
       "UPDATE p_mark SET v = 'mine' WHERE k = 'k1'"});
  const auto report = RebuildProjections(Options());
  EXPECT_EQ(report.status().code(), core::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(core::Message(report.status())), HasSubstr("entry 7"));
  EXPECT_THAT(db.Column("SELECT v FROM p_mark WHERE k = 'k1'"), ElementsAre("mine"));
}

TEST_F(RebuildTest, IsRefusedWhileADaemonHasTheLog) {
  const auto log = MustOpen();
  const auto report = RebuildProjections(Options());
  EXPECT_EQ(report.status().code(), core::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(core::Message(report.status())), HasSubstr("process"));
}

}  // namespace
}  // namespace interlock::audit
