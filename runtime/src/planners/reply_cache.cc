#include "reply_cache.h"

#include <utility>

namespace interlock::runtime {
namespace {

constexpr std::int64_t kEntryBytes = 512;  // of an entry besides its texts, about

std::int64_t BytesOf(const Plan& plan) {
  std::size_t bytes = plan.text.size() + plan.raw.size() + plan.raw_request.size();
  for (const ProposedCall& call : plan.calls) bytes += call.args_text.size() + call.echo.size();
  return static_cast<std::int64_t>(bytes) + kEntryBytes;
}

}  // namespace

std::optional<Plan> ReplyCache::Find(const core::Digest& key, std::int64_t now_us) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  const Entries::iterator entry = found->second;
  if (now_us - entry->kept_us >= options_.ttl_us) {
    Drop(entry);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  Plan plan = entry->plan;
  plan.from_cache = true;
  plan.saved_micros = std::exchange(plan.cost_micros, 0);
  plan.prompt_tokens = plan.cached_tokens = plan.cache_write_tokens = 0;
  plan.completion_tokens = plan.reasoning_tokens = 0;
  plan.tokens_estimated = false;
  return plan;
}

void ReplyCache::Keep(const core::Digest& key, const Plan& plan, std::int64_t now_us) {
  const std::int64_t bytes = BytesOf(plan);
  if (!enabled() || bytes > options_.bytes_max) return;
  if (const auto old = by_key_.find(key); old != by_key_.end()) Drop(old->second);
  entries_.push_front({key, plan, bytes, now_us});
  by_key_[key] = entries_.begin();
  bytes_ += bytes;
  while (static_cast<std::int64_t>(by_key_.size()) > options_.entries_max ||
         bytes_ > options_.bytes_max) {
    Drop(std::prev(entries_.end()));
  }
}

void ReplyCache::Clear() {
  entries_.clear();
  by_key_.clear();
  bytes_ = 0;
}

void ReplyCache::Drop(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace interlock::runtime
