#include "engine/approval_check.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "engine/rows.h"
#include "engine/select.h"
#include "engine/state.h"

namespace interlock::runtime {
namespace {

struct Told {
  std::string granted_by;
  bool complete = false;
  bool ended = false;
};

core::Status Lies(const ApprovalRow& row) {
  return core::DataLoss(
      "the row of approval `" + row.approval +
      "` is not what its entries say; run `interlock audit verify`, then restore");
}

core::Status CheckRequest(const audit::Log& log, const ApprovalRow& row) {
  if (row.entry_index < 0) return Lies(row);
  const auto entry = log.Read(static_cast<std::uint64_t>(row.entry_index));
  if (!entry.ok() || entry->kind != "approval.requested") return Lies(row);
  INTERLOCK_ASSIGN_OR_RETURN(const auto text, core::JsonObjectView::Of(entry->bytes));
  const auto body = text.Object("body");
  if (!body) return Lies(row);
  const auto is = [&](std::string_view field, const std::string& value) {
    return body->String(field).value_or("") == value;
  };
  const bool same = is("approval", row.approval) && is("call", row.call) && is("tool", row.tool) &&
                    is("rule", row.rule) && is("binding", row.binding) && entry->run == row.run &&
                    body->Int("quorum").value_or(1) == row.quorum &&
                    body->Int("expires_us").value_or(0) == row.expires_us &&
                    WordsOf(*body, "approvers") == row.approvers;
  return same ? core::OkStatus() : Lies(row);
}

// What the entries from `first` on say of each approval.
core::StatusOr<std::map<std::string, Told>> ReadAnswers(const audit::Log& log, std::int64_t first) {
  std::map<std::string, Told> told;
  const core::Status status = log.Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(
        const Statement rows,
        Prepare(db,
                "SELECT bytes FROM entry WHERE idx >= CAST(? AS INTEGER) AND "
                "instr(bytes, CAST('\"kind\":\"approval.' AS BLOB)) > 0 ORDER BY idx"));
    BindText(rows.get(), 1, std::to_string(first));
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(rows.get())) == SQLITE_ROW) {
      const std::string_view bytes(static_cast<const char*>(sqlite3_column_blob(rows.get(), 0)),
                                   static_cast<std::size_t>(sqlite3_column_bytes(rows.get(), 0)));
      INTERLOCK_ASSIGN_OR_RETURN(const auto entry, core::JsonObjectView::Of(bytes));
      const std::string kind = entry.String("kind").value_or("");
      const auto body = entry.Object("body");
      if (!body || kind == "approval.requested") continue;
      Told& of = told[body->String("approval").value_or("")];
      if (kind == "approval.granted") {
        of.granted_by += (of.granted_by.empty() ? "" : " ") + body->String("by").value_or("");
        of.complete = body->Bool("complete").value_or(false);
      } else {
        of.ended = true;
      }
    }
    return code == SQLITE_DONE
               ? core::OkStatus()
               : core::Internal(std::string("cannot read entries: ") + sqlite3_errmsg(db));
  });
  if (!status.ok()) return status;
  return told;
}

}  // namespace

core::Status CheckOpenApprovals(const audit::Log& log) {
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto open,
      Select<ApprovalRow>(log, "WHERE phase IN (CAST(? AS INTEGER), CAST(? AS INTEGER))",
                          {std::to_string(static_cast<int>(policies::ApprovalPhase::kPending)),
                           std::to_string(static_cast<int>(policies::ApprovalPhase::kGranted))}));
  if (open.empty()) return core::OkStatus();
  std::int64_t first = open.front().entry_index;
  for (const ApprovalRow& row : open) {
    INTERLOCK_RETURN_IF_ERROR(CheckRequest(log, row));
    first = std::min(first, row.entry_index);
  }
  INTERLOCK_ASSIGN_OR_RETURN(const auto told, ReadAnswers(log, first));
  for (const ApprovalRow& row : open) {
    const auto found = told.find(row.approval);
    const Told of = found == told.end() ? Told() : found->second;
    const bool granted = row.phase == policies::ApprovalPhase::kGranted;
    if (of.ended || of.granted_by != row.granted_by || of.complete != granted) return Lies(row);
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
