#include "run_index.h"

#include <algorithm>

#include "batch_rows.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kUuidText = 36;
constexpr std::size_t kRowsAStatement = 256;  // then the writer may load rows for a moment

unsigned Nibble(char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10) & 0xF; }

}  // namespace

RunKey KeyOfRun(std::string_view run) {
  RunKey key{};
  if (run.size() != kUuidText) return key;
  std::size_t at = 0;
  for (unsigned char& byte : key) {
    if (run[at] == '-') ++at;
    byte = static_cast<unsigned char>(Nibble(run[at]) << 4 | Nibble(run[at + 1]));
    at += 2;
  }
  return key;
}

std::vector<std::string> RunIndex::Schema() const {
  return {
      "CREATE TABLE IF NOT EXISTS p_entry_run("
      "run BLOB NOT NULL, run_seq INTEGER NOT NULL, idx INTEGER NOT NULL, "
      "PRIMARY KEY(run, run_seq)) STRICT, WITHOUT ROWID"};
}

core::Status RunIndex::Attach(sqlite3* db) {
  if (shown_to_ != db) INTERLOCK_RETURN_IF_ERROR(AddRunTable(db, &inserting_));
  shown_to_ = db;
  INTERLOCK_ASSIGN_OR_RETURN(
      insert_, Statement::Prepare(db,
                                  "INSERT OR FAIL INTO p_entry_run(run, run_seq, idx) "
                                  "SELECT run, run_seq, idx FROM batch_run"));
  INTERLOCK_ASSIGN_OR_RETURN(
      last_, Statement::Prepare(db,
                                "SELECT run_seq, idx FROM p_entry_run WHERE run = ? "
                                "ORDER BY run_seq DESC LIMIT 1"));
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement beyond, Statement::Prepare(db, "SELECT coalesce(max(run), x'') FROM p_entry_run"));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, beyond.Step());
  const std::string_view run = row ? beyond.Bytes(0) : std::string_view();
  last_stored_.fill(run.empty() ? 0 : 0xFF);
  if (run.size() == last_stored_.size()) std::copy(run.begin(), run.end(), last_stored_.begin());
  return core::OkStatus();
}

core::Status RunIndex::Apply(const EntryView& entry) {
  if (entry.run.size() != kUuidText) return core::OkStatus();
  const RunRow row{KeyOfRun(entry.run), {entry.run_seq, entry.index}};
  const std::lock_guard lock(mutex_);
  rows_.push_back(row);
  return core::OkStatus();
}

core::Status RunIndex::Flush() {
  std::size_t end = 0;
  {
    const std::lock_guard lock(mutex_);
    end = rows_.size();
    sorted_.assign(rows_.begin() + static_cast<std::ptrdiff_t>(flushed_), rows_.end());
  }
  if (sorted_.empty()) return core::OkStatus();
  // Neighbours share a page.
  std::sort(sorted_.begin(), sorted_.end(), [](const RunRow& a, const RunRow& b) {
    return a.run != b.run ? a.run < b.run : a.position.run_seq < b.position.run_seq;
  });
  inserting_ = &chunk_;
  const core::Status status = InsertSorted();
  inserting_ = nullptr;
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  last_stored_ = std::max(last_stored_, sorted_.back().run);
  flushed_ = end;
  return core::OkStatus();
}

core::Status RunIndex::InsertSorted() {
  for (std::size_t at = 0; at < sorted_.size(); at += kRowsAStatement) {
    chunk_ = std::span<const RunRow>(sorted_).subspan(at);
    if (chunk_.size() > kRowsAStatement) chunk_ = chunk_.first(kRowsAStatement);
    const ConnectionLock lock(shown_to_);  // between two chunks the writer may read
    INTERLOCK_RETURN_IF_ERROR(CheckInTransaction(shown_to_));
    INTERLOCK_RETURN_IF_ERROR(insert_.Run());
  }
  return core::OkStatus();
}

void RunIndex::Reset() {
  const std::lock_guard lock(mutex_);
  rows_.clear();
  flushed_ = from_store_ = 0;
  last_stored_.fill(0xFF);  // until Attach has looked
  insert_ = Statement();
  last_ = Statement();
}

void RunIndex::PublishUpTo(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  published_ = size;
}

void RunIndex::DropFlushed() {
  const std::lock_guard lock(mutex_);
  rows_.erase(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(flushed_));
  flushed_ = from_store_ = 0;
}

std::vector<RunPosition> RunIndex::Pending(std::string_view run, std::int64_t first_seq) const {
  std::vector<RunPosition> found;
  const RunKey key = KeyOfRun(run);
  const std::lock_guard lock(mutex_);
  for (const RunRow& row : rows_) {
    if (row.position.index < published_ && row.position.run_seq >= first_seq && row.run == key) {
      found.push_back(row.position);
    }
  }
  return found;
}

core::StatusOr<std::optional<RunPosition>> RunIndex::Last(std::string_view run) {
  const RunKey key = KeyOfRun(run);
  for (std::size_t i = from_store_; i > 0; --i) {
    if (rows_[i - 1].run == key) return std::optional(rows_[i - 1].position);
  }
  {
    const std::lock_guard lock(mutex_);
    if (key > last_stored_) return std::optional<RunPosition>();  // ids of runs grow with time
  }
  ResetAtExit reset(last_);
  last_.Blob(1, BytesOf(key));
  INTERLOCK_ASSIGN_OR_RETURN(const bool found, last_.Step());
  if (!found) return std::optional<RunPosition>();
  return std::optional(RunPosition{last_.Int(0), static_cast<std::uint64_t>(last_.Int(1))});
}

}  // namespace interlock::audit
