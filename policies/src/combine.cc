#include "combine.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/money.h"
#include "policies/budget.h"

namespace interlock::policies {
namespace {

constexpr std::string_view kErrorSay = "A rule could not decide about this call, so it is denied.";

class Combiner {
 public:
  Combiner(const DecisionInput& input, const std::vector<BudgetDecl>& budgets, Decision& decision)
      : input_(input), budgets_(budgets), decision_(decision) {}

  void Take(const RuleOutcome& outcome) {
    if (!outcome.error_code.empty()) {
      Fired(outcome, "error", outcome.error_code, "", outcome.error, outcome.line);
      return;
    }
    if (outcome.verdict) TakeVerdict(outcome, *outcome.verdict);
  }

  void Finish() {
    ApplyChanges();
    if (decision_.verdict != Verdict::kModify) Conclude();
    const bool goes = decision_.verdict == Verdict::kAllow || decision_.verdict == Verdict::kAsk;
    if (!goes) DropWhatNeverHappens();
    SortReads();
  }

 private:
  void Fired(const RuleOutcome& outcome, std::string_view verdict, std::string_view code,
             std::string_view say, std::string_view because, int line) {
    decision_.rules.push_back({.id = outcome.rule->id,
                               .verdict = std::string(verdict),
                               .code = std::string(code),
                               .say = std::string(say),
                               .because = std::string(because),
                               .line = line});
  }

  void TakeVerdict(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    switch (verdict.kind) {
      case VerdictKind::kAllow:
        allowed_ = true;
        return Fired(outcome, "allow", "", "", "", verdict.line);
      case VerdictKind::kDeny:
        return TakeDeny(outcome, verdict);
      case VerdictKind::kAsk:
        return TakeAsk(outcome, verdict);
      case VerdictKind::kModify:
        modifies_.push_back(&outcome);
        return Fired(outcome, "modify", "", "", "", verdict.line);
      case VerdictKind::kLimit:
        return TakeLimit(outcome, verdict);
      case VerdictKind::kReserve:
        return TakeReserve(outcome, verdict);
      case VerdictKind::kNote:
        return Fired(outcome, "note", "", "", verdict.because, verdict.line);
    }
  }

  void TakeDeny(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    Fired(outcome, "deny", verdict.code, verdict.say, verdict.because, verdict.line);
    if (!verdict.changes.is_object()) return;
    if (decision_.fix.is_null()) decision_.fix = core::Json::object();
    for (const auto& item : verdict.changes.items()) {
      if (!decision_.fix.contains(item.key())) decision_.fix[item.key()] = item.value();
    }
  }

  void TakeAsk(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    ApprovalDemand demand = verdict.demand;
    demand.rule = outcome.rule->id;
    Fired(outcome, "ask", "", demand.say, "", verdict.line);
    decision_.demands.push_back(std::move(demand));
  }

  void TakeLimit(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    if (input_.state == nullptr) return NoState(outcome, verdict);
    LimitUse use = verdict.limit;
    use.rule = outcome.rule->id;
    VersionedRead read = input_.state->Count(use.key, use.per_ms, input_.now_us);
    if (read.value >= use.max) {
      Fired(outcome, "deny", "LIMIT", "This was done as often as is allowed for now.",
            std::to_string(read.value) + " of " + std::to_string(use.max) + " in " +
                std::to_string(use.per_ms) + " ms",
            verdict.line);
    } else {
      Fired(outcome, "limit", "", "", "", verdict.line);
      decision_.limits.push_back(std::move(use));
      read.fits_only = true;
    }
    decision_.reads.push_back(std::move(read));
  }

  void TakeReserve(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    if (input_.state == nullptr) return NoState(outcome, verdict);
    const BudgetDecl& budget = budgets_[verdict.budget];
    const std::string_view who = ScopeValue(budget.per);
    if (who.empty()) {
      return Fired(outcome, "error", "RULE_ERROR", "",
                   "budget `" + budget.name + "` is per " + budget.per + ", and there is none",
                   verdict.line);
    }
    const std::string scope = budget.per + ":" + std::string(who);
    VersionedRead read = input_.state->BudgetUsed(budget, scope);
    std::int64_t& wanted = wanted_[{budget.name, scope}];
    std::int64_t used = 0;
    const bool overflow = __builtin_add_overflow(wanted, verdict.amount, &wanted) ||
                          __builtin_add_overflow(read.value, wanted, &used);
    if (overflow || used > budget.limit) {
      Fired(outcome, "deny", "BUDGET", "The budget " + budget.name + " does not cover this.",
            std::to_string(read.value) + " used, " + std::to_string(verdict.amount) +
                " wanted, limit " + std::to_string(budget.limit) + " " + budget.unit,
            verdict.line);
    } else {
      Fired(outcome, "reserve", "", "", "", verdict.line);
      if (verdict.amount > 0) Reserve(outcome, budget, scope, verdict.amount);
      read.fits_only = true;
    }
    decision_.reads.push_back(std::move(read));
  }

  void Reserve(const RuleOutcome& outcome, const BudgetDecl& budget, const std::string& scope,
               std::int64_t amount) {
    decision_.reservations.push_back(
        {.rule = outcome.rule->id,
         .budget = budget,
         .scope = scope,
         .window_start_us = WindowStart(input_.now_us, budget.window_ms),
         .amount = amount});
  }

  void NoState(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    Fired(outcome, "error", "RULE_ERROR", "", "no balances and counters are at hand", verdict.line);
  }

  std::string_view ScopeValue(std::string_view per) const {
    if (per == "tenant") return input_.tenant;
    if (per == "agent") return input_.call.agent;
    if (per == "principal") return input_.principal;
    if (per == "user") return input_.user;
    return input_.call.run;
  }

  // Two rules may change one path to equal values only, and no path inside another.
  bool MergeChanges(std::map<std::string, core::Json>& merged, std::string& conflict) const {
    for (const RuleOutcome* outcome : modifies_) {
      for (const auto& item : outcome->verdict->changes.items()) {
        const auto [at, fresh] = merged.emplace(item.key(), item.value());
        if (!fresh && at->second != item.value()) {
          conflict = item.key();
          return false;
        }
      }
    }
    for (const auto& [path, value] : merged) {
      const auto inside = merged.lower_bound(path + ".");
      if (inside == merged.end() || !inside->first.starts_with(path + ".")) continue;
      conflict = inside->first;
      return false;
    }
    return true;
  }

  // Sets the value at "args.a.b" in `args`; every step but the last must be an object that is
  // there.
  static bool SetAt(core::Json& args, std::string_view path, const core::Json& value) {
    core::Json* at = &args;
    path.remove_prefix(5);
    for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
      const std::string step(path.substr(0, dot));
      if (!at->is_object() || !at->contains(step)) return false;
      at = &(*at)[step];
      path.remove_prefix(dot + 1);
    }
    if (!at->is_object() || path.empty()) return false;
    (*at)[std::string(path)] = value;
    return true;
  }

  void ApplyChanges() {
    if (modifies_.empty()) return;
    std::map<std::string, core::Json> merged;
    std::string conflict;
    if (!MergeChanges(merged, conflict)) {
      for (const RuleOutcome* outcome : modifies_) {
        Refuse(*outcome, "MODIFY_CONFLICT", "rules disagree about `" + conflict + "`");
      }
      return;
    }
    core::Json changed = *input_.args;
    for (const auto& [path, value] : merged) {
      if (!SetAt(changed, path, value)) {
        for (const RuleOutcome* outcome : modifies_) {
          Refuse(*outcome, "MODIFY_PATH", "`" + path + "` has no place in the arguments");
        }
        return;
      }
    }
    if (changed == *input_.args || Denied()) return;
    decision_.modified_args = std::move(changed);
    decision_.verdict = Verdict::kModify;
    decision_.code = "MODIFIED";
    decision_.say = "";
  }

  // Turns what the rule said before into a denial.
  void Refuse(const RuleOutcome& outcome, std::string_view code, const std::string& because) {
    for (FiredRule& fired : decision_.rules) {
      if (fired.id != outcome.rule->id) continue;
      fired.verdict = "deny";
      fired.code = code;
      fired.because = because;
    }
  }

  bool Denied() const {
    return std::any_of(decision_.rules.begin(), decision_.rules.end(), [](const FiredRule& rule) {
      return rule.verdict == "deny" || rule.verdict == "error";
    });
  }

  // Joins what the rules of one verdict say to the model, each sentence once.
  std::string Say(std::string_view verdict) const {
    std::vector<std::string_view> parts;
    for (const FiredRule& rule : decision_.rules) {
      if (rule.verdict != verdict || rule.say.empty()) continue;
      if (std::find(parts.begin(), parts.end(), rule.say) == parts.end()) parts.push_back(rule.say);
    }
    std::string say;
    for (const std::string_view part : parts) say.append(say.empty() ? "" : " ").append(part);
    return say;
  }

  const FiredRule* First(std::string_view verdict) const {
    for (const FiredRule& rule : decision_.rules) {
      if (rule.verdict == verdict) return &rule;
    }
    return nullptr;
  }

  void Set(Verdict verdict, std::string_view code, std::string say) {
    decision_.verdict = verdict;
    decision_.code = code;
    decision_.say = std::move(say);
  }

  void Conclude() {
    const FiredRule* error = First("error");
    const FiredRule* deny = First("deny");
    if (error != nullptr || deny != nullptr) {
      std::string say = Say("deny");
      if (say.empty()) say = error != nullptr ? kErrorSay : "This call is denied.";
      Set(Verdict::kDeny, error != nullptr ? error->code : deny->code, std::move(say));
    } else if (!decision_.demands.empty()) {
      const std::string say = Say("ask");
      Set(Verdict::kAsk, "APPROVAL_REQUIRED", say.empty() ? "This call needs an approval." : say);
    } else if (allowed_) {
      Set(Verdict::kAllow, "OK", "");
    } else {
      Set(Verdict::kDeny, "DEFAULT_DENY", "No rule allows this call.");
    }
    if (decision_.verdict != Verdict::kDeny) decision_.fix = nullptr;
  }

  // A call that does not go on as it is asks nobody, holds nothing and takes no slot.
  void DropWhatNeverHappens() {
    decision_.demands.clear();
    decision_.reservations.clear();
    decision_.limits.clear();
  }

  // One a key; of several, one whose very value mattered stands for all.
  void SortReads() {
    std::vector<VersionedRead>& reads = decision_.reads;
    std::sort(reads.begin(), reads.end(), [](const VersionedRead& a, const VersionedRead& b) {
      return std::tie(a.key, a.fits_only) < std::tie(b.key, b.fits_only);
    });
    reads.erase(
        std::unique(reads.begin(), reads.end(),
                    [](const VersionedRead& a, const VersionedRead& b) { return a.key == b.key; }),
        reads.end());
  }

  const DecisionInput& input_;
  const std::vector<BudgetDecl>& budgets_;
  Decision& decision_;
  bool allowed_ = false;
  std::vector<const RuleOutcome*> modifies_;
  std::map<std::pair<std::string, std::string>, std::int64_t> wanted_;
};

}  // namespace

void Combine(const DecisionInput& input, const std::vector<BudgetDecl>& budgets,
             const std::vector<RuleOutcome>& outcomes, Decision& decision) {
  Combiner combiner(input, budgets, decision);
  for (const RuleOutcome& outcome : outcomes) combiner.Take(outcome);
  combiner.Finish();
}

}  // namespace interlock::policies
