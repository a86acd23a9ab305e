#include "audit/search.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "audit/payload_key.h"
#include "excerpt.h"
#include "private_file.h"
#include "sqlite.h"

namespace interlock::audit {
namespace {

constexpr const char* kSearchPragmas =
    "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;"
    "PRAGMA temp_store = MEMORY";
constexpr const char* kSearchSchema = R"sql(
CREATE TABLE p_mark(id INTEGER PRIMARY KEY CHECK(id = 1), next_idx INTEGER NOT NULL) STRICT;
INSERT INTO p_mark(id, next_idx) VALUES(1, 0);
CREATE TABLE p_unreadable(id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE p_key(key_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE p_stamp(
  id INTEGER PRIMARY KEY CHECK(id = 1), origin TEXT NOT NULL, generation INTEGER NOT NULL) STRICT;
CREATE VIRTUAL TABLE document USING fts5(
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
      const std::string quoted = "\"" + std::string(word) + "\"";
      // A word that stands twice asks nothing more, and each costs time for every hit.
      if (match.find(quoted) == std::string::npos) match += (match.empty() ? "" : " ") + quoted;
    }
    const bool opens_next = !phrase && end < text.size() && text[end] == '"';
    text.remove_prefix(std::min(end + (opens_next ? 0 : 1), text.size()));
  }
  return match;
}

// "search.db" of "audit.db", "search-0001.db" of "audit-0001.db".
constexpr std::string_view kLogStem = "audit";
constexpr std::string_view kIndexStem = "search";
constexpr std::string_view kSuffix = ".db";

std::string IndexOf(const std::string& database) {
  const std::size_t name = database.rfind('/') + 1;
  return database.substr(0, name) + std::string(kIndexStem) +
         database.substr(name + kLogStem.size());
}

// The name of the log whose index this is, or whose index it is a journal of; empty: neither.
std::string LogOfIndex(const std::string& name) {
  const std::size_t end = name.find(kSuffix);
  if (!name.starts_with(kIndexStem) || end == std::string::npos) return {};
  const std::string number = name.substr(kIndexStem.size(), end - kIndexStem.size());
  if (number.find_first_not_of("-0123456789") != std::string::npos) return {};
  return std::string(kLogStem) + number + std::string(kSuffix);
}

// Durable: an unlinked file that comes back after a power cut holds what was to be forgotten.
core::Status RemoveFiles(const std::string& path) {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    const std::string file = path + suffix;
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return ErrnoStatus("cannot remove", file);
  }
  return SyncFolder(path.substr(0, path.rfind('/')));
}

// Nothing that belongs to the file by its name is left beside it.
core::Status LeaveJournal(const std::string& path) {
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenDb(path, SQLITE_OPEN_READWRITE));
  INTERLOCK_RETURN_IF_ERROR(QueryInt(db.get(), "SELECT next_idx FROM p_mark").status());
  INTERLOCK_RETURN_IF_ERROR(
      Exec(db.get(), "PRAGMA journal_mode = TRUNCATE; PRAGMA journal_mode = DELETE"));
  const bool left = std::filesystem::exists(path + "-journal");
  return left ? core::Unavailable("`" + path + "-journal` is in use") : core::OkStatus();
}

const core::Status& StatusOf(const core::Status& status) { return status; }
template <typename T>
const core::Status& StatusOf(const core::StatusOr<T>& value) {
  return value.status();
}

// Whether the file itself is at fault: its bytes, its tables, or a row that should not be there.
// What else fails (no descriptor, no memory, no room, a lock, the disk) may pass.
bool ShowsDamage(const core::Status& status) {
  const int code = SqlCodeOf(status);
  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR ||
         code == SQLITE_CONSTRAINT;
}

class FtsIndex final : public SearchIndex {
 public:
  FtsIndex(std::string path, SearchStamp stamp)
      : path_(std::move(path)), stamp_(std::move(stamp)) {}

  // What nobody can read now is not used before somebody can.
  core::Status Start() {
    const core::Status opened = OpenExisting();
    return IsOfNoUse(opened) ? Forget(stamp_.generation) : core::OkStatus();
  }

  core::StatusOr<std::uint64_t> next_index() override {
    return Count("SELECT next_idx FROM p_mark");
  }
  core::StatusOr<std::uint64_t> unreadable() override {
    return Count("SELECT count(*) FROM p_unreadable");
  }
  core::Status Add(const SearchBatch& batch) override {
    return Guarded([&] { return Insert(batch); });
  }
  core::StatusOr<std::vector<SearchHit>> Find(std::string_view text, std::int64_t before,
                                              int max) override {
    const std::string match = MatchOf(text);
    if (match.empty() || text.size() > kSearchTextBytesMax ||
        text.find('\0') != std::string_view::npos) {
      return core::InvalidArgument("search for one or more words, at most 1024 bytes");
    }
    return Guarded([&] { return Match(match, before, max); });
  }
  core::StatusOr<bool> Holds(std::string_view key) override {
    if (IsAbsent()) return false;
    return Guarded([&]() -> core::StatusOr<bool> {
      INTERLOCK_ASSIGN_OR_RETURN(
          Statement held, Statement::Prepare(db_.get(), "SELECT 1 FROM p_key WHERE key_id = ?"));
      return held.Text(1, key).Step();
    });
  }
  core::Status Restamp(std::int64_t generation) override {
    if (!IsAbsent()) INTERLOCK_RETURN_IF_ERROR(Ready());  // of the generation so far, or it goes
    stamp_.generation = generation;
    if (IsAbsent()) return core::OkStatus();
    return Guarded([&]() -> core::Status {
      INTERLOCK_ASSIGN_OR_RETURN(
          Statement stamp, Statement::Prepare(db_.get(), "UPDATE p_stamp SET generation = ?"));
      return stamp.Int(1, generation).Run();
    });
  }
  core::Status Forget(std::int64_t generation) override {
    stamp_.generation = generation;
    db_.reset();
    return RemoveFiles(path_);
  }

 private:
  bool IsAbsent() const {
    return db_ == nullptr && ::access(path_.c_str(), F_OK) != 0 && errno == ENOENT;
  }
  static bool IsOfNoUse(const core::Status& opened) {
    return opened.code() == core::StatusCode::kAborted || ShowsDamage(opened);
  }

  // Errors: kNotFound: there is none; kAborted: it is of another stamp.
  core::Status OpenExisting() {
    if (IsAbsent()) return core::NotFound("there is no `" + path_ + "`");
    INTERLOCK_ASSIGN_OR_RETURN(Db db, Connect());
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement stored, Statement::Prepare(db.get(), "SELECT origin, generation FROM p_stamp"));
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, stored.Step());
    const bool is_its_log =
        row && (stamp_.origin.empty() || stored.Bytes(0) == std::string_view(stamp_.origin));
    if (!is_its_log || stored.Int(1) != stamp_.generation) {
      return core::Error(core::StatusCode::kAborted, "`" + path_ + "` is of another stamp");
    }
    stored.Reset();
    INTERLOCK_RETURN_IF_ERROR(Exec(db.get(), kSearchPragmas));
    db_ = std::move(db);
    return core::OkStatus();
  }

  core::StatusOr<Db> Connect() const {
    INTERLOCK_ASSIGN_OR_RETURN(Db db, OpenDb(path_, SQLITE_OPEN_READWRITE));
    sqlite3_db_config(db.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    INTERLOCK_RETURN_IF_ERROR(AddExcerpt(db.get()));
    return db;
  }

  // Never over a file that is there already: whatever it holds, it is not what is stamped here. The
  // stamp comes in one commit with the tables, so a file that was cut off has none.
  core::Status Create() {
    INTERLOCK_RETURN_IF_ERROR(RemoveFiles(path_));
    const UniqueFd file(
        ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return ErrnoStatus("cannot make", path_);
    INTERLOCK_ASSIGN_OR_RETURN(Db db, Connect());
    INTERLOCK_RETURN_IF_ERROR(Exec(db.get(), kSearchPragmas));
    SqlTransaction transaction(db.get());
    INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
    INTERLOCK_RETURN_IF_ERROR(Exec(db.get(), kSearchSchema));
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement stamp,
        Statement::Prepare(db.get(),
                           "INSERT INTO p_stamp(id, origin, generation) VALUES(1, ?, ?)"));
    INTERLOCK_RETURN_IF_ERROR(stamp.Text(1, stamp_.origin).Int(2, stamp_.generation).Run());
    INTERLOCK_RETURN_IF_ERROR(transaction.Commit());
    db_ = std::move(db);
    return core::OkStatus();
  }

  core::Status Ready() {
    if (db_ != nullptr) return core::OkStatus();
    core::Status opened = OpenExisting();
    if (opened.ok() || !(IsOfNoUse(opened) || opened.code() == core::StatusCode::kNotFound)) {
      return opened;
    }
    return Create();
  }

  template <typename Do>
  auto Guarded(Do act) -> decltype(act()) {
    core::Status ready = Ready();
    auto result = ready.ok() ? act() : decltype(act())(std::move(ready));
    if (!ShowsDamage(StatusOf(result))) return result;
    INTERLOCK_RETURN_IF_ERROR(Forget(stamp_.generation));
    return core::Error(core::StatusCode::kAborted,
                       "`" + path_ + "` was damaged and is made anew; search again");
  }

  core::StatusOr<std::uint64_t> Count(std::string_view sql) {
    return Guarded([&]() -> core::StatusOr<std::uint64_t> {
      INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t count, QueryInt(db_.get(), sql));
      return static_cast<std::uint64_t>(count);
    });
  }

  core::Status Insert(const SearchBatch& batch) {
    SqlTransaction transaction(db_.get());
    INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement key,
        Statement::Prepare(db_.get(), "INSERT OR IGNORE INTO p_key(key_id) VALUES(?)"));
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement insert,
        Statement::Prepare(db_.get(),
                           "INSERT INTO document(rowid, call, field, text) VALUES(?, ?, ?, ?)"));
    for (const SearchDocument& document : batch.documents) {
      const std::int64_t id = PayloadKey(document.entry_index, document.slot);
      INTERLOCK_RETURN_IF_ERROR(insert.Int(1, id)
                                    .Text(2, document.call)
                                    .Text(3, document.field)
                                    .Text(4, document.text)
                                    .Run());
      INTERLOCK_RETURN_IF_ERROR(key.Text(1, document.key).Run());
    }
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement note,
        Statement::Prepare(db_.get(), "INSERT OR IGNORE INTO p_unreadable(id) VALUES(?)"));
    for (const UnreadableText& one : batch.unreadable) {
      INTERLOCK_RETURN_IF_ERROR(note.Int(1, one.id).Run());
      INTERLOCK_RETURN_IF_ERROR(key.Text(1, one.key).Run());
    }
    INTERLOCK_ASSIGN_OR_RETURN(Statement mark,
                               Statement::Prepare(db_.get(), "UPDATE p_mark SET next_idx = ?"));
    INTERLOCK_RETURN_IF_ERROR(mark.Int(1, static_cast<std::int64_t>(batch.next_index)).Run());
    return transaction.Commit();
  }

  core::StatusOr<std::vector<SearchHit>> Match(const std::string& match, std::int64_t before,
                                               int max) {
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement select, Statement::Prepare(db_.get(),
                                             "SELECT rowid, call, field, excerpt(document, 2) "
                                             "FROM document WHERE document MATCH ? AND rowid < ? "
                                             "ORDER BY rowid DESC LIMIT ?"));
    select.Text(1, match).Int(2, before).Int(3, max);
    std::vector<SearchHit> hits;
    for (;;) {
      const auto row = select.Step();
      if (SqlCodeOf(row.status()) == SQLITE_ERROR) {  // of what is asked: the statement is ours
        return core::InvalidArgument("search for fewer words: " +
                                     std::string(core::Message(row.status())));
      }
      INTERLOCK_RETURN_IF_ERROR(row.status());
      if (!*row) return hits;
      const std::int64_t id = select.Int(0);
      hits.push_back({id, static_cast<std::uint64_t>(EntryOfPayload(id)),
                      std::string(select.Bytes(1)), std::string(select.Bytes(2)),
                      std::string(select.Bytes(3))});
    }
  }

  const std::string path_;
  SearchStamp stamp_;
  Db db_;
};

}  // namespace

core::StatusOr<std::unique_ptr<SearchIndex>> SearchIndex::Open(const std::string& database,
                                                               SearchStamp stamp) {
  auto index = std::make_unique<FtsIndex>(IndexOf(database), std::move(stamp));
  INTERLOCK_RETURN_IF_ERROR(index->Start());
  return std::unique_ptr<SearchIndex>(std::move(index));
}

core::Status SearchIndex::Remove(const std::string& database) {
  return RemoveFiles(IndexOf(database));
}

core::Status SearchIndex::RemoveAll(const std::string& folder) { return RemoveOthers(folder, {}); }

core::Status SearchIndex::RemoveOthers(const std::string& folder,
                                       const std::vector<std::string>& logs) {
  std::set<std::string> others;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder, error)) {
    std::string log = LogOfIndex(file.path().filename().string());
    if (log.empty() || std::find(logs.begin(), logs.end(), log) != logs.end()) continue;
    others.insert(std::move(log));
  }
  if (error) return core::Unavailable("cannot list `" + folder + "`: " + error.message());
  for (const std::string& log : others) INTERLOCK_RETURN_IF_ERROR(Remove(folder + "/" + log));
  return core::OkStatus();
}

core::Status SearchIndex::Follow(const std::string& database, const std::string& archive) {
  const std::string from = IndexOf(database);
  const std::string to = IndexOf(archive);
  if (::access(from.c_str(), F_OK) != 0) return RemoveFiles(from);  // a journal without its file
  const bool moved =
      RemoveFiles(to).ok() && LeaveJournal(from).ok() && std::rename(from.c_str(), to.c_str()) == 0;
  return moved ? SyncFolder(to.substr(0, to.rfind('/'))) : RemoveFiles(from);
}

}  // namespace interlock::audit
