#include <algorithm>
#include <charconv>
#include <limits>
#include <tuple>

#include "server/checks.h"
#include "server/handlers.h"
#include "server/names.h"
#include "server/ownership.h"

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

core::StatusOr<std::uint64_t> IndexOf(const Caller& caller, std::string_view name) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string_view id, IdOfName("name", name, kEntries));
  const std::uint64_t index = Number(id);
  if (index >= caller.engine->log().size()) return NoEntry(index);
  return index;
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
    *response.add_entries() = ToWire(caller.tenant(), entry);
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
  INTERLOCK_ASSIGN_OR_RETURN(const std::uint64_t index, IndexOf(caller, request.name()));
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry, caller.engine->log().Read(index));
  return ToWire(caller.tenant(), entry);
}

core::StatusOr<wire::Checkpoint> GetCheckpoint(const Caller& caller,
                                               const wire::GetCheckpointRequest& request) {
  INTERLOCK_RETURN_IF_ERROR(CheckParent(request.parent()));
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Checkpoint checkpoint,
                             caller.engine->CheckpointNow(*caller.who));
  return ToWire(checkpoint);
}

core::StatusOr<wire::InclusionProof> GetInclusionProof(
    const Caller& caller, const wire::GetInclusionProofRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::uint64_t index, IndexOf(caller, request.name()));
  if (request.tree_size() < 0) return BadField("tree_size", "must not be negative");
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Checkpoint checkpoint,
                             caller.engine->CheckpointNow(*caller.who));
  const std::uint64_t size =
      request.tree_size() == 0 ? checkpoint.size : static_cast<std::uint64_t>(request.tree_size());
  const audit::Log& log = caller.engine->log();
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
  *proof.mutable_checkpoint() = ToWire(checkpoint);
  return proof;
}

core::StatusOr<wire::ListBudgetsResponse> ListBudgets(const Caller& caller,
                                                      const wire::ListBudgetsRequest& request) {
  INTERLOCK_ASSIGN_OR_RETURN(const ListPage page, PageOf(caller, "ListBudgets", request, ""));
  INTERLOCK_ASSIGN_OR_RETURN(std::vector<BudgetInfo> budgets,
                             caller.engine->ListBudgets(*caller.who));
  std::sort(budgets.begin(), budgets.end(), [](const BudgetInfo& a, const BudgetInfo& b) {
    return std::tie(a.name, a.scope, a.unit) < std::tie(b.name, b.scope, b.unit);
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

}  // namespace interlock::runtime::handlers
