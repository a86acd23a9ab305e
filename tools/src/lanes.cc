#include "lanes.h"

#include <utility>

namespace interlock::tools {

Lane Lanes::Join(const std::string& origin) {
  Origin& known = origins_[origin];
  if (known.shares_nothing) return 0;
  for (const Lane lane : known.lanes) {
    if (lanes_.at(lane).all < kMembersMax) return Add(known, lane);
  }
  known.lanes.push_back(++last_);
  lanes_[last_].origin = origin;
  return Add(known, last_);
}

Lane Lanes::Add(Origin& origin, Lane lane) {
  Members& members = lanes_.at(lane);
  ++members.all;
  ++members.waiting;
  if (++members.requests == kRequestsMax) std::erase(origin.lanes, lane);
  return lane;
}

Lanes::Turn Lanes::TurnOf(Lane lane) const {
  const Members& members = lanes_.at(lane);
  if (members.closed) return Turn::kElsewhere;
  return members.connects ? Turn::kWait : Turn::kStart;
}

void Lanes::Connects(Lane lane) {
  Members& members = lanes_.at(lane);
  --members.waiting;
  members.connects = true;
}

void Lanes::Connected(Lane lane) {
  Members& members = lanes_.at(lane);
  members.connects = false;
  turned_ = turned_ || members.waiting > 0;
}

Lanes::After Lanes::Leave(Lane lane, Stage stage, Ended ended) {
  Members& members = lanes_.at(lane);
  --members.all;
  if (stage == Stage::kWaits) --members.waiting;
  if (stage == Stage::kConnects) Connected(lane);
  if (stage == Stage::kConnected && ended == Ended::kBadly) Close(lane, members);
  if (members.all > 0) return ended == Ended::kBadly ? After::kWake : After::kNothing;
  if (!members.closed && members.requests < kRequestsMax) return After::kNothing;
  lanes_.erase(lane);
  return After::kClose;
}

void Lanes::SharesNothing(Lane lane) {
  Origin& origin = origins_.at(lanes_.at(lane).origin);
  origin.shares_nothing = true;
  while (!origin.lanes.empty()) {
    const Lane one = origin.lanes.back();
    Close(one, lanes_.at(one));
    if (lanes_.at(one).all == 0) lanes_.erase(one);
  }
}

void Lanes::Close(Lane lane, Members& members) {
  if (std::exchange(members.closed, true)) return;
  std::erase(origins_.at(members.origin).lanes, lane);
  turned_ = turned_ || members.waiting > 0;
}

bool Lanes::TakeTurned() { return std::exchange(turned_, false); }

}  // namespace interlock::tools
