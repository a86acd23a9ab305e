// The serial section: entries and payloads of one commit, not yet in the database.
#pragma once

#include <cstdint>
#include <functional>
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
  std::string prev;  // hex leaf hash of the run's last entry
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

// Writer thread only. Buffers are kept from batch to batch, so a batch allocates little.
class Batch final : public Transaction {
 public:
  using LoadHead = std::function<core::StatusOr<RunHead>(std::string_view run)>;

  // `load_head` finds the head of a run that is not in memory.
  Batch(std::string tenant, LoadHead load_head);

  void Start(std::uint64_t next_index, std::int64_t last_time_us);
  // A command begins at this wall time; its entries can be taken back until the next one begins.
  void BeginCommand(std::int64_t wall_us);
  void TakeBackCommand();
  // Drops the whole batch and every cached head: nothing of it happened.
  void Abandon();
  // Forgets cached heads when there are many. Between batches, when all heads can be loaded again.
  void TrimHeads();

  // Transaction:
  std::int64_t now_us() const override { return now_us_; }
  std::uint64_t next_index() const override { return first_index_ + entries_.size(); }
  core::StatusOr<EntryRef> Append(const NewEntry& entry,
                                  std::span<SealedPayload> payloads) override;
  void PutBlob(std::string_view bytes) override { blobs_.emplace_back(bytes); }
  void PutCosignature(std::uint64_t size, std::string_view name, std::string_view line) override {
    cosignatures_.push_back({size, std::string(name), std::string(line)});
  }
  void ErasePayloads(std::span<const std::int64_t> ids) override {
    erased_.insert(erased_.end(), ids.begin(), ids.end());
  }

  const std::vector<PendingEntry>& entries() const { return entries_; }
  const std::vector<PendingPayload>& payloads() const { return payloads_; }
  const std::vector<std::string>& blobs() const { return blobs_; }
  const std::vector<PendingCosignature>& cosignatures() const { return cosignatures_; }
  const std::vector<std::int64_t>& erased() const { return erased_; }
  std::size_t command_start() const { return command_entries_; }  // first entry of this command
  bool ends_run() const { return ends_run_; }  // of any entry; a command taken back may leave it
  std::string_view BytesOf(const PendingEntry& entry) const { return entry.bytes.In(arena_); }

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

  core::StatusOr<RunHead*> HeadOf(std::string_view run);
  void MoveHead(RunHead& head, const core::Digest& leaf_hash);

  const std::string tenant_;
  const LoadHead load_head_;
  std::unordered_map<std::string, RunHead, TextHash, std::equal_to<>> heads_;  // stable addresses

  std::uint64_t first_index_ = 0;
  bool ends_run_ = false;
  std::int64_t now_us_ = 0;
  std::string arena_;
  std::vector<PendingEntry> entries_;
  std::vector<PendingPayload> payloads_;
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
};

}  // namespace interlock::audit
