// Which rules a call needs: by tool and effect, and among them by the value of a field that many
// rules compare with a constant, so that loaded rules that cannot apply cost nothing.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "program.h"

namespace interlock::policies {

// The rules of one tool. Immutable once built.
class ToolRules {
 public:
  ToolRules(const Program& program, std::vector<std::uint32_t> rules);

  // Every rule that could speak about the call, by number, ascending: those that it leaves out have
  // a condition that is false. The list is good until the next call.
  const std::vector<std::uint32_t>& Candidates(PathValues& values);
  const std::vector<std::uint32_t>& all() const { return all_; }

  std::vector<std::uint32_t> velocities{};  // that count such calls, by number
  const core::Json* args_schema = nullptr;
  Layer owner = Layer::kAgent;  // an allow of a layer below it does not count

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using ByValue =
      std::unordered_map<std::string, std::vector<std::uint32_t>, Hash, std::equal_to<>>;
  struct PathIndex {
    int path = -1;
    ByValue by_value;
    std::vector<std::uint32_t> rules;
  };

  std::vector<std::uint32_t> all_;
  std::vector<std::uint32_t> always_;
  std::vector<PathIndex> indexes_;
  std::vector<std::uint32_t> candidates_;
};

// One per thread, which it shares with the program that it borrows.
class RuleIndex {
 public:
  RuleIndex(const Program& program, const std::vector<KnownTool>& tools)
      : program_(program), tools_(tools) {}

  ToolRules& For(RulePhase phase, const Call& call);

 private:
  const Program& program_;
  const std::vector<KnownTool>& tools_;
  std::unordered_map<std::string, ToolRules> by_tool_;
  std::string key_;
};

}  // namespace interlock::policies
