// Checks of one entry after another: hash, form, place, time, and the chain of each run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/digest.h"
#include "entry_text.h"
#include "findings.h"

namespace interlock::audit {

// Entries come in index order. One per thread.
class ChainCheck {
 public:
  ChainCheck(std::string tenant, Findings* findings)
      : tenant_(std::move(tenant)), findings_(findings) {}

  struct Row {
    std::uint64_t index = 0;
    std::string_view bytes;
    std::string_view stored_hash;
  };
  // The parsed entry, or nullopt when it is none (a finding then).
  std::optional<ParsedEntry> Next(const Row& row, const core::Digest& leaf_hash);

  // A link of a run that does not hold: one of the two entries was changed.
  struct BrokenLink {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  // Turns broken links into findings: the later entry is named when the earlier one is known to be
  // as it was
  // (`is_sound`) or when its own successor disowns it too, else the earlier one.
  void NameBrokenLinks(const std::function<bool(std::uint64_t)>& is_sound);
  bool has_broken_links() const { return !broken_.empty(); }

 private:
  struct RunEnd {
    std::int64_t next_seq = 0;
    std::string prev;
    std::uint64_t index = 0;
  };
  void CheckRun(std::uint64_t index, const ParsedEntry& entry, const core::Digest& leaf_hash);

  const std::string tenant_;
  Findings* const findings_;
  std::int64_t last_time_us_ = 0;
  std::unordered_map<std::string, RunEnd> runs_;
  std::vector<BrokenLink> broken_;
};

}  // namespace interlock::audit
