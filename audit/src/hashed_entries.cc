#include "hashed_entries.h"

#include <algorithm>
#include <thread>

#include "audit/merkle.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kBlockRows = 4096;
constexpr std::size_t kBlockBytes = 4 << 20;
constexpr std::size_t kRowsWorthAThread = 256;
constexpr std::size_t kThreadsMax = 8;

}  // namespace

core::Status HashedEntries::Start(sqlite3* db) {
  INTERLOCK_ASSIGN_OR_RETURN(
      rows_, Statement::Prepare(db, "SELECT idx, bytes, hash FROM entry ORDER BY idx"));
  return core::OkStatus();
}

core::StatusOr<const HashedEntry*> HashedEntries::Next() {
  if (next_ == block_.size() && !at_end_) {
    ReadBlock();
    HashBlock();
  }
  if (next_ == block_.size()) {
    if (!error_.ok()) return error_;
    return nullptr;
  }
  const Row& row = block_[next_];
  const std::string_view bytes = std::string_view(arena_).substr(row.bytes_at);
  entry_ = {row.index, bytes.substr(0, row.bytes_size), bytes.substr(row.bytes_size, row.hash_size),
            hashes_[next_]};
  ++next_;
  return &entry_;
}

void HashedEntries::ReadBlock() {
  arena_.clear();
  block_.clear();
  next_ = 0;
  while (block_.size() < kBlockRows && arena_.size() < kBlockBytes) {
    const core::StatusOr<bool> row = rows_.Step();
    at_end_ = !row.ok() || !*row;
    if (!row.ok()) error_ = row.status();
    if (at_end_) return;
    const std::string_view bytes = rows_.Bytes(1);
    const std::string_view hash = rows_.Bytes(2);
    block_.push_back({rows_.Int(0), arena_.size(), bytes.size(), hash.size()});
    arena_.append(bytes).append(hash);
  }
}

void HashedEntries::HashBlock() {
  hashes_.resize(block_.size());
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t threads = std::clamp<std::size_t>(block_.size() / kRowsWorthAThread, 1,
                                                      std::min(processors, kThreadsMax));
  const std::size_t share = block_.size() / threads;
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads; ++i) {
    others.emplace_back([this, share, i] { HashRange((i - 1) * share, i * share); });
  }
  HashRange((threads - 1) * share, block_.size());
  for (std::thread& other : others) other.join();
}

void HashedEntries::HashRange(std::size_t first, std::size_t end) {
  for (std::size_t i = first; i < end; ++i) {
    const Row& row = block_[i];
    hashes_[i] = LeafHash(std::string_view(arena_).substr(row.bytes_at, row.bytes_size));
  }
}

}  // namespace interlock::audit
