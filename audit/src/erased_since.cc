#include "erased_since.h"

#include "audit/merkle.h"
#include "entry_text.h"
#include "payload_check.h"
#include "read_only.h"
#include "sqlite.h"

namespace interlock::audit {

core::StatusOr<std::set<std::string>> KeysErasedSince(const std::string& database,
                                                      std::uint64_t first) {
  std::set<std::string> keys;
  INTERLOCK_ASSIGN_OR_RETURN(const LogReading log, OpenAtRest(database));
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement rows,
      Statement::Prepare(log.db(), "SELECT hash, bytes FROM entry WHERE idx >= ? ORDER BY idx"));
  rows.Int(1, static_cast<std::int64_t>(first));
  for (;;) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return keys;
    const auto entry = ParseEntry(rows.Bytes(1));
    if (!entry || entry->kind != kPayloadErasedKind) continue;
    if (core::AsBytes(LeafHash(rows.Bytes(1))) != rows.Bytes(0)) continue;
    const auto body = core::JsonObjectView::Of(entry->body);
    if (body.ok()) keys.insert(body->String("key").value_or(""));
  }
}

}  // namespace interlock::audit
