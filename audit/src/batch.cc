#include "batch.h"

#include <algorithm>

#include "audit/merkle.h"
#include "commitments.h"
#include "core/random.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kCachedHeadsMax = 65'536;

// Every commitment object of the body names a payload that is given, and the other way round:
// content that no entry commits to, or a commitment to content that no one kept, is a mistake of
// the caller.
core::Status CheckPayloads(const NewEntry& entry, std::span<const SealedPayload> payloads) {
  const auto fit = [&] {
    if (payloads.size() > static_cast<std::size_t>(kSlotsMax)) return false;
    std::size_t named = 0;
    for (const NamedCommitment& name : CommitmentsIn(entry.body)) {  // in slot order
      const auto slot = static_cast<std::size_t>(name.slot);
      if (name.slot < 0 || slot > named || slot >= payloads.size()) return false;
      const SealedPayload& payload = payloads[slot];
      if (core::Hex(payload.commitment) != name.hex || payload.key_id != name.key ||
          payload.plain_bytes != name.bytes) {
        return false;
      }
      named = slot + 1;
    }
    return named == payloads.size();
  };
  if (fit()) return core::OkStatus();
  return core::InvalidArgument("payloads of a `" + std::string(entry.kind) +
                               "` entry are not the ones that its commitments name");
}

}  // namespace

void Segment::Clear() {
  entries.clear();
  payloads.clear();
  arena.clear();
}

Batch::Batch(std::string tenant, LoadHead load_head)
    : tenant_(std::move(tenant)), load_head_(std::move(load_head)) {
  OpenSegment(0);
}

void Batch::Start(std::uint64_t next_index, std::int64_t last_time_us) {
  now_us_ = last_time_us;
  for (std::size_t at = 0; at < used_; ++at) segments_[at]->Clear();  // a burst's payloads too
  used_ = 0;
  OpenSegment(next_index);
  blobs_.clear();
  cosignatures_.clear();
  erased_.clear();
  heads_before_.clear();
  ends_run_ = false;
  command_blobs_ = command_cosignatures_ = command_erased_ = 0;
}

void Batch::OpenSegment(std::uint64_t first_index) {
  if (used_ == segments_.size()) segments_.push_back(std::make_unique<Segment>());
  ++used_;
  bodies_.clear();
  open_first_ = first_index;
  command_entries_ = command_payloads_ = command_arena_ = 0;
}

void Batch::CloseSegment() {
  heads_before_.clear();
  OpenSegment(next_index());
}

void Batch::BeginCommand(std::int64_t wall_us) {
  bodies_.clear();
  command_time_us_ = now_us_;
  now_us_ = std::max(now_us_, wall_us);  // rule 27: time never goes back
  command_entries_ = mutable_last().entries.size();
  command_payloads_ = mutable_last().payloads.size();
  command_blobs_ = blobs_.size();
  command_cosignatures_ = cosignatures_.size();
  command_erased_ = erased_.size();
  command_arena_ = mutable_last().arena.size();
  heads_before_.clear();
}

void Batch::TakeBackCommand() {
  bodies_.clear();
  for (auto undo = heads_before_.rbegin(); undo != heads_before_.rend(); ++undo) {
    *undo->head = undo->before;
  }
  heads_before_.clear();
  mutable_last().entries.resize(command_entries_);
  mutable_last().payloads.resize(command_payloads_);
  blobs_.resize(command_blobs_);
  cosignatures_.resize(command_cosignatures_);
  erased_.resize(command_erased_);
  mutable_last().arena.resize(command_arena_);
  now_us_ = command_time_us_;
}

void Batch::Abandon() {
  heads_.clear();
  Start(0, now_us_);  // the next batch says where it begins
}

void Batch::TrimHeads() {
  if (heads_.size() > kCachedHeadsMax) heads_.clear();
}

core::StatusOr<EntryRef> Batch::Append(const NewEntry& entry, std::span<SealedPayload> payloads) {
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView body, CheckNewEntry(entry));
  INTERLOCK_RETURN_IF_ERROR(CheckPayloads(entry, payloads));
  RunHead* head = nullptr;
  if (!entry.run.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(head, HeadOf(entry));
  }
  const std::string prev =
      head == nullptr || head->next_seq == 0 ? std::string() : core::Hex(head->last);
  Segment& to = mutable_last();
  PendingEntry pending;
  pending.index = next_index();
  pending.time_us = now_us_;
  pending.run_seq = head == nullptr ? -1 : head->next_seq;
  pending.bytes.at = to.arena.size();
  pending.layout =
      AppendEntry(entry, {pending.index, now_us_, pending.run_seq, tenant_, prev}, to.arena);
  pending.bytes.size = to.arena.size() - pending.bytes.at;
  if (pending.bytes.size > kEntryBytesMax) {
    to.arena.resize(pending.bytes.at);
    return core::ResourceExhausted("a `" + std::string(entry.kind) + "` entry is longer than " +
                                   std::to_string(kEntryBytesMax) + " bytes");
  }
  pending.leaf_hash = LeafHash(to.BytesOf(pending));
  if (head != nullptr) MoveHead(*head, pending.leaf_hash);
  to.entries.push_back(pending);
  bodies_.push_back(body);
  ends_run_ = ends_run_ || entry.ends_run;
  for (std::size_t slot = 0; slot < payloads.size(); ++slot) {
    to.payloads.push_back({pending.index, static_cast<int>(slot), std::move(payloads[slot])});
  }
  return EntryRef{pending.index, pending.leaf_hash};
}

core::StatusOr<RunHead*> Batch::HeadOf(const NewEntry& entry) {
  const std::string_view run = entry.run;
  const auto found = heads_.find(run);
  if (found != heads_.end()) return &found->second;
  if (!core::IsUuid(run)) {
    return core::InvalidArgument("run of a `" + std::string(entry.kind) + "` entry is not a UUID");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const RunHead head, load_head_(run));
  return &heads_.emplace(std::string(run), head).first->second;
}

void Batch::MoveHead(RunHead& head, const core::Digest& leaf_hash) {
  heads_before_.push_back({&head, head});
  ++head.next_seq;
  head.last = leaf_hash;
}

}  // namespace interlock::audit
