// The entries of a log file in the order of their indexes, each with the leaf hash of its bytes.
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/digest.h"
#include "core/status.h"
#include "sqlite.h"

namespace interlock::audit {

struct HashedEntry {
  std::int64_t index = 0;  // as stored
  std::string_view bytes;
  std::string_view stored_hash;
  core::Digest leaf_hash{};  // of `bytes`
};

// Hashing is most of what a verifier does: rows are read in blocks and hashed by every processor,
// while a thread reads the next block. Used by one thread.
class HashedEntries {
 public:
  HashedEntries() = default;
  ~HashedEntries();
  HashedEntries(const HashedEntries&) = delete;
  HashedEntries& operator=(const HashedEntries&) = delete;

  // `db` was opened FULLMUTEX: the caller may use it meanwhile.
  core::Status Start(sqlite3* db);
  // nullptr behind the last one. What it points to holds until the next call. A row that cannot be
  // read is an error in its turn, not before the rows that stand before it.
  core::StatusOr<const HashedEntry*> Next();

 private:
  struct Row {
    std::int64_t index = 0;
    std::size_t bytes_at = 0;  // in the block's arena
    std::size_t bytes_size = 0;
    std::size_t hash_size = 0;  // the stored hash, behind the bytes
  };

  struct Block {
    std::string arena;
    std::vector<Row> rows;
    std::vector<core::Digest> hashes;
    bool last = false;
    core::Status error;  // why it is the last one
  };

  void NextBlock();
  void Read(Block& block);
  static void Hash(Block& block);
  static void HashRange(Block& block, std::size_t first, std::size_t end);

  Statement rows_;
  Block block_;
  std::size_t next_ = 0;  // of block_
  Block ahead_;           // the reader's, until it has ended
  std::thread reader_;
  HashedEntry entry_;
};

}  // namespace interlock::audit
