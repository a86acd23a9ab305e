// What `require_approval` of a rule and of a table say alike: stages, quorums and times.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fields.h"
#include "policies/decision.h"

namespace interlock::policies {

inline constexpr std::size_t kStagesMax = 4;
inline constexpr std::int64_t kRemindMsMin = 60'000;

// Names of the fields of require_approval.
const std::vector<std::string>& AskFields();
// Whether the people are given as `stages`; then neither approvers nor quorum stand beside them.
bool TakesStages(lua_State* lua, const Fields& fields);
int QuorumOf(lua_State* lua, const Fields& fields);  // 1 to 16; 1 when it says nothing
// expires, escalate.after and remind.
void TakeAskTimes(lua_State* lua, const Fields& fields, ApprovalDemand& demand);
// The table `escalate`, which leaves two values on the stack.
Fields EscalateOf(lua_State* lua, const Fields& fields);

// The list `stages`: 2 to kStagesMax tables. What it leaves on the stack goes with the call.
class StageList {
 public:
  StageList(lua_State* lua, const Fields& fields);
  std::int64_t size() const { return size_; }
  Fields At(std::int64_t at) const;  // leaves two values on the stack, for Drop
  void Drop() const;

 private:
  lua_State* lua_;
  int list_;
  std::int64_t size_;
};

}  // namespace interlock::policies
