#include "server/receipts.h"

#include <algorithm>
#include <chrono>

#include "audit/cosignature.h"
#include "audit/proof.h"

namespace interlock::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A tenth before the caller's own deadline, so that the answer still reaches him.
steady_clock::time_point DeadlineOf(const Caller& caller) {
  const auto left = std::chrono::duration_cast<milliseconds>(std::min<std::chrono::nanoseconds>(
      kWaitCheckpointMax, caller.deadline - std::chrono::system_clock::now()));
  return steady_clock::now() + left - std::max(left / 10, milliseconds(20));
}

// Replies come from the writer's thread too, which reads no table.
void SetHead(const audit::Log& log, wire::Receipt* receipt) {
  const auto newest = log.newest_checkpoint();
  if (!newest) return;
  receipt->set_log_origin(newest->origin);
  receipt->set_checkpoint_note(newest->note);
}

core::Status AddProof(const audit::Log& log, audit::Checkpoint checkpoint, wire::Receipt* receipt) {
  const auto index = static_cast<std::uint64_t>(receipt->index());
  INTERLOCK_ASSIGN_OR_RETURN(const std::string lines, log.Cosignatures(checkpoint.size));
  checkpoint.note = audit::WithSignatureLines(checkpoint.note, lines);
  INTERLOCK_ASSIGN_OR_RETURN(auto hashes, log.InclusionProof(index, checkpoint.size));
  receipt->set_tlog_proof(audit::ProofText({index, std::move(hashes), checkpoint.note}));
  receipt->set_checkpoint_note(checkpoint.note);
  return core::OkStatus();
}

// With a head that covers the entry, or without.
void FinishReceipt(const audit::Log& log, const core::StatusOr<audit::Checkpoint>& checkpoint,
                   wire::Receipt receipt, const std::function<void(wire::Receipt)>& done) {
  SetHead(log, &receipt);
  if (checkpoint.ok()) static_cast<void>(AddProof(log, *checkpoint, &receipt));
  done(std::move(receipt));
}

}  // namespace

wire::Receipt ReceiptOf(const Caller& caller, const audit::EntryRef& entry) {
  wire::Receipt receipt;
  receipt.set_index(static_cast<std::int64_t>(entry.index));
  receipt.set_leaf_hash(std::string(core::AsBytes(entry.leaf_hash)));
  receipt.set_log_origin(caller.log_origin);
  SetHead(caller.engine->log(), &receipt);
  return receipt;
}

wire::Receipt ReceiptAt(const Caller& caller, std::uint64_t index) {
  const auto entry = caller.engine->log().Read(index);
  wire::Receipt receipt = ReceiptOf(
      caller, {.index = index, .leaf_hash = entry.ok() ? entry->leaf_hash : core::Digest{}});
  if (!entry.ok()) receipt.clear_leaf_hash();
  return receipt;
}

core::Status CheckWait(wire::WaitCheckpoint wait) {
  if (wire::WaitCheckpoint_IsValid(wait)) return core::OkStatus();
  return BadField("wait_checkpoint", "is not a value that this server knows");
}

void CompleteReceipt(const Caller& caller, wire::WaitCheckpoint wait, wire::Receipt receipt,
                     std::function<void(wire::Receipt)> done) {
  const audit::Log& log = caller.engine->log();  // outlives the engine, as the witnesses do
  Witnesses* witnesses = wait == wire::WAIT_CHECKPOINT_COSIGNED ? caller.witnesses : nullptr;
  if (wait == wire::WAIT_CHECKPOINT_UNSPECIFIED ||
      (wait == wire::WAIT_CHECKPOINT_COSIGNED && witnesses == nullptr)) {
    return FinishReceipt(log, core::NotFound("nothing to wait for"), std::move(receipt), done);
  }
  const auto index = static_cast<std::uint64_t>(receipt.index());
  const auto deadline = DeadlineOf(caller);
  auto on_signed = [&log, witnesses, index, deadline, receipt = std::move(receipt),
                    done = std::move(done)](core::StatusOr<audit::Checkpoint> checkpoint) mutable {
    if (witnesses == nullptr || !checkpoint.ok()) {
      return FinishReceipt(log, checkpoint, std::move(receipt), done);
    }
    witnesses->AwaitCosigned(
        index, deadline,
        [&log, receipt = std::move(receipt), done = std::move(done)](core::Status status) mutable {
          FinishReceipt(
              log,
              status.ok() ? log.CosignedCheckpoint() : core::StatusOr<audit::Checkpoint>(status),
              std::move(receipt), done);
        });
  };
  log.AwaitCheckpoint(index, deadline, std::move(on_signed));
}

}  // namespace interlock::runtime
