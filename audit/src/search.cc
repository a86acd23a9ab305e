#include "audit/search.h"

#include <fcntl.h>
#include <unistd.h>

#include <mutex>

#include "private_file.h"
#include "sqlite.h"

namespace interlock::audit {
namespace {

constexpr const char* kSearchSchema = R"sql(
PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
CREATE TABLE IF NOT EXISTS p_mark(id INTEGER PRIMARY KEY CHECK(id = 1), next_idx INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO p_mark(id, next_idx) VALUES(1, 0);
CREATE TABLE IF NOT EXISTS p_unreadable(id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS p_generation(generation INTEGER NOT NULL) STRICT;
CREATE VIRTUAL TABLE IF NOT EXISTS document USING fts5(
  call UNINDEXED, field UNINDEXED, text, tokenize = 'unicode61 remove_diacritics 2');
)sql";

// The text as an FTS5 query of quoted words: nothing a user types is syntax. Empty: no word.
std::string MatchOf(std::string_view text) {
  std::string match;
  while (!text.empty()) {
    const bool phrase = text.front() == '"';
    if (phrase) text.remove_prefix(1);
    const std::size_t end = std::min(text.find_first_of(phrase ? "\"" : " \t\"\n"), text.size());
    const std::string_view word = text.substr(0, end);
    if (word.find_first_not_of(" \t\n") != std::string_view::npos) {
      match += (match.empty() ? "\"" : " \"") + std::string(word) + "\"";
    }
    const bool opens_next = !phrase && end < text.size() && text[end] == '"';
    text.remove_prefix(std::min(end + (opens_next ? 0 : 1), text.size()));
  }
  return match;
}

// Durable: an unlinked file that comes back after a power cut holds what was to be forgotten.
core::Status RemoveFiles(const std::string& path) {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    const std::string file = path + suffix;
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return ErrnoStatus("cannot remove", file);
  }
  return SyncFolder(path.substr(0, path.rfind('/')));
}

class FtsIndex final : public SearchIndex {
 public:
  explicit FtsIndex(std::string path) : path_(std::move(path)) {}

  core::Status Start(std::int64_t generation) {
    const core::Status opened = OpenFile();
    const auto stored = opened.ok()
                            ? QueryInt(db_.get(), "SELECT max(generation) FROM p_generation")
                            : core::StatusOr<std::int64_t>(opened);
    return stored.ok() && *stored == generation ? core::OkStatus() : RemoveAndOpen(generation);
  }

  core::StatusOr<std::uint64_t> next_index() override {
    const std::lock_guard lock(mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t next,
                               QueryInt(db_.get(), "SELECT next_idx FROM p_mark"));
    return static_cast<std::uint64_t>(next);
  }

  core::StatusOr<std::uint64_t> unreadable() override {
    const std::lock_guard lock(mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t count,
                               QueryInt(db_.get(), "SELECT count(*) FROM p_unreadable"));
    return static_cast<std::uint64_t>(count);
  }

  core::Status Add(const std::vector<SearchDocument>& documents,
                   const std::vector<std::int64_t>& unreadable, std::uint64_t next_index) override {
    const std::lock_guard lock(mutex_);
    SqlTransaction transaction(db_.get());
    INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement insert,
        Statement::Prepare(db_.get(),
                           "INSERT INTO document(rowid, call, field, text) VALUES(?, ?, ?, ?)"));
    for (const SearchDocument& document : documents) {
      const auto id = static_cast<std::int64_t>(document.entry_index << 8) | document.slot;
      INTERLOCK_RETURN_IF_ERROR(insert.Int(1, id)
                                    .Text(2, document.call)
                                    .Text(3, document.field)
                                    .Text(4, document.text)
                                    .Run());
    }
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement note,
        Statement::Prepare(db_.get(), "INSERT OR IGNORE INTO p_unreadable(id) VALUES(?)"));
    for (const std::int64_t id : unreadable) INTERLOCK_RETURN_IF_ERROR(note.Int(1, id).Run());
    INTERLOCK_ASSIGN_OR_RETURN(Statement mark,
                               Statement::Prepare(db_.get(), "UPDATE p_mark SET next_idx = ?"));
    INTERLOCK_RETURN_IF_ERROR(mark.Int(1, static_cast<std::int64_t>(next_index)).Run());
    return transaction.Commit();
  }

  core::StatusOr<std::vector<SearchHit>> Find(std::string_view text, std::int64_t before,
                                              int max) override {
    const std::string match = MatchOf(text);
    if (match.empty() || text.size() > kSearchTextBytesMax ||
        text.find('\0') != std::string_view::npos) {
      return core::InvalidArgument("search for one or more words, at most 1024 bytes");
    }
    const std::lock_guard lock(mutex_);
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement select,
        Statement::Prepare(db_.get(),
                           "SELECT rowid, call, field, snippet(document, 2, '[', ']', '…', 12) "
                           "FROM document WHERE document MATCH ? AND rowid < ? "
                           "ORDER BY rowid DESC LIMIT ?"));
    select.Text(1, match).Int(2, before).Int(3, max);
    std::vector<SearchHit> hits;
    for (;;) {
      INTERLOCK_ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) return hits;
      const std::int64_t id = select.Int(0);
      hits.push_back({id, static_cast<std::uint64_t>(id) >> 8, std::string(select.Bytes(1)),
                      std::string(select.Bytes(2)), std::string(select.Bytes(3))});
    }
  }

  core::Status Recreate(std::int64_t generation) override {
    const std::lock_guard lock(mutex_);
    return RemoveAndOpen(generation);
  }

 private:
  core::Status OpenFile() {
    const UniqueFd file(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file.valid()) return ErrnoStatus("cannot make", path_);
    INTERLOCK_ASSIGN_OR_RETURN(db_, OpenDb(path_, SQLITE_OPEN_READWRITE));
    sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    return Exec(db_.get(), kSearchSchema);
  }

  core::Status RemoveAndOpen(std::int64_t generation) {
    db_.reset();
    INTERLOCK_RETURN_IF_ERROR(RemoveFiles(path_));
    INTERLOCK_RETURN_IF_ERROR(OpenFile());
    return Exec(db_.get(),
                "INSERT INTO p_generation(generation) VALUES(" + std::to_string(generation) + ")");
  }

  const std::string path_;
  std::mutex mutex_;
  Db db_;
};

}  // namespace

core::Status SearchIndex::Remove(const std::string& folder) {
  return RemoveFiles(folder + "/search.db");
}

core::StatusOr<std::unique_ptr<SearchIndex>> SearchIndex::Open(const std::string& folder,
                                                               std::int64_t generation) {
  auto index = std::make_unique<FtsIndex>(folder + "/search.db");
  INTERLOCK_RETURN_IF_ERROR(index->Start(generation));
  return std::unique_ptr<SearchIndex>(std::move(index));
}

}  // namespace interlock::audit
