#include "engine/call_query.h"

#include <charconv>
#include <limits>

#include "engine/select.h"
#include "engine/state.h"

namespace interlock::runtime {
namespace {

// A list's position: when the last call was proposed, and which it was.
struct Position {
  std::int64_t create_us = std::numeric_limits<std::int64_t>::max();
  std::string call;
};

Position PositionOf(std::string_view cursor) {
  Position position;
  const std::size_t colon = cursor.find(':');
  if (colon == std::string_view::npos) return position;
  std::from_chars(cursor.data(), cursor.data() + colon, position.create_us);
  position.call = cursor.substr(colon + 1);
  return position;
}

void BindValue(sqlite3_stmt* statement, int at, const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    sqlite3_bind_int64(statement, at, *number);
  } else {
    BindText(statement, at, std::get<std::string>(value));
  }
}

AuditedCall AuditedOf(const CallRow& row) {
  return {.call = row.call,
          .run = row.run,
          .tool = row.tool,
          .agent = row.agent,
          .principal = row.principal,
          .subject = row.subject,
          .verdict = row.verdict,
          .code = row.code,
          .outcome = row.outcome,
          .effect = row.effect,
          .rules = SplitWords(row.rules),
          .approvers = SplitWords(row.approved_by),
          .amount_minor = row.amount,
          .currency = row.unit,
          .create_time_us = row.create_us,
          .update_time_us = row.update_us,
          .proposed_index = row.proposed_index,
          .decided_index = row.decided_index,
          .outcome_index = row.outcome_index};
}

// The columns of CallRow, each behind the alias of the query.
std::string AliasedColumns() {
  std::string list;
  CallRow row;
  CallRow::Fields(row, [&](const char* name, auto&) {
    list += (list.empty() ? "c." : ", c.") + std::string(name);
  });
  return list;
}

// A list without those calls would read as "no calls".
core::Status KnowsUsers(sqlite3* db) {
  const char* kTable = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'p_call_user'";
  INTERLOCK_ASSIGN_OR_RETURN(const Statement select, Prepare(db, kTable));
  if (sqlite3_step(select.get()) == SQLITE_ROW) return core::OkStatus();
  return core::FailedPrecondition(
      "this log was closed by an older version, which did not keep the users of calls without a "
      "run; ask by `subject`, which is the user where none was named");
}

}  // namespace

core::StatusOr<Page<AuditedCall>> QueryCallsOf(const audit::Log& log, const SqlFilter& filter,
                                               const PageSpec& page) {
  const Position after = PositionOf(page.cursor);
  const int bound = static_cast<int>(filter.bound.size());
  const auto mark = [&](int i) { return "?" + std::to_string(bound + i); };
  // The same row twice: of a subject's part only the index is read until the subject is the one.
  const std::string by = filter.of_subject ? "s" : "c";
  const std::string from =
      filter.of_subject ? "p_call s CROSS JOIN p_call c ON c.call = s.call" : "p_call c";
  const std::string sql = "SELECT " + AliasedColumns() + " FROM " + from + " WHERE " +
                          filter.where + " AND (" + by + ".create_us, " + by + ".call) < (" +
                          mark(1) + ", " + mark(2) + ") ORDER BY " + by + ".create_us DESC, " + by +
                          ".call DESC LIMIT " + mark(3);
  if (filter.of_user) INTERLOCK_RETURN_IF_ERROR(log.Query(KnowsUsers));
  Page<AuditedCall> found;
  INTERLOCK_RETURN_IF_ERROR(log.Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(const Statement select, Prepare(db, sql));
    for (int i = 0; i < bound; ++i) {
      BindValue(select.get(), i + 1, filter.bound[static_cast<std::size_t>(i)]);
    }
    sqlite3_bind_int64(select.get(), bound + 1, after.create_us);
    BindText(select.get(), bound + 2, after.call);
    sqlite3_bind_int(select.get(), bound + 3, page.size + 1);
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
      found.items.push_back(AuditedOf(ReadRow<CallRow>(select.get())));
    }
    return code == SQLITE_DONE ? core::OkStatus() : core::Internal(sqlite3_errmsg(db));
  }));
  if (found.items.size() > static_cast<std::size_t>(page.size)) {
    found.items.pop_back();
    const AuditedCall& last = found.items.back();
    found.next_cursor = std::to_string(last.create_time_us) + ":" + last.call;
  }
  return found;
}

}  // namespace interlock::runtime
