#include "evidence.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/json.h"

namespace interlock::runtime::sim {
namespace {

class Checker {
 public:
  explicit Checker(const Evidence& evidence) : evidence_(evidence) {
    for (const audit::Entry& entry : evidence.entries) Read(entry);
  }

  std::vector<std::string> Run() {
    Intents();
    Once();
    Allowed();
    Money();
    Ends();
    Kept();
    if (evidence_.verdict != "intact") Breach("VERIFIES", evidence_.verdict);
    for (const std::string& run : evidence_.diverged) Breach("REPLAYS", run);
    return std::move(breaches_);
  }

 private:
  struct Call {
    bool intended = false;
    bool allowed = false;   // its newest decision before the intent, or approvals that it consumed
    bool consumed = false;  // an approval
    bool by_rule = false;
  };

  struct Asked {
    int needed = 1;
    int grants = 0;
    std::set<std::string> people;
  };

  void Breach(const std::string& property, const std::string& what) {
    breaches_.push_back(property + ": " + what);
  }

  void Read(const audit::Entry& entry) {
    const auto parsed = core::ParseJson(entry.bytes, core::kPayloadLimits);
    if (!parsed.ok()) return Breach("VERIFIES", "entry " + std::to_string(entry.index));
    const core::Json& body = (*parsed)["body"];
    const std::string call = body.value("call", "");
    if (entry.kind == "call.decided") {
      calls_[call].allowed = body.value("effect", "") == "allow";
      calls_[call].by_rule = !body.value("rules", core::Json::array()).empty();
    } else if (entry.kind == "approval.granted") {
      if (body.value("by", "") == "principal:" + evidence_.requester) {
        Breach("APPROVED", "the requester granted an approval of call " + call);
      }
      granted_.insert(body.value("approval", ""));
      Grant(call, body);
    } else if (entry.kind == "approval.requested") {
      Request(body);
    } else if (entry.kind == "approval.consumed") {
      if (!granted_.contains(body.value("approval", ""))) {
        Breach("APPROVED", "an approval of call " + call + " was consumed and never granted");
      }
      if (asked_[body.value("approval", "")].needed > asked_[body.value("approval", "")].grants) {
        Breach("APPROVED", "an approval of call " + call + " was consumed before all had spoken");
      }
      calls_[call].consumed = true;
    } else if (entry.kind == "call.intended") {
      Intend(call);
    } else if (entry.kind.starts_with("budget.")) {
      Charge(entry.kind, body);
    } else if (entry.kind == "run.started") {
      started_.insert(entry.run);
    }
  }

  // Of all its stages.
  void Request(const core::Json& body) {
    int& needed = asked_[body.value("approval", "")].needed;
    needed = body.value("quorum", 1);
    if (!body.contains("stages")) return;
    needed = 0;
    for (const core::Json& stage : body["stages"]) needed += stage.value("quorum", 1);
  }

  // Nobody speaks twice, neither for himself nor for whom he stands in for.
  void Grant(const std::string& call, const core::Json& body) {
    Asked& asked = asked_[body.value("approval", "")];
    ++asked.grants;
    const std::string by = body.value("by", "");
    const std::string right = body.value("for", by);
    const bool fresh = asked.people.insert(by).second;
    const bool unused = right == by || asked.people.insert(right).second;
    if (!fresh || !unused) Breach("APPROVED", by + " spoke twice about call " + call);
  }

  void Intend(const std::string& name) {
    Call& call = calls_[name];
    call.intended = true;
    const bool may = (call.allowed && call.by_rule) || call.consumed;
    if (!may) Breach("DECIDED", "call " + name + " was intended and no rule had allowed it");
  }

  void Charge(const std::string& kind, const core::Json& body) {
    const std::int64_t amount = std::stoll(body.value("amount", "0"));
    const std::string hold = body.value("hold", "");
    if (kind == "budget.held") {
      holds_[hold] = amount;
      return;
    }
    const auto held = holds_.find(hold);
    if (held == holds_.end()) return Breach("BUDGET", "hold " + hold + " ended twice or never was");
    if (kind == "budget.settled") {
      if (amount > held->second) Breach("BUDGET", "hold " + hold + " was settled above itself");
      settled_ += amount;
    }
    holds_.erase(held);
    std::int64_t held_now = 0;
    for (const auto& [name, still] : holds_) held_now += still;
    if (settled_ + held_now > kBudget * 100)
      Breach("BUDGET", "more is held and spent than there is");
  }

  void Intents() {
    for (const std::string& call : evidence_.without_intent) {
      Breach("INTENT", "call " + call + " had its effect before its intent was durable");
    }
    for (const Effect& effect : evidence_.effects) {
      const auto call = calls_.find(effect.call);
      if (call == calls_.end() || !call->second.intended) {
        Breach("INTENT", "the log has no intent of call " + effect.call);
      }
    }
  }

  void Once() {
    std::map<std::string, int> times;
    for (const Effect& effect : evidence_.effects) {
      const bool refund = effect.tool == "pay.refund";
      const std::string key =
          refund ? "refund of " + effect.object : effect.tool + " " + effect.call;
      if (++times[key] == 2) Breach("ONCE", key + " happened twice");
    }
  }

  void Allowed() {
    for (const Effect& effect : evidence_.effects) {
      if (effect.tool != "pay.refund") continue;
      if (effect.amount_minor > kNeverAbove * 100 || effect.amount_minor <= 0) {
        Breach("DECIDED", "a refund that the policy denies happened: call " + effect.call);
      }
      if (effect.amount_minor > kAskAbove * 100 && !calls_[effect.call].consumed) {
        Breach("APPROVED", "nobody approved call " + effect.call);
      }
    }
  }

  void Money() {
    std::int64_t moved = 0;
    for (const Effect& effect : evidence_.effects) moved += effect.amount_minor;
    if (moved > kBudget * 100) Breach("BUDGET", "more money moved than there is");
    if (evidence_.purse.settled != settled_) {
      Breach("BUDGET", "the engine has " + std::to_string(evidence_.purse.settled) +
                           " settled, the log " + std::to_string(settled_));
    }
    if (settled_ < moved) Breach("BUDGET", "money moved that no budget was charged for");
    if (!holds_.empty() && evidence_.waiting.empty()) Breach("BUDGET", "a hold is left");
  }

  void Ends() {
    for (const RunInfo& run : evidence_.runs) {
      const bool waits = run.state == RunState::kWaitingForUser ||
                         run.state == RunState::kWaitingForApproval ||
                         run.state == RunState::kWaitingForPerson;
      if (IsFinal(run.state) || waits) continue;
      Breach("ENDS", "run " + run.id + " stays " + std::string(RunStateName(run.state)) +
                         ", its newest entry is " + NewestOf(run.id));
    }
  }

  std::string NewestOf(const std::string& run) const {
    const auto newest = std::find_if(evidence_.entries.rbegin(), evidence_.entries.rend(),
                                     [&](const audit::Entry& entry) { return entry.run == run; });
    return newest == evidence_.entries.rend() ? "none" : newest->kind;
  }

  void Kept() {
    for (const std::string& run : evidence_.acknowledged) {
      if (!started_.contains(run)) Breach("KEPT", "run " + run + " was acknowledged and is gone");
    }
  }

  const Evidence& evidence_;
  std::map<std::string, Call> calls_;
  std::set<std::string> granted_;
  std::map<std::string, Asked> asked_;  // by approval
  std::set<std::string> started_;
  std::map<std::string, std::int64_t> holds_;
  std::int64_t settled_ = 0;
  std::vector<std::string> breaches_;
};

}  // namespace

std::vector<std::string> Breaches(const Evidence& evidence) { return Checker(evidence).Run(); }

}  // namespace interlock::runtime::sim
