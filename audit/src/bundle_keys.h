// The keys of a bundle's log: the one that the caller pinned, and those that entries of the bundle
// hand it over to or from.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "core/status.h"

namespace interlock::audit {

// Immutable once read.
class BundleKeys final {
 public:
  BundleKeys() = default;
  // `files` of a bundle, by name.
  BundleKeys(const std::string& pinned, const std::map<std::string_view, std::string_view>& files);

  // The pinned one and those after it, which may sign what the bundle shows.
  const std::vector<std::string>& keys() const { return keys_; }
  core::StatusOr<Checkpoint> Open(std::string_view note) const;
  // One that the caller kept may be of before the pinned key.
  core::StatusOr<Checkpoint> OpenOutside(std::string_view note) const;

 private:
  std::vector<std::string> keys_;
  std::vector<std::string> retired_;  // those before the pinned one
};

}  // namespace interlock::audit
