#include "rule_index.h"

#include <algorithm>
#include <map>

namespace interlock::policies {
namespace {

constexpr std::size_t kToolsMax = 4096;      // kept; a planner that makes up names costs no memory
constexpr std::size_t kIndexedRulesMin = 8;  // fewer are asked one by one

// The texts that the value at a path must be one of for the rule to apply, or nullptr.
const std::vector<Constant>* TextsOf(const Predicate& predicate, std::vector<Constant>& one) {
  const bool is_text = predicate.constant.kind == Constant::Kind::kText;
  if (predicate.op == Predicate::Op::kEqual && is_text) {
    one.assign(1, predicate.constant);
    return &one;
  }
  const bool texts =
      predicate.op == Predicate::Op::kOneOf && predicate.constants[0].kind == Constant::Kind::kText;
  return texts ? &predicate.constants : nullptr;
}

}  // namespace

ToolRules::ToolRules(const Program& program, std::vector<std::uint32_t> rules)
    : all_(std::move(rules)) {
  std::map<int, std::map<std::string, int, std::less<>>> values;  // by path: rules of each text
  std::vector<Constant> one;
  for (const std::uint32_t at : all_) {
    const Rule& rule = program.rules()[at];
    if (rule.table == nullptr) continue;
    for (const Condition& condition : rule.table->where) {
      const auto* texts = TextsOf(condition.predicate, one);
      if (texts == nullptr) continue;
      for (const Constant& text : *texts) ++values[condition.path][text.text];
    }
  }
  std::map<int, PathIndex> indexes;
  for (const std::uint32_t at : all_) {
    const Rule& rule = program.rules()[at];
    const Condition* best = nullptr;
    for (std::size_t i = 0; rule.table != nullptr && i < rule.table->where.size(); ++i) {
      const Condition& condition = rule.table->where[i];
      if (TextsOf(condition.predicate, one) == nullptr) continue;
      if (best == nullptr || values[condition.path].size() > values[best->path].size()) {
        best = &condition;
      }
    }
    if (best == nullptr || values[best->path].size() < kIndexedRulesMin) {
      always_.push_back(at);
      continue;
    }
    PathIndex& index = indexes[best->path];
    index.path = best->path;
    index.rules.push_back(at);
    for (const Constant& text : *TextsOf(best->predicate, one)) {
      std::vector<std::uint32_t>& same = index.by_value[text.text];
      if (same.empty() || same.back() != at) same.push_back(at);
    }
  }
  for (auto& [path, index] : indexes) indexes_.push_back(std::move(index));
}

const std::vector<std::uint32_t>& ToolRules::Candidates(PathValues& values) {
  if (indexes_.empty()) return always_;
  candidates_ = always_;
  for (const PathIndex& index : indexes_) {
    const Operand& value = values.Get(index.path);
    const auto middle = static_cast<std::ptrdiff_t>(candidates_.size());
    if (value.kind == Operand::Kind::kText) {
      const auto found = index.by_value.find(value.text);
      if (found == index.by_value.end()) continue;
      candidates_.insert(candidates_.end(), found->second.begin(), found->second.end());
    } else {
      // Absent or of another kind: every one of them fails, and says so.
      candidates_.insert(candidates_.end(), index.rules.begin(), index.rules.end());
    }
    std::inplace_merge(candidates_.begin(), candidates_.begin() + middle, candidates_.end());
  }
  return candidates_;
}

ToolRules& RuleIndex::For(RulePhase phase, const Call& call) {
  key_.assign(1, static_cast<char>(phase)).append(call.tool).append(1, '\0').append(call.effect);
  const auto found = by_tool_.find(key_);
  if (found != by_tool_.end()) return found->second;
  if (by_tool_.size() >= kToolsMax) by_tool_.clear();
  std::vector<std::uint32_t> rules;
  for (std::size_t i = 0; i < program_.rules().size(); ++i) {
    const Rule& rule = program_.rules()[i];
    const bool applies =
        rule.selector.phase == phase && program_.Applies(rule, call.tool, call.effect);
    if (applies) rules.push_back(static_cast<std::uint32_t>(i));
  }
  ToolRules entry(program_, std::move(rules));
  for (std::size_t i = 0; phase == RulePhase::kCall && i < program_.velocities().size(); ++i) {
    const Rule& counts = program_.velocities()[i].rule;
    if (!program_.Applies(counts, call.tool, call.effect)) continue;
    entry.velocities.push_back(static_cast<std::uint32_t>(i));
  }
  entry.owner = program_.OwnerOf(call.tool, call.effect);
  for (const KnownTool& tool : tools_) {
    if (tool.name == call.tool && tool.input_schema.is_object()) {
      entry.args_schema = &tool.input_schema;
    }
  }
  return by_tool_.emplace(key_, std::move(entry)).first->second;
}

}  // namespace interlock::policies
