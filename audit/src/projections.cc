#include "projections.h"

#include <cstring>
#include <functional>
#include <set>
#include <string_view>

#include "core/digest.h"
#include "entry_text.h"

namespace interlock::audit {
namespace {

constexpr std::uint64_t kFoldFlushEntries = 16'384;  // between flushes of a rebuild

core::StatusOr<core::Digest> DigestOf(std::string_view bytes) {
  core::Digest digest;
  if (bytes.size() != digest.size()) return core::DataLoss("a stored hash has a wrong length");
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}

core::Status Unreadable(std::uint64_t index) {
  return core::DataLoss("entry " + std::to_string(index) + " cannot be read as an entry");
}

core::Status FoldRow(std::uint64_t index, std::string_view bytes, std::string_view hash_bytes,
                     const std::function<core::Status(const EntryView&)>& fold) {
  const auto entry = ParseEntry(bytes);
  if (!entry) return Unreadable(index);
  INTERLOCK_ASSIGN_OR_RETURN(const core::Digest hash, DigestOf(hash_bytes));
  const auto body = core::JsonObjectView::Of(entry->body);
  if (!body.ok()) return Unreadable(index);
  return fold(EntryView{index, entry->envelope.time_us, entry->kind, entry->run,
                        entry->envelope.run_seq, *body, bytes, hash});
}

core::StatusOr<std::set<std::string>> StoredSchema(sqlite3* db) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement rows, Statement::Prepare(db, "SELECT sql FROM sqlite_schema WHERE sql NOT NULL"));
  std::set<std::string> all;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return all;
    all.emplace(rows.Bytes(0));
  }
}

}  // namespace

std::string AsStored(std::string statement) {
  constexpr std::string_view kOptional = "IF NOT EXISTS ";
  const std::size_t at = statement.find(kOptional);
  if (at != std::string::npos) statement.erase(at, kOptional.size());
  return statement;
}

core::Status ForEachStored(sqlite3* db, std::uint64_t first, std::uint64_t size,
                           const std::function<core::Status(const EntryView&)>& fold) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement rows,
      Statement::Prepare(db,
                         "SELECT idx, bytes, hash FROM entry WHERE idx >= ? AND idx < ? "
                         "ORDER BY idx"));
  rows.Int(1, static_cast<std::int64_t>(first)).Int(2, static_cast<std::int64_t>(size));
  for (std::uint64_t index = first; index < size; ++index) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row || rows.Int(0) != static_cast<std::int64_t>(index)) {
      return core::DataLoss("entry " + std::to_string(index) + " is missing");
    }
    INTERLOCK_RETURN_IF_ERROR(FoldRow(index, rows.Bytes(1), rows.Bytes(2), fold));
  }
  return core::OkStatus();
}

std::string SchemaDigest(const std::vector<Projector*>& projectors) {
  std::string text;
  for (const Projector* projector : projectors) {
    text += projector->name();
    text += '\n';
    for (const std::string& statement : projector->Schema()) text += statement + ";\n";
  }
  return core::DigestName(core::Sha256(text));
}

std::string_view SchemaDigestIn(std::string_view mark) { return mark.substr(0, mark.find(' ')); }

Projections::Projections(sqlite3* db, std::vector<Projector*> projectors)
    : db_(db),
      projectors_([&] {
        projectors.insert(projectors.begin(), &run_index_);
        return std::move(projectors);
      }()),
      schema_digest_(SchemaDigest(projectors_)) {}

core::Status Projections::Start(std::uint64_t size) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement stored,
      Statement::Prepare(db_, "SELECT next_idx, schema_digest FROM p_watermark WHERE id = 1"));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, stored.Step());
  const std::string mark(row ? stored.Bytes(1) : std::string_view());
  const bool current = row && SchemaDigestIn(mark) == schema_digest_ && stored.Int(0) >= 0 &&
                       static_cast<std::uint64_t>(stored.Int(0)) <= size;
  flushed_up_to_ = current ? static_cast<std::uint64_t>(stored.Int(0)) : 0;
  stored.Reset();
  SqlTransaction transaction(db_);
  INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
  if (!current) INTERLOCK_RETURN_IF_ERROR(DropTables());
  INTERLOCK_RETURN_IF_ERROR(CreateTables());
  INTERLOCK_ASSIGN_OR_RETURN(
      write_watermark_, Statement::Prepare(db_,
                                           "INSERT INTO p_watermark(id, next_idx, schema_digest) "
                                           "VALUES(1, ?, ?) ON CONFLICT(id) DO UPDATE SET "
                                           "next_idx = excluded.next_idx, "
                                           "schema_digest = excluded.schema_digest"));
  INTERLOCK_RETURN_IF_ERROR(AttachAll());
  const std::string due = MarkOf(flushed_up_to_);
  const bool sealed = due != schema_digest_;
  if (current && sealed && mark != due) INTERLOCK_RETURN_IF_ERROR(Remake());
  INTERLOCK_RETURN_IF_ERROR(WriteMark(flushed_up_to_));
  INTERLOCK_RETURN_IF_ERROR(transaction.Commit());
  INTERLOCK_RETURN_IF_ERROR(FoldStored(flushed_up_to_, size));
  run_index_.PublishUpTo(size);
  return core::OkStatus();
}

// Somebody else wrote the tables: only what the entries say counts.
core::Status Projections::Remake() {
  for (Projector* projector : projectors_) projector->Reset();
  flushed_up_to_ = 0;
  remade_ = true;
  INTERLOCK_RETURN_IF_ERROR(DropTables());
  INTERLOCK_RETURN_IF_ERROR(CreateTables());
  return AttachAll();
}

std::string Projections::MarkOf(std::uint64_t next_index) const {
  std::string mark = schema_digest_;
  for (const Projector* projector : projectors_) {
    const std::string seal = projector->Seal(next_index);
    if (!seal.empty()) mark += " " + seal;
  }
  return mark;
}

core::Status Projections::WriteMark(std::uint64_t next_index) {
  return write_watermark_.Int(1, static_cast<std::int64_t>(next_index))
      .Text(2, MarkOf(next_index))
      .Run();
}

// What stands there by the same words is not made again: a start would parse all of it for nothing.
core::Status Projections::CreateTables() {
  INTERLOCK_ASSIGN_OR_RETURN(const std::set<std::string> there, StoredSchema(db_));
  for (const Projector* projector : projectors_) {
    for (const std::string& statement : projector->Schema()) {
      if (there.count(AsStored(statement)) > 0) continue;
      INTERLOCK_RETURN_IF_ERROR(Exec(db_, statement));
    }
  }
  return core::OkStatus();
}

core::Status Projections::DropTables() {
  INTERLOCK_ASSIGN_OR_RETURN(Statement names,
                             Statement::Prepare(db_,
                                                "SELECT type, name FROM sqlite_schema WHERE "
                                                "type = 'view' OR "
                                                "(type = 'table' AND substr(name, 1, 2) = 'p_' "
                                                "AND name <> 'p_watermark')"));
  std::vector<std::string> drops;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, names.Step());
    if (!row) break;
    std::string quoted;
    for (const char c : names.Bytes(1))
      quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    drops.push_back("DROP " + std::string(names.Bytes(0)) + " \"" + quoted + "\"");
  }
  names.Reset();
  for (const std::string& drop : drops) INTERLOCK_RETURN_IF_ERROR(Exec(db_, drop));
  return core::OkStatus();
}

core::Status Projections::AttachAll() {
  for (Projector* projector : projectors_) INTERLOCK_RETURN_IF_ERROR(projector->Attach(db_));
  return core::OkStatus();
}

core::Status Projections::FoldStored(std::uint64_t first, std::uint64_t size) {
  while (first < size) {
    const std::uint64_t end = std::min(size, first + kFoldFlushEntries);
    INTERLOCK_RETURN_IF_ERROR(
        ForEachStored(db_, first, end, [&](const EntryView& entry) { return Fold(entry); }));
    if (end < size) INTERLOCK_RETURN_IF_ERROR(FlushAlone(end));
    first = end;
  }
  run_index_.FoldedFromStore();
  Committed();
  return core::OkStatus();
}

void Projections::Committed() {
  for (Projector* projector : projectors_) projector->Committed();
}

core::Status Projections::FlushAlone(std::uint64_t next_index) {
  SqlTransaction transaction(db_);
  INTERLOCK_RETURN_IF_ERROR(transaction.Begin());
  INTERLOCK_RETURN_IF_ERROR(Flush(next_index));
  INTERLOCK_RETURN_IF_ERROR(transaction.Commit());
  Flushed(next_index);
  return core::OkStatus();
}

core::Status Projections::Fold(const EntryView& entry) {
  for (Projector* projector : projectors_) {
    if (const core::Status status = projector->Apply(entry); !status.ok()) {
      return core::DataLoss("projector `" + std::string(projector->name()) +
                            "` cannot fold entry " + std::to_string(entry.index) + ": " +
                            std::string(core::Message(status)));
    }
  }
  return core::OkStatus();
}

core::Status Projections::FoldCommand(const Batch& batch) {
  return batch.ForEachOfCommand([&](const PendingEntry& entry, std::string_view bytes,
                                    const core::JsonObjectView& body) {
    return Fold(EntryView{entry.index, entry.time_us, entry.layout.kind.In(bytes),
                          entry.layout.run.In(bytes), entry.run_seq, body, bytes, entry.leaf_hash});
  });
}

core::Status Projections::Flush(std::uint64_t next_index) {
  for (Projector* projector : projectors_) INTERLOCK_RETURN_IF_ERROR(projector->Flush());
  return WriteMark(next_index);
}

void Projections::Flushed(std::uint64_t next_index) {
  run_index_.DropFlushed();
  flushed_up_to_ = next_index;
}

void Projections::Forget() {
  for (Projector* projector : projectors_) {
    if (projector != &run_index_) projector->Reset();
  }
}

core::Status Projections::Reload(std::uint64_t size) {
  for (Projector* projector : projectors_) projector->Reset();
  INTERLOCK_RETURN_IF_ERROR(AttachAll());
  INTERLOCK_ASSIGN_OR_RETURN(flushed_up_to_, ReadWatermark());
  return FoldStored(flushed_up_to_, size);
}

core::StatusOr<std::uint64_t> Projections::ReadWatermark() {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t next,
                             QueryInt(db_, "SELECT next_idx FROM p_watermark WHERE id = 1"));
  return static_cast<std::uint64_t>(next);
}

}  // namespace interlock::audit
