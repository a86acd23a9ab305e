// Dotted paths into a decision's input, as table rules name them: "args.amount",
// "facts.order.paid", "session.shop", "user". Resolved without Lua, once a decision.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policies/decision.h"

namespace interlock::policies {

inline constexpr std::size_t kPathBytesMax = 256;
inline constexpr std::size_t kPathsMax = 20'000;  // different ones in a bundle

enum class Root : std::uint8_t {
  kArgs,
  kFacts,
  kSession,
  kUser,
  kTenant,
  kNow,
  kCall,
  kPrincipal,
  kFlow,
  kContent  // "message", "result", "answer"
};

struct ContextPath {
  std::string text{};  // as it was written
  Root root = Root::kArgs;
  RulePhase phase = RulePhase::kCall;  // of kContent
  std::vector<std::string> names{};    // behind the root
};

// Errors: kInvalidArgument, one line with the nearest name, for what no decision has.
core::StatusOr<ContextPath> ParsePath(std::string_view text);

// A value of the input. Null counts as absent. Views live as long as the input.
struct Operand {
  enum class Kind : std::uint8_t { kAbsent, kText, kInteger, kNumber, kBoolean, kList, kObject };
  Kind kind = Kind::kAbsent;
  bool boolean = false;
  std::int64_t integer = 0;
  double number = 0;
  std::string_view text{};
  const core::Json* json = nullptr;  // where it came from, if it is JSON
};

Operand OperandOf(const core::Json& value);
// As JSON, copied.
core::Json JsonOf(const Operand& value);
// "a text", "a number" …, for messages.
std::string_view KindName(Operand::Kind kind);
// The value as people read it, at most 80 bytes.
std::string ShowOperand(const Operand& value);

// The bundle's paths, each once. Filled at load, then immutable.
class PathTable {
 public:
  // The path's number. Errors: as ParsePath; kResourceExhausted above kPathsMax.
  core::StatusOr<int> Intern(std::string_view text);
  const ContextPath& at(int path) const { return paths_[static_cast<std::size_t>(path)]; }
  std::size_t size() const { return paths_.size(); }

 private:
  std::vector<ContextPath> paths_;
  std::unordered_map<std::string, int> numbers_;
};

// The values of one decision's paths, each looked up on first use. One per thread.
class PathValues {
 public:
  explicit PathValues(const PathTable& table) : table_(table) {}

  void Begin(const DecisionInput& input);
  const Operand& Get(int path);
  const ContextPath& path(int path) const { return table_.at(path); }
  const DecisionInput& input() const { return *input_; }
  // Whether the input can have it at all: false for a fact that nobody declared for this tool.
  bool Declared(int path) const;
  // Why a path has no value, one line that says what to do.
  std::string WhyAbsent(int path) const;

 private:
  Operand Resolve(const ContextPath& path);

  struct Slot {
    std::uint64_t round = 0;
    Operand value{};
  };
  const PathTable& table_;
  const DecisionInput* input_ = nullptr;
  std::uint64_t round_ = 0;
  std::vector<Slot> slots_;
  core::Json roles_;
};

}  // namespace interlock::policies
