// Closed logs: their files, and reading them.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "audit/cosignature.h"
#include "audit/merkle.h"
#include "audit/rotate.h"
#include "note_text.h"
#include "readers.h"
#include "schema.h"
#include "sqlite.h"
#include "succession.h"
#include "tree_store.h"

namespace interlock::audit {
namespace {

constexpr int kRunPageMax = 10'000;

core::Status Closed() { return core::FailedPrecondition("this log is closed; it is only read"); }

class ArchivedLog final : public Log {
 public:
  ArchivedLog(const std::string& path, std::uint64_t size, std::string verifier_key)
      : size_(size), verifier_key_(std::move(verifier_key)), readers_(path) {}

  void Submit(std::unique_ptr<Command> command, Urgency /*urgency*/) override {
    command->Done(Closed());
  }
  core::StatusOr<EntryRef> Append(const NewEntry& /*entry*/,
                                  std::vector<SealedPayload> /*payloads*/) override {
    return Closed();
  }
  std::uint64_t size() const override { return size_; }
  Health health() const override { return Health::kOk; }
  std::string health_reason() const override { return {}; }

  core::StatusOr<Entry> Read(std::uint64_t index) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    return reader->Read(index);
  }
  core::StatusOr<EntryPage> ReadRange(std::uint64_t first, int max) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    return reader->ReadRange(first, max, size_);
  }
  core::StatusOr<EntryPage> ReadRun(std::string_view run, std::int64_t first_seq,
                                    int max) const override {
    max = std::clamp(max, 1, kRunPageMax);
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    INTERLOCK_ASSIGN_OR_RETURN(auto positions, reader->RunPositions(run, first_seq, max + 1));
    EntryPage page;
    page.more = positions.size() > static_cast<std::size_t>(max);
    if (page.more) positions.resize(static_cast<std::size_t>(max));
    for (const RunPosition& position : positions) {
      INTERLOCK_ASSIGN_OR_RETURN(page.entries.emplace_back(), reader->Read(position.index));
    }
    return page;
  }
  core::StatusOr<PayloadRow> ReadPayload(std::uint64_t entry_index, int slot) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    return reader->ReadPayload(entry_index, slot);
  }
  core::Status Query(const std::function<core::Status(sqlite3*)>& read) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    return reader->Query(read);
  }
  core::Status Select(const std::string& sql, std::span<const std::string> bound,
                      const std::function<void(sqlite3_stmt*)>& row) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    return reader->Select(sql, bound, row);
  }
  core::StatusOr<std::string> ReadBlob(const core::Digest& digest) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    return reader->ReadBlob(digest);
  }

  core::StatusOr<Checkpoint> CheckpointNow() override {
    auto newest = newest_checkpoint();
    if (!newest) return core::NotFound("this log was never signed");
    return *std::move(newest);
  }
  std::optional<Checkpoint> newest_checkpoint() const override {
    const auto reader = readers_.Borrow();
    if (!reader.ok()) return std::nullopt;
    auto row = Statement::Prepare((*reader)->db(),
                                  "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1");
    if (!row.ok() || !row->Step().value_or(false)) return std::nullopt;
    const std::string note(row->Bytes(0));
    auto head = ReadCheckpoint(note);
    if (!head.ok()) return std::nullopt;
    head->note = note;
    return *std::move(head);
  }
  void AwaitCheckpoint(std::uint64_t index, std::chrono::steady_clock::time_point /*deadline*/,
                       std::function<void(core::StatusOr<Checkpoint>)> done) const override {
    auto newest = newest_checkpoint();
    if (newest && newest->size > index) return done(*std::move(newest));
    done(Closed());
  }
  core::StatusOr<Checkpoint> CosignedCheckpoint() const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    INTERLOCK_ASSIGN_OR_RETURN(Checkpoint checkpoint, reader->Cosigned());
    INTERLOCK_ASSIGN_OR_RETURN(const std::string lines, reader->Cosignatures(checkpoint.size));
    checkpoint.note = WithSignatureLines(checkpoint.note, lines);
    return checkpoint;
  }
  core::StatusOr<std::string> Cosignatures(std::uint64_t size) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    return reader->Cosignatures(size);
  }
  const std::string& verifier_key() const override { return verifier_key_; }
  core::StatusOr<EntryRef> RotateSignerKey(std::string_view /*actor*/) override { return Closed(); }
  core::StatusOr<std::vector<core::Digest>> InclusionProof(std::uint64_t index,
                                                           std::uint64_t size) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(reader->db()));
    return InclusionPath(tree, index, size);
  }
  core::StatusOr<std::vector<core::Digest>> ConsistencyProof(std::uint64_t old_size,
                                                             std::uint64_t size) const override {
    INTERLOCK_ASSIGN_OR_RETURN(const ReaderPool::Lease reader, readers_.Borrow());
    INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(reader->db()));
    return ConsistencyPath(tree, old_size, size);
  }
  void SetListener(std::function<void(std::uint64_t, std::uint64_t)> /*committed*/) override {}

 private:
  const std::uint64_t size_;
  const std::string verifier_key_;
  mutable ReaderPool readers_;
};

}  // namespace

core::StatusOr<std::vector<std::string>> ListArchives(const std::string& folder) {
  std::vector<std::pair<std::uint64_t, std::string>> found;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = file.path().filename().string();
    std::uint64_t number = 0;
    if (!name.starts_with("audit-")) continue;
    std::from_chars(name.data() + 6, name.data() + name.size(), number);
    if (number > 0 && name == ArchiveName(number)) found.emplace_back(number, name);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return core::Unavailable("cannot list `" + folder + "`: " + error.message());
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  names.reserve(found.size());
  for (auto& [number, name] : found) names.push_back(std::move(name));
  return names;
}

std::vector<std::string> ArchivesIn(const std::string& folder) {
  auto names = ListArchives(folder);
  return names.ok() ? *std::move(names) : std::vector<std::string>();
}

core::StatusOr<std::unique_ptr<Log>> OpenArchive(const std::string& database) {
  if (!std::filesystem::exists(database)) return core::NotFound("there is no `" + database + "`");
  INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenForReading(database));
  INTERLOCK_RETURN_IF_ERROR(CheckFormat(db.get()));
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t size,
                             QueryInt(db.get(), "SELECT coalesce(max(idx), -1) + 1 FROM entry"));
  INTERLOCK_ASSIGN_OR_RETURN(LogIdentity identity, ReadIdentity(db.get()));
  return std::unique_ptr<Log>(std::make_unique<ArchivedLog>(
      database, static_cast<std::uint64_t>(size), std::move(identity.verifier_key)));
}

}  // namespace interlock::audit
