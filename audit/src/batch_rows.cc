#include "batch_rows.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "audit/shown_rows.h"
#include "schema.h"
#include "sqlite.h"

namespace interlock::audit {

void ShowBlob(sqlite3_context* out, std::string_view bytes) {
  sqlite3_result_blob64(out, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(),
                        SQLITE_STATIC);
}
void ShowText(sqlite3_context* out, std::string_view text) {
  sqlite3_result_text64(out, text.data() == nullptr ? "" : text.data(), text.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
}

core::Status AddShownTable(sqlite3* db, const std::string& name, const sqlite3_module& module,
                           void* source) {
  if (sqlite3_create_module_v2(db, name.c_str(), &module, source, nullptr) != SQLITE_OK) {
    return SqlError(db, "adding table `" + name + "`");
  }
  return Statement::Prepare(db, "SELECT 1 FROM " + name).status();
}

namespace {

void PutInt(sqlite3_context* out, std::uint64_t value) {
  sqlite3_result_int64(out, static_cast<sqlite3_int64>(value));
}

struct EntryRows {
  using Source = Segment;
  static std::string Name() { return "batch_entry"; }
  static std::string Columns() { return "CREATE TABLE x(idx INTEGER, hash BLOB, bytes BLOB)"; }
  static std::size_t Count(const Segment& segment) { return segment.entries.size(); }
  static void Column(const Segment& segment, std::size_t row, int column, sqlite3_context* out) {
    const PendingEntry& entry = segment.entries[row];
    if (column == 0) return PutInt(out, entry.index);
    ShowBlob(out, column == 1 ? core::AsBytes(entry.leaf_hash) : segment.BytesOf(entry));
  }
};

struct PayloadRows {
  using Source = Segment;
  static std::string Name() { return "batch_payload"; }
  static std::string Columns() {
    return "CREATE TABLE x(id INTEGER, key_id TEXT, commitment BLOB, media TEXT, plain_bytes "
           "INTEGER, "
           "sealed BLOB)";
  }
  static std::size_t Count(const Segment& segment) { return segment.payloads.size(); }
  static void Column(const Segment& segment, std::size_t row, int column, sqlite3_context* out) {
    const PendingPayload& pending = segment.payloads[row];
    const SealedPayload& payload = pending.payload;
    switch (column) {
      case 0:
        return sqlite3_result_int64(out, PayloadKey(pending.entry_index, pending.slot));
      case 1:
        return ShowText(out, payload.key_id);
      case 2:
        return ShowBlob(out, core::AsBytes(payload.commitment));
      case 3:
        return ShowText(out, payload.media);
      case 4:
        return PutInt(out, payload.plain_bytes);
      default:
        return ShowBlob(out, payload.sealed);
    }
  }
};

struct RunRows {
  using Source = std::span<const RunRow>;
  static std::string Name() { return "batch_run"; }
  static std::string Columns() { return "CREATE TABLE x(run BLOB, run_seq INTEGER, idx INTEGER)"; }
  static std::size_t Count(const Source& rows) { return rows.size(); }
  static void Column(const Source& rows, std::size_t at, int column, sqlite3_context* out) {
    const RunRow& row = rows[at];
    if (column == 0) return ShowBlob(out, BytesOf(row.run));
    if (column == 1) return sqlite3_result_int64(out, row.position.run_seq);
    PutInt(out, row.position.index);
  }
};

}  // namespace

core::Status AddBatchTables(sqlite3* db, const Segment* const* segment) {
  INTERLOCK_RETURN_IF_ERROR(ShownRows<EntryRows>::Add(db, segment));
  return ShownRows<PayloadRows>::Add(db, segment);
}

core::Status AddRunTable(sqlite3* db, const std::span<const RunRow>* const* rows) {
  return ShownRows<RunRows>::Add(db, rows);
}

}  // namespace interlock::audit
