// What a rule asks of the detectors, apart from Lua: which kinds count, where to look, what to
// mask.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "policies/detect.h"

namespace interlock::policies {

// The groups to look through, and which of their findings count.
struct DetectWanted {
  DetectOptions options{};
  std::vector<std::string> kinds{};  // sorted; empty: all of the groups
  Confidence least = Confidence::kMedium;

  void Open(DetectGroup group);
  // A kind, or a group for all of its kinds. Errors: kInvalidArgument with the nearest name.
  core::Status Add(const std::string& name);
  bool Takes(const Detection& one) const;
};

// What one text holds of it. `work` grows by what the look cost, in instructions. A text that
// cannot be looked through to its end gives kResourceExhausted: it must not pass as clean.
core::StatusOr<std::vector<Detection>> Look(std::string_view text, std::string_view field,
                                            const DetectWanted& wanted, std::int64_t& work);

// Findings replaced by "[kind]"; those that overlap are masked together, by the name of the first.
std::string Masked(std::string_view text, const std::vector<Detection>& found);

// Calls visit(text, path, field, is_name) for every text, whole number and name of a field.
template <typename Visit>
void WalkTexts(const core::Json& value, const std::string& path, const std::string& field,
               const Visit& visit) {
  constexpr std::int64_t kPhoneDigitsMin = 1'000'000;  // shorter whole numbers are nobody's
  if (value.is_string()) {
    visit(value.get_ref<const std::string&>(), path, field, false);
  } else if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number >= kPhoneDigitsMin) visit(std::to_string(number), path, field, false);
  } else if (value.is_array()) {
    std::size_t at = 0;
    for (const core::Json& element : value)
      WalkTexts(element, path + "[" + std::to_string(++at) + "]", field, visit);
  } else if (value.is_object()) {
    for (const auto& item : value.items()) {
      visit(item.key(), path, "", true);
      WalkTexts(item.value(), path.empty() ? item.key() : path + "." + item.key(), item.key(),
                visit);
    }
  }
}

}  // namespace interlock::policies
