// Rows that match a query, through a connection that sees every acknowledged entry.
#pragma once

#include <string>
#include <vector>

#include "audit/log.h"
#include "engine/row_table.h"

namespace interlock::runtime {

// `tail` is our own SQL behind FROM; values are bound, never spliced in.
template <typename Row>
core::StatusOr<std::vector<Row>> Select(const audit::Log& log, const std::string& tail,
                                        const std::vector<std::string>& bound) {
  std::vector<Row> rows;
  core::Status status = log.Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(const Statement statement,
                               Prepare(db, "SELECT " + ColumnList<Row>() + " FROM " +
                                               std::string(Row::kTable) + " " + tail));
    for (std::size_t i = 0; i < bound.size(); ++i) {
      BindText(statement.get(), static_cast<int>(i) + 1, bound[i]);
    }
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) {
      rows.push_back(ReadRow<Row>(statement.get()));
    }
    return code == SQLITE_DONE
               ? core::OkStatus()
               : core::Internal(std::string("cannot read rows: ") + sqlite3_errmsg(db));
  });
  if (!status.ok()) return status;
  return rows;
}

}  // namespace interlock::runtime
