// Full text over opened payloads (SQLite FTS5), one file a log: `search.db` of the open one,
// `search-0001.db` of `audit-0001.db`. It holds plaintext, is filled after the fact, and can be
// thrown away and filled again at any time: nothing rests on it.
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
  std::string key;  // id of the key that it is sealed under
  std::string call;
  std::string field;  // "args", "result"
  std::string text;
};

// A payload that could not be opened and was not erased; it counts until the index is made anew.
struct UnreadableText {
  std::int64_t id = 0;  // its PayloadKey
  std::string key;
};

struct SearchBatch {
  std::vector<SearchDocument> documents;
  std::vector<UnreadableText> unreadable;
  std::uint64_t next_index = 0;  // entries below it are in the index then
};

struct SearchHit {
  std::int64_t id = 0;  // its PayloadKey: the cursor
  std::uint64_t entry_index = 0;
  std::string call;
  std::string field;
  std::string snippet;  // a few words around the first hit, which stands in [brackets]
};

// What an index is of. A file with another stamp is not used: a power cut or a backup may bring
// back one that holds erased words, or one of another log.
struct SearchStamp {
  std::string origin;           // of the log; empty: nobody can say (then nothing is looked for)
  std::int64_t generation = 0;  // KeyStore::TextGeneration
};

// One per thread. The file (mode 0600) is made when it is first needed. Errors of all methods:
// kAborted when the file was damaged; it is gone then, and the index begins anew. Others may pass
// (no descriptor, no memory, no room, a lock): the file stays.
class SearchIndex {
 public:
  // The index of the log in the file `database`. A file of another stamp is removed; one that
  // cannot be read now is not used before its stamp was seen. Errors: it cannot be removed.
  static core::StatusOr<std::unique_ptr<SearchIndex>> Open(const std::string& database,
                                                           SearchStamp stamp);
  // Durable, as the next two: no word of what is removed comes back after a power cut.
  static core::Status Remove(const std::string& database);
  // Of all logs of a folder.
  static core::Status RemoveAll(const std::string& folder);
  // Of the logs of a folder but those in the files that are named (`audit.db`, …).
  static core::Status RemoveOthers(const std::string& folder, const std::vector<std::string>& logs);
  // The log in `database` is now in the file `archive`: its index goes with it. One that cannot be
  // used is removed. Repeated after a crash it finishes.
  static core::Status Follow(const std::string& database, const std::string& archive);
  virtual ~SearchIndex() = default;

  // Entries below it are in the index.
  virtual core::StatusOr<std::uint64_t> next_index() = 0;
  // In one commit.
  virtual core::Status Add(const SearchBatch& batch) = 0;
  virtual core::StatusOr<std::uint64_t> unreadable() = 0;
  // Documents with all words (in double quotes: a phrase) of `text`, newest first, below id
  // `before`. Errors: kInvalidArgument without a word or above kSearchTextBytesMax.
  virtual core::StatusOr<std::vector<SearchHit>> Find(std::string_view text, std::int64_t before,
                                                      int max) = 0;
  // Whether it has, or counts as unreadable, anything that was sealed under the key.
  virtual core::StatusOr<bool> Holds(std::string_view key) = 0;
  // It holds nothing of what was erased up to this generation.
  virtual core::Status Restamp(std::int64_t generation) = 0;
  // Throws the file away; the index begins anew. No word of an erased text stays in a free page.
  virtual core::Status Forget(std::int64_t generation) = 0;
};

}  // namespace interlock::audit
