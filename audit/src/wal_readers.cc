// Whose reading keeps old pages of a write-ahead log. SQLite takes POSIX locks on bytes of the
// `-shm` file; they are looked up in /proc/locks, as opening and closing that file here would end
// the locks of this process on it.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

#include "audit/erase.h"
#include "schema.h"

namespace interlock::audit {
namespace {

// https://www.sqlite.org/walformat.html, "The WAL-Index File Format": read locks 0 to 4.
constexpr long kReadLockFirst = 123;
constexpr long kReadLockLast = 127;

// "MAJOR:MINOR:INODE" as /proc/locks writes it; empty when there is no such file.
std::string LockName(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  std::ostringstream name;
  name << std::hex;
  for (const unsigned part : {major(info.st_dev), minor(info.st_dev)}) {
    name << (part < 16 ? "0" : "") << part << ':';
  }
  name << std::dec << info.st_ino;
  return name.str();
}

}  // namespace

std::vector<int> WalReaders(const std::string& folder) {
  const std::string name = LockName(folder + "/" + std::string(kDatabaseName) + "-shm");
  std::set<int> pids;
  std::ifstream locks("/proc/locks");
  // 7: POSIX  ADVISORY  READ 1234 08:01:5678 123 123
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, type, advisory, mode, file, last;
    int pid = 0;
    long first = 0;
    if (!(words >> number >> type >> advisory >> mode >> pid >> file >> first >> last)) continue;
    if (type != "POSIX" || file != name || pid <= 0 || pid == ::getpid()) continue;
    long end = kReadLockLast;
    if (last != "EOF") std::from_chars(last.data(), last.data() + last.size(), end);
    if (first <= kReadLockLast && end >= kReadLockFirst) pids.insert(pid);
  }
  return {pids.begin(), pids.end()};
}

}  // namespace interlock::audit
