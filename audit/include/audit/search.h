// Full text over opened payloads (`search.db`, SQLite FTS5). It holds plaintext, is filled after
// the fact, and can be thrown away and filled again at any time: nothing rests on it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace interlock::audit {

inline constexpr std::size_t kSearchTextBytesMax = 1024;

struct SearchDocument {
  std::uint64_t entry_index = 0;
  int slot = 0;
  std::string call;
  std::string field;  // "args", "result"
  std::string text;
};

struct SearchHit {
  std::int64_t id = 0;  // entry index * 256 + slot: the cursor
  std::uint64_t entry_index = 0;
  std::string call;
  std::string field;
  std::string snippet;  // the first hit in [brackets]
};

// Thread-safe.
class SearchIndex {
 public:
  // Makes `<folder>/search.db` (mode 0600); one that cannot be used, or is of another generation
  // than this (KeyStore::TextGeneration), is made anew: a power cut or a backup may bring back a
  // file that holds erased words.
  static core::StatusOr<std::unique_ptr<SearchIndex>> Open(const std::string& folder,
                                                           std::int64_t generation);
  // Removes the file of an index that is not wanted any more.
  static core::Status Remove(const std::string& folder);
  virtual ~SearchIndex() = default;

  // Entries below it are in the index.
  virtual core::StatusOr<std::uint64_t> next_index() = 0;
  // Adds documents and moves next_index, in one commit. `unreadable`: payloads (entry index * 256 +
  // slot) that could not be opened and were not erased; they count until the index is made anew.
  virtual core::Status Add(const std::vector<SearchDocument>& documents,
                           const std::vector<std::int64_t>& unreadable,
                           std::uint64_t next_index) = 0;
  virtual core::StatusOr<std::uint64_t> unreadable() = 0;
  // Documents with all words (in double quotes: a phrase) of `text`, newest first, below id
  // `before`. Errors: kInvalidArgument without a word or above kSearchTextBytesMax.
  virtual core::StatusOr<std::vector<SearchHit>> Find(std::string_view text, std::int64_t before,
                                                      int max) = 0;
  // Throws the file away and begins an empty one: no word of an erased text stays in a free page.
  virtual core::Status Recreate(std::int64_t generation) = 0;
};

}  // namespace interlock::audit
