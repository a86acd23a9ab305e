// The engine behind policies/bundle.h, as the rest of the folder uses it.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "combine.h"
#include "policies/bundle.h"
#include "rule_index.h"

namespace interlock::policies {

// An invariant that a decision does not keep.
struct Breach {
  const Invariant* invariant = nullptr;
  std::string why{};  // one line
};

class RuleEngine final : public Engine {
 public:
  // `program` was loaded from the bundle's files without an error.
  RuleEngine(std::shared_ptr<const Bundle> bundle, std::unique_ptr<Program> program);

  Decision Decide(const DecisionInput& input) override;
  const Bundle& bundle() const override { return *bundle_; }
  std::vector<RuleTrace> Trace(const DecisionInput& input) override;

  // As if the bundle had this rule only, by its number in program().rules().
  Decision DecideAlone(const DecisionInput& input, std::size_t rule);
  // Decisions go on as if the bundle did not have this rule; nullopt: as it is.
  void LeaveOut(std::optional<std::size_t> rule) { left_out_ = rule; }
  const Program& program() const { return *program_; }
  // The invariants that the decision about a call does not keep. One that raises is not kept,
  // unless the call was denied anyway.
  std::vector<Breach> Breaches(const DecisionInput& input, const Decision& decision);
  // While `seen` is there, every line of Lua that runs is added to it, as file and line. Slow.
  void Watch(std::set<std::pair<std::string, int>>* seen) { program_->vm().Watch(seen); }

 private:
  template <typename Rules>
  Decision DecideBy(const DecisionInput& input, const Rules& rules_of);
  void Run(const std::vector<std::uint32_t>& rules);
  std::int64_t RunRule(const Rule& rule, std::int64_t fuel);
  std::int64_t RunTable(const Rule& rule, std::int64_t fuel);
  void Except(RuleOutcome& outcome);
  void TakeResult(RuleOutcome& outcome);
  std::optional<std::string> BreachOfFunction(const Invariant& invariant, const Decision& decision);
  std::optional<std::string> BreachOfTable(const Invariant& invariant, const Decision& decision);

  std::shared_ptr<const Bundle> bundle_;
  std::unique_ptr<Program> program_;
  PathValues values_;
  RuleIndex index_;
  std::vector<RuleOutcome> outcomes_;
  std::optional<std::size_t> left_out_;
};

}  // namespace interlock::policies
