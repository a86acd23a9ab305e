// The entries of a log file in the order of their indexes, each with the leaf hash of its bytes.
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
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

// Hashing is most of what a verifier does: rows are read in blocks and hashed by every processor.
// Used by one thread.
class HashedEntries {
 public:
  core::Status Start(sqlite3* db);
  // nullptr behind the last one. What it points to holds until the next call. A row that cannot be
  // read is an error in its turn, not before the rows that stand before it.
  core::StatusOr<const HashedEntry*> Next();

 private:
  struct Row {
    std::int64_t index = 0;
    std::size_t bytes_at = 0;  // in arena_
    std::size_t bytes_size = 0;
    std::size_t hash_size = 0;  // the stored hash, behind the bytes
  };

  void ReadBlock();
  void HashBlock();
  void HashRange(std::size_t first, std::size_t end);

  Statement rows_;
  std::string arena_;
  std::vector<Row> block_;
  std::vector<core::Digest> hashes_;
  std::size_t next_ = 0;
  bool at_end_ = false;
  core::Status error_;
  HashedEntry entry_;
};

}  // namespace interlock::audit
