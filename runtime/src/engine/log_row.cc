#include "engine/log_row.h"

#include "engine/select.h"

namespace interlock::runtime {

core::StatusOr<std::string> OfLogRow(const audit::Log& log, LogColumn column) {
  std::string text;
  INTERLOCK_RETURN_IF_ERROR(log.Query([&](sqlite3* db) -> core::Status {
    INTERLOCK_ASSIGN_OR_RETURN(const Statement select,
                               Prepare(db, "SELECT tenant, origin FROM log WHERE id = 1"));
    if (sqlite3_step(select.get()) != SQLITE_ROW) return core::DataLoss("a log has no identity");
    text = ColumnText(select.get(), column == LogColumn::kTenant ? 0 : 1);
    return core::OkStatus();
  }));
  return text;
}

}  // namespace interlock::runtime
