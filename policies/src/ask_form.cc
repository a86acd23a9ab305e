#include "ask_form.h"

#include "env.h"
#include "freeze.h"
#include "rule_verdict.h"

namespace interlock::policies {

const std::vector<std::string>& AskFields() {
  static const std::vector<std::string> kNames = {"approvers", "quorum", "stages", "expires",
                                                  "escalate",  "remind", "show",   "say"};
  return kNames;
}

bool TakesStages(lua_State* lua, const Fields& fields) {
  if (!fields.Has("stages")) return false;
  if (fields.Has("approvers") || fields.Has("quorum")) {
    Raise(lua, "require_approval has either stages, or approvers and a quorum");
  }
  return true;
}

int QuorumOf(lua_State* lua, const Fields& fields) {
  const std::int64_t quorum = fields.IntegerOr("quorum", 1);
  if (quorum < 1 || quorum > kQuorumMax) Raise(lua, "a quorum is 1 to 16");
  return static_cast<int>(quorum);
}

Fields EscalateOf(lua_State* lua, const Fields& fields) {
  const int table = fields.Push("escalate");
  return {lua, table, "require_approval.escalate", {"after", "to"}};
}

void TakeAskTimes(lua_State* lua, const Fields& fields, ApprovalDemand& demand) {
  demand.expires_ms = fields.SpanMs("expires");
  if (fields.Has("escalate")) {
    const int top = lua_gettop(lua);
    demand.escalate_after_ms = EscalateOf(lua, fields).SpanMs("after");
    lua_settop(lua, top);
    if (demand.escalate_after_ms < 1 || demand.escalate_after_ms >= demand.expires_ms) {
      Raise(lua, "require_approval.escalate.after lies before expires");
    }
  }
  if (!fields.Has("remind")) return;
  demand.remind_ms = fields.SpanMs("remind");
  if (demand.remind_ms < kRemindMsMin || demand.remind_ms >= demand.expires_ms) {
    Raise(lua, "require_approval.remind is a minute or more, and less than expires");
  }
}

StageList::StageList(lua_State* lua, const Fields& fields)
    : lua_(lua), list_(fields.Push("stages")), size_(ListLength(lua, list_)) {
  if (size_ < 2 || size_ > static_cast<std::int64_t>(kStagesMax)) {
    Raise(lua, "require_approval.stages is a list of 2 to 4 stages");
  }
}

Fields StageList::At(std::int64_t at) const {
  PushElement(lua_, list_, at);
  return {lua_,
          lua_gettop(lua_),
          "require_approval.stages[" + std::to_string(at) + "]",
          {"approvers", "quorum"}};
}

void StageList::Drop() const { lua_settop(lua_, list_); }

}  // namespace interlock::policies
