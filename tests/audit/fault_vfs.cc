#include "fault_vfs.h"

#include <sqlite3.h>
#include <unistd.h>

#include <cstring>
#include <new>

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
};

sqlite3_file* Real(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file)->real; }
const sqlite3_io_methods* M(sqlite3_file* file) { return Real(file)->pMethods; }

int Close(sqlite3_file* f) { return M(f)->xClose(Real(f)); }
int Read(sqlite3_file* f, void* p, int n, sqlite3_int64 at) {
  return M(f)->xRead(Real(f), p, n, at);
}
int Write(sqlite3_file* f, const void* p, int n, sqlite3_int64 at) {
  if (faults->write_fails) return SQLITE_IOERR_WRITE;
  if (faults->IsFull()) return SQLITE_FULL;
  return M(f)->xWrite(Real(f), p, n, at);
}
int Truncate(sqlite3_file* f, sqlite3_int64 n) { return M(f)->xTruncate(Real(f), n); }
int Sync(sqlite3_file* f, int flags) {
  if (faults->sync_fails) return SQLITE_IOERR_FSYNC;
  return M(f)->xSync(Real(f), flags);
}
int FileSize(sqlite3_file* f, sqlite3_int64* n) { return M(f)->xFileSize(Real(f), n); }
int Lock(sqlite3_file* f, int level) { return M(f)->xLock(Real(f), level); }
int Unlock(sqlite3_file* f, int level) { return M(f)->xUnlock(Real(f), level); }
int CheckReserved(sqlite3_file* f, int* out) { return M(f)->xCheckReservedLock(Real(f), out); }
int Control(sqlite3_file* f, int op, void* arg) { return M(f)->xFileControl(Real(f), op, arg); }
int SectorSize(sqlite3_file* f) { return M(f)->xSectorSize(Real(f)); }
int Traits(sqlite3_file* f) { return M(f)->xDeviceCharacteristics(Real(f)); }
int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
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
  return rc;
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

Faults& InstallFaultVfs() {
  if (faults == nullptr) {
    faults = new Faults();  // SQLite keeps the layer until the process ends
    real_vfs = sqlite3_vfs_find(nullptr);
    fault_vfs = *real_vfs;
    fault_vfs.zName = "fault";
    fault_vfs.pNext = nullptr;
    fault_vfs.szOsFile = static_cast<int>(sizeof(FaultFile)) + real_vfs->szOsFile;
    fault_vfs.xOpen = Open;
    sqlite3_vfs_register(&fault_vfs, 1);
  }
  faults->write_is_full = false;
  faults->write_fails = false;
  faults->sync_fails = false;
  faults->SetFullWhileExists("");
  return *faults;
}

}  // namespace interlock::audit
