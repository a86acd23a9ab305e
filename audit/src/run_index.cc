#include "run_index.h"

#include <algorithm>

namespace interlock::audit {
namespace {

constexpr std::size_t kUuidText = 36;

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
  INTERLOCK_ASSIGN_OR_RETURN(
      insert_,
      Statement::Prepare(db, "INSERT INTO p_entry_run(run, run_seq, idx) VALUES(?, ?, ?)"));
  INTERLOCK_ASSIGN_OR_RETURN(
      last_, Statement::Prepare(db,
                                "SELECT run_seq, idx FROM p_entry_run WHERE run = ? "
                                "ORDER BY run_seq DESC LIMIT 1"));
  return core::OkStatus();
}

core::Status RunIndex::Apply(const EntryView& entry) {
  if (entry.run.size() != kUuidText) return core::OkStatus();
  const Row row{KeyOfRun(entry.run), {entry.run_seq, entry.index}};
  const std::lock_guard lock(mutex_);
  rows_.push_back(row);
  return core::OkStatus();
}

core::Status RunIndex::Flush() {
  // Only this thread changes rows_, so reading it needs no lock. Sorted by run, neighbours share a
  // page.
  std::vector<const Row*> sorted;
  sorted.reserve(rows_.size() - flushed_);
  for (std::size_t i = flushed_; i < rows_.size(); ++i) sorted.push_back(&rows_[i]);
  std::sort(sorted.begin(), sorted.end(), [](const Row* a, const Row* b) {
    return a->run != b->run ? a->run < b->run : a->position.run_seq < b->position.run_seq;
  });
  for (const Row* row : sorted) {
    INTERLOCK_RETURN_IF_ERROR(insert_.Blob(1, BytesOf(row->run))
                                  .Int(2, row->position.run_seq)
                                  .Int(3, static_cast<std::int64_t>(row->position.index))
                                  .Run());
  }
  flushed_ = rows_.size();
  return core::OkStatus();
}

void RunIndex::Reset() {
  const std::lock_guard lock(mutex_);
  rows_.clear();
  flushed_ = from_store_ = 0;
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
  for (const Row& row : rows_) {
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
  ResetAtExit reset(last_);
  last_.Blob(1, BytesOf(key));
  INTERLOCK_ASSIGN_OR_RETURN(const bool found, last_.Step());
  if (!found) return std::optional<RunPosition>();
  return std::optional(RunPosition{last_.Int(0), static_cast<std::uint64_t>(last_.Int(1))});
}

}  // namespace interlock::audit
