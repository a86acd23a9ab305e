#include "bundle_keys.h"

#include "entry_text.h"
#include "rotation_check.h"

namespace interlock::audit {

// Each key was handed over by the one before: both signed that.
BundleKeys::BundleKeys(const std::string& pinned,
                       const std::map<std::string_view, std::string_view>& files)
    : keys_{pinned} {
  std::vector<std::string> bodies;
  for (const auto& [name, bytes] : files) {
    if (name.substr(0, 8) != "entries/") continue;
    const auto entry = ParseEntry(bytes);
    if (!entry || entry->kind != kRotatedKind) continue;
    if (auto next = RotatedKey(entry->body, keys_.back())) keys_.push_back(*std::move(next));
    bodies.emplace_back(entry->body);
  }
  retired_ = KeysBefore(bodies, pinned);
}

core::StatusOr<Checkpoint> BundleKeys::Open(std::string_view note) const {
  core::StatusOr<Checkpoint> opened = core::Internal("no key");
  for (auto key = keys_.rbegin(); key != keys_.rend(); ++key) {
    opened = OpenCheckpoint(note, *key);
    if (opened.status().code() != core::StatusCode::kPermissionDenied) break;
  }
  return opened;
}

core::StatusOr<Checkpoint> BundleKeys::OpenOutside(std::string_view note) const {
  core::StatusOr<Checkpoint> opened = Open(note);
  for (const std::string& key : retired_) {
    if (opened.status().code() != core::StatusCode::kPermissionDenied) break;
    opened = OpenCheckpoint(note, key);
  }
  return opened;
}

}  // namespace interlock::audit
