#include "projection_check.h"

#include <algorithm>
#include <iterator>

#include "core/digest.h"
#include "projections.h"
#include "succession.h"

namespace interlock::audit {
namespace {

constexpr int kScratchCacheKib = 64 << 10;  // rows are changed soon after they are made
constexpr std::size_t kShownBytesMax = 80;  // of one value in a message
// The entries are the truth, and they hold: whoever restored a backup would lose some.
constexpr const char* kRebuild =
    "; the entries hold, and `interlock audit rebuild` makes an open log's tables anew";

// A file without a name, which goes with its connection: what does not fit into the cache is there.
core::StatusOr<Db> OpenScratch() {
  INTERLOCK_ASSIGN_OR_RETURN(Db db, OpenDb("", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  INTERLOCK_RETURN_IF_ERROR(
      Exec(db.get(), "PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA cache_size = -" +
                         std::to_string(kScratchCacheKib)));
  return db;
}

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

std::string_view BytesOf(const Statement& row, int column) {
  const void* data = sqlite3_column_blob(row.get(), column);
  return {static_cast<const char*>(data),
          data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(row.get(), column))};
}

// As SQLite sorts: nothing, numbers, text, bytes. Tables of projections hold no fractions.
int Order(const Statement& a, const Statement& b, int column) {
  const auto rank = [column](const Statement& row) {
    switch (sqlite3_column_type(row.get(), column)) {
      case SQLITE_NULL:
        return 0;
      case SQLITE_INTEGER:
      case SQLITE_FLOAT:
        return 1;
      case SQLITE_TEXT:
        return 2;
      default:
        return 3;
    }
  };
  if (rank(a) != rank(b)) return rank(a) < rank(b) ? -1 : 1;
  if (rank(a) == 0) return 0;
  if (rank(a) == 1) {
    const sqlite3_int64 left = sqlite3_column_int64(a.get(), column);
    const sqlite3_int64 right = sqlite3_column_int64(b.get(), column);
    if (left != right) return left < right ? -1 : 1;
    const double exact_left = sqlite3_column_double(a.get(), column);
    const double exact_right = sqlite3_column_double(b.get(), column);
    return exact_left == exact_right ? 0 : (exact_left < exact_right ? -1 : 1);
  }
  const int bytes = BytesOf(a, column).compare(BytesOf(b, column));
  return bytes == 0 ? 0 : (bytes < 0 ? -1 : 1);
}

bool SameValue(const Statement& a, const Statement& b, int column) {
  return sqlite3_column_type(a.get(), column) == sqlite3_column_type(b.get(), column) &&
         Order(a, b, column) == 0;
}

std::string ShownValue(const Statement& row, int column) {
  if (sqlite3_column_type(row.get(), column) == SQLITE_NULL) return "NULL";
  const bool blob = sqlite3_column_type(row.get(), column) == SQLITE_BLOB;
  const std::string_view bytes = BytesOf(row, column).substr(0, kShownBytesMax);
  return blob ? core::Hex(bytes) : std::string(bytes);
}

// A table of a projection, read in the order of its key: the columns of the key come first.
struct KeyedTable {
  std::string select;
  int keys = 0;
  std::vector<std::string> columns;  // as selected
};

core::StatusOr<KeyedTable> Keyed(sqlite3* db, const std::string& table) {
  const std::string info = " FROM pragma_table_info(" + Quoted(table) + ")";
  INTERLOCK_ASSIGN_OR_RETURN(auto columns,
                             Names(db, "SELECT name" + info + " WHERE pk > 0 ORDER BY pk"));
  INTERLOCK_ASSIGN_OR_RETURN(const auto rest,
                             Names(db, "SELECT name" + info + " WHERE pk = 0 ORDER BY cid"));
  KeyedTable keyed;
  keyed.keys = static_cast<int>(columns.empty() ? rest.size() : columns.size());
  columns.insert(columns.end(), rest.begin(), rest.end());
  std::string order;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    keyed.select += (i == 0 ? "SELECT " : ", ") + Quoted(columns[i]);
    order += (i == 0 ? " ORDER BY " : ", ") + std::to_string(i + 1);
  }
  keyed.select += " FROM " + Quoted(table) + order;
  keyed.columns = std::move(columns);
  return keyed;
}

// Below 0: the row of `a` comes first.
int KeyOrder(const KeyedTable& table, const Statement& a, const Statement& b) {
  for (int column = 0; column < table.keys; ++column) {
    if (const int order = Order(a, b, column); order != 0) return order;
  }
  return 0;
}

std::string KeyOf(const KeyedTable& table, const Statement& row) {
  std::string key;
  for (int column = 0; column < table.keys; ++column) {
    key += (column == 0 ? "" : ", ") + ShownValue(row, column);
  }
  return key;
}

// Empty: the rows are the same.
std::string FirstDifference(const KeyedTable& table, const Statement& a, const Statement& b) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (!SameValue(a, b, static_cast<int>(i))) return table.columns[i];
  }
  return "";
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
  INTERLOCK_ASSIGN_OR_RETURN(scratch_, OpenScratch());
  for (Projector* projector : projectors_) {
    for (const std::string& statement : projector->Schema()) {
      INTERLOCK_RETURN_IF_ERROR(Make(statement));
    }
  }
  INTERLOCK_RETURN_IF_ERROR(TakeSchema());
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
std::string ProjectionCheck::SchemaSql() const {
  return "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE " +
         std::string(only_run_index_ ? "tbl_name = 'p_entry_run'"
                                     : "(tbl_name LIKE 'p\\_%' ESCAPE '\\' OR type = 'view') "
                                       "AND tbl_name <> 'p_watermark'") +
         " ORDER BY type, name";
}

// A fold looks its rows up by their keys. Indexes and views are for who asks, and most of what
// there is to make: those of the file are compared by their words, and indexes with their tables
// (CheckIndexes).
core::Status ProjectionCheck::Make(const std::string& statement) {
  const std::string words = AsStored(statement);
  for (const std::string type : {"index ", "view "}) {
    const std::string_view create = type == "view " ? "CREATE VIEW " : "CREATE INDEX ";
    if (!words.starts_with(create)) continue;
    const std::size_t name_end = words.find(' ', create.size());
    schema_.push_back(type + words.substr(create.size(), name_end - create.size()) + " " + words);
    return core::OkStatus();
  }
  return Exec(scratch_.get(), statement);
}

// As SQLite sorts by type and name, which hold nothing below a space.
core::Status ProjectionCheck::TakeSchema() {
  INTERLOCK_ASSIGN_OR_RETURN(std::vector<std::string> made, Names(scratch_.get(), SchemaSql()));
  std::move(made.begin(), made.end(), std::back_inserter(schema_));
  std::sort(schema_.begin(), schema_.end());
  return core::OkStatus();
}

core::Status ProjectionCheck::CompareSchema(Findings* findings) {
  const std::vector<std::string>& expected = schema_;
  INTERLOCK_ASSIGN_OR_RETURN(const auto stored, Names(file_, SchemaSql()));
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
  INTERLOCK_ASSIGN_OR_RETURN(const KeyedTable keyed, Keyed(scratch_.get(), table));
  INTERLOCK_ASSIGN_OR_RETURN(Statement expected, Statement::Prepare(scratch_.get(), keyed.select));
  auto stored = Statement::Prepare(file_, keyed.select);
  if (!stored.ok()) {
    findings->General("projection `" + table + "` is missing or has another form" + kRebuild);
    return core::OkStatus();
  }
  const auto lies = [&](const Statement& row, const std::string& how) {
    findings->General("projection `" + table + "` lies: the row `" + KeyOf(keyed, row) + "` " +
                      how + kRebuild);
    return core::OkStatus();
  };
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool want, expected.Step());
    INTERLOCK_ASSIGN_OR_RETURN(const bool have, stored->Step());
    if (!want && !have) return core::OkStatus();
    const int order = want && have ? KeyOrder(keyed, expected, *stored) : (want ? -1 : 1);
    if (order < 0) return lies(expected, "is missing");
    if (order > 0) return lies(*stored, "does not belong there");
    const std::string column = FirstDifference(keyed, expected, *stored);
    if (!column.empty()) return lies(*stored, "is not what the entries say, in `" + column + "`");
  }
}

}  // namespace interlock::audit
