// A layer below SQLite (https://www.sqlite.org/vfs.html). Its methods are those of the default
// layer but for the files of write-ahead logs.
#include "wal_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "core/check.h"

namespace interlock::audit {
namespace {

// SQLite's own layer for Unix writes less than 128 KiB at once (seekAndWriteFd).
constexpr std::size_t kBytesKept = 120 * 1024;
static_assert(kBytesKept >= 65'536 + 1);  // the longest page fits
constexpr int kRoomForFile = 4096;        // of the layer below, which may be another in a test

// A file grows by zeros up to a multiple of this, ahead of what is written: to sync what was in the
// file before writes no metadata, which is half the price. As with what a former use of a log left
// there, SQLite reads it up to the first frame whose checksum is wrong.
constexpr std::array<char, kBytesKept> kZeros{};
constexpr sqlite3_int64 kGrowsBy = 4 * kZeros.size();

sqlite3_vfs* Below() { return sqlite3_vfs_find(nullptr); }

constexpr std::size_t kFrameHeaderBytes = 24;

// Whether a frame with this header ends a transaction: the database's size after it stands in its
// second four bytes (https://www.sqlite.org/fileformat2.html#walformat).
bool EndsTransaction(std::string_view header) {
  return header.substr(4, 4) != std::string_view("\0\0\0\0", 4);
}

// The file of the layer below follows it in the same allocation.
struct WalFile {
  sqlite3_file base;
  std::string kept;         // not written yet, and of no transaction that has ended
  sqlite3_int64 at = 0;     // where it begins
  bool ends = false;        // the newest frame ends its transaction
  sqlite3_int64 room = -1;  // how far the file goes, as far as it is known; -1: it is not

  sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  const sqlite3_io_methods& on() { return *below()->pMethods; }
  sqlite3_int64 end() const { return at + static_cast<sqlite3_int64>(kept.size()); }

  // What cannot be written stays: SQLite was told that it stands in the file.
  int WriteKept() {
    if (kept.empty()) return SQLITE_OK;
    const int rc = on().xWrite(below(), kept.data(), static_cast<int>(kept.size()), at);
    if (rc != SQLITE_OK) return rc;
    if (at == 0) room = -1;  // the log begins anew: somebody may have cut it
    at = end();
    kept.clear();
    if (at > room) Grow();
    return SQLITE_OK;
  }
  // Behind the newest frame, where nothing is that counts. What cannot be had is not needed.
  void Grow() {
    if (room < 0 && on().xFileSize(below(), &room) != SQLITE_OK) return;
    room = std::max(room, at);
    const sqlite3_int64 end = (room + kGrowsBy - 1) / kGrowsBy * kGrowsBy;
    int rc = SQLITE_OK;
    for (sqlite3_int64 to = room; to < end && rc == SQLITE_OK;) {
      const auto size = std::min<sqlite3_int64>(kZeros.size(), end - to);
      rc = on().xWrite(below(), kZeros.data(), static_cast<int>(size), to);
      to += size;
    }
    room = end;  // a failure is not tried again with every write
  }
  int Keep(std::string_view bytes, sqlite3_int64 to) {
    const bool follows = to == end();
    if (!follows || kept.size() + bytes.size() > kBytesKept) {
      if (const int rc = WriteKept(); rc != SQLITE_OK) return rc;
      at = to;
    }
    const bool header = bytes.size() == kFrameHeaderBytes;
    if (header) ends = EndsTransaction(bytes);
    kept += bytes;
    // Other connections are told of a transaction when the last of it is written, and no sooner.
    // That is a page, but for a header that is written anew over the one of a frame that stands.
    return ends && !(header && follows) ? WriteKept() : SQLITE_OK;
  }
  // SQLite takes the whole transaction back when a write of it fails.
  int Write(std::string_view bytes, sqlite3_int64 to) {
    const int rc = Keep(bytes, to);
    if (rc != SQLITE_OK) kept.clear();
    return rc;
  }
};

WalFile& Of(sqlite3_file* file) { return *reinterpret_cast<WalFile*>(file); }

// Everything that was written stands in the file; then `act`.
template <typename Act>
int Behind(sqlite3_file* file, Act act) {
  WalFile& wal = Of(file);
  if (const int rc = wal.WriteKept(); rc != SQLITE_OK) return rc;
  return act(wal.below(), wal.on());
}

int Close(sqlite3_file* file) {
  WalFile& wal = Of(file);  // what it keeps is of a transaction that was taken back
  const int rc = wal.on().xClose(wal.below());
  wal.~WalFile();
  return rc;
}
int Read(sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
  WalFile& wal = Of(file);
  if (at < wal.end() && at + size > wal.at) {
    if (const int rc = wal.WriteKept(); rc != SQLITE_OK) return rc;
  }
  return wal.on().xRead(wal.below(), out, size, at);
}
int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  return Of(file).Write({static_cast<const char*>(bytes), static_cast<std::size_t>(size)}, at);
}
int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  const int rc =
      Behind(file, [=](sqlite3_file* f, const auto& on) { return on.xTruncate(f, size); });
  Of(file).room = -1;
  return rc;
}
int Sync(sqlite3_file* file, int flags) {
  return Behind(file, [=](sqlite3_file* f, const auto& on) { return on.xSync(f, flags); });
}
int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Behind(file, [=](sqlite3_file* f, const auto& on) { return on.xFileSize(f, size); });
}
int Lock(sqlite3_file* file, int level) { return Of(file).on().xLock(Of(file).below(), level); }
int Unlock(sqlite3_file* file, int level) { return Of(file).on().xUnlock(Of(file).below(), level); }
int CheckReservedLock(sqlite3_file* file, int* out) {
  return Of(file).on().xCheckReservedLock(Of(file).below(), out);
}
int FileControl(sqlite3_file* file, int what, void* value) {
  return Of(file).on().xFileControl(Of(file).below(), what, value);
}
int SectorSize(sqlite3_file* file) { return Of(file).on().xSectorSize(Of(file).below()); }
int DeviceCharacteristics(sqlite3_file* file) {
  return Of(file).on().xDeviceCharacteristics(Of(file).below());
}

constexpr sqlite3_io_methods kMethods = {1,
                                         Close,
                                         Read,
                                         Write,
                                         Truncate,
                                         Sync,
                                         FileSize,
                                         Lock,
                                         Unlock,
                                         CheckReservedLock,
                                         FileControl,
                                         SectorSize,
                                         DeviceCharacteristics,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr,
                                         nullptr};

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  sqlite3_vfs* const below = Below();
  INTERLOCK_CHECK(below->szOsFile <= kRoomForFile);
  if ((flags & SQLITE_OPEN_WAL) == 0) return below->xOpen(below, name, file, flags, flags_out);
  auto* const wal = new (file) WalFile();
  try {
    wal->kept.reserve(kBytesKept);  // more is never asked for
  } catch (const std::bad_alloc&) {
    wal->~WalFile();
    file->pMethods = nullptr;
    return SQLITE_NOMEM;
  }
  std::memset(wal->below(), 0, static_cast<std::size_t>(below->szOsFile));
  const int rc = below->xOpen(below, name, wal->below(), flags, flags_out);
  if (wal->below()->pMethods == nullptr) {
    wal->~WalFile();
    file->pMethods = nullptr;  // nothing to close
    return rc;
  }
  wal->base.pMethods = &kMethods;
  return rc;
}

int Delete(sqlite3_vfs*, const char* name, int sync) {
  return Below()->xDelete(Below(), name, sync);
}
int Access(sqlite3_vfs*, const char* name, int flags, int* out) {
  return Below()->xAccess(Below(), name, flags, out);
}

sqlite3_vfs& Layer() {
  static sqlite3_vfs layer = [] {
    sqlite3_vfs made = *Below();
    made.zName = "interlock-wal";
    made.pNext = nullptr;
    made.szOsFile = static_cast<int>(sizeof(WalFile)) + kRoomForFile;
    made.xOpen = Open;
    made.xDelete = Delete;
    made.xAccess = Access;
    return made;
  }();
  return layer;
}

}  // namespace

const char* WalVfsName() {
  static const int registered = sqlite3_vfs_register(&Layer(), /*makeDflt=*/0);
  INTERLOCK_CHECK(registered == SQLITE_OK);
  return Layer().zName;
}

}  // namespace interlock::audit
