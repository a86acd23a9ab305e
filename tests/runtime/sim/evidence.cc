#include "evidence.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

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
    Below();
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
    std::string starts{};   // the run that it starts
    std::int64_t lent = 0;  // tokens of its run, to that one
    int outcomes = 0;
    std::uint64_t ended_at = 0;  // its newest outcome
  };
  // A run that a call of an agent started.
  struct Started {
    std::string parent;
    std::string call;
    int times = 0;
  };

  struct Asked {
    std::string run{};
    bool over = false;
    int needed = 1;
    int grants = 0;
    std::set<std::string> people;
  };
  struct Tokens {
    std::int64_t most = 0;  // 0: no limit
    std::int64_t lent = 0;
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
      asked_[body.value("approval", "")].run = entry.run;
      Request(body);
    } else if (entry.kind == "approval.consumed") {
      if (!granted_.contains(body.value("approval", ""))) {
        Breach("APPROVED", "an approval of call " + call + " was consumed and never granted");
      }
      if (asked_[body.value("approval", "")].needed > asked_[body.value("approval", "")].grants) {
        Breach("APPROVED", "an approval of call " + call + " was consumed before all had spoken");
      }
      calls_[call].consumed = true;
      asked_[body.value("approval", "")].over = true;
    } else if (entry.kind == "approval.rejected" || entry.kind == "approval.expired" ||
               entry.kind == "approval.voided") {
      asked_[body.value("approval", "")].over = true;
    } else if (entry.kind == "run.waiting") {
      asks_user_[entry.run] = body.value("for", "") == "user";
    } else if (entry.kind == "message.received") {
      asks_user_[entry.run] = false;
    } else if (entry.kind == "call.intended") {
      Intend(call);
      calls_[call].starts = body.value("starts", "");
      Lend(entry.run, calls_[call], body.value("starts_tokens", std::int64_t{0}));
    } else if (entry.kind == "call.outcome") {
      ++calls_[call].outcomes;
      Lend(entry.run, calls_[call], 0);
      calls_[call].ended_at = entry.index;
    } else if (entry.kind.starts_with("budget.")) {
      Charge(entry.kind, body);
    } else if (entry.kind == "run.started") {
      started_.insert(entry.run);
      tokens_[entry.run].most =
          body.value("limits", core::Json::object()).value("tokens", std::int64_t{0});
      const core::Json lineage = body.value("lineage", core::Json());
      if (!lineage.is_object()) return;
      Started& below = below_[entry.run];
      below.parent = lineage.value("parent", "");
      below.call = lineage.value("call", "");
      ++below.times;
    } else if (entry.kind == "run.completed" || entry.kind == "run.failed" ||
               entry.kind == "run.cancelled" || entry.kind == "run.escalated") {
      ended_[entry.run] = entry.index;
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

  // What runs below may use at once is no more than the run may use itself.
  void Lend(const std::string& run, Call& call, std::int64_t tokens) {
    Tokens& of_run = tokens_[run];
    of_run.lent += tokens - std::exchange(call.lent, tokens);
    if (of_run.most > 0 && of_run.lent > of_run.most) {
      Breach("LENT", "run " + run + " has lent more tokens than it may use");
    }
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
      const bool waits = (run.state == RunState::kWaitingForUser && asks_user_[run.id]) ||
                         (run.state == RunState::kWaitingForApproval && HasOpenApproval(run.id)) ||
                         (run.state == RunState::kWaitingForPerson && HasUnknown(run.id)) ||
                         (run.state == RunState::kWaitingForRun && WaitsForOne(run));
      if (IsFinal(run.state) || waits) continue;
      Breach("ENDS", "run " + run.id + " stays " + std::string(RunStateName(run.state)) +
                         ", its newest entry is " + NewestOf(run.id));
    }
  }

  bool HasOpenApproval(const std::string& run) const {
    return std::any_of(asked_.begin(), asked_.end(), [&](const auto& one) {
      const Asked& asked = one.second;
      return asked.run == run && !asked.over && asked.grants < asked.needed;
    });
  }

  bool HasUnknown(const std::string& run) const {
    return std::any_of(
        evidence_.waiting.begin(), evidence_.waiting.end(),
        [&](const CallInfo& call) { return call.run == run && call.state == CallState::kUnknown; });
  }

  std::string NewestOf(const std::string& run) const {
    const auto newest = std::find_if(evidence_.entries.rbegin(), evidence_.entries.rend(),
                                     [&](const audit::Entry& entry) { return entry.run == run; });
    return newest == evidence_.entries.rend() ? "none" : newest->kind;
  }

  bool WaitsForOne(const RunInfo& run) const {
    return std::any_of(run.waits_for.begin(), run.waits_for.end(), [&](const std::string& below) {
      return started_.contains(below) && !ended_.contains(below);
    });
  }

  // A run that an agent started stands in the log once, with the intent that names it; its end is
  // the outcome of that call, once and behind it; and no run ends before those below it.
  void Below() {
    for (const auto& [name, call] : calls_) {
      if (call.starts.empty()) continue;
      const auto below = below_.find(call.starts);
      if (below == below_.end() || below->second.call != name) {
        Breach("BELOW", "call " + name + " started a run that is not there");
      }
      if (call.outcomes > 1) Breach("BELOW", "call " + name + " has two outcomes");
    }
    for (const auto& [run, below] : below_) {
      const Call& call = calls_[below.call];
      if (below.times > 1 || call.starts != run) {
        Breach("BELOW", "run " + run + " was started by no call, or twice");
      }
      const auto end = ended_.find(run);
      const auto above = ended_.find(below.parent);
      if (call.outcomes > 0 && (end == ended_.end() || end->second > call.ended_at)) {
        Breach("BELOW", "call " + below.call + " ended before its run " + run);
      }
      if (above != ended_.end() && (call.outcomes == 0 || call.ended_at > above->second)) {
        Breach("BELOW", "run " + below.parent + " ended before its run " + run);
      }
    }
  }

  void Kept() {
    for (const std::string& run : evidence_.acknowledged) {
      if (!started_.contains(run)) Breach("KEPT", "run " + run + " was acknowledged and is gone");
    }
  }

  const Evidence& evidence_;
  std::map<std::string, Call> calls_;
  std::set<std::string> granted_;
  std::map<std::string, Asked> asked_;     // by approval
  std::map<std::string, bool> asks_user_;  // by run: its newest word is a question
  std::set<std::string> started_;
  std::map<std::string, Started> below_;        // by run
  std::map<std::string, std::uint64_t> ended_;  // runs
  std::map<std::string, Tokens> tokens_;        // by run
  std::map<std::string, std::int64_t> holds_;
  std::int64_t settled_ = 0;
  std::vector<std::string> breaches_;
};

}  // namespace

std::vector<std::string> Breaches(const Evidence& evidence) { return Checker(evidence).Run(); }

}  // namespace interlock::runtime::sim
