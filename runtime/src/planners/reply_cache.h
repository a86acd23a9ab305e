// Replies kept for requests that are the same to the last byte. In memory only: nothing of it
// outlives the process, an erasure (Planner::ForgetReplies) or its time.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include "core/digest.h"
#include "runtime/planner.h"

namespace interlock::runtime {

struct ReplyCacheOptions {
  std::int64_t entries_max = 0;  // 0: nothing is kept
  std::int64_t bytes_max = 64 << 20;
  std::int64_t ttl_us = 600'000'000;
};

// Drops the one not used for longest first. The caller locks.
class ReplyCache {
 public:
  explicit ReplyCache(ReplyCacheOptions options) : options_(options) {}

  bool enabled() const { return options_.entries_max > 0; }
  // The plan as a hit: from_cache, what it cost as saved, no tokens.
  std::optional<Plan> Find(const core::Digest& key, std::int64_t now_us);
  void Keep(const core::Digest& key, const Plan& plan, std::int64_t now_us);
  void Clear();
  std::size_t size() const { return by_key_.size(); }

 private:
  struct Entry {
    core::Digest key;
    Plan plan;
    std::int64_t bytes;
    std::int64_t kept_us;
  };
  using Entries = std::list<Entry>;

  void Drop(Entries::iterator entry);

  const ReplyCacheOptions options_;
  Entries entries_;  // used last: in front
  std::map<core::Digest, Entries::iterator> by_key_;
  std::int64_t bytes_ = 0;
};

}  // namespace interlock::runtime
