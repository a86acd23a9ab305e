#include "lanes.h"

#include <gtest/gtest.h>

namespace interlock::tools {
namespace {

using Stage = Lanes::Stage;
using Turn = Lanes::Turn;
using Ended = Lanes::Ended;
using After = Lanes::After;

constexpr char kOrigin[] = "https://models.example:443";

// A member with a connection.
Lane Connect(Lanes& lanes) {
  const Lane lane = lanes.Join(kOrigin);
  EXPECT_EQ(lanes.TurnOf(lane), Turn::kStart);
  lanes.Connects(lane);
  lanes.Connected(lane);
  return lane;
}

TEST(LanesTest, OneAtATimeIsWithoutAConnection) {
  Lanes lanes;
  const Lane lane = lanes.Join(kOrigin);
  ASSERT_EQ(lanes.Join(kOrigin), lane);
  EXPECT_EQ(lanes.TurnOf(lane), Turn::kStart);
  lanes.Connects(lane);
  EXPECT_EQ(lanes.TurnOf(lane), Turn::kWait);
  EXPECT_FALSE(lanes.TakeTurned());
  lanes.Connected(lane);
  EXPECT_TRUE(lanes.TakeTurned());
  EXPECT_FALSE(lanes.TakeTurned());
  EXPECT_EQ(lanes.TurnOf(lane), Turn::kStart);
}

TEST(LanesTest, TheNextTriesWhereOneHasFoundNoConnection) {
  Lanes lanes;
  const Lane lane = lanes.Join(kOrigin);
  ASSERT_EQ(lanes.Join(kOrigin), lane);
  lanes.Connects(lane);
  EXPECT_EQ(lanes.Leave(lane, Stage::kConnects, Ended::kBadly), After::kWake);
  EXPECT_TRUE(lanes.TakeTurned());
  EXPECT_EQ(lanes.TurnOf(lane), Turn::kStart);
}

TEST(LanesTest, AFullLaneIsFollowedByAnother) {
  Lanes lanes;
  const Lane first = lanes.Join(kOrigin);
  for (int i = 1; i < Lanes::kMembersMax; ++i) EXPECT_EQ(lanes.Join(kOrigin), first);
  const Lane second = lanes.Join(kOrigin);
  EXPECT_NE(second, first);
  EXPECT_NE(lanes.Join("https://other.example:443"), second);
  EXPECT_EQ(lanes.Leave(first, Stage::kWaits, Ended::kWell), After::kNothing);
  EXPECT_EQ(lanes.Join(kOrigin), first);
}

TEST(LanesTest, AnEmptyLaneIsUsedAgain) {
  Lanes lanes;
  const Lane lane = Connect(lanes);
  EXPECT_EQ(lanes.Leave(lane, Stage::kConnected, Ended::kWell), After::kNothing);
  EXPECT_EQ(lanes.Join(kOrigin), lane);
}

TEST(LanesTest, NobodyJoinsBehindABadEndAndWhoWaitsGoesElsewhere) {
  Lanes lanes;
  const Lane lane = Connect(lanes);
  ASSERT_EQ(Connect(lanes), lane);
  ASSERT_EQ(lanes.Join(kOrigin), lane);
  EXPECT_EQ(lanes.Leave(lane, Stage::kConnected, Ended::kBadly), After::kWake);
  EXPECT_TRUE(lanes.TakeTurned());
  EXPECT_EQ(lanes.TurnOf(lane), Turn::kElsewhere);
  EXPECT_NE(lanes.Join(kOrigin), lane);
  EXPECT_EQ(lanes.Leave(lane, Stage::kWaits, Ended::kWell), After::kNothing);
  EXPECT_EQ(lanes.Leave(lane, Stage::kConnected, Ended::kWell), After::kClose);
}

TEST(LanesTest, ALaneWearsOut) {
  Lanes lanes;
  const Lane first = lanes.Join(kOrigin);
  for (int i = 1; i < Lanes::kRequestsMax; ++i) {
    EXPECT_EQ(lanes.Leave(first, Stage::kWaits, Ended::kWell), After::kNothing);
    EXPECT_EQ(lanes.Join(kOrigin), first);
  }
  EXPECT_NE(lanes.Join(kOrigin), first);
  EXPECT_EQ(lanes.TurnOf(first), Turn::kStart);
  EXPECT_EQ(lanes.Leave(first, Stage::kWaits, Ended::kWell), After::kClose);
}

TEST(LanesTest, AnOriginThatSharesNothingHasNoLanes) {
  Lanes lanes;
  const Lane lane = Connect(lanes);
  ASSERT_EQ(lanes.Join(kOrigin), lane);
  lanes.SharesNothing(lane);
  EXPECT_EQ(lanes.TurnOf(lane), Turn::kElsewhere);
  EXPECT_EQ(lanes.Join(kOrigin), 0u);
  EXPECT_NE(lanes.Join("https://other.example:443"), 0u);
}

}  // namespace
}  // namespace interlock::tools
