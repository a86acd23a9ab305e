// How the fold reads the bodies of entries.
#pragma once

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

}  // namespace interlock::runtime
