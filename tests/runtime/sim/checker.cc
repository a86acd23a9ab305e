#include "checker.h"

#include <algorithm>

namespace interlock::runtime::sim {
namespace {

constexpr const char* kPurse = "purse";
constexpr std::int64_t kNone = 0;

std::int64_t NumberIn(const core::Json& body, const char* name) {
  return std::stoll(body.value(name, "0"));
}

bool EndsRun(std::string_view kind) {
  return kind == "run.completed" || kind == "run.failed" || kind == "run.cancelled" ||
         kind == "run.escalated";
}

bool EndsApproval(std::string_view kind) {
  return kind == "approval.consumed" || kind == "approval.rejected" || kind == "approval.expired" ||
         kind == "approval.voided";
}

}  // namespace

// ---------------------------------------------------------------- entry by entry

void Checker::Read(const audit::Entry& entry) {
  ++kinds_[entry.kind];
  // What somebody tried in vain moves no run.
  const bool moves = !entry.run.empty() && entry.kind != "call.edit_refused";
  if (moves) newest_[entry.run] = entry.kind;
  const std::string_view area = std::string_view(entry.kind).substr(0, entry.kind.find('.'));
  if (area != "call" && area != "approval" && area != "budget" && area != "run" &&
      area != "switch" && area != "message" && area != "plan") {
    return;
  }
  const auto parsed = core::ParseJson(entry.bytes, core::kPayloadLimits);
  if (!parsed.ok()) return Breach("VERIFIES", "entry " + std::to_string(entry.index));
  const core::Json& body = (*parsed)["body"];
  const std::string call = body.value("call", "");
  if (area == "call") return ReadCall(entry, call, body);
  if (area == "approval") return ReadApproval(entry, call, body);
  if (area == "budget") return Charge(entry.kind, body);
  if (area == "switch") return ReadSwitch(entry.kind, body);
  if (area == "plan") return ReadPlan(entry, body);
  if (area == "message") {
    asks_user_[entry.run] = false;
    return;
  }
  ReadRun(entry, body);
}

// A request that a client sends again begins nothing again.
void Checker::Once(const std::string& request, const std::string& what) {
  if (!request.empty() && !requests_.insert(request).second) {
    Breach("ONCE", what + " was begun by a request that had begun one");
  }
}

void Checker::ReadCall(const audit::Entry& entry, const std::string& id, const core::Json& body) {
  Call& call = calls_[id];
  if (entry.kind == "call.proposed") {
    call.run = entry.run;
    call.tool = body.value("tool", "");
    call.principal = body.value("principal", "");
    if (entry.run.empty()) Once(body.value("request", ""), "call " + id);
  } else if (entry.kind == "call.decided") {
    call.allowed = body.value("effect", "") == "allow";
    call.by_rule = !body.value("rules", core::Json::array()).empty();
  } else if (entry.kind == "call.edited") {
    // What was decided and granted before was about other arguments.
    call.allowed = false;
    call.consumed = false;
    call.editors = body.value("editors", call.editors);
  } else if (entry.kind == "call.intended") {
    Intend(id, call);
    call.starts = body.value("starts", "");
    Lend(entry.run, call, body.value("starts_tokens", kNone));
  } else if (entry.kind == "call.outcome") {
    ++call.outcomes;
    Lend(entry.run, call, 0);
    tokens_[entry.run].used += body.value("ended", core::Json::object()).value("tokens", kNone);
    call.ended_at = entry.index;
  }
}

void Checker::ReadApproval(const audit::Entry& entry, const std::string& call,
                           const core::Json& body) {
  const std::string id = body.value("approval", "");
  Asked& asked = asked_[id];
  if (entry.kind == "approval.requested") {
    asked.run = entry.run;
    Request(asked, body);
  } else if (entry.kind == "approval.granted") {
    granted_.insert(id);
    Grant(asked, call, body);
  } else if (entry.kind == "approval.consumed") {
    if (!granted_.contains(id)) {
      Breach("APPROVED", "an approval of call " + call + " was consumed and never granted");
    }
    if (asked.needed > asked.grants) {
      Breach("APPROVED", "an approval of call " + call + " was consumed before all had spoken");
    }
    if (asked.over)
      Breach("APPROVED", "an approval of call " + call + " was consumed after its end");
    calls_[call].consumed = true;
  }
  if (EndsApproval(entry.kind)) asked.over = true;
}

void Checker::ReadRun(const audit::Entry& entry, const core::Json& body) {
  if (entry.kind == "run.waiting") {
    asks_user_[entry.run] = body.value("for", "") == "user";
  } else if (EndsRun(entry.kind)) {
    ended_[entry.run] = entry.index;
  } else if (entry.kind == "run.started") {
    started_.insert(entry.run);
    Once(body.value("request", ""), "run " + entry.run);
    tokens_[entry.run].most =
        body.value("limits", core::Json::object()).value("tokens", std::int64_t{0});
    const core::Json lineage = body.value("lineage", core::Json());
    if (!lineage.is_object()) return;
    Started& below = below_[entry.run];
    below.parent = lineage.value("parent", "");
    below.call = lineage.value("call", "");
    ++below.times;
  }
}

void Checker::ReadSwitch(const std::string& kind, const core::Json& body) {
  const std::string name = body.value("switch", "");
  if (kind == "switch.set") switches_.insert(name);
  if (kind == "switch.lifted") switches_.erase(name);
}

// Of all its stages.
void Checker::Request(Asked& asked, const core::Json& body) {
  asked.needed = body.value("quorum", 1);
  if (!body.contains("stages")) return;
  asked.needed = 0;
  for (const core::Json& stage : body["stages"]) asked.needed += stage.value("quorum", 1);
}

// Nobody speaks twice, neither for himself nor for whom he stands in for; whoever asked, or wrote
// what is asked, does not speak.
void Checker::Grant(Asked& asked, const std::string& call, const core::Json& body) {
  ++asked.grants;
  const std::string by = body.value("by", "");
  const std::string right = body.value("for", by);
  const bool fresh = asked.people.insert(by).second;
  const bool unused = right == by || asked.people.insert(right).second;
  if (!fresh || !unused) Breach("APPROVED", by + " spoke twice about call " + call);
  if (by == "principal:" + calls_[call].principal) {
    Breach("APPROVED", "the requester granted an approval of call " + call);
  }
  if (calls_[call].editors.contains(by)) {
    Breach("APPROVED", by + " granted what he had edited: call " + call);
  }
}

void Checker::Intend(const std::string& name, Call& call) {
  call.intended = true;
  const bool may = (call.allowed && call.by_rule) || call.consumed;
  if (!may) Breach("DECIDED", "call " + name + " was intended and no rule had allowed it");
  if (switches_.contains("all") || switches_.contains("tool:" + call.tool)) {
    Breach("STOPPED", "call " + name + " of `" + call.tool + "` was intended under a kill switch");
  }
}

bool Checker::HasIntent(const std::string& call) const {
  const auto at = calls_.find(call);
  return at != calls_.end() && at->second.intended;
}

// Of replies that gave no plan, too.
void Checker::ReadPlan(const audit::Entry& entry, const core::Json& body) {
  if (entry.kind != "plan.received") return;
  for (const core::Json& of : {body, body.value("spent", core::Json::object())}) {
    tokens_[entry.run].used += of.value("tokens_in", kNone) + of.value("tokens_out", kNone);
  }
}

// What runs below may use at once is no more than what the run has left itself when they start.
void Checker::Lend(const std::string& run, Call& call, std::int64_t tokens) {
  Tokens& of_run = tokens_[run];
  of_run.lent += tokens - std::exchange(call.lent, tokens);
  if (tokens > 0 && of_run.most > 0 && of_run.used + of_run.lent > of_run.most) {
    Breach("LENT", "run " + run + " has lent more tokens than it has left");
  }
}

void Checker::Charge(const std::string& kind, const core::Json& body) {
  const std::int64_t amount = NumberIn(body, "amount");
  const std::string hold = body.value("hold", "");
  const std::string name = body.value("budget", kPurse);
  if (kind == "budget.held") {
    Account& account =
        accounts_[name + "/" + body.value("scope", "") + "/" + body.value("window_us", "")];
    account.budget = name;
    account.held += amount;
    holds_[hold] = {&account, amount};
    const std::int64_t limit = name == kPurse ? kBudget * 100 : NumberIn(body, "limit");
    if (account.settled + account.held > limit)
      Breach("BUDGET", "more of `" + name + "` is held and spent than there is");
    return;
  }
  const auto at = holds_.find(hold);
  if (at == holds_.end()) return Breach("BUDGET", "hold " + hold + " ended twice or never was");
  const Hold held = at->second;
  holds_.erase(at);
  held.account->held -= held.amount;
  if (kind != "budget.settled") return;
  // A model may have written more than was expected of it; money never moves beyond its hold.
  if (amount > held.amount && name == kPurse) {
    Breach("BUDGET", "hold " + hold + " was settled above itself");
  }
  held.account->settled += amount;
}

bool Checker::Budgets(const std::vector<BudgetInfo>& budgets) {
  const std::size_t before = breaches_.size();
  std::map<std::string, Account> engines;
  for (const BudgetInfo& budget : budgets) {
    engines[budget.name].held += budget.held;
    engines[budget.name].settled += budget.settled;
  }
  std::map<std::string, Account> logs;
  for (const auto& [key, account] : accounts_) {
    logs[account.budget].held += account.held;
    logs[account.budget].settled += account.settled;
  }
  for (const auto& [name, engine] : engines) logs[name];  // also what the log has nothing of
  for (const auto& [name, log] : logs) {
    const Account& engine = engines[name];
    if (engine.held == log.held && engine.settled == log.settled) continue;
    Breach("BUDGET", "of `" + name + "` the engine has " + std::to_string(engine.settled) +
                         " settled and " + std::to_string(engine.held) + " held, the log " +
                         std::to_string(log.settled) + " and " + std::to_string(log.held));
  }
  return breaches_.size() == before;
}

// ---------------------------------------------------------------- waiting

void Checker::Waits(When when, const std::vector<RunInfo>& runs,
                    const std::vector<CallInfo>& calls) {
  const auto has_unknown = [&calls](const std::string& run) {
    return std::any_of(calls.begin(), calls.end(), [&run](const CallInfo& call) {
      return call.run == run && call.state == CallState::kUnknown;
    });
  };
  for (const RunInfo& run : runs) {
    const bool waits = (run.state == RunState::kWaitingForUser && asks_user_[run.id]) ||
                       (run.state == RunState::kWaitingForApproval && HasOpenApproval(run.id)) ||
                       (run.state == RunState::kWaitingForPerson && has_unknown(run.id)) ||
                       (run.state == RunState::kWaitingForSwitch && MayBeStopped(when)) ||
                       (run.state == RunState::kWaitingForRun && WaitsForOne(when, run));
    if (IsFinal(run.state) || waits) continue;
    const auto newest = newest_.find(run.id);
    const bool taken_up = run.state == RunState::kWaitingForApproval && newest != newest_.end() &&
                          newest->second.starts_with("approval.");
    if (when == When::kOnTheWay && taken_up) continue;
    Breach("ENDS", "run " + run.id + " stays " + std::string(RunStateName(run.state)) +
                       ", its newest entry is " +
                       (newest == newest_.end() ? "none" : newest->second));
  }
}

bool Checker::MayBeStopped(When when) const {
  return when == When::kOnTheWay || !switches_.empty();
}

bool Checker::HasOpenApproval(const std::string& run) const {
  return std::any_of(asked_.begin(), asked_.end(), [&](const auto& one) {
    const Asked& asked = one.second;
    return asked.run == run && !asked.over && asked.grants < asked.needed;
  });
}

bool Checker::WaitsForOne(When when, const RunInfo& run) const {
  return std::any_of(run.waits_for.begin(), run.waits_for.end(), [&](const std::string& below) {
    return started_.contains(below) && (when == When::kOnTheWay || !ended_.contains(below));
  });
}

// ---------------------------------------------------------------- at the end

std::vector<std::string> Checker::Finish(const Evidence& evidence) {
  Intents(evidence);
  Effects(evidence);
  Allowed(evidence);
  Money(evidence);
  Waits(When::kAtEnd, evidence.runs, evidence.waiting);
  Below();
  TakenBack(evidence);
  Kept(evidence);
  Waited(evidence);
  if (evidence.verdict != "intact") Breach("VERIFIES", evidence.verdict);
  for (const std::string& run : evidence.diverged) Breach("REPLAYS", run);
  for (const std::string& what : evidence.mislabelled) breaches_.push_back(what);
  for (const std::string& what : evidence.trespasses) Breach("OWN", what);
  for (const std::string& breach : evidence.on_the_way) breaches_.push_back(breach);
  return std::move(breaches_);
}

void Checker::Intents(const Evidence& evidence) {
  for (const std::string& call : evidence.without_intent) {
    Breach("INTENT", "call " + call + " had its effect before its intent was durable");
  }
  for (const Effect& effect : evidence.effects) {
    if (!HasIntent(effect.call)) Breach("INTENT", "the log has no intent of call " + effect.call);
  }
}

void Checker::Effects(const Evidence& evidence) {
  std::map<std::string, int> times;
  for (const Effect& effect : evidence.effects) {
    const bool keyed = effect.tool == kRefund || effect.tool == kCancelStay;
    const std::string key = effect.tool + " of " + (keyed ? effect.object : effect.call);
    if (++times[key] == 2) Breach("ONCE", key + " happened twice");
  }
  for (const auto& [request, answers] : evidence.answers) {
    if (answers.size() > 1) Breach("ONCE", "request " + request + " was answered with two things");
  }
}

void Checker::Allowed(const Evidence& evidence) {
  for (const Effect& effect : evidence.effects) {
    if (effect.tool != kRefund) continue;
    if (effect.amount_minor > kNeverAbove * 100 || effect.amount_minor <= 0) {
      Breach("DECIDED", "a refund that the policy denies happened: call " + effect.call);
    }
    if (effect.amount_minor > kAskAbove * 100 && !calls_[effect.call].consumed) {
      Breach("APPROVED", "nobody approved call " + effect.call);
    }
  }
}

std::int64_t Checker::SettledOf(const std::string& budget) const {
  std::int64_t settled = 0;
  for (const auto& [key, account] : accounts_) {
    if (account.budget == budget) settled += account.settled;
  }
  return settled;
}

void Checker::Money(const Evidence& evidence) {
  std::int64_t moved = 0;
  for (const Effect& effect : evidence.effects) moved += effect.amount_minor;
  if (moved > kBudget * 100) Breach("BUDGET", "more money moved than there is");
  static_cast<void>(Budgets(evidence.budgets));
  if (SettledOf(kPurse) < moved) Breach("BUDGET", "money moved that no budget was charged for");
  if (!holds_.empty() && evidence.waiting.empty()) Breach("BUDGET", "a hold is left");
}

// A run that an agent started stands in the log once, with the intent that names it; its end is
// the outcome of that call, once and behind it; and no run ends before those below it.
void Checker::Below() {
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

// What a run did and answered for is the business of the run above it.
Checker::Fate Checker::FateOf(const std::string& run,
                              const std::map<std::string, RunState>& ends) const {
  const auto end = ends.find(run);
  if (end == ends.end()) return Fate::kEither;
  switch (end->second) {
    case RunState::kFailed:
    case RunState::kCancelled:
      return Fate::kGoes;
    case RunState::kCompleted: {
      const auto below = below_.find(run);
      return below == below_.end() ? Fate::kStays : FateOf(below->second.parent, ends);
    }
    default:  // a person sees to what an escalated or uncompensated run left
      return Fate::kEither;
  }
}

// What was booked is cancelled when its run, or one above that it had answered, failed or was
// cancelled, unless that says what it left; otherwise it stays; and nothing else is ever cancelled.
void Checker::TakenBack(const Evidence& evidence) {
  std::map<std::string, RunState> ends;
  for (const RunInfo& run : evidence.runs) ends[run.id] = run.state;
  std::set<std::string> cancelled;
  std::set<std::string> booked;
  for (const Effect& effect : evidence.effects) {
    if (effect.tool == kCancelStay) cancelled.insert(effect.object);
    if (effect.tool == kBookStay) booked.insert(effect.object);
  }
  for (const std::string& stay : cancelled) {
    if (!booked.contains(stay)) Breach("TAKEN_BACK", "stay " + stay + " was never booked");
  }
  for (const std::string& stay : booked) {
    const std::string& run = calls_[stay].run;  // a stay is named by its call
    const Fate fate = FateOf(run, ends);
    const bool back = cancelled.contains(stay);
    if (back && fate == Fate::kStays) {
      Breach("TAKEN_BACK", "run " + run + " did its work, and its stay was cancelled");
    }
    if (!back && fate == Fate::kGoes) {
      Breach("TAKEN_BACK",
             "run " + run + " failed, and its stay of call " + stay + " stands and is not told of");
    }
  }
}

void Checker::Kept(const Evidence& evidence) {
  for (const std::string& run : evidence.acknowledged) {
    if (!started_.contains(run)) Breach("KEPT", "run " + run + " was acknowledged and is gone");
  }
  for (const auto& [request, answers] : evidence.answers) {
    if (!requests_.contains(request)) {
      Breach("KEPT", "request " + request + " was answered, and the log has nothing of it");
    }
  }
}

// Before the decision nothing happens for who has left; behind it what changes anything goes on.
void Checker::Waited(const Evidence& evidence) {
  for (const std::string& request : evidence.for_nobody) {
    if (requests_.contains(request)) {
      Breach("WAITED", "request " + request + " was made for nobody and began something");
    }
  }
  for (const std::string& call : evidence.hurried) {
    Breach("WAITED", "call " + call + " changes something, and was not given its own time");
  }
}

std::vector<std::string> Breaches(const Evidence& evidence) {
  Checker checker;
  for (const audit::Entry& entry : evidence.entries) checker.Read(entry);
  return checker.Finish(evidence);
}

}  // namespace interlock::runtime::sim
