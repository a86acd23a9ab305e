// The built-in projection: which entries belong to which run. Rows reach the database in bulk;
// until then readers find them here.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "sqlite.h"

namespace interlock::audit {

struct RunPosition {
  std::int64_t run_seq = 0;
  std::uint64_t index = 0;
};

// The 16 bytes of a run's UUID; runs are looked up by them. Zeros for what is not a UUID's text.
using RunKey = std::array<unsigned char, 16>;
RunKey KeyOfRun(std::string_view run);
inline std::string_view BytesOf(const RunKey& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

struct RunRow {
  RunKey run;
  RunPosition position;
};

// Apply, Attach, Reset, Last: writer thread. Pending and PublishUpTo: thread-safe.
class RunIndex final : public Projector {
 public:
  std::string_view name() const override { return "entry_run"; }
  std::vector<std::string> Schema() const override;
  core::Status Attach(sqlite3* db) override;
  core::Status Apply(const EntryView& entry) override;
  // From any one thread; Apply and Last may go on meanwhile.
  core::Status Flush() override;
  void Reset() override;

  // Entries below `size` are durable: readers may see them.
  void PublishUpTo(std::uint64_t size);
  // Forgets rows that are durable in the table. After the flush's COMMIT only, else readers would
  // miss them.
  void DropFlushed();
  // Durable entries of a run that the table may not have yet, in run_seq order, from `first_seq`.
  std::vector<RunPosition> Pending(std::string_view run, std::int64_t first_seq) const;
  // The pending rows came from stored entries, not from batches: Last looks at them.
  void FoldedFromStore() { from_store_ = rows_.size(); }
  // The run's last entry in the table or among those folded from the store; nullopt for a run that
  // neither has. Runs of later batches are known to the caller.
  core::StatusOr<std::optional<RunPosition>> Last(std::string_view run);

 private:
  core::Status InsertSorted();

  mutable std::mutex mutex_;
  std::vector<RunRow> rows_;  // in entry order
  std::size_t flushed_ = 0;   // rows_[0 .. flushed_) are in the table (once it commits)
  std::size_t from_store_ = 0;
  std::uint64_t published_ = 0;
  RunKey last_stored_{};                                // no run in the table is beyond it
  std::vector<RunRow> sorted_;                          // of one flush
  std::span<const RunRow> chunk_;                       // of those
  const std::span<const RunRow>* inserting_ = nullptr;  // what the table `batch_run` shows
  sqlite3* shown_to_ = nullptr;                         // the connection that knows the table
  Statement insert_;
  Statement last_;
};

}  // namespace interlock::audit
