// The serial section: entries and payloads of one commit, not yet in the database.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "audit/log.h"
#include "entry_text.h"

namespace interlock::audit {

// Where the next entry of a run goes.
struct RunHead {
  std::int64_t next_seq = 0;
  core::Digest last{};  // leaf hash of the run's last entry, if there is one
};

struct PendingEntry {
  std::uint64_t index = 0;
  std::int64_t time_us = 0;
  std::int64_t run_seq = -1;
  core::Digest leaf_hash{};
  Span bytes;  // in the arena
  EntryLayout layout;
};

struct PendingCosignature {
  std::uint64_t size = 0;
  std::string name;
  std::string line;
};

struct PendingPayload {
  std::uint64_t entry_index = 0;
  int slot = 0;
  SealedPayload payload;
};

// What some commands of a batch append, in order. Closed ones are read by any thread: nobody
// changes them before the next batch.
struct Segment {
  std::vector<PendingEntry> entries;
  std::vector<PendingPayload> payloads;
  std::string arena;

  std::string_view BytesOf(const PendingEntry& entry) const { return entry.bytes.In(arena); }
  bool empty() const { return entries.empty() && payloads.empty(); }
  void Clear();
};

// Writer thread only. Buffers are kept from batch to batch, so a batch allocates little.
class Batch final : public Transaction {
 public:
  using LoadHead = std::function<core::StatusOr<RunHead>(std::string_view run)>;

  // `load_head` finds the head of a run that is not in memory.
  Batch(std::string tenant, LoadHead load_head);

  void Start(std::uint64_t next_index, std::int64_t last_time_us);
  // Between commands: what follows goes into a segment of its own. What went before stays as it is
  // until the next Start, and can be given to another thread.
  void CloseSegment();
  // A command begins at this wall time; its entries can be taken back until the next one begins.
  void BeginCommand(std::int64_t wall_us);
  void TakeBackCommand();
  // Drops the whole batch and every cached head: nothing of it happened.
  void Abandon();
  // Forgets cached heads when there are many. Between batches, when all heads can be loaded again.
  void TrimHeads();

  // Transaction:
  std::int64_t now_us() const override { return now_us_; }
  std::uint64_t next_index() const override { return open_first_ + last().entries.size(); }
  core::StatusOr<EntryRef> Append(const NewEntry& entry,
                                  std::span<SealedPayload> payloads) override;
  void PutBlob(std::string_view bytes) override { blobs_.emplace_back(bytes); }
  void PutCosignature(std::uint64_t size, std::string_view name, std::string_view line) override {
    cosignatures_.push_back({size, std::string(name), std::string(line)});
  }
  void ErasePayloads(std::span<const std::int64_t> ids) override {
    erased_.insert(erased_.end(), ids.begin(), ids.end());
  }

  // All but the last one are closed. Never none.
  std::size_t segments() const { return used_; }
  const Segment& segment(std::size_t at) const { return *segments_[at]; }
  const std::vector<std::string>& blobs() const { return blobs_; }
  const std::vector<PendingCosignature>& cosignatures() const { return cosignatures_; }
  const std::vector<std::int64_t>& erased() const { return erased_; }
  // Calls `visit(entry, bytes, body)` for each entry of this command until one fails.
  template <typename Visit>
  core::Status ForEachOfCommand(Visit visit) const {
    for (std::size_t i = 0; i < bodies_.size(); ++i) {
      const PendingEntry& entry = last().entries[command_entries_ + i];
      const std::string_view bytes = last().BytesOf(entry);
      const core::JsonObjectView body = bodies_[i].In(entry.layout.body.In(bytes));
      INTERLOCK_RETURN_IF_ERROR(visit(entry, bytes, body));
    }
    return core::OkStatus();
  }
  bool ends_run() const { return ends_run_; }  // of any entry; a command taken back may leave it
  const Segment& last() const { return *segments_[used_ - 1]; }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  struct HeadBefore {
    RunHead* head;
    RunHead before;
  };

  core::StatusOr<RunHead*> HeadOf(const NewEntry& entry);
  void MoveHead(RunHead& head, const core::Digest& leaf_hash);
  Segment& mutable_last() { return *segments_[used_ - 1]; }
  void OpenSegment(std::uint64_t first_index);

  const std::string tenant_;
  const LoadHead load_head_;
  std::unordered_map<std::string, RunHead, TextHash, std::equal_to<>> heads_;  // stable addresses

  bool ends_run_ = false;
  std::int64_t now_us_ = 0;
  std::vector<std::unique_ptr<Segment>> segments_;  // `used_` of them; the others are spare
  std::size_t used_ = 0;
  std::uint64_t open_first_ = 0;  // index of the open segment's first entry
  std::vector<std::string> blobs_;
  std::vector<PendingCosignature> cosignatures_;
  std::vector<std::int64_t> erased_;  // payload rows
  // The start of the current command, to go back to.
  std::size_t command_entries_ = 0;
  std::size_t command_payloads_ = 0;
  std::size_t command_blobs_ = 0;
  std::size_t command_cosignatures_ = 0;
  std::size_t command_erased_ = 0;
  std::size_t command_arena_ = 0;
  std::int64_t command_time_us_ = 0;
  std::vector<HeadBefore> heads_before_;
  std::vector<core::JsonObjectView> bodies_;  // of its entries; they lie in the caller's text
};

}  // namespace interlock::audit
