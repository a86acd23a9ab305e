#include "projection_check.h"

#include <algorithm>

#include "projections.h"
#include "succession.h"

namespace interlock::audit {
namespace {

// The entries are the truth, and they hold: whoever restored a backup would lose some.
constexpr const char* kRebuild =
    "; the entries hold, and `interlock audit rebuild` makes an open log's tables anew";

core::StatusOr<std::vector<std::string>> Names(sqlite3* db, std::string_view sql) {
  INTERLOCK_ASSIGN_OR_RETURN(Statement names, Statement::Prepare(db, sql));
  std::vector<std::string> out;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, names.Step());
    if (!row) return out;
    out.emplace_back(names.Bytes(0));
  }
}

std::string Quoted(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

bool SameValue(sqlite3_stmt* a, sqlite3_stmt* b, int column) {
  const int type = sqlite3_column_type(a, column);
  if (type != sqlite3_column_type(b, column)) return false;
  if (type == SQLITE_NULL) return true;
  if (type == SQLITE_INTEGER) {
    return sqlite3_column_int64(a, column) == sqlite3_column_int64(b, column);
  }
  if (type == SQLITE_FLOAT)
    return sqlite3_column_double(a, column) == sqlite3_column_double(b, column);
  const auto bytes = [column](sqlite3_stmt* s) {
    const void* data = sqlite3_column_blob(s, column);
    return std::string_view(
        static_cast<const char*>(data),
        data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(s, column)));
  };
  return bytes(a) == bytes(b);
}

bool SameRow(const Statement& a, const Statement& b) {
  const int columns = sqlite3_column_count(a.get());
  if (columns != sqlite3_column_count(b.get())) return false;
  for (int column = 0; column < columns; ++column) {
    if (!SameValue(a.get(), b.get(), column)) return false;
  }
  return true;
}

std::string FirstValue(const Statement& row) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row.get(), 0));
  return text == nullptr ? "NULL" : std::string(text).substr(0, 80);
}

}  // namespace

core::Status ProjectionCheck::Start(sqlite3* file, const std::vector<Projector*>& projectors) {
  file_ = file;
  projectors_ = projectors;
  only_run_index_ = projectors.empty();
  projectors_.insert(projectors_.begin(), &run_index_);
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement stored,
      Statement::Prepare(file, "SELECT next_idx, schema_digest FROM p_watermark WHERE id = 1"));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, stored.Step());
  if (!row) return core::OkStatus();
  watermark_ = static_cast<std::uint64_t>(stored.Int(0));
  // Without projectors only the built-in one is compared, and its table has one form.
  other_version_ =
      !projectors.empty() && SchemaDigestIn(stored.Bytes(1)) != SchemaDigest(projectors_);
  INTERLOCK_ASSIGN_OR_RETURN(scratch_,
                             OpenDb(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  for (Projector* projector : projectors_) {
    for (const std::string& statement : projector->Schema()) {
      INTERLOCK_RETURN_IF_ERROR(Exec(scratch_.get(), statement));
    }
  }
  for (Projector* projector : projectors_) {
    INTERLOCK_RETURN_IF_ERROR(projector->Attach(scratch_.get()));
  }
  return Exec(scratch_.get(), "BEGIN");
}

core::Status ProjectionCheck::Fold(const EntryView& entry) {
  if (scratch_ == nullptr || entry.index >= watermark_) return core::OkStatus();
  for (Projector* projector : projectors_) {
    INTERLOCK_RETURN_IF_ERROR(projector->Apply(entry));
    // Bounded memory for a long log.
    if (entry.index % 16'384 == 16'383) INTERLOCK_RETURN_IF_ERROR(projector->Flush());
  }
  if (entry.index % 16'384 == 16'383) run_index_.DropFlushed();
  return core::OkStatus();
}

core::StatusOr<std::string> ProjectionCheck::Carried(std::uint64_t size) {
  if (scratch_ == nullptr || watermark_ != size || projectors_.size() < 2) return std::string();
  CarriedDigest digest;
  for (Projector* projector : projectors_) {
    INTERLOCK_RETURN_IF_ERROR(projector->Flush());
    INTERLOCK_ASSIGN_OR_RETURN(const auto bodies, projector->Carried(scratch_.get()));
    for (const std::string& body : bodies) digest.Add(body);
  }
  return digest.Name();
}

core::Status ProjectionCheck::Compare(Findings* findings) {
  if (scratch_ == nullptr || other_version_) return core::OkStatus();
  for (Projector* projector : projectors_) INTERLOCK_RETURN_IF_ERROR(projector->Flush());
  INTERLOCK_RETURN_IF_ERROR(CompareSchema(findings));
  INTERLOCK_ASSIGN_OR_RETURN(
      const std::vector<std::string> tables,
      Names(scratch_.get(), "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"));
  for (const std::string& table : tables) {
    if (findings->any()) break;
    INTERLOCK_RETURN_IF_ERROR(CompareTable(table, findings));
    if (!findings->any()) INTERLOCK_RETURN_IF_ERROR(CheckIndexes(table, findings));
  }
  for (Projector* projector : projectors_) projector->Reset();  // they borrow the scratch database
  return core::OkStatus();
}

// Tables, indexes, views and triggers: a view that was made anew lies as well as a row.
core::Status ProjectionCheck::CompareSchema(Findings* findings) {
  const std::string sql =
      "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE " +
      std::string(only_run_index_ ? "tbl_name = 'p_entry_run'"
                                  : "(tbl_name LIKE 'p\\_%' ESCAPE '\\' OR type = 'view') "
                                    "AND tbl_name <> 'p_watermark'") +
      " ORDER BY type, name";
  INTERLOCK_ASSIGN_OR_RETURN(const auto expected, Names(scratch_.get(), sql));
  INTERLOCK_ASSIGN_OR_RETURN(const auto stored, Names(file_, sql));
  const auto [want, have] =
      std::mismatch(expected.begin(), expected.end(), stored.begin(), stored.end());
  if (want == expected.end() && have == stored.end()) return core::OkStatus();
  const bool foreign = want == expected.end() || (have != stored.end() && *have < *want);
  const std::string& near = foreign ? *have : *want;
  const std::size_t name_end = near.find(' ', near.find(' ') + 1);
  findings->General("the " + near.substr(0, name_end) +
                    " of the projections is missing, was changed, or does not belong there" +
                    kRebuild);
  return core::OkStatus();
}

// What queries find by an index must be what the table holds.
core::Status ProjectionCheck::CheckIndexes(const std::string& table, Findings* findings) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto found,
                             Names(file_, "PRAGMA integrity_check(" + Quoted(table) + ")"));
  if (!found.empty() && found.front() != "ok") {
    findings->General("projection `" + table + "` lies: " + found.front() + kRebuild);
  }
  return core::OkStatus();
}

core::Status ProjectionCheck::CompareTable(const std::string& table, Findings* findings) {
  INTERLOCK_ASSIGN_OR_RETURN(
      const std::int64_t columns,
      QueryInt(scratch_.get(), "SELECT count(*) FROM pragma_table_info(" + Quoted(table) + ")"));
  std::string sql = "SELECT * FROM " + Quoted(table) + " ORDER BY 1";
  for (std::int64_t column = 2; column <= columns; ++column) sql += "," + std::to_string(column);
  INTERLOCK_ASSIGN_OR_RETURN(Statement expected, Statement::Prepare(scratch_.get(), sql));
  auto stored = Statement::Prepare(file_, sql);
  if (!stored.ok()) {
    findings->General("projection `" + table + "` is missing or has another form" + kRebuild);
    return core::OkStatus();
  }
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool want, expected.Step());
    INTERLOCK_ASSIGN_OR_RETURN(const bool have, stored->Step());
    if (!want && !have) return core::OkStatus();
    if (want && have && SameRow(expected, *stored)) continue;
    findings->General("projection `" + table + "` lies: the row at `" +
                      FirstValue(have ? *stored : expected) + "` is not what the entries say" +
                      kRebuild);
    return core::OkStatus();
  }
}

}  // namespace interlock::audit
