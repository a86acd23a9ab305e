// Rule 23: what receipts of changes carry, and the wait for a proof.
#pragma once

#include <functional>
#include <utility>

#include "interlock/v1/common.pb.h"
#include "runtime/engine.h"
#include "server/caller.h"

namespace interlock::runtime {

namespace wire = ::interlock::v1;

inline constexpr std::chrono::seconds kWaitCheckpointMax{30};

// Fills in the newest checkpoint or, if asked, waits for one that covers the entry and adds the
// proof. Calls `done` once, here or from a thread of the log or of a witness; a wait in vain gives
// the receipt without a proof.
void CompleteReceipt(const Caller& caller, wire::WaitCheckpoint wait, wire::Receipt receipt,
                     std::function<void(wire::Receipt)> done);

// Of an entry that the change wrote, with the newest checkpoint.
wire::Receipt ReceiptOf(const Caller& caller, const audit::EntryRef& entry);
// Likewise; without a leaf hash where the entry cannot be read.
wire::Receipt ReceiptAt(const Caller& caller, std::uint64_t index);
// Fills in the receipt of a reply whose change wrote an entry; one that wrote none has none.
template <typename Response>
Response WithReceipt(const Caller& caller, const std::optional<audit::EntryRef>& entry,
                     Response response) {
  if (entry) *response.mutable_receipt() = ReceiptOf(caller, *entry);
  return response;
}

// Errors: kInvalidArgument for a value that this server does not know.
core::Status CheckWait(wire::WaitCheckpoint wait);

// Sends a reply with its receipt, which may be unset.
template <typename Response>
void SendWithReceipt(const Caller& caller, wire::WaitCheckpoint wait, Response response,
                     const Reply<Response>& reply) {
  if (!response.has_newest_entry()) return reply(std::move(response));
  wire::Receipt receipt = std::move(*response.mutable_newest_entry());
  // `complete` is moved from, which clang-tidy does not see in a template.
  CompleteReceipt(caller, wait, std::move(receipt),
                  // NOLINTNEXTLINE(performance-unnecessary-value-param)
                  [response = std::move(response), reply](wire::Receipt complete) mutable {
                    *response.mutable_newest_entry() = std::move(complete);
                    reply(std::move(response));
                  });
}

}  // namespace interlock::runtime
