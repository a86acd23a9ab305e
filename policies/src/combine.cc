#include "combine.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/money.h"
#include "lua_budget.h"
#include "policies/budget.h"
#include "scope.h"

namespace interlock::policies {
namespace {

class Combiner {
 public:
  Combiner(const DecisionInput& input, const CombineWorld& world, Decision& decision)
      : input_(input), world_(world), decision_(decision) {}

  void Take(const RuleOutcome& outcome) {
    if (outcome.exception != nullptr && outcome.verdict) return TakeExcepted(outcome);
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
        return TakeAllow(outcome, verdict);
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
      case VerdictKind::kLabel:
        return TakeLabel(outcome, verdict);
      case VerdictKind::kNote:
        return Fired(outcome, "note", "", "", verdict.because, verdict.line);
    }
  }

  // A layer below the tool's owner cannot allow; that it tried is on the record.
  void TakeAllow(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    const Layer layer = world_.policies[outcome.rule->policy].layer;
    if (layer <= world_.owner) {
      allowed_ = true;
      return Fired(outcome, "allow", "", "", "", verdict.line);
    }
    Fired(outcome, "note", "", "",
          "allows nothing here: the tool belongs to layer " + std::string(LayerName(world_.owner)),
          verdict.line);
  }

  void TakeExcepted(const RuleOutcome& outcome) {
    const RuleVerdict& verdict = *outcome.verdict;
    Fired(outcome, "excepted", verdict.code, "", verdict.because, verdict.line);
    decision_.rules.back().exception = outcome.exception->id;
  }

  void TakeLabel(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    Fired(outcome, "label", "", "", "", verdict.line);
    for (LabelChange label : verdict.labels) {
      label.rule = outcome.rule->id;
      decision_.labels.push_back(std::move(label));
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
    VersionedRead read = ReadCount(input_, use.key, use.per_ms);
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

  // All levels or none: what one does not cover, no other holds.
  void TakeReserve(const RuleOutcome& outcome, const RuleVerdict& verdict) {
    if (input_.state == nullptr) return NoState(outcome, verdict);
    std::string full;    // level by level
    std::string levels;  // their names, for the model
    for (std::size_t i = verdict.budget; i < verdict.budget + verdict.levels; ++i) {
      const BudgetDecl& budget = world_.budgets[i];
      const std::string scope = BudgetScope(input_, budget.per, verdict.limit.key);
      if (scope.empty() && budget.optional) continue;
      if (scope.empty()) {
        return Fired(outcome, "error", "RULE_ERROR", "",
                     "budget `" + budget.name + "` is per " + budget.per + ", and there is none",
                     verdict.line);
      }
      std::string why = TakeShare(outcome, budget, scope, verdict.amount);
      if (why.empty()) continue;
      full += (full.empty() ? "" : "; ") + why;
      if (!budget.level.empty()) levels += (levels.empty() ? "" : ", ") + budget.level;
    }
    if (full.empty()) return Fired(outcome, "reserve", "", "", "", verdict.line);
    const std::string name = WholeName(world_.budgets[verdict.budget]);
    Fired(outcome, "deny", "BUDGET",
          "The budget " + name + (levels.empty() ? "" : " (" + levels + ")") +
              " does not cover this.",
          full, verdict.line);
  }

  // Empty where the share covers the amount, which is then reserved; else by how much it does not.
  std::string TakeShare(const RuleOutcome& outcome, const BudgetDecl& budget,
                        const std::string& scope, std::int64_t amount) {
    VersionedRead read = ReadBudget(input_, budget, scope);
    std::int64_t& wanted = wanted_[{budget.name, scope}];
    std::int64_t used = 0;
    const bool overflow = __builtin_add_overflow(wanted, amount, &wanted) ||
                          __builtin_add_overflow(read.value, wanted, &used);
    const bool fits = !overflow && used <= budget.limit;
    std::string why;
    if (!fits) {
      why = (budget.level.empty() ? "" : "level " + budget.level + ": ") +
            std::to_string(read.value) + " used, " + std::to_string(amount) + " wanted, limit " +
            std::to_string(budget.limit) + " " + budget.unit;
    }
    if (fits && amount > 0) Reserve(outcome, budget, scope, amount);
    read.fits_only = fits;
    decision_.reads.push_back(std::move(read));
    return why;
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

  // Sets the value at "args.a.b" in the arguments, or at "result.a.b" in the content; every step
  // but the last must be an object that is there.
  static bool SetAt(core::Json& document, std::string_view path, const core::Json& value) {
    const std::size_t root = path.find('.');
    if (root == std::string_view::npos) return document = value, true;
    core::Json* at = &document;
    path.remove_prefix(root + 1);
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
    const bool call = input_.phase == RulePhase::kCall;
    const core::Json& before = call ? *input_.args : *input_.content;
    core::Json changed = before;
    for (const auto& [path, value] : merged) {
      if (!SetAt(changed, path, value)) {
        for (const RuleOutcome* outcome : modifies_) {
          Refuse(*outcome, "MODIFY_PATH", "`" + path + "` has no place in it");
        }
        return;
      }
    }
    if (changed == before || Denied()) return;
    (call ? decision_.modified_args : decision_.modified_content) = std::move(changed);
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

  std::string ErrorSay() const {
    if (input_.phase == RulePhase::kCall) {
      return "A rule could not decide about this call, so it is denied.";
    }
    return "A rule could not decide about this " + std::string(RulePhaseName(input_.phase)) +
           ", so it is withheld.";
  }

  std::string DenySay() const {
    if (input_.phase == RulePhase::kCall) return "This call is denied.";
    return "This " + std::string(RulePhaseName(input_.phase)) + " is withheld.";
  }

  void Conclude() {
    const FiredRule* error = First("error");
    const FiredRule* deny = First("deny");
    if (error != nullptr || deny != nullptr) {
      std::string say = Say("deny");
      if (say.empty()) say = error != nullptr ? ErrorSay() : DenySay();
      Set(Verdict::kDeny, error != nullptr ? error->code : deny->code, std::move(say));
    } else if (!decision_.demands.empty()) {
      const std::string say = Say("ask");
      Set(Verdict::kAsk, "APPROVAL_REQUIRED", say.empty() ? "This call needs an approval." : say);
    } else if (allowed_ || input_.phase != RulePhase::kCall) {
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

  // One a key and period; of several, one whose very value mattered stands for all.
  void SortReads() {
    std::vector<VersionedRead>& reads = decision_.reads;
    std::sort(reads.begin(), reads.end(), [](const VersionedRead& a, const VersionedRead& b) {
      return std::tie(a.key, a.per_ms, a.summed, a.fits_only) <
             std::tie(b.key, b.per_ms, b.summed, b.fits_only);
    });
    reads.erase(std::unique(reads.begin(), reads.end(),
                            [](const VersionedRead& a, const VersionedRead& b) {
                              return a.key == b.key && a.per_ms == b.per_ms && a.summed == b.summed;
                            }),
                reads.end());
  }

  const DecisionInput& input_;
  const CombineWorld& world_;
  Decision& decision_;
  bool allowed_ = false;
  std::vector<const RuleOutcome*> modifies_;
  std::map<std::pair<std::string, std::string>, std::int64_t> wanted_;
};

}  // namespace

void Combine(const DecisionInput& input, const CombineWorld& world,
             const std::vector<RuleOutcome>& outcomes, Decision& decision) {
  Combiner combiner(input, world, decision);
  bool shadow = false;
  for (const RuleOutcome& outcome : outcomes) {
    shadow = shadow || outcome.rule->shadow;
    if (!outcome.rule->shadow) combiner.Take(outcome);
  }
  combiner.Finish();
  decision.shadow_verdict = decision.verdict;
  if (!shadow) return;
  Decision all;
  Combiner with(input, world, all);
  for (const RuleOutcome& outcome : outcomes) with.Take(outcome);
  with.Finish();
  decision.shadow_verdict = all.verdict;
  for (const RuleOutcome& outcome : outcomes) {
    if (!outcome.rule->shadow) continue;
    const auto fired = std::find_if(all.rules.begin(), all.rules.end(), [&](const FiredRule& one) {
      return one.id == outcome.rule->id;
    });
    if (fired != all.rules.end()) decision.shadow.push_back(*fired);
  }
}

}  // namespace interlock::policies
