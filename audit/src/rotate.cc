// Each step leaves a folder with which the next start can go on: until `log.closed` is committed
// nothing has changed; from then on the log takes no more entries and FinishRotation puts the
// successor in place, which one rename does.
#include "audit/rotate.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "anchor.h"
#include "audit/merkle.h"
#include "audit/search.h"
#include "batch.h"
#include "core/json.h"
#include "folder_lock.h"
#include "private_file.h"
#include "rotate_finish.h"
#include "rotation_check.h"
#include "schema.h"
#include "signed_head.h"
#include "store.h"
#include "succession.h"
#include "tree_store.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReasonBytesMax = 200;
constexpr std::size_t kEntriesPerCommit = 64;
constexpr std::uint64_t kReserveBytes = 8ull << 20;  // beside three times what is carried

struct PreviousHead {
  std::string origin;
  std::uint64_t size = 0;
  core::Digest root{};
  std::string note;
  std::int64_t time_us = 0;
};

std::string HeadObject(const std::optional<std::string>& note, std::string_view origin,
                       const core::Digest& root, std::uint64_t size) {
  std::string text;
  core::JsonObjectWriter writer(text);
  if (note) writer.String("checkpoint", *note);
  writer.String("origin", origin);
  writer.String("root", core::Hex(root));
  writer.Int("size", static_cast<std::int64_t>(size));
  writer.Close();
  return text;
}

// No write-ahead log may be left beside a file that is about to be renamed or replaced.
core::Status LeaveWal(const std::string& path) {
  {
    INTERLOCK_ASSIGN_OR_RETURN(const Db db, OpenDb(path, SQLITE_OPEN_READWRITE));
    const core::Status left = Exec(db.get(), "PRAGMA journal_mode = DELETE");
    if (left.code() == core::StatusCode::kUnavailable) {
      return core::Unavailable("another program reads `" + path + "`; end it and rotate again");
    }
    INTERLOCK_RETURN_IF_ERROR(left);
  }
  if (fs::exists(path + "-wal")) {
    return core::Unavailable("`" + path + "-wal` is in use; end its reader and rotate again");
  }
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return ErrnoStatus("cannot sync", path);
  return core::OkStatus();
}

class Rotator {
 public:
  explicit Rotator(const RotateOptions& options) : options_(options), log_(options.log) {}
  ~Rotator() { Detach(); }
  Rotator(const Rotator&) = delete;
  Rotator& operator=(const Rotator&) = delete;

  core::StatusOr<RotateReport> Run() {
    INTERLOCK_RETURN_IF_ERROR(LeaveWal(Database()));  // a reader would stand in the way later
    INTERLOCK_RETURN_IF_ERROR(Open());
    if (options_.cause == RotationCause::kPlanned) {
      INTERLOCK_RETURN_IF_ERROR(CheckVouchedFor());
      if (closed_) return Finish();
      INTERLOCK_RETURN_IF_ERROR(CheckMayClose());
    } else {
      INTERLOCK_RETURN_IF_ERROR(FindLost());
    }
    INTERLOCK_RETURN_IF_ERROR(Collect());
    INTERLOCK_RETURN_IF_ERROR(Reserve());
    if (options_.cause == RotationCause::kPlanned) INTERLOCK_RETURN_IF_ERROR(Close());
    return Succeed();
  }

  // The log is closed already: a process ended after that.
  core::StatusOr<RotateReport> FinishClosed() {
    INTERLOCK_RETURN_IF_ERROR(Open());
    return Finish();
  }

 private:
  void Step(std::string_view name) const {
    if (options_.at_step) options_.at_step(name);
  }
  std::string At(std::string_view name) const { return log_.folder + std::string(name); }
  std::string Database() const { return At("/" + std::string(kDatabaseName)); }

  core::Status Open();
  core::StatusOr<std::optional<Checkpoint>> DisagreeingHead();
  core::Status CheckVouchedFor();
  core::Status FindLost();
  core::Status CheckMayClose();
  core::Status FlushTables();
  core::Status Collect();
  core::Status Reserve();
  core::Status Close();
  core::Status Sign();
  core::Status SignClosing(const SignRequest& head);
  core::Status ShowClosed(const SignRequest& head);
  core::StatusOr<RotateReport> Finish();
  core::StatusOr<RotateReport> Succeed();
  core::Status Commit(Batch& batch, Store& store, bool fold);
  void Detach();
  std::string OpenedBody() const;
  core::Status Build();
  core::Status PutInPlace();

  const RotateOptions& options_;
  LogOptions log_;  // with the origin that the folder has
  std::unique_ptr<Store> store_;
  bool closed_ = false;
  std::uint64_t number_ = 1;
  std::uint64_t next_number_ = 2;
  std::string reason_;
  std::string warning_;
  std::optional<Checkpoint> lost_;  // kRestored: the last head that the signer knows
  std::vector<std::string> carried_;
  CarriedDigest carried_digest_;
  PreviousHead previous_;
};

core::Status Rotator::Open() {
  INTERLOCK_ASSIGN_OR_RETURN(log_.origin, OriginInFolder(options_.log));
  number_ = LogNumber(log_.origin, options_.log.origin).value_or(1);
  next_number_ = number_ + 1;
  reason_ = options_.reason;
  if (next_number_ > kLogsMax) {
    return core::FailedPrecondition("this folder has 9999 logs; begin with a new folder");
  }
  INTERLOCK_ASSIGN_OR_RETURN(store_, Store::Open(log_));
  closed_ = store_->closed();
  if (options_.cause == RotationCause::kRestored) return core::OkStatus();
  return store_->CheckSignerKey(*log_.signer);
}

// The last head that the signer knows, when the file is not a continuation of it.
core::StatusOr<std::optional<Checkpoint>> Rotator::DisagreeingHead() {
  INTERLOCK_ASSIGN_OR_RETURN(
      auto last, LastSignedHead(store_->db(), store_->size(), *log_.signer, log_.origin));
  if (!last || last->holds) return std::optional<Checkpoint>();
  return std::optional<Checkpoint>(std::move(last->head));
}

core::Status Rotator::CheckVouchedFor() {
  INTERLOCK_ASSIGN_OR_RETURN(const auto head, DisagreeingHead());
  if (head) {
    return core::FailedPrecondition(
        "the log is not the one that was signed: the signer knows " + std::to_string(head->size) +
        " entries, the file has " + std::to_string(store_->size()) +
        "; restore a newer copy, or rotate with --restored if there is none");
  }
  const std::string next = OriginOf(options_.log.origin, next_number_);
  INTERLOCK_ASSIGN_OR_RETURN(const auto successor, log_.signer->LastHead(next));
  if (!successor) return core::OkStatus();
  return core::FailedPrecondition("log `" + next + "` was opened before, with " +
                                  std::to_string(successor->size) +
                                  " entries, and is not here; restore it, or rotate with "
                                  "--restored if there is no copy");
}

// A restore is a matter of what the signer knows and the file does not have.
core::Status Rotator::FindLost() {
  INTERLOCK_ASSIGN_OR_RETURN(lost_, DisagreeingHead());
  for (;; ++next_number_) {
    const std::string next = OriginOf(options_.log.origin, next_number_);
    INTERLOCK_ASSIGN_OR_RETURN(auto successor, log_.signer->LastHead(next));
    if (!successor) break;
    lost_ = std::move(successor);
  }
  if (lost_) return core::OkStatus();
  return core::FailedPrecondition(
      "the signer knows nothing that this log does not have; rotate it without --restored");
}

core::Status Rotator::CheckMayClose() {
  Step("check");
  INTERLOCK_RETURN_IF_ERROR(FlushTables());  // a killed daemon left them behind the entries
  for (Projector* projector : log_.projectors) {
    INTERLOCK_RETURN_IF_ERROR(projector->MayClose(store_->db()));
  }
  return core::OkStatus();
}

core::Status Rotator::FlushTables() {
  INTERLOCK_RETURN_IF_ERROR(store_->Begin());
  core::Status flushed = store_->projections().Flush(store_->size());
  if (flushed.ok()) flushed = store_->Commit();
  if (!flushed.ok()) {
    store_->Rollback();
    return flushed;
  }
  store_->projections().Flushed(store_->size());
  return core::OkStatus();
}

core::Status Rotator::Collect() {
  INTERLOCK_RETURN_IF_ERROR(FlushTables());
  carried_.clear();
  carried_digest_ = CarriedDigest();
  for (Projector* projector : log_.projectors) {
    INTERLOCK_ASSIGN_OR_RETURN(std::vector<std::string> bodies, projector->Carried(store_->db()));
    for (std::string& body : bodies) {
      carried_digest_.Add(body);
      carried_.push_back(std::move(body));
    }
  }
  return core::OkStatus();
}

// Room for the successor is taken before the log is closed, so that a full disk changes nothing.
core::Status Rotator::Reserve() {
  Step("reserve");
  std::uint64_t bytes = kReserveBytes;
  for (const std::string& body : carried_) bytes += 3 * body.size();
  const std::string path = At(kReserveFile);
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus("cannot make", path);
  const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes));
  if (error == 0 || error == EOPNOTSUPP) return core::OkStatus();
  ::unlink(path.c_str());
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return core::ResourceExhausted("no room for the next log: make " + std::to_string(bytes) +
                                   " bytes free; nothing was changed");
  }
  errno = error;
  return ErrnoStatus("cannot keep room in", path);
}

core::Status Rotator::Commit(Batch& batch, Store& store, bool fold) {
  INTERLOCK_RETURN_IF_ERROR(store.Begin());
  core::Status status = store.Insert(batch.last());
  if (status.ok()) status = store.InsertRest(batch);
  if (status.ok() && fold) status = store.projections().FoldCommand(batch);
  if (status.ok() && fold) status = store.projections().Flush(store.size());
  if (status.ok()) status = store.Commit();
  if (!status.ok()) {
    store.Rollback();
    return status;
  }
  if (fold) store.projections().Flushed(store.size());
  return core::OkStatus();
}

core::Status Rotator::Close() {
  Step("close");
  Batch batch(log_.tenant, [this](std::string_view run) { return store_->LoadHead(run); });
  batch.Start(store_->size(), store_->last_time_us());
  batch.BeginCommand(log_.clock->WallMicros());
  if (store_->version_at_open() != kSchemaVersion) {
    const std::string body = R"({"from":)" + std::to_string(store_->version_at_open()) +
                             R"(,"to":)" + std::to_string(kSchemaVersion) + "}";
    INTERLOCK_RETURN_IF_ERROR(
        batch
            .Append({.kind = kMigratedKind, .run = {}, .actor = "log", .body = body, .cites = {}},
                    {})
            .status());
  }
  std::string body;
  core::JsonObjectWriter writer(body);
  writer.Raw("carried", CarriedObject(carried_digest_));
  writer.String("next", OriginOf(options_.log.origin, next_number_));
  writer.String("reason", reason_);
  writer.Close();
  INTERLOCK_RETURN_IF_ERROR(batch
                                .Append({.kind = kClosedKind,
                                         .run = {},
                                         .actor = options_.actor,
                                         .body = body,
                                         .cites = {},
                                         .ends_run = true},
                                        {})
                                .status());
  const core::Status closed = Commit(batch, *store_, /*fold=*/true);
  if (!closed.ok()) {
    static_cast<void>(RemoveFile(At(kReserveFile)));
    return closed;
  }
  closed_ = true;
  Step("sign");
  return Sign();
}

// Only after a log that it saw closed does the signer begin another.
core::Status Rotator::ShowClosed(const SignRequest& head) {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement row, Statement::Prepare(store_->db(), "SELECT bytes FROM entry WHERE idx = ?"));
  const std::uint64_t last = head.size - 1;
  INTERLOCK_ASSIGN_OR_RETURN(const bool there, row.Int(1, static_cast<std::int64_t>(last)).Step());
  if (!there) return core::DataLoss("entry " + std::to_string(last) + " is missing");
  INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(store_->db()));
  INTERLOCK_ASSIGN_OR_RETURN(auto path, InclusionPath(tree, last, head.size));
  return log_.signer->FinishRotation({row.Bytes(0), last, std::move(path), head}).status();
}

core::Status Rotator::Sign() {
  const SignRequest head{log_.origin, store_->size(), store_->Root(),
                         [this](std::uint64_t old_size,
                                std::uint64_t size) -> core::StatusOr<std::vector<core::Digest>> {
                           INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree,
                                                      StoredTree::On(store_->db()));
                           return ConsistencyPath(tree, old_size, size);
                         }};
  INTERLOCK_RETURN_IF_ERROR(SignClosing(head));
  return ShowClosed(head);
}

core::Status Rotator::SignClosing(const SignRequest& head) {
  if (!store_->checkpoints_at_open().empty() &&
      store_->checkpoints_at_open().back().size == store_->size()) {
    previous_.note = store_->checkpoints_at_open().back().note;
    return core::OkStatus();
  }
  INTERLOCK_ASSIGN_OR_RETURN(
      const Checkpoint checkpoint,
      store_->rotated_at()
          ? SignWithNextKey(*log_.signer, head, store_->db(), *store_->rotated_at())
          : log_.signer->Sign(head));
  previous_.note = checkpoint.note;
  INTERLOCK_RETURN_IF_ERROR(store_->Begin());
  core::Status status = store_->InsertCheckpoint(checkpoint);
  if (status.ok()) status = store_->Commit();
  if (!status.ok()) store_->Rollback();
  if (!status.ok() || log_.anchor_file.empty()) return status;
  // The head stands in the log already: an anchor that cannot be written does not hold it up.
  if (const core::Status kept = AppendToAnchor(log_.anchor_file, checkpoint.note); !kept.ok()) {
    warning_ = "the closing head is not in the anchor file: " + std::string(core::Message(kept));
  }
  return core::OkStatus();
}

core::StatusOr<RotateReport> Rotator::Finish() {
  INTERLOCK_ASSIGN_OR_RETURN(const NewestEntry newest, ReadNewest(store_->db()));
  const auto body = core::JsonObjectView::Of(newest.body);
  if (body.ok()) reason_ = body->String("reason").value_or(reason_);
  INTERLOCK_RETURN_IF_ERROR(CheckVouchedFor());
  INTERLOCK_RETURN_IF_ERROR(Collect());
  const auto digest = ReadClosing(newest.body);
  if (!digest || *digest != carried_digest_.Name()) {
    return core::DataLoss(
        "what the closed log folds to is not what it was closed with; verify it, and finish the "
        "rotation with the version of the program that closed it");
  }
  Step("sign");
  INTERLOCK_RETURN_IF_ERROR(Sign());
  return Succeed();
}

core::StatusOr<RotateReport> Rotator::Succeed() {
  previous_.origin = log_.origin;
  previous_.size = store_->size();
  previous_.root = store_->Root();
  previous_.time_us = store_->last_time_us();
  if (lost_ && !store_->checkpoints_at_open().empty()) {
    previous_.note = store_->checkpoints_at_open().back().note;
  }
  RotateReport report{.archive = ArchiveName(number_),
                      .old_origin = log_.origin,
                      .old_size = previous_.size,
                      .root_hex = core::Hex(previous_.root),
                      .new_origin = OriginOf(options_.log.origin, next_number_),
                      .carried_entries = carried_.size(),
                      .lost = {},
                      .warning = warning_};
  if (const auto opening = ReadOpening(OpenedBody())) report.lost = opening->lost;
  Detach();
  Step("settle");
  INTERLOCK_RETURN_IF_ERROR(LeaveWal(Database()));
  Step("build");
  INTERLOCK_RETURN_IF_ERROR(Build());
  INTERLOCK_RETURN_IF_ERROR(PutInPlace());
  return report;
}

// The projectors borrow the connection.
void Rotator::Detach() {
  if (store_ == nullptr) return;
  for (Projector* projector : log_.projectors) projector->Reset();
  store_.reset();
}

std::string Rotator::OpenedBody() const {
  std::string body;
  core::JsonObjectWriter writer(body);
  writer.Raw("carried", CarriedObject(carried_digest_));
  writer.Int("number", static_cast<std::int64_t>(next_number_));
  writer.Raw("previous",
             HeadObject(previous_.note, previous_.origin, previous_.root, previous_.size));
  writer.String("reason", reason_);
  if (lost_) {
    writer.Raw("restored", HeadObject(std::nullopt, lost_->origin, lost_->root, lost_->size));
  }
  writer.Close();
  return body;
}

// The successor, whole, in a folder of its own. It is signed only once it is in place: what is
// built anew after a crash has other times, and the signer signs one tree.
core::Status Rotator::Build() {
  const std::string folder = At(kNextFolder);
  std::error_code error;
  fs::remove_all(folder, error);
  INTERLOCK_RETURN_IF_ERROR(RemoveFile(At(kReserveFile)));
  INTERLOCK_RETURN_IF_ERROR(MakeFolder(folder));
  LogOptions next = log_;
  next.folder = folder;
  next.origin = OriginOf(options_.log.origin, next_number_);
  next.projectors.clear();
  {
    INTERLOCK_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(next));
    Batch batch(log_.tenant, [](std::string_view) { return RunHead{}; });
    const std::string opened = OpenedBody();
    std::int64_t time_us = previous_.time_us;
    for (std::size_t at = 0; at <= carried_.size();) {
      batch.Start(at, time_us);
      batch.BeginCommand(log_.clock->WallMicros());
      const std::size_t end = std::min(carried_.size() + 1, at + kEntriesPerCommit);
      for (; at < end; ++at) {
        const NewEntry entry{.kind = at == 0 ? kOpenedKind : kCarriedKind,
                             .run = {},
                             .actor = options_.actor,
                             .body = at == 0 ? opened : carried_[at - 1],
                             .cites = {}};
        INTERLOCK_RETURN_IF_ERROR(batch.Append(entry, {}).status());
      }
      time_us = batch.now_us();
      INTERLOCK_RETURN_IF_ERROR(Commit(batch, *store, /*fold=*/false));
    }
  }
  INTERLOCK_RETURN_IF_ERROR(LeaveWal(folder + "/" + std::string(kDatabaseName)));
  return SyncFolder(folder);
}

core::Status Rotator::PutInPlace() {
  const std::string archive = At("/" + ArchiveName(number_));
  Step("archive");
  if (::link(Database().c_str(), archive.c_str()) != 0) {
    std::error_code error;
    if (errno != EEXIST || !fs::equivalent(Database(), archive, error)) {
      return ErrnoStatus("cannot keep the closed log as", archive);
    }
  }
  INTERLOCK_RETURN_IF_ERROR(SyncFolder(log_.folder));
  Step("texts");
  // After a restore the full text knows more than the log that is closed.
  INTERLOCK_RETURN_IF_ERROR(options_.cause == RotationCause::kRestored
                                ? SearchIndex::Remove(Database())
                                : SearchIndex::Follow(Database(), archive));
  Step("swap");
  const std::string next = At(kNextFolder) + "/" + std::string(kDatabaseName);
  if (std::rename(next.c_str(), Database().c_str()) != 0) {
    return ErrnoStatus("cannot put in place", Database());
  }
  INTERLOCK_RETURN_IF_ERROR(SyncFolder(log_.folder));
  Step("protect");
  return FinishRotation(options_.log).status();
}

core::Status CheckOptions(const RotateOptions& options) {
  if (options.log.clock == nullptr || options.log.signer == nullptr) {
    return core::InvalidArgument("a rotation needs a clock and a signer");
  }
  if (options.reason.empty() || options.reason.size() > kReasonBytesMax) {
    return core::InvalidArgument("`reason` must have 1 to 200 bytes");
  }
  if (!fs::exists(options.log.folder + "/" + std::string(kDatabaseName))) {
    return core::NotFound("there is no log in `" + options.log.folder + "`");
  }
  return core::OkStatus();
}

}  // namespace

core::StatusOr<RotateReport> Rotate(const RotateOptions& options) {
  INTERLOCK_RETURN_IF_ERROR(CheckOptions(options));
  INTERLOCK_ASSIGN_OR_RETURN(const FolderLock lock, FolderLock::Take(options.log.folder));
  return Rotator(options).Run();
}

core::Status FinishClosed(const LogOptions& options) {
  RotateOptions finish;
  finish.log = options;
  finish.actor = "log";
  return Rotator(finish).FinishClosed().status();
}

}  // namespace interlock::audit
