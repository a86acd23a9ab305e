// Eponymous virtual tables (https://www.sqlite.org/vtab.html): they stand in no schema and cannot
// be written.
#include "batch_rows.h"

#include <cstdint>
#include <string_view>

#include "schema.h"
#include "sqlite.h"

namespace interlock::audit {
namespace {

void PutBlob(sqlite3_context* out, std::string_view bytes) {
  sqlite3_result_blob64(out, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(),
                        SQLITE_STATIC);
}
void PutText(sqlite3_context* out, std::string_view text) {
  sqlite3_result_text64(out, text.data() == nullptr ? "" : text.data(), text.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
}
void PutInt(sqlite3_context* out, std::uint64_t value) {
  sqlite3_result_int64(out, static_cast<sqlite3_int64>(value));
}

struct EntryRows {
  using Source = Segment;
  static constexpr const char* kName = "batch_entry";
  static constexpr const char* kColumns = "CREATE TABLE x(idx INTEGER, hash BLOB, bytes BLOB)";
  static std::size_t Count(const Segment& segment) { return segment.entries.size(); }
  static void Column(const Segment& segment, std::size_t row, int column, sqlite3_context* out) {
    const PendingEntry& entry = segment.entries[row];
    if (column == 0) return PutInt(out, entry.index);
    PutBlob(out, column == 1 ? core::AsBytes(entry.leaf_hash) : segment.BytesOf(entry));
  }
};

struct PayloadRows {
  using Source = Segment;
  static constexpr const char* kName = "batch_payload";
  static constexpr const char* kColumns =
      "CREATE TABLE x(id INTEGER, key_id TEXT, commitment BLOB, media TEXT, plain_bytes INTEGER, "
      "sealed BLOB)";
  static std::size_t Count(const Segment& segment) { return segment.payloads.size(); }
  static void Column(const Segment& segment, std::size_t row, int column, sqlite3_context* out) {
    const PendingPayload& pending = segment.payloads[row];
    const SealedPayload& payload = pending.payload;
    switch (column) {
      case 0:
        return sqlite3_result_int64(out, PayloadKey(pending.entry_index, pending.slot));
      case 1:
        return PutText(out, payload.key_id);
      case 2:
        return PutBlob(out, core::AsBytes(payload.commitment));
      case 3:
        return PutText(out, payload.media);
      case 4:
        return PutInt(out, payload.plain_bytes);
      default:
        return PutBlob(out, payload.sealed);
    }
  }
};

struct RunRows {
  using Source = std::span<const RunRow>;
  static constexpr const char* kName = "batch_run";
  static constexpr const char* kColumns = "CREATE TABLE x(run BLOB, run_seq INTEGER, idx INTEGER)";
  static std::size_t Count(const Source& rows) { return rows.size(); }
  static void Column(const Source& rows, std::size_t at, int column, sqlite3_context* out) {
    const RunRow& row = rows[at];
    if (column == 0) return PutBlob(out, BytesOf(row.run));
    if (column == 1) return sqlite3_result_int64(out, row.position.run_seq);
    PutInt(out, row.position.index);
  }
};

template <typename Rows>
struct Table {
  using Source = typename Rows::Source;
  struct Handle : sqlite3_vtab {
    const Source* const* source;
  };
  struct Cursor : sqlite3_vtab_cursor {
    const Source* source;
    std::size_t row;
    std::size_t count;
  };

  static int Connect(sqlite3* db, void* source, int, const char* const*, sqlite3_vtab** out,
                     char**) {
    const int code = sqlite3_declare_vtab(db, Rows::kColumns);
    if (code != SQLITE_OK) return code;
    auto* handle = new Handle{};
    handle->source = static_cast<const Source* const*>(source);
    *out = handle;
    return SQLITE_OK;
  }
  static int Disconnect(sqlite3_vtab* table) {
    delete static_cast<Handle*>(table);
    return SQLITE_OK;
  }
  static int BestIndex(sqlite3_vtab*, sqlite3_index_info*) { return SQLITE_OK; }
  static int Open(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
    *out = new Cursor{};
    return SQLITE_OK;
  }
  static int Close(sqlite3_vtab_cursor* cursor) {
    delete static_cast<Cursor*>(cursor);
    return SQLITE_OK;
  }
  static int Filter(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
    auto* cursor = static_cast<Cursor*>(base);
    cursor->source = *static_cast<Handle*>(base->pVtab)->source;
    cursor->row = 0;
    cursor->count = cursor->source == nullptr ? 0 : Rows::Count(*cursor->source);
    return SQLITE_OK;
  }
  static int Next(sqlite3_vtab_cursor* cursor) {
    ++static_cast<Cursor*>(cursor)->row;
    return SQLITE_OK;
  }
  static int Eof(sqlite3_vtab_cursor* base) {
    const auto* cursor = static_cast<Cursor*>(base);
    return cursor->row >= cursor->count ? 1 : 0;
  }
  static int Column(sqlite3_vtab_cursor* base, sqlite3_context* out, int column) {
    const auto* cursor = static_cast<Cursor*>(base);
    Rows::Column(*cursor->source, cursor->row, column, out);
    return SQLITE_OK;
  }
  static int RowId(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) {
    *out = static_cast<sqlite3_int64>(static_cast<Cursor*>(cursor)->row);
    return SQLITE_OK;
  }

  static core::Status Add(sqlite3* db, const Source* const* source) {
    static const sqlite3_module kModule = [] {
      sqlite3_module module{};
      module.xConnect = Connect;
      module.xDisconnect = module.xDestroy = Disconnect;
      module.xBestIndex = BestIndex;
      module.xOpen = Open;
      module.xClose = Close;
      module.xFilter = Filter;
      module.xNext = Next;
      module.xEof = Eof;
      module.xColumn = Column;
      module.xRowid = RowId;
      return module;
    }();
    if (sqlite3_create_module_v2(db, Rows::kName, &kModule, const_cast<const Source**>(source),
                                 nullptr) != SQLITE_OK) {
      return SqlError(db, std::string("adding table `") + Rows::kName + "`");
    }
    // The first use declares the columns, which the authorizer would take for a change of schema.
    return Statement::Prepare(db, std::string("SELECT 1 FROM ") + Rows::kName).status();
  }
};

}  // namespace

core::Status AddBatchTables(sqlite3* db, const Segment* const* segment) {
  INTERLOCK_RETURN_IF_ERROR(Table<EntryRows>::Add(db, segment));
  return Table<PayloadRows>::Add(db, segment);
}

core::Status AddRunTable(sqlite3* db, const std::span<const RunRow>* const* rows) {
  return Table<RunRows>::Add(db, rows);
}

}  // namespace interlock::audit
