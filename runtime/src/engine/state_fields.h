// How the fold reads the bodies of entries.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "audit/log.h"
#include "engine/state.h"

namespace interlock::runtime {

inline constexpr const char* kPreviousLog = "previous_log";  // setting: its origin; not carried

inline core::Status Missing(const audit::EntryView& entry, std::string_view field) {
  return core::DataLoss("entry " + std::to_string(entry.index) + " (`" + std::string(entry.kind) +
                        "`) lacks `" + std::string(field) + "`");
}

inline std::string Field(const audit::EntryView& entry, std::string_view name) {
  return entry.body.String(name).value_or("");
}

// Who did it, "principal:maria".
inline std::string Actor(const audit::EntryView& entry) {
  const auto view = core::JsonObjectView::Of(entry.bytes);
  return view.ok() ? view->String("actor").value_or("") : "";
}

// The number that a text begins with; 0 where it begins with none.
inline std::int64_t NumberAt(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Amounts are decimal strings of minor units.
inline std::int64_t Amount(const audit::EntryView& entry, std::string_view name) {
  return NumberAt(Field(entry, name));
}

inline std::string WithoutWord(std::string_view words, std::string_view gone) {
  std::string kept;
  for (const std::string& word : SplitWords(words)) {
    if (word == gone) continue;
    kept += (kept.empty() ? "" : " ") + word;
  }
  return kept;
}

// Of "<amount>:<unit>", space separated, the sums by unit: `amount` is added to that of `unit`.
inline std::string WithAmount(std::string_view sums, std::int64_t amount, std::string_view unit) {
  std::string with;
  bool added = false;
  for (const std::string& word : SplitWords(sums)) {
    const std::size_t colon = std::min(word.find(':'), word.size());
    const bool same = word.substr(std::min(colon + 1, word.size())) == unit;
    added = added || same;
    const std::int64_t sum = NumberAt(word) + (same ? amount : 0);
    with += (with.empty() ? "" : " ") + std::to_string(sum) + word.substr(colon);
  }
  if (added || unit.empty()) return with;
  return with + (with.empty() ? "" : " ") + std::to_string(amount) + ":" + std::string(unit);
}

}  // namespace interlock::runtime
