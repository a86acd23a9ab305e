// Whether sealed content still opens: bytes that were destroyed look like any others to a verifier
// without the keys.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "audit/content.h"
#include "engine/hub.h"

namespace interlock::runtime {

// The housekeeper's thread; `warning` may be called by any.
class ContentWatch {
 public:
  explicit ContentWatch(Hub& hub) : hub_(hub) {}

  // Looks at a few entries more of the open log; after the last, again a day later.
  core::Status Look();
  // Whether the content in this slot is gone though no entry says that it was erased.
  core::StatusOr<bool> IsLost(const audit::Log& log, std::uint64_t entry_index, int slot) const;
  // Empty: all that was looked at opens.
  std::string warning() const;

 private:
  // Payload rows of the look that are damaged, or whose key is missing and was never erased.
  core::StatusOr<std::vector<std::int64_t>> LostOf(audit::ContentLook look) const;
  enum class Pass { kUnderWay, kWhole };
  void Publish(Pass pass);

  Hub& hub_;
  std::uint64_t next_ = 0;
  std::uint64_t lost_ = 0;  // in this pass
  std::int64_t first_lost_ = -1;
  std::int64_t due_us_ = 0;  // monotonic: before it nothing is looked at

  mutable std::mutex mutex_;
  std::uint64_t told_ = 0;
  std::int64_t told_first_ = -1;
};

}  // namespace interlock::runtime
