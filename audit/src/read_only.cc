#include "read_only.h"

#include <sys/stat.h>

#include <array>
#include <chrono>
#include <thread>

#include "core/digest.h"
#include "folder_lock.h"
#include "schema.h"

namespace interlock::audit {
namespace {

// An erasure in a closed log has its journal for some milliseconds.
constexpr int kJournalLooks = 100;
constexpr std::chrono::milliseconds kJournalPause{20};

// https://www.sqlite.org/fileformat2.html, "The Database Header".
constexpr int kHeaderBytes = 28;
constexpr std::size_t kReadVersionAt = 19;
constexpr std::size_t kChangesAt = 24;

std::int64_t FileSize(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::int64_t>(info.st_size) : -1;
}

std::string FileUri(const std::string& path, bool immutable) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      uri += "%" + core::Hex(std::string_view(&c, 1));
    } else {
      uri += c;
    }
  }
  return uri + (immutable ? "?mode=ro&immutable=1" : "?mode=ro");
}

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// Through SQLite's handle: closing one of our own would end the locks that this process has.
std::array<unsigned char, kHeaderBytes> HeaderOf(sqlite3* db) {
  std::array<unsigned char, kHeaderBytes> header{};
  sqlite3_file* file = nullptr;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file != nullptr && file->pMethods != nullptr) {
    file->pMethods->xRead(file, header.data(), kHeaderBytes, 0);
  }
  return header;
}

// A killed daemon's journal is nobody's work; one at work is done with it soon.
core::Status AwaitJournal(const std::string& path) {
  const std::string journal = path + "-journal";
  for (int looks = 0; FileSize(journal) > 0; ++looks) {
    if (looks == kJournalLooks || !FolderLock::IsTaken(FolderOf(path))) {
      return core::FailedPrecondition(
          "`" + journal +
          "` would be rolled back by whoever opens the file "
          "next; a daemon that was killed while it erased leaves one, and takes "
          "it back when it starts; without one, find out who put it there");
    }
    std::this_thread::sleep_for(kJournalPause);
  }
  return core::OkStatus();
}

}  // namespace

core::StatusOr<StillFile> StillFile::At(const std::string& path) {
  if (FileSize(path) < 0) return core::NotFound("there is no `" + path + "`");
  StillFile file;
  file.path_ = path;
  INTERLOCK_ASSIGN_OR_RETURN(file.db_,
                             OpenForReading(FileUri(path, true), SteppedBy::kManyThreads));
  file.stamp_ = file.Look();
  return file;
}

StillFile::Stamp StillFile::Look() const {
  constexpr std::int64_t kNanos = 1'000'000'000;
  Stamp stamp;
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return stamp;
  stamp.device = info.st_dev;
  stamp.inode = info.st_ino;
  stamp.bytes = info.st_size;
  stamp.changed_ns = info.st_mtim.tv_sec * kNanos + info.st_mtim.tv_nsec;
  const auto header = HeaderOf(db_.get());
  for (std::size_t i = 0; i < 4; ++i) stamp.changes = stamp.changes << 8 | header[kChangesAt + i];
  stamp.write_ahead = header[kReadVersionAt] == 2;
  return stamp;
}

// With a write-ahead log pages change under a reader whenever that is copied: at any moment while
// a daemon has the folder, and its file is empty after each erasure. A daemon that we may not see
// the lock of has the shared memory in place.
bool StillFile::MayBeWritten() const {
  if (FileSize(path_ + "-journal") > 0) return true;
  if (!stamp_.write_ahead) return false;
  if (FileSize(path_ + "-wal") > 0) return true;
  const std::string folder = FolderOf(path_);
  return FolderLock::IsTaken(folder) ||
         (!FolderLock::CanBeSeen(folder) && FileSize(path_ + "-shm") >= 0);
}

bool StillFile::IsStill() const { return Look() == stamp_ && !MayBeWritten(); }

core::StatusOr<LogReading> OpenAtRest(const std::string& path) {
  INTERLOCK_RETURN_IF_ERROR(AwaitJournal(path));
  INTERLOCK_ASSIGN_OR_RETURN(StillFile file, StillFile::At(path));
  // A reader's lock would keep whoever erases in a closed log from it.
  const bool at_rest = !file.write_ahead() || !file.MayBeWritten();
  INTERLOCK_ASSIGN_OR_RETURN(Db db,
                             OpenForReading(FileUri(path, at_rest), SteppedBy::kManyThreads));
  INTERLOCK_RETURN_IF_ERROR(Exec(db.get(), "BEGIN"));
  if (!at_rest) return LogReading(std::move(db));
  return LogReading(std::move(db), std::move(file));
}

}  // namespace interlock::audit
