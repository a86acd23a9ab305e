#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <optional>
#include <tuple>

#include "audit/cosignature.h"
#include "engine/erased_slots.h"
#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/ownership.h"
#include "server/receipts.h"

namespace interlock::runtime::handlers {
namespace {

core::Status NoEntry(std::uint64_t index) {
  return WithReason(core::NotFound("there is no entry " + std::to_string(index)),
                    "ENTRY_NOT_FOUND");
}

// Precondition: decimal digits that fit, as names and our own cursors are.
std::uint64_t Number(std::string_view digits) {
  std::uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

core::StatusOr<std::uint64_t> IndexOf(const audit::Log& log, std::string_view name) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", name, collection::kEntries));
  const std::uint64_t index = Number(id);
  if (index >= log.size()) return NoEntry(index);
  return index;
}

using Head = core::StatusOr<audit::Checkpoint>;

// The newest, where it covers a tree of `size` entries (0: all there are) and so nothing has to be
// signed for it; the last of a closed log.
std::optional<Head> HeadAtHand(const Caller& caller, const audit::Log& log, std::int64_t size) {
  const std::uint64_t all = log.size();
  auto head = log.newest_checkpoint();
  if (&log != &caller.engine->log()) {
    return head ? Head(*std::move(head)) : Head(core::NotFound("this log was never signed"));
  }
  const std::uint64_t wanted = size <= 0 ? all : std::min(static_cast<std::uint64_t>(size), all);
  if (!head || head->size < wanted) return std::nullopt;
  return *std::move(head);
}

// Replies with `answer` of the head above, or of one that the signer is asked for first.
template <typename T>
void WithHead(const Caller& caller, const audit::Log& log, std::int64_t size, Reply<T> reply,
              std::function<core::StatusOr<T>(const Head&)> answer) {
  if (const auto head = HeadAtHand(caller, log, size)) return reply(answer(*head));
  caller.lanes->Run<T>(Lane::kSigner, caller.deadline, std::move(reply),
                       [caller, answer = std::move(answer)] {
                         return answer(caller.engine->CheckpointNow(*caller.who));
                       });
}

core::StatusOr<wire::Entry> EntryFor(const Caller& caller, const audit::Entry& entry,
                                     bool show_erased) {
  wire::Entry out = ToWire(caller.tenant(), entry);
  if (!show_erased) return out;
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<int> slots,
                             ErasedSlots(caller.engine->log(), entry.index));
  out.mutable_erased_slots()->mutable_slots()->Add(slots.begin(), slots.end());
  return out;
}

// A list's position: the next index, or within a run the next run_seq.
core::StatusOr<audit::EntryPage> ReadOneRun(const Caller& caller, const std::string& run,
                                            const ListPage& page) {
  return caller.engine->log().ReadRun(run, static_cast<std::int64_t>(Number(page.spec.cursor)),
                                      page.spec.size);
}

core::StatusOr<audit::EntryPage> ReadSpan(const Caller& caller, std::uint64_t first,
                                          std::uint64_t end, const ListPage& page) {
  if (!page.spec.cursor.empty()) first = Number(page.spec.cursor);
  if (first >= end) return audit::EntryPage{};
  const auto wanted = std::min(static_cast<std::uint64_t>(page.spec.size), end - first);
  INTERLOCK_ASSIGN_OR_RETURN(audit::EntryPage found,
                             caller.engine->log().ReadRange(first, static_cast<int>(wanted)));
  found.more = found.more && first + found.entries.size() < end;
  return found;
}

core::Status CheckRange(const wire::ListEntriesRequest& request) {
  if (request.start_index() < 0) return BadField("start_index", "must not be negative");
  if (request.end_index() < 0) return BadField("end_index", "must not be negative");
  if (!request.run().empty() && (request.start_index() != 0 || request.end_index() != 0)) {
    return BadField("run", "cannot go together with start_index or end_index");
  }
  return core::OkStatus();
}

wire::LogChange ChangeOf(const Caller& caller, const audit::EntryRef& ref) {
  wire::LogChange change;
  change.set_index(static_cast<std::int64_t>(ref.index));
  change.set_leaf_hash(std::string(core::AsBytes(ref.leaf_hash)));
  return WithReceipt(caller, ref, std::move(change));
}

}  // namespace

core::StatusOr<wire::ListEntriesResponse> ListEntries(const Caller& caller,
                                                      const wire::ListEntriesRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckRange(request));
  const std::string filters = request.run() + "\n" + std::to_string(request.start_index()) + "\n" +
                              std::to_string(request.end_index());
  INTERLOCK_ASSIGN_OR_RETURN(const ListPage page, PageOf(caller, "ListEntries", request, filters));
  INTERLOCK_ASSIGN_OR_RETURN(const std::string run, RunFilter(caller, request.run()));
  const std::uint64_t end = request.end_index() == 0
                                ? std::numeric_limits<std::uint64_t>::max()
                                : static_cast<std::uint64_t>(request.end_index());
  INTERLOCK_ASSIGN_OR_RETURN(
      const audit::EntryPage found,
      run.empty() ? ReadSpan(caller, static_cast<std::uint64_t>(request.start_index()), end, page)
                  : ReadOneRun(caller, run, page));
  wire::ListEntriesResponse response;
  for (const audit::Entry& entry : found.entries) {
    INTERLOCK_ASSIGN_OR_RETURN(*response.add_entries(),
                               EntryFor(caller, entry, request.show_erased()));
  }
  if (found.more && !found.entries.empty()) {
    const audit::Entry& last = found.entries.back();
    const std::uint64_t next =
        run.empty() ? last.index + 1 : static_cast<std::uint64_t>(last.run_seq) + 1;
    response.set_next_page_token(caller.pages->Seal(page.scope, std::to_string(next)));
  }
  return response;
}

core::StatusOr<wire::Entry> GetEntry(const Caller& caller, const wire::GetEntryRequest& request) {
  const audit::Log& log = caller.engine->log();
  INTERLOCK_ASSIGN_OR_RETURN(const std::uint64_t index, IndexOf(log, request.name()));
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry, log.Read(index));
  return EntryFor(caller, entry, request.show_erased());
}

namespace {

core::StatusOr<wire::Checkpoint> CheckpointOf(const audit::Log& log, const Head& head,
                                              bool cosigned) {
  if (head.status().code() == core::StatusCode::kNotFound) {
    return WithReason(head.status(), "NOT_COSIGNED");
  }
  if (!head.ok()) return head.status();
  audit::Checkpoint checkpoint = *head;
  if (!cosigned) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::string lines, log.Cosignatures(checkpoint.size));
    checkpoint.note = audit::WithSignatureLines(checkpoint.note, lines);
  }
  wire::Checkpoint out = ToWire(checkpoint);
  out.set_verifier_key(log.verifier_key());
  return out;
}

core::StatusOr<wire::InclusionProof> InclusionOf(const audit::Log& log, std::uint64_t index,
                                                 std::int64_t tree_size, const Head& head) {
  if (!head.ok()) return head.status();
  const std::uint64_t size = tree_size == 0 ? head->size : static_cast<std::uint64_t>(tree_size);
  if (size > log.size() || index >= size) {
    return WithReason(core::Error(core::StatusCode::kOutOfRange,
                                  "`tree_size` must be above the entry's index and within the log"),
                      "TREE_SIZE");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry, log.Read(index));
  INTERLOCK_ASSIGN_OR_RETURN(const auto hashes, log.InclusionProof(index, size));
  wire::InclusionProof proof;
  proof.set_index(static_cast<std::int64_t>(index));
  proof.set_tree_size(static_cast<std::int64_t>(size));
  proof.set_leaf_hash(std::string(core::AsBytes(entry.leaf_hash)));
  for (const core::Digest& hash : hashes) proof.add_hashes(std::string(core::AsBytes(hash)));
  *proof.mutable_checkpoint() = ToWire(*head);
  return proof;
}

core::StatusOr<wire::ConsistencyProof> ConsistencyOf(const audit::Log& log, std::int64_t old_size,
                                                     std::int64_t tree_size, const Head& head) {
  if (!head.ok()) return head.status();
  const std::int64_t size = tree_size == 0 ? static_cast<std::int64_t>(head->size) : tree_size;
  if (old_size <= 0 || size < old_size || size > static_cast<std::int64_t>(log.size())) {
    return WithReason(core::Error(core::StatusCode::kOutOfRange,
                                  "sizes must be 0 < old_tree_size <= tree_size <= the log's"),
                      "TREE_SIZE");
  }
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto hashes,
      log.ConsistencyProof(static_cast<std::uint64_t>(old_size), static_cast<std::uint64_t>(size)));
  wire::ConsistencyProof proof;
  proof.set_old_tree_size(old_size);
  proof.set_tree_size(size);
  for (const core::Digest& hash : hashes) proof.add_hashes(std::string(core::AsBytes(hash)));
  *proof.mutable_checkpoint() = ToWire(*head);
  return proof;
}

}  // namespace

void GetCheckpoint(const Caller& caller, const wire::GetCheckpointRequest& request,
                   Reply<wire::Checkpoint> reply) {
  if (core::Status bad = CheckParent(request.parent()); !bad.ok()) return reply(bad);
  const auto log = caller.engine->LogOf(request.log());
  if (!log.ok()) return reply(log.status());
  if (request.cosigned()) {
    return reply(CheckpointOf(**log, (*log)->CosignedCheckpoint(), /*cosigned=*/true));
  }
  WithHead<wire::Checkpoint>(caller, **log, 0, std::move(reply), [log = *log](const Head& head) {
    return CheckpointOf(*log, head, /*cosigned=*/false);
  });
}

void GetInclusionProof(const Caller& caller, const wire::GetInclusionProofRequest& request,
                       Reply<wire::InclusionProof> reply) {
  const auto log = caller.engine->LogOf(request.log());
  if (!log.ok()) return reply(log.status());
  const auto index = IndexOf(**log, request.name());
  if (!index.ok()) return reply(index.status());
  const std::int64_t size = request.tree_size();
  if (size < 0) return reply(BadField("tree_size", "must not be negative"));
  WithHead<wire::InclusionProof>(caller, **log, size, std::move(reply),
                                 [log = *log, index = *index, size](const Head& head) {
                                   return InclusionOf(*log, index, size, head);
                                 });
}

void GetConsistencyProof(const Caller& caller, const wire::GetConsistencyProofRequest& request,
                         Reply<wire::ConsistencyProof> reply) {
  if (core::Status bad = CheckParent(request.parent()); !bad.ok()) return reply(bad);
  const auto log = caller.engine->LogOf(request.log());
  if (!log.ok()) return reply(log.status());
  WithHead<wire::ConsistencyProof>(
      caller, **log, request.tree_size(), std::move(reply),
      [log = *log, old_size = request.old_tree_size(), size = request.tree_size()](
          const Head& head) { return ConsistencyOf(*log, old_size, size, head); });
}

core::StatusOr<wire::Blob> GetBlob(const Caller& caller, const wire::GetBlobRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  constexpr std::string_view kPrefix = "sha256:";
  const std::string_view name = request.digest();
  if (name.substr(0, kPrefix.size()) != kPrefix) {
    return BadField("digest", "must be `sha256:` and 64 hex characters");
  }
  const auto digest = core::DigestFromHex(name.substr(kPrefix.size()));
  if (!digest.ok()) return BadField("digest", "must be `sha256:` and 64 hex characters");
  auto bytes = caller.engine->log().ReadBlob(*digest);
  if (bytes.status().code() == core::StatusCode::kNotFound) {
    return WithReason(core::NotFound("the log keeps no file `" + request.digest() + "`"),
                      "BLOB_NOT_FOUND");
  }
  if (!bytes.ok()) return bytes.status();
  wire::Blob blob;
  blob.set_digest(request.digest());
  blob.set_content(*std::move(bytes));
  return blob;
}

core::StatusOr<wire::DisclosePayloadsResponse> DisclosePayloads(
    const Caller& caller, const wire::DisclosePayloadsRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id,
                             IdOfName("name", request.name(), collection::kEntries));
  DiscloseSpec spec{
      .entry_index = Number(id),  // of the log that is named: the engine knows its size
      .slots = std::vector<int>(request.slots().begin(), request.slots().end()),
      .reason = request.reason(),
      .fields = std::vector<std::string>(request.fields().begin(), request.fields().end()),
      .log = request.log()};
  INTERLOCK_ASSIGN_OR_RETURN(const Disclosure disclosure,
                             caller.engine->DisclosePayloads(*caller.who, spec));
  wire::DisclosePayloadsResponse response;
  response.set_access_index(
      disclosure.access_index ? static_cast<std::int64_t>(*disclosure.access_index) : -1);
  if (disclosure.access_index) {
    *response.mutable_receipt() = ReceiptAt(caller, *disclosure.access_index);
  }
  for (const DisclosedPayload& payload : disclosure.payloads) {
    wire::DisclosedPayload* out = response.add_payloads();
    out->set_slot(payload.slot);
    out->set_erased(payload.erased);
    out->set_media(payload.media);
    out->set_content(payload.content);
    out->set_salt(payload.salt);
    for (const DisclosedField& field : payload.fields) {
      wire::DisclosedField* shown = out->add_fields();
      shown->set_name(field.name);
      shown->set_value(field.value);
      shown->set_salt(field.salt);
    }
  }
  return response;
}

core::StatusOr<wire::LogStatus> GetLogStatus(const Caller& caller,
                                             const wire::GetLogStatusRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  const audit::Log& log = caller.engine->log();
  wire::LogStatus status;
  status.set_entry_count(static_cast<std::int64_t>(log.size()));
  const auto newest = log.newest_checkpoint();
  status.set_signed_count(newest ? static_cast<std::int64_t>(newest->size) : 0);
  status.set_problem(caller.engine->Unhealthy());
  for (const std::string& warning : log.warnings()) status.add_warnings(warning);
  for (const std::string& warning : caller.engine->warnings()) status.add_warnings(warning);
  if (caller.witnesses != nullptr) {
    for (const std::string& warning : caller.witnesses->warnings()) status.add_warnings(warning);
  }
  if (caller.webhooks != nullptr) {
    for (const std::string& warning : caller.webhooks->warnings()) status.add_warnings(warning);
  }
  if (const auto cosigned = log.CosignedCheckpoint(); cosigned.ok()) {
    status.set_witnessed_count(static_cast<std::int64_t>(cosigned->size));
  }
  status.set_clock_in_doubt(caller.engine->clock_in_doubt());
  return status;
}

core::StatusOr<wire::LogChange> ConfirmClock(const Caller& caller,
                                             const wire::ConfirmClockRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_RETURN_IF_ERROR(CheckNotEmpty("reason", request.reason()));
  INTERLOCK_RETURN_IF_ERROR(CheckLength("reason", request.reason(), 200));
  INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef ref,
                             caller.engine->ConfirmClock(*caller.who, request.reason()));
  return ChangeOf(caller, ref);
}

core::StatusOr<wire::LogChange> RotateSignerKey(const Caller& caller,
                                                const wire::RotateSignerKeyRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef ref,
                             caller.engine->RotateSignerKey(*caller.who));
  return ChangeOf(caller, ref);
}

core::StatusOr<wire::ListBudgetsResponse> ListBudgets(const Caller& caller,
                                                      const wire::ListBudgetsRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckLength("user", request.user(), kPersonBytesMax));
  INTERLOCK_ASSIGN_OR_RETURN(
      const ListPage page,
      PageOf(caller, "ListBudgets", request,
             std::to_string(static_cast<int>(request.show_past())) + "\n" + request.user()));
  INTERLOCK_ASSIGN_OR_RETURN(std::vector<BudgetInfo> budgets,
                             caller.engine->ListBudgets(*caller.who, {.past = request.show_past(),
                                                                      .user = request.user()}));
  std::sort(budgets.begin(), budgets.end(), [](const BudgetInfo& a, const BudgetInfo& b) {
    return std::tie(a.name, a.scope, a.unit, a.window_start_us) <
           std::tie(b.name, b.scope, b.unit, b.window_start_us);
  });
  const std::size_t first = std::min<std::size_t>(Number(page.spec.cursor), budgets.size());
  const std::size_t end =
      std::min(first + static_cast<std::size_t>(page.spec.size), budgets.size());
  wire::ListBudgetsResponse response;
  for (std::size_t i = first; i < end; ++i) *response.add_budgets() = ToWire(budgets[i]);
  if (end < budgets.size()) {
    response.set_next_page_token(caller.pages->Seal(page.scope, std::to_string(end)));
  }
  return response;
}

core::StatusOr<wire::ListModelDaysResponse> ListModelDays(
    const Caller& caller, const wire::ListModelDaysRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckDay("from_day", request.from_day()));
  INTERLOCK_RETURN_IF_ERROR(CheckDay("to_day", request.to_day()));
  INTERLOCK_ASSIGN_OR_RETURN(
      const ListPage page,
      PageOf(caller, "ListModelDays", request, request.from_day() + "\n" + request.to_day()));
  INTERLOCK_ASSIGN_OR_RETURN(
      const Page<ModelDay> found,
      caller.engine->ListModelDays(*caller.who, page.spec,
                                   {.from = request.from_day(), .to = request.to_day()}));
  wire::ListModelDaysResponse response;
  for (const ModelDay& day : found.items) *response.add_model_days() = ToWire(day);
  response.set_next_page_token(caller.pages->Seal(page.scope, found.next_cursor));
  return response;
}

}  // namespace interlock::runtime::handlers
