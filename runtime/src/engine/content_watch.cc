#include "engine/content_watch.h"

#include <algorithm>

#include "audit/payload_key.h"
#include "engine/select.h"

namespace interlock::runtime {
namespace {

constexpr int kEntriesPerLook = 128;
constexpr std::int64_t kPassEvery = 24ll * 3600 * 1'000'000;

}  // namespace

core::Status ContentWatch::Look() {
  const std::int64_t now = hub_.parts.clock->MonotonicMicros();
  if (now < due_us_) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(
      audit::ContentLook look,
      audit::LookAtContent(*hub_.parts.log, *hub_.parts.keys, next_, kEntriesPerLook));
  const std::uint64_t next = look.next_index;
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<std::int64_t> lost, LostOf(std::move(look)));
  next_ = next;
  if (first_lost_ < 0 && !lost.empty()) first_lost_ = lost.front();
  lost_ += lost.size();
  const bool whole = next_ >= hub_.parts.log->size();
  if (whole || !lost.empty()) Publish(whole ? Pass::kWhole : Pass::kUnderWay);
  if (!whole) return core::OkStatus();
  due_us_ = now + kPassEvery;
  next_ = 0;
  lost_ = 0;
  first_lost_ = -1;
  return core::OkStatus();
}

// A pass that is under way takes nothing back of what the one before it found.
void ContentWatch::Publish(Pass pass) {
  const std::lock_guard lock(mutex_);
  if (pass == Pass::kUnderWay && lost_ <= told_) return;
  told_ = lost_;
  told_first_ = first_lost_;
}

std::string ContentWatch::warning() const {
  const std::lock_guard lock(mutex_);
  if (told_ == 0) return {};
  return std::to_string(told_) + " sealed payloads do not open, the first of entry " +
         std::to_string(audit::EntryOfPayload(told_first_)) +
         ", and no entry says that they were erased: see `interlock audit verify DIR --keys DIR`";
}

core::StatusOr<bool> ContentWatch::IsLost(const audit::Log& log, std::uint64_t entry_index,
                                          int slot) const {
  INTERLOCK_ASSIGN_OR_RETURN(audit::ContentLook look,
                             audit::LookAtContent(log, *hub_.parts.keys, entry_index, 1));
  INTERLOCK_ASSIGN_OR_RETURN(const auto lost, LostOf(std::move(look)));
  const std::int64_t id = audit::PayloadKey(entry_index, slot);
  return std::find(lost.begin(), lost.end(), id) != lost.end();
}

// The open log knows of all keys that were ever destroyed: a rotation carries them over.
core::StatusOr<std::vector<std::int64_t>> ContentWatch::LostOf(audit::ContentLook look) const {
  std::vector<std::int64_t> lost = std::move(look.damaged);
  for (const auto& [id, key] : look.keyless) {
    INTERLOCK_ASSIGN_OR_RETURN(const auto erased,
                               Select<ErasureRow>(*hub_.parts.log, "WHERE key = ?", {key}));
    if (erased.empty()) lost.push_back(id);
  }
  std::sort(lost.begin(), lost.end());
  return lost;
}

}  // namespace interlock::runtime
