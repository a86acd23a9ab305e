#include "fault_vfs.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <new>
#include <utility>

namespace interlock::audit {
namespace {

Faults* faults = nullptr;
sqlite3_vfs* real_vfs = nullptr;
sqlite3_vfs fault_vfs;

// Our file object; SQLite's own follows it in the same allocation.
struct FaultFile {
  sqlite3_file base;
  sqlite3_io_methods methods;
  sqlite3_file* real;
  const char* name;  // SQLite keeps it for as long as the file is open; null: a temporary file
};

FaultFile* Ours(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file); }

sqlite3_file* Real(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file)->real; }
const sqlite3_io_methods* M(sqlite3_file* file) { return Real(file)->pMethods; }

int Close(sqlite3_file* f) { return M(f)->xClose(Real(f)); }
int Read(sqlite3_file* f, void* p, int n, sqlite3_int64 at) {
  if (faults->read_fails) return SQLITE_IOERR_READ;
  return M(f)->xRead(Real(f), p, n, at);
}
int Write(sqlite3_file* f, const void* p, int n, sqlite3_int64 at) {
  if (faults->write_fails) return SQLITE_IOERR_WRITE;
  if (faults->IsFull()) return SQLITE_FULL;
  const char* name = Ours(f)->name;
  if (name == nullptr) return M(f)->xWrite(Real(f), p, n, at);
  const std::string_view bytes(static_cast<const char*>(p), static_cast<std::size_t>(n));
  const Faults::Step step = faults->Next();
  if (step == Faults::Step::kFail || step == Faults::Step::kKill) {
    // What comes to grief in the middle: nothing of it, half, or all but its last bytes.
    const int parts[] = {0, n / 2, n > 512 ? n - 512 : 0};
    const int part = parts[faults->operations() % 3];
    if (part > 0) M(f)->xWrite(Real(f), p, part, at);
    if (part > 0) faults->NoteWrite(name, at, bytes.substr(0, static_cast<std::size_t>(part)));
  }
  switch (step) {
    case Faults::Step::kFail:
      return SQLITE_IOERR_WRITE;
    case Faults::Step::kKill:
      ::raise(SIGKILL);
      break;
    case Faults::Step::kTear:
      faults->NoteWrite(name, at, bytes.substr(0, bytes.size() / 2));
      return SQLITE_IOERR_WRITE;
    case Faults::Step::kDropped:
      return SQLITE_IOERR_WRITE;
    case Faults::Step::kGoOn:
      break;
  }
  faults->NoteWrite(name, at, bytes);
  return M(f)->xWrite(Real(f), p, n, at);
}
int Truncate(sqlite3_file* f, sqlite3_int64 n) {
  const char* name = Ours(f)->name;
  if (name == nullptr) return M(f)->xTruncate(Real(f), n);
  if (faults->NextWhole() != Faults::Step::kGoOn) return SQLITE_IOERR_TRUNCATE;
  faults->NoteTruncate(name, n);
  return M(f)->xTruncate(Real(f), n);
}
int Sync(sqlite3_file* f, int flags) {
  if (faults->sync_fails) return SQLITE_IOERR_FSYNC;
  const char* name = Ours(f)->name;
  if (name == nullptr) return M(f)->xSync(Real(f), flags);
  if (faults->NextWhole() != Faults::Step::kGoOn) return SQLITE_IOERR_FSYNC;
  const int rc = M(f)->xSync(Real(f), flags);
  if (rc == SQLITE_OK) faults->NoteSync(name);
  return rc;
}
int FileSize(sqlite3_file* f, sqlite3_int64* n) { return M(f)->xFileSize(Real(f), n); }
int Lock(sqlite3_file* f, int level) { return M(f)->xLock(Real(f), level); }
int Unlock(sqlite3_file* f, int level) { return M(f)->xUnlock(Real(f), level); }
int CheckReserved(sqlite3_file* f, int* out) { return M(f)->xCheckReservedLock(Real(f), out); }
int Control(sqlite3_file* f, int op, void* arg) { return M(f)->xFileControl(Real(f), op, arg); }
int SectorSize(sqlite3_file* f) { return M(f)->xSectorSize(Real(f)); }
int Traits(sqlite3_file* f) { return M(f)->xDeviceCharacteristics(Real(f)); }
int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  if (faults->shm_is_full && extend != 0 && page > 0) {
    ++faults->shm_refused;
    errno = ENOSPC;
    return SQLITE_IOERR_SHMSIZE;
  }
  return M(f)->xShmMap(Real(f), page, size, extend, out);
}
int ShmLock(sqlite3_file* f, int at, int n, int flags) {
  return M(f)->xShmLock(Real(f), at, n, flags);
}
void ShmBarrier(sqlite3_file* f) { M(f)->xShmBarrier(Real(f)); }
int ShmUnmap(sqlite3_file* f, int remove) { return M(f)->xShmUnmap(Real(f), remove); }

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  auto* ours = new (file) FaultFile();
  ours->real = reinterpret_cast<sqlite3_file*>(ours + 1);
  std::memset(ours->real, 0, static_cast<std::size_t>(real_vfs->szOsFile));
  const int rc = real_vfs->xOpen(real_vfs, name, ours->real, flags, out);
  if (ours->real->pMethods == nullptr) return rc;
  const bool shm = ours->real->pMethods->iVersion >= 2 && ours->real->pMethods->xShmMap != nullptr;
  ours->methods = {shm ? 2 : 1, Close,      Read,          Write,   Truncate,   Sync,   FileSize,
                   Lock,        Unlock,     CheckReserved, Control, SectorSize, Traits, ShmMap,
                   ShmLock,     ShmBarrier, ShmUnmap,      nullptr, nullptr};
  ours->base.pMethods = &ours->methods;
  const int watched = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL |
                      (faults->watches_journals ? SQLITE_OPEN_MAIN_JOURNAL : 0);
  ours->name = (flags & watched) != 0 ? name : nullptr;
  if (ours->name != nullptr) faults->NoteOpen(ours->name);
  return rc;
}

int Delete(sqlite3_vfs*, const char* name, int sync_folder) {
  if (!faults->watches_journals) return real_vfs->xDelete(real_vfs, name, sync_folder);
  if (faults->NextWhole() != Faults::Step::kGoOn) return SQLITE_IOERR_DELETE;
  const int rc = real_vfs->xDelete(real_vfs, name, sync_folder);
  if (rc == SQLITE_OK) {
    faults->NoteDelete(name, sync_folder != 0 ? Faults::Folder::kSynced : Faults::Folder::kLeft);
  }
  return rc;
}

// Empty: there is no such file.
std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  std::string bytes(static_cast<std::size_t>(file.tellg()), '\0');
  file.seekg(0).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

}  // namespace

void Faults::SetFullWhileExists(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ballast_ = path;
}

bool Faults::IsFull() const {
  if (write_is_full) return true;
  const std::lock_guard lock(mutex_);
  return !ballast_.empty() && ::access(ballast_.c_str(), F_OK) == 0;
}

void Faults::Arm(At what, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  what_ = what;
  number_ = number;
  operations_ = 0;
  recording_ = true;
  power_is_off_ = false;
  disks_.clear();
}

void Faults::Disarm() {
  const std::lock_guard lock(mutex_);
  what_ = At::kNever;
  recording_ = false;
  power_is_off_ = false;
}

std::uint64_t Faults::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

bool Faults::power_is_off() const {
  const std::lock_guard lock(mutex_);
  return power_is_off_;
}

Faults::Step Faults::Next() {
  const std::lock_guard lock(mutex_);
  if (!recording_) return Step::kGoOn;
  if (power_is_off_) return Step::kDropped;
  if (++operations_ != number_ || what_ == At::kNever) return Step::kGoOn;
  if (what_ == At::kFails) return Step::kFail;
  if (what_ == At::kKill) return Step::kKill;
  power_is_off_ = true;
  return Step::kTear;
}

Faults::Step Faults::NextWhole() {
  const Step step = Next();
  if (step == Step::kKill) ::raise(SIGKILL);
  return step;
}

// What is there before the first recorded change was synced long ago.
void Faults::NoteOpen(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!recording_) return;
  if (const auto known = disks_.find(path); known != disks_.end()) {
    if (!known->second.gone) return;
    Disk made;
    made.still_there = std::move(known->second.still_there);
    known->second = std::move(made);
    return;
  }
  disks_[path].synced = BytesOf(path);
}

// Of one large write a disk may keep any sectors.
void Faults::NoteWrite(const std::string& path, std::int64_t at, std::string_view bytes) {
  constexpr std::size_t kSectorBytes = 4096;
  const std::lock_guard lock(mutex_);
  if (!recording_) return;
  Disk& disk = disks_[path];
  for (std::size_t i = 0; i < bytes.size(); i += kSectorBytes) {
    disk.since.push_back(
        {at + static_cast<std::int64_t>(i), std::string(bytes.substr(i, kSectorBytes)), false});
  }
}

void Faults::NoteTruncate(const std::string& path, std::int64_t size) {
  const std::lock_guard lock(mutex_);
  if (recording_) disks_[path].since.push_back({size, "", true});
}

void Faults::NoteSync(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!recording_) return;
  Disk& disk = disks_[path];
  for (const Change& change : disk.since) Apply(change, change.bytes.size(), disk.synced);
  disk.since.clear();
  disk.still_there.reset();  // SQLite syncs the folder with the first sync of a journal
}

void Faults::NoteDelete(const std::string& path, Folder folder) {
  const std::lock_guard lock(mutex_);
  if (!recording_) return;
  Disk& disk = disks_[path];
  if (!disk.still_there) disk.still_there = disk.synced;
  if (folder == Folder::kSynced) disk.still_there.reset();
  disk.gone = true;
  disk.synced.clear();
  disk.since.clear();
}

void Faults::Apply(const Change& change, std::size_t bytes_max, std::string& file) {
  const auto at = static_cast<std::size_t>(change.at);
  if (change.truncates) {
    file.resize(at, '\0');
    return;
  }
  const std::size_t size = std::min(bytes_max, change.bytes.size());
  if (file.size() < at + size) file.resize(at + size, '\0');
  file.replace(at, size, change.bytes, 0, size);
}

std::map<std::string, std::string> Faults::FilesAfterPowerCut(Kept kept) const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> files;
  for (const auto& [path, disk] : disks_) {
    if (disk.still_there && kept != Kept::kEverything) {
      files[path] = *disk.still_there;
      continue;
    }
    if (disk.gone) continue;
    std::string file = disk.synced;
    for (std::size_t i = 0; i < disk.since.size(); ++i) {
      const Change& change = disk.since[i];
      const std::size_t half = disk.since.size() / 2;
      const bool all = kept == Kept::kEverything || (kept == Kept::kHalf && i < half) ||
                       (kept == Kept::kReordered && i % 2 == 0);
      if (all) Apply(change, change.bytes.size(), file);
      if (kept == Kept::kHalf && i == half) Apply(change, change.bytes.size() / 2, file);
    }
    files[path] = std::move(file);
  }
  return files;
}

void WriteFiles(const std::map<std::string, std::string>& files, const std::string& folder) {
  for (const auto& [path, bytes] : files) {
    const std::string copy = folder + path.substr(path.rfind('/'));
    std::ofstream(copy, std::ios::binary) << bytes;
    ::chmod(copy.c_str(), S_IRUSR | S_IWUSR);
  }
}

Faults& InstallFaultVfs() {
  if (faults == nullptr) {
    faults = new Faults();  // SQLite keeps the layer until the process ends
    real_vfs = sqlite3_vfs_find(nullptr);
    fault_vfs = *real_vfs;
    fault_vfs.zName = "fault";
    fault_vfs.pNext = nullptr;
    fault_vfs.szOsFile = static_cast<int>(sizeof(FaultFile)) + real_vfs->szOsFile;
    fault_vfs.xOpen = Open;
    fault_vfs.xDelete = Delete;
    sqlite3_vfs_register(&fault_vfs, 1);
  }
  faults->write_is_full = false;
  faults->write_fails = false;
  faults->sync_fails = false;
  faults->read_fails = false;
  faults->shm_is_full = false;
  faults->shm_refused = 0;
  faults->watches_journals = false;
  faults->SetFullWhileExists("");
  faults->Disarm();
  return *faults;
}

}  // namespace interlock::audit
