// What verifiers of logs and of bundles ask of witnesses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/cosignature.h"
#include "core/status.h"
#include "note_key.h"
#include "note_text.h"

namespace interlock::audit {

// How many of the keys must have cosigned; `asked` 0: all. Errors: kInvalidArgument for more than
// there are, and for a key that is none or comes twice.
inline core::StatusOr<std::size_t> WitnessesNeeded(const std::vector<std::string>& keys,
                                                   std::size_t asked) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    INTERLOCK_RETURN_IF_ERROR(WitnessName(keys[i]).status());
    for (std::size_t j = 0; j < i; ++j) {
      if (keys[i] == keys[j]) return core::InvalidArgument("a witness's key is given twice");
    }
  }
  if (asked > keys.size()) {
    return core::InvalidArgument("more witnesses are needed than keys were given");
  }
  return asked == 0 ? keys.size() : asked;
}

inline std::string UnwitnessedReason(std::uint64_t covered, std::uint64_t entries,
                                     std::size_t needed) {
  return "unwitnessed: " + std::to_string(covered) + " of " + std::to_string(entries) +
         " signed entries are under a head that " + std::to_string(needed) +
         (needed == 1 ? " witness has" : " witnesses have") + " cosigned";
}

// Names on the note's signature lines that are neither by one of the log's keys nor by one of the
// witnesses'; each once, in their order.
inline std::vector<std::string> UncheckedSigners(std::string_view note,
                                                 const std::vector<std::string>& log_keys,
                                                 const std::vector<std::string>& witness_keys) {
  std::vector<NoteKey> known;
  for (const auto& [texts, type] : {std::pair(&log_keys, SignatureType::kNote),
                                    std::pair(&witness_keys, SignatureType::kCosignature)}) {
    for (const std::string& text : *texts) {
      if (auto key = ParseVerifierKey(text, type); key.ok()) known.push_back(*std::move(key));
    }
  }
  std::vector<std::string> names;
  const auto parsed = ParseNote(note);
  if (!parsed.ok()) return names;
  for (const NoteSignature& line : parsed->signatures) {
    const bool checked = std::any_of(known.begin(), known.end(), [&](const NoteKey& key) {
      return key.name == line.name && std::string_view(line.blob).substr(0, 4) == key.id;
    });
    if (checked || std::find(names.begin(), names.end(), line.name) != names.end()) continue;
    names.emplace_back(line.name);
  }
  return names;
}

}  // namespace interlock::audit
