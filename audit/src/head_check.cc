#include "head_check.h"

#include <utility>

#include "audit/checkpoint.h"
#include "note_text.h"
#include "rotation_check.h"

namespace interlock::audit {

HeadCheck::HeadCheck(LogIdentity identity, std::string pinned_key, Findings* findings)
    : identity_(std::move(identity)),
      pinned_key_(std::move(pinned_key)),
      findings_(findings),
      key_(identity_.verifier_key),
      keys_{key_},
      trusted_(pinned_key_.empty() || pinned_key_ == key_) {}

core::Status HeadCheck::Load(sqlite3* db, const std::vector<std::string>& outside) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement rows,
      Statement::Prepare(db, "SELECT size, root, note FROM checkpoint ORDER BY size"));
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    const auto size = static_cast<std::uint64_t>(rows.Int(0));
    // The log's own line and no other: a witness's stands in `cosignature`.
    const auto parsed = ParseNote(rows.Bytes(2));
    if (parsed.ok() && parsed->signatures.size() != 1) {
      findings_->General("checkpoint " + std::to_string(rows.Int(0)) +
                         " carries signature lines that do not belong there");
    }
    waiting_.emplace(
        size, Waiting{std::string(rows.Bytes(2)), "checkpoint " + std::to_string(rows.Int(0)), true,
                      std::string(rows.Bytes(1))});
  }
  INTERLOCK_RETURN_IF_ERROR(LoadCosignatures(db));
  for (const std::string& note : outside) {
    INTERLOCK_ASSIGN_OR_RETURN(const Checkpoint head, ReadCheckpoint(note));
    waiting_.emplace(head.size, Waiting{note, "outside checkpoint " + std::to_string(head.size),
                                        false, std::string()});
  }
  return core::OkStatus();
}

// Each line goes to the end of its checkpoint's note, where a witness's key finds it.
core::Status HeadCheck::LoadCosignatures(sqlite3* db) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t version, QueryInt(db, "PRAGMA user_version"));
  if (version < 2) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement rows,
      Statement::Prepare(db, "SELECT size, name, line FROM cosignature ORDER BY size, name"));
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return core::OkStatus();
    const auto stored = waiting_.find(static_cast<std::uint64_t>(rows.Int(0)));
    const std::string line(rows.Bytes(2));
    if (stored == waiting_.end() || !IsCosignatureLine(line, rows.Bytes(1))) {
      findings_->General("the cosignature of `" + std::string(rows.Bytes(1)) + "` under size " +
                         std::to_string(rows.Int(0)) +
                         " is of no checkpoint, or no cosignature line");
      continue;
    }
    stored->second.note += line;
  }
}

void HeadCheck::Open(std::uint64_t size, const Waiting& waiting, std::vector<Head>& out) {
  const auto head = OpenCheckpoint(waiting.note, key_);
  if (!head.ok()) {
    findings_->General(waiting.by + " does not hold: " + std::string(core::Message(head.status())));
  } else if (head->size != size || head->origin != identity_.origin ||
             (waiting.stored && core::AsBytes(head->root) != waiting.stored_root)) {
    findings_->General(waiting.by + " is not of this log, or not what its row says");
  } else {
    out.push_back({head->root, waiting.by, waiting.note});
  }
}

std::vector<HeadCheck::Head> HeadCheck::At(std::uint64_t size) {
  std::vector<Head> heads;
  auto [at, end] = waiting_.equal_range(size);
  for (; at != end; ++at) Open(size, at->second, heads);
  return heads;
}

std::vector<HeadCheck::Head> HeadCheck::Above(std::uint64_t size) {
  std::vector<Head> heads;
  for (auto at = waiting_.upper_bound(size); at != waiting_.end(); ++at) {
    Open(at->first, at->second, heads);
  }
  return heads;
}

void HeadCheck::Rotate(std::uint64_t index, const ParsedEntry& entry) {
  const auto next = RotatedKey(entry.body, key_);
  if (!next) {
    findings_->Entry(index, "changes the signing key, and the key before did not sign that");
    return;
  }
  key_ = *next;
  keys_.push_back(key_);
  trusted_ = trusted_ || key_ == pinned_key_;
}

}  // namespace interlock::audit
