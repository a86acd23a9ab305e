// Which program a box is given, as a digest of its file.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <tuple>

#include "core/digest.h"
#include "sandbox/launcher.h"

namespace interlock::sandbox {

// A file is read once and known by its inode, size and times from then on. Thread-safe.
class ProgramDigests {
 public:
  // See BoxResult::program_digest.
  core::Digest Of(const BoxSpec& spec);

 private:
  // Device, inode, size, and the times of its content and of its inode in ns.
  using Key = std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::int64_t, std::int64_t>;
  static Key KeyOf(const struct stat& file);

  std::mutex mutex_;
  std::map<Key, core::Digest> known_;  // at most kKnownMax
};

}  // namespace interlock::sandbox
