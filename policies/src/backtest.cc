#include "policies/backtest.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "policies/budget.h"
#include "stated_case.h"

namespace interlock::policies {
namespace {

// Budgets and counters as the candidate would have left them. Not thread-safe.
class SimulatedState final : public StateReader {
 public:
  // What the record says of balances, for those that were never read before.
  void Begin(const DecisionInput& input) {
    recorded_ = input.state;
    now_us_ = input.now_us;
    if (began_us_ == 0) began_us_ = now_us_;
  }
  // Whether anything read since the last call of this looks back to before the record, which says
  // nothing of it: there may have been more.
  bool TakeSeeded() { return std::exchange(seeded_, false); }

  VersionedRead BudgetUsed(const BudgetDecl& budget, std::string_view scope) const override {
    const std::int64_t start = WindowStart(now_us_, budget.window_ms);
    const auto key = std::tuple(budget.name, std::string(scope), start);
    const auto at = used_.find(key);
    const std::string name = Name(budget, scope);
    if (at == used_.end()) NoteFirst(recorded_->BudgetUsed(budget, scope), name, used_[key]);
    NoteLook(name, start);
    return {name, 0, used_[key]};
  }

  VersionedRead Count(std::string_view key, std::int64_t per_ms,
                      std::int64_t now_us) const override {
    auto at = counted_.find(std::string(key));
    const std::string name = "counter/" + std::string(key);
    if (at == counted_.end()) {
      std::int64_t before = 0;
      NoteFirst(recorded_->Count(key, per_ms, now_us), name, before);
      at = counted_.emplace(std::string(key), std::vector<std::int64_t>(Slots(before), now_us))
               .first;
    }
    NoteLook(name, now_us - per_ms * 1000);
    const std::vector<std::int64_t>& times = at->second;
    const auto first = std::upper_bound(times.begin(), times.end(), now_us - per_ms * 1000);
    return {name, 0, times.end() - first};
  }

  VersionedRead Sum(std::string_view key, std::int64_t per_ms, std::int64_t now_us) const override {
    auto at = summed_.find(std::string(key));
    const std::string name = "sum/" + std::string(key);
    if (at == summed_.end()) {
      std::int64_t before = 0;
      NoteFirst(recorded_->Sum(key, per_ms, now_us), name, before);
      at = summed_.emplace(std::string(key), Amounts{{now_us, before}}).first;
    }
    NoteLook(name, now_us - per_ms * 1000);
    std::int64_t sum = 0;
    for (auto one = at->second.upper_bound(now_us - per_ms * 1000); one != at->second.end();
         ++one) {
      if (__builtin_add_overflow(sum, one->second, &sum)) sum = INT64_MAX;
    }
    return {"counter/" + std::string(key), 0, sum};
  }

  // The call went on.
  void Take(const Decision& decision) {
    for (const Reservation& one : decision.reservations) {
      used_[std::tuple(one.budget.name, one.scope, one.window_start_us)] += one.amount;
    }
    for (const LimitUse& one : decision.limits) Note(one.key);
    for (const Tally& one : decision.tallies) {
      Note(one.key);
      if (one.summed) summed_[one.key].emplace(now_us_, one.amount);
    }
  }

 private:
  using Amounts = std::multimap<std::int64_t, std::int64_t>;  // by time

  // Another rule may count further back than the one that took the slot: none is forgotten.
  void Note(const std::string& key) {
    std::vector<std::int64_t>& times = counted_[key];
    times.insert(std::upper_bound(times.begin(), times.end(), now_us_), now_us_);
  }
  void NoteFirst(const VersionedRead& stated, const std::string& name, std::int64_t& value) const {
    value = stated.value;
    if (stated.version != kStatedVersion) unstated_.insert(name);
  }
  void NoteLook(const std::string& name, std::int64_t from_us) const {
    seeded_ = seeded_ || (from_us < began_us_ && unstated_.contains(name));
  }
  static std::size_t Slots(std::int64_t count) {
    constexpr std::int64_t kMost = 100'000;
    return static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, kMost));
  }
  static std::string Name(const BudgetDecl& budget, std::string_view scope) {
    return "budget/" + budget.name + "/" + std::string(scope);
  }

  const StateReader* recorded_ = nullptr;
  std::int64_t now_us_ = 0;
  mutable std::map<std::tuple<std::string, std::string, std::int64_t>, std::int64_t> used_;
  mutable std::map<std::string, std::vector<std::int64_t>> counted_;  // times, ascending
  mutable std::map<std::string, Amounts> summed_;
  std::int64_t began_us_ = 0;  // of the record
  mutable std::set<std::string>
      unstated_;  // what the record said nothing of when it was first read
  mutable bool seeded_ = false;
};

class Backtester {
 public:
  Backtester(std::shared_ptr<const Bundle> candidate, const BacktestOptions& options)
      : bundle_(std::move(candidate)), options_(options) {}

  BacktestReport Run(const std::vector<RecordedDecision>& recorded) {
    auto engine = Engine::Make(bundle_);
    if (!engine.ok()) {
      report_.undecidable["the bundle makes no engine"] = recorded.size();
      return std::move(report_);
    }
    engine_ = *std::move(engine);
    for (const RecordedDecision& one : recorded) Again(one);
    for (auto& [key, change] : changes_) report_.changes.push_back(std::move(change));
    std::stable_sort(
        report_.changes.begin(), report_.changes.end(),
        [](const BacktestChange& a, const BacktestChange& b) { return a.calls > b.calls; });
    return std::move(report_);
  }

 private:
  void Again(const RecordedDecision& was) {
    const bool counts = was.time_us >= options_.since_us;
    const auto undecidable = [&](const std::string& why) { report_.undecidable[why] += counts; };
    if (const std::string why = WhyUndecidable(*bundle_, was); !why.empty()) {
      return undecidable(why);
    }
    const auto is = DecideInRounds(*bundle_, was.input, [&](DecisionInput input) {
      state_.Begin(input);
      input.state = &state_;
      return engine_->Decide(input);
    });
    const bool seeded = state_.TakeSeeded();
    if (!is.ok()) return undecidable(std::string(core::Message(is.status())));
    if (!is->call->missing_facts().empty()) {
      return undecidable("nobody recorded the fact `" + is->call->missing_facts().front() + "`");
    }
    if (Goes(was, is->decision)) state_.Take(is->decision);
    if (!counts) return;
    report_.seeded += seeded;
    Compare(was, is->decision, seeded);
  }

  // Whether the call would have gone on: a no is a no still, the gate's own too; a new demand is as
  // assumed.
  bool Goes(const RecordedDecision& was, const Decision& is) const {
    if (is.verdict == Verdict::kDeny || !was.gate.empty()) return false;
    for (const ApprovalDemand& demand : is.demands) {
      const bool known =
          std::find(was.asked_by.begin(), was.asked_by.end(), demand.rule) != was.asked_by.end();
      if (known ? !was.granted : options_.assume == Assume::kRefused) return false;
    }
    return true;
  }

  static std::string Said(std::string_view verdict, const std::string& code) {
    // What was changed and then allowed went on.
    std::string text(verdict == "modify" ? "allow" : verdict);
    if (verdict == "deny") text += " " + code;
    return text;
  }

  void Compare(const RecordedDecision& was, const Decision& is, bool seeded) {
    ++report_.decisions;
    const std::string before = Said(was.verdict, was.code);
    const std::string after = Said(VerdictName(is.verdict), is.code);
    if (before == after) {
      ++report_.same;
      return;
    }
    report_.newly_allowed += after == "allow";
    report_.newly_denied += is.verdict == Verdict::kDeny && was.verdict != "deny";
    std::set<std::string> rules;
    for (const FiredRule& rule : is.rules) {
      if (rule.verdict == "deny" || rule.verdict == "error" || rule.verdict == "ask" ||
          (after == "allow" && rule.verdict == "allow")) {
        rules.insert(rule.id);
      }
    }
    BacktestChange change{
        .tool = was.tool, .change = before + " -> " + after, .rules = {rules.begin(), rules.end()}};
    const auto key = std::tuple(change.tool, change.change, change.rules);
    BacktestChange& group = changes_.try_emplace(key, std::move(change)).first->second;
    ++group.calls;
    group.seeded += seeded;
    if (!was.currency.empty()) group.money[was.currency] += was.amount;
    if (group.examples.size() < kBacktestExamplesMax) group.examples.push_back(was.call);
  }

  std::shared_ptr<const Bundle> bundle_;
  const BacktestOptions& options_;
  std::unique_ptr<Engine> engine_;
  SimulatedState state_;
  BacktestReport report_;
  std::map<std::tuple<std::string, std::string, std::vector<std::string>>, BacktestChange> changes_;
};

}  // namespace

BacktestReport Backtest(const std::shared_ptr<const Bundle>& candidate,
                        std::vector<RecordedDecision> recorded, const BacktestOptions& options) {
  std::stable_sort(
      recorded.begin(), recorded.end(),
      [](const RecordedDecision& a, const RecordedDecision& b) { return a.time_us < b.time_us; });
  return Backtester(candidate, options).Run(recorded);
}

}  // namespace interlock::policies
