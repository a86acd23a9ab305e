#include "entry_check.h"

#include "audit/merkle.h"

namespace interlock::audit {

core::Status CheckAgainstTile(sqlite3* db, std::uint64_t first, std::string_view hashes) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement rows,
      Statement::Prepare(db, "SELECT bytes FROM entry WHERE idx >= ? ORDER BY idx LIMIT ?"));
  const std::size_t count = hashes.size() / 32;
  rows.Int(1, static_cast<std::int64_t>(first)).Int(2, static_cast<std::int64_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row || core::AsBytes(LeafHash(rows.Bytes(0))) != hashes.substr(i * 32, 32)) {
      return core::DataLoss("entry " + std::to_string(first + i) +
                            " is not what the tree says; run `interlock audit verify`");
    }
  }
  return core::OkStatus();
}

}  // namespace interlock::audit
