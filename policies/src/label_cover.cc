#include "label_cover.h"

#include <charconv>
#include <string_view>

namespace interlock::policies {
namespace {

// Whether every leaf below is labelled, itself or by what it stands in.
bool Covered(const LabelMap& labels, const core::Json& value, std::string& path) {
  if (labels.all().contains(path)) return true;
  if (!value.is_structured() || value.empty()) return false;
  const std::size_t length = path.size();
  std::size_t position = 0;
  for (const auto& [name, member] : value.items()) {
    path.append(".").append(value.is_object() ? name : std::to_string(++position));
    const bool covered = Covered(labels, member, path);
    path.resize(length);
    if (!covered) return false;
  }
  return true;
}

// Lists count from 1. Null: it is not there.
const core::Json* Member(const core::Json& value, std::string_view step) {
  if (value.is_object()) {
    const auto found = value.find(std::string(step));
    return found == value.end() ? nullptr : &*found;
  }
  std::size_t at = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), at);
  const bool fine = value.is_array() && error == std::errc() && end == step.data() + step.size() &&
                    at >= 1 && at <= value.size();
  return fine ? &value[at - 1] : nullptr;
}

const core::Json* ValueAt(const DecisionInput& input, std::string_view path) {
  std::size_t dot = path.find('.');
  const std::string_view root = path.substr(0, dot);
  const core::Json* at = root == "args" ? input.args : nullptr;
  if (input.phase != RulePhase::kCall && root == RulePhaseName(input.phase)) at = input.content;
  while (at != nullptr && dot != std::string_view::npos) {
    path.remove_prefix(dot + 1);
    dot = path.find('.');
    at = Member(*at, path.substr(0, dot));
  }
  return at;
}

}  // namespace

Label LabelInFull(const DecisionInput& input, const std::string& path) {
  if (input.labels == nullptr) return NoLabel();
  const LabelMap& labels = *input.labels;
  Label label = labels.Under(path);
  if (&labels.At(path) != &NoLabel()) return label;  // it, or what it stands in, is labelled whole
  const core::Json* value = ValueAt(input, path);
  std::string below = path;
  if (value == nullptr || Covered(labels, *value, below)) return label;
  static const Label kUnknown{.trusted = false, .sources = {"unknown"}, .tags = {}, .readers = {}};
  return Join(label, kUnknown);
}

}  // namespace interlock::policies
