#include "chain_check.h"

#include <algorithm>
#include <unordered_set>

namespace interlock::audit {

std::optional<ParsedEntry> ChainCheck::Next(const Row& row, const core::Digest& leaf_hash) {
  if (core::AsBytes(leaf_hash) != row.stored_hash) {
    findings_->Entry(row.index, "is not what its stored hash says");
  }
  const auto entry = ParseEntry(row.bytes);
  if (!entry) {
    findings_->Entry(row.index, "is not a canonical entry");
    return std::nullopt;
  }
  const Envelope& envelope = entry->envelope;
  if (envelope.index != row.index) {
    findings_->Entry(row.index, "says that it is entry " + std::to_string(envelope.index));
  }
  if (envelope.tenant != tenant_) findings_->Entry(row.index, "is of another tenant");
  if (envelope.time_us < last_time_us_) findings_->Entry(row.index, "goes back in time");
  last_time_us_ = std::max(last_time_us_, envelope.time_us);
  if (!entry->run.empty()) CheckRun(row.index, *entry, leaf_hash);
  return entry;
}

void ChainCheck::CheckRun(std::uint64_t index, const ParsedEntry& entry,
                          const core::Digest& leaf_hash) {
  RunEnd& end = runs_[std::string(entry.run)];
  const Envelope& envelope = entry.envelope;
  if (envelope.run_seq != end.next_seq) {
    findings_->Entry(index, "has run_seq " + std::to_string(envelope.run_seq) + " where " +
                                std::to_string(end.next_seq) + " is next");
  } else if (envelope.prev != end.prev && findings_->index() != index) {
    broken_.push_back({end.index, index});
  }
  end = {envelope.run_seq + 1, core::Hex(leaf_hash), index};
}

void ChainCheck::NameBrokenLinks(const std::function<bool(std::uint64_t)>& is_sound) {
  std::unordered_set<std::uint64_t> disowned;
  for (const BrokenLink& link : broken_) disowned.insert(link.from);
  for (const BrokenLink& link : broken_) {
    if (disowned.count(link.to) != 0 || is_sound(link.from)) {
      findings_->Entry(link.to, "does not follow entry " + std::to_string(link.from) +
                                    ", the one before it in its run");
    } else {
      findings_->Entry(link.from, "is not the one that entry " + std::to_string(link.to) +
                                      " of its run follows");
    }
  }
  broken_.clear();
}

}  // namespace interlock::audit
