// Rows in memory as a table that SQLite reads: one `INSERT ... SELECT` then writes all of them, at
// half the price of a statement a row. An eponymous virtual table
// (https://www.sqlite.org/vtab.html): it stands in no schema and cannot be written.
//
// `Rows` says what is shown: `Source`, its type; `Name()` and `Columns()`, of the table, the latter
// as in "CREATE TABLE x(...)"; `Count(source)`; `Column(source, row, column, out)`.
#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::audit {

// Values hold until the statement's next step; nothing is copied.
void ShowBlob(sqlite3_context* out, std::string_view bytes);
void ShowText(sqlite3_context* out, std::string_view text);

// Makes a module known to a connection.
core::Status AddShownTable(sqlite3* db, const std::string& name, const sqlite3_module& module,
                           void* source);

template <typename Rows>
class ShownRows {
 public:
  using Source = typename Rows::Source;

  // The table reads what `*source` points to while a statement runs; null: no rows. `source` must
  // outlive the connection's statements. Before the authorizer is set: the first use declares the
  // columns, which it would take for a change of schema.
  static core::Status Add(sqlite3* db, const Source* const* source) {
    return AddShownTable(db, Rows::Name(), Module(), const_cast<const Source**>(source));
  }

 private:
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
    const int code = sqlite3_declare_vtab(db, std::string(Rows::Columns()).c_str());
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

  static const sqlite3_module& Module() {
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
    return kModule;
  }
};

}  // namespace interlock::audit
