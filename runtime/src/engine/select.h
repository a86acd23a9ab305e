// Rows that match a query, through a connection that sees every acknowledged entry.
#pragma once

#include <string>
#include <vector>

#include "audit/log.h"
#include "engine/row_table.h"
#include "engine/rows.h"

namespace interlock::runtime {

// `tail` is our own SQL behind FROM; values are bound, never spliced in.
template <typename Row>
core::StatusOr<std::vector<Row>> Select(const audit::Log& log, const std::string& tail,
                                        const std::vector<std::string>& bound) {
  std::vector<Row> rows;
  INTERLOCK_RETURN_IF_ERROR(
      log.Select("SELECT " + ColumnList<Row>() + " FROM " + Row::kTable + " " + tail, bound,
                 [&rows](sqlite3_stmt* row) { rows.push_back(ReadRow<Row>(row)); }));
  return rows;
}

inline core::StatusOr<std::vector<RunRow>> RunsIn(const audit::Log& log, RunState state) {
  return Select<RunRow>(log, "WHERE state = CAST(? AS INTEGER)",
                        {std::to_string(static_cast<int>(state))});
}

}  // namespace interlock::runtime
