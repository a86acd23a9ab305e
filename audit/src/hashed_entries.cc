#include "hashed_entries.h"

#include <algorithm>
#include <thread>
#include <utility>

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

HashedEntries::~HashedEntries() {
  if (reader_.joinable()) reader_.join();
}

core::StatusOr<const HashedEntry*> HashedEntries::Next() {
  if (next_ == block_.rows.size() && !block_.last) NextBlock();
  if (next_ == block_.rows.size()) {
    if (!block_.error.ok()) return block_.error;
    return nullptr;
  }
  const Row& row = block_.rows[next_];
  const std::string_view bytes = std::string_view(block_.arena).substr(row.bytes_at);
  entry_ = {row.index, bytes.substr(0, row.bytes_size), bytes.substr(row.bytes_size, row.hash_size),
            block_.hashes[next_]};
  ++next_;
  return &entry_;
}

void HashedEntries::NextBlock() {
  if (reader_.joinable()) {
    reader_.join();
  } else {
    Read(ahead_);
  }
  std::swap(block_, ahead_);
  next_ = 0;
  if (!block_.last) reader_ = std::thread([this] { Read(ahead_); });
  Hash(block_);
}

void HashedEntries::Read(Block& block) {
  block.arena.clear();
  block.rows.clear();
  while (block.rows.size() < kBlockRows && block.arena.size() < kBlockBytes) {
    const core::StatusOr<bool> row = rows_.Step();
    block.last = !row.ok() || !*row;
    if (!row.ok()) block.error = row.status();
    if (block.last) return;
    const std::string_view bytes = rows_.Bytes(1);
    const std::string_view hash = rows_.Bytes(2);
    block.rows.push_back({rows_.Int(0), block.arena.size(), bytes.size(), hash.size()});
    block.arena.append(bytes).append(hash);
  }
}

void HashedEntries::Hash(Block& block) {
  const std::size_t count = block.rows.size();
  block.hashes.resize(count);
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t threads =
      std::clamp<std::size_t>(count / kRowsWorthAThread, 1, std::min(processors, kThreadsMax));
  const std::size_t share = count / threads;
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads; ++i) {
    others.emplace_back([&block, share, i] { HashRange(block, (i - 1) * share, i * share); });
  }
  HashRange(block, (threads - 1) * share, count);
  for (std::thread& other : others) other.join();
}

void HashedEntries::HashRange(Block& block, std::size_t first, std::size_t end) {
  for (std::size_t i = first; i < end; ++i) {
    const Row& row = block.rows[i];
    block.hashes[i] = LeafHash(std::string_view(block.arena).substr(row.bytes_at, row.bytes_size));
  }
}

}  // namespace interlock::audit
