#include "audit/rebuild.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>

#include "audit/checkpoint.h"
#include "audit/verify.h"
#include "core/digest.h"
#include "folder_lock.h"
#include "private_file.h"
#include "projections.h"
#include "rotate_finish.h"
#include "schema.h"
#include "signed_head.h"
#include "store.h"

namespace interlock::audit {
namespace {

using RowHashes = std::vector<std::uint64_t>;
using Tables = std::map<std::string, RowHashes>;  // hashes in ascending order

std::uint64_t HashOf(std::string_view text) {
  const core::Digest digest = core::Sha256(text);
  std::uint64_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

std::uint64_t HashOfRow(const Statement& row) {
  std::string text;
  for (int column = 0; column < sqlite3_column_count(row.get()); ++column) {
    const std::string_view value = row.Bytes(column);
    text += std::to_string(sqlite3_column_type(row.get(), column)) + ":" +
            std::to_string(value.size()) + ":";
    text += value;
  }
  return HashOf(text);
}

core::StatusOr<RowHashes> HashesOf(sqlite3* db, const std::string& table) {
  std::string quoted;
  for (const char c : table) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  INTERLOCK_ASSIGN_OR_RETURN(Statement rows,
                             Statement::Prepare(db, "SELECT * FROM \"" + quoted + "\""));
  RowHashes hashes;
  for (;;) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    hashes.push_back(HashOfRow(rows));
  }
  std::sort(hashes.begin(), hashes.end());
  return hashes;
}

core::StatusOr<Tables> ReadTables(const std::string& path) {
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForReading(path));
  INTERLOCK_ASSIGN_OR_RETURN(Statement names,
                             Statement::Prepare(db.get(),
                                                "SELECT type, name, sql FROM sqlite_schema WHERE "
                                                "type = 'view' OR "
                                                "(type = 'table' AND substr(name, 1, 2) = 'p_' "
                                                "AND name <> 'p_watermark')"));
  Tables tables;
  for (;;) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, names.Step());
    if (!row) return tables;
    const std::string name(names.Bytes(1));
    if (names.Bytes(0) == "view") {
      tables[name] = {HashOf(names.Bytes(2))};
      continue;
    }
    auto hashes = HashesOf(db.get(), name);
    if (!hashes.ok()) hashes = RowHashes();  // unreadable rows are not what the entries make
    tables[name] = *std::move(hashes);
  }
}

std::vector<ProjectionDifference> Compare(const Tables& before, const Tables& after) {
  Tables all = before;
  all.insert(after.begin(), after.end());
  std::vector<ProjectionDifference> differences;
  for (const auto& [name, unused] : all) {
    const auto old_rows = before.find(name);
    const auto new_rows = after.find(name);
    const RowHashes none;
    const RowHashes& a = old_rows == before.end() ? none : old_rows->second;
    const RowHashes& b = new_rows == after.end() ? none : new_rows->second;
    RowHashes foreign;
    RowHashes lacking;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(foreign));
    std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::back_inserter(lacking));
    if (foreign.empty() && lacking.empty()) continue;
    differences.push_back({name, foreign.size(), lacking.size()});
  }
  return differences;
}

core::Status CheckLog(const std::string& path, RebuildReport& report) {
  VerifyOptions options;
  options.database = path;
  options.depth = VerifyDepth::kHashes;
  options.scope = VerifyScope::kOfFolder;
  const VerifyReport verified = Verify(options);
  if (verified.verdict == Verdict::kCouldNotCheck) return core::FailedPrecondition(verified.reason);
  const bool sound =
      verified.verdict == Verdict::kIntact || verified.verdict == Verdict::kIncomplete;
  if (!sound) {
    return core::DataLoss(verified.reason +
                          "; nothing was rebuilt: what the tables are made from must hold first");
  }
  report.entries = verified.entries;
  report.checkpoints = verified.checkpoints;
  report.signed_entries = verified.signed_entries;
  return core::OkStatus();
}

// The heads in the file may be gone, and its key another one: the signer remembers.
core::Status AskSigner(const std::string& path, const std::string& origin, Signer& signer,
                       RebuildReport& report) {
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForReading(path));
  INTERLOCK_ASSIGN_OR_RETURN(const LogIdentity identity, ReadIdentity(db.get()));
  const std::vector<std::string> keys = signer.verifier_keys();
  if (std::find(keys.begin(), keys.end(), identity.verifier_key) == keys.end()) {
    return core::FailedPrecondition(
        "this signer never signed with the log's key; nothing was rebuilt");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const auto last,
                             LastSignedHead(db.get(), report.entries, signer, origin));
  if (!last) return core::OkStatus();
  const std::string size = std::to_string(last->head.size);
  if (last->head.size > report.entries) {
    return core::DataLoss("the signer signed " + size + " entries and the log has " +
                          std::to_string(report.entries) + "; nothing was rebuilt");
  }
  if (!last->holds) {
    return core::DataLoss("the first " + size +
                          " entries are not those that the signer signed; nothing was rebuilt");
  }
  report.signed_entries = std::max(report.signed_entries, last->head.size);
  return core::OkStatus();
}

// As a start that finds tables of another version: dropped, and folded from the first entry on.
core::Status FoldAnew(const LogOptions& options) {
  {
    INTERLOCK_ASSIGN_OR_RETURN(const WritableDb opened, OpenForWriting(options.folder));
    INTERLOCK_RETURN_IF_ERROR(
        Exec(opened.db.get(), "UPDATE p_watermark SET next_idx = 0, schema_digest = ''"));
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(options));
  INTERLOCK_RETURN_IF_ERROR(store->Begin());
  INTERLOCK_RETURN_IF_ERROR(store->projections().Flush(store->size()));
  INTERLOCK_RETURN_IF_ERROR(store->Commit());
  store->projections().Flushed(store->size());
  return store->FinishWal();
}

}  // namespace

core::StatusOr<RebuildReport> RebuildProjections(const LogOptions& options) {
  INTERLOCK_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::Take(options.folder));
  LogOptions open = options;
  INTERLOCK_ASSIGN_OR_RETURN(open.origin, FinishRotation(options));
  const std::string path = options.folder + "/" + std::string(kDatabaseName);
  RebuildReport report;
  INTERLOCK_RETURN_IF_ERROR(CheckLog(path, report));
  INTERLOCK_RETURN_IF_ERROR(AskSigner(path, open.origin, *options.signer, report));
  INTERLOCK_ASSIGN_OR_RETURN(const Tables before, ReadTables(path));
  {
    INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForReading(path));
    INTERLOCK_ASSIGN_OR_RETURN(
        const std::int64_t folded,
        QueryInt(db.get(), "SELECT coalesce(max(next_idx), 0) FROM p_watermark"));
    report.folded = static_cast<std::uint64_t>(std::max<std::int64_t>(0, folded));
  }
  INTERLOCK_RETURN_IF_ERROR(FoldAnew(open));
  INTERLOCK_ASSIGN_OR_RETURN(const Tables after, ReadTables(path));
  report.differences = Compare(before, after);
  return report;
}

}  // namespace interlock::audit
