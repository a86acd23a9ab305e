#include "engine/call_query.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "engine/call_source.h"
#include "engine/select.h"
#include "engine/state.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kNewestFirst = " ORDER BY c.create_us DESC, c.call DESC";

// Where the page begins: behind the one before it, and no later than the filter allows.
CallPosition BeforeOf(std::string_view cursor, const SqlFilter& filter) {
  constexpr std::int64_t kEver = std::numeric_limits<std::int64_t>::max();
  CallPosition before{kEver, ""};
  const std::size_t colon = cursor.find(':');
  if (colon != std::string_view::npos) {
    std::from_chars(cursor.data(), cursor.data() + colon, before.create_us);
    before.call = cursor.substr(colon + 1);
  }
  for (const SqlTerm& term : filter.terms) {
    if (term.until_us < before.create_us) before = {term.until_us + 1, ""};
  }
  return before;
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

// A run or a call has its own index, which holds no more than its calls.
bool NamesOne(const SqlFilter& filter) {
  return std::any_of(filter.terms.begin(), filter.terms.end(), [](const SqlTerm& term) {
    return term.equals > 0 && (term.fields == kRunField || term.fields == kCallField);
  });
}

// Fills `found` with up to `size` calls, as SQLite finds them.
core::Status Scan(sqlite3* db, const SqlFilter& filter, const CallPosition& before,
                  std::size_t size, std::vector<AuditedCall>& found) {
  const int bound = static_cast<int>(filter.bound.size());
  const auto mark = [&](int i) { return "?" + std::to_string(bound + i); };
  const std::string sql = "SELECT " + AliasedColumns() + " FROM p_call c WHERE " + filter.where +
                          " AND (c.create_us, c.call) < (" + mark(1) + ", " + mark(2) + ")" +
                          std::string(kNewestFirst) + " LIMIT " + mark(3);
  INTERLOCK_ASSIGN_OR_RETURN(const Statement select, Prepare(db, sql));
  BindValues(select.get(), filter.bound);
  sqlite3_bind_int64(select.get(), bound + 1, before.create_us);
  BindText(select.get(), bound + 2, before.call);
  sqlite3_bind_int64(select.get(), bound + 3, static_cast<sqlite3_int64>(size));
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
    found.push_back(AuditedOf(ReadRow<CallRow>(select.get())));
  }
  return code == SQLITE_DONE ? core::OkStatus() : core::Internal(sqlite3_errmsg(db));
}

// The same through an index that was chosen.
core::Status Take(sqlite3* db, const SqlFilter& filter, CallSource& source, std::size_t size,
                  std::vector<AuditedCall>& found) {
  const int bound = static_cast<int>(filter.bound.size());
  const std::string sql = "SELECT " + AliasedColumns() + " FROM p_call c WHERE c.call = ?" +
                          std::to_string(bound + 1) + " AND " + filter.where;
  INTERLOCK_ASSIGN_OR_RETURN(const Statement select, Prepare(db, sql));
  BindValues(select.get(), filter.bound);
  while (found.size() < size) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::optional<std::string> call, source.Next());
    if (!call) break;
    BindText(select.get(), bound + 1, *call);
    const int code = sqlite3_step(select.get());
    if (code == SQLITE_ROW) found.push_back(AuditedOf(ReadRow<CallRow>(select.get())));
    if (code != SQLITE_ROW && code != SQLITE_DONE) return core::Internal(sqlite3_errmsg(db));
    sqlite3_reset(select.get());
  }
  return core::OkStatus();
}

core::Status Find(sqlite3* db, const SqlFilter& filter, const CallPosition& before,
                  std::size_t size, std::vector<AuditedCall>& found) {
  if (filter.of_user) INTERLOCK_RETURN_IF_ERROR(KnowsUsers(db));
  if (NamesOne(filter)) return Scan(db, filter, before, size, found);
  INTERLOCK_ASSIGN_OR_RETURN(const auto source, CallSource::For(db, filter, before));
  if (source == nullptr) return Scan(db, filter, before, size, found);
  return Take(db, filter, *source, size, found);
}

}  // namespace

core::StatusOr<Page<AuditedCall>> QueryCallsOf(const audit::Log& log, const SqlFilter& filter,
                                               const PageSpec& page) {
  const CallPosition before = BeforeOf(page.cursor, filter);
  const auto size = static_cast<std::size_t>(page.size);
  Page<AuditedCall> found;
  // One more than asked for says whether there is another page.
  INTERLOCK_RETURN_IF_ERROR(
      log.Query([&](sqlite3* db) { return Find(db, filter, before, size + 1, found.items); }));
  if (found.items.size() > size) {
    found.items.pop_back();
    const AuditedCall& last = found.items.back();
    found.next_cursor = std::to_string(last.create_time_us) + ":" + last.call;
  }
  return found;
}

}  // namespace interlock::runtime
