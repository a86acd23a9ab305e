// A bundle: the Lua policy files that are active together, loaded, checked and frozen.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/json.h"
#include "core/status.h"
#include "policies/decision.h"

namespace interlock::policies {

inline constexpr std::size_t kPolicyFileBytesMax = 256 * 1024;

struct BundleFile {
  std::string path{};  // relative, e.g. "refund.lua"
  std::string text{};
};

// What the bundle's rules may be checked against at load.
struct KnownTool {
  std::string name{};
  std::string effect{};
  core::Json input_schema{};
  core::Json result_schema{};
};

struct Finding {
  std::string file{};
  int line = 0;
  std::string severity{};  // "error" or "warning"
  std::string code{};      // "UNKNOWN_FIELD"
  std::string message{};   // with a suggestion when one is near
};

// Immutable; thread-safe.
class Bundle {
 public:
  // Loads aside: parse, run in the closed environment, freeze, check every rule against tools and
  // examples. Any finding of severity error refuses the bundle: kInvalidArgument with the first
  // one's `file:line: message`; `findings` (may be null) gets all.
  static core::StatusOr<std::shared_ptr<const Bundle>> Load(std::vector<BundleFile> files,
                                                            std::vector<KnownTool> tools,
                                                            std::vector<Finding>* findings);
  // Reads every *.lua of a folder, sorted; files named *_test.lua are left out.
  static core::StatusOr<std::vector<BundleFile>> ReadFolder(const std::string& folder);
  virtual ~Bundle() = default;

  virtual const core::Digest& id() const = 0;  // SHA-256 of canonical_manifest()
  virtual const std::string& canonical_manifest()
      const = 0;  // sorted paths, file digests, tool schemas, engine
  virtual const std::vector<BundleFile>& files() const = 0;
  virtual const std::vector<KnownTool>& tools() const = 0;
  // Facts that rules applicable to `tool` declared, in an order that respects FactDecl::after.
  virtual std::vector<FactDecl> FactsFor(std::string_view tool) const = 0;
  virtual std::vector<BudgetDecl> budgets() const = 0;
  // Of these the ones that planners are charged by.
  virtual const std::vector<BudgetDecl>& model_budgets() const = 0;
  virtual std::size_t rule_count() const = 0;
};

// What became of one rule in a decision, for people.
struct RuleTrace {
  std::string id{};
  std::string outcome{};  // a verdict, "error", "abstained" or "not applicable"
  std::string why{};      // "args.amount 700 is not: <= 50.00 USD"
  std::string file{};
  int line = 0;
};

// Decides. One per thread: owns a Lua state made from the bundle's files.
class Engine {
 public:
  static core::StatusOr<std::unique_ptr<Engine>> Make(std::shared_ptr<const Bundle> bundle);
  virtual ~Engine() = default;

  // Pure: no clock, file, environment or network. Never fails: whatever goes wrong inside is a deny
  // with code RULE_ERROR (or FUEL, MEMORY) and the rule's id and line. p50 about 2 us for 10
  // applicable rules.
  virtual Decision Decide(const DecisionInput& input) = 0;
  // Every rule about such a call, by id, with the first condition of a table rule that does not
  // hold and both of its values. Decides again; for explanations, not for the way of a call.
  virtual std::vector<RuleTrace> Trace(const DecisionInput& input) = 0;
  virtual const Bundle& bundle() const = 0;
};

}  // namespace interlock::policies
