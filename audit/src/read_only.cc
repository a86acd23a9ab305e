#include "read_only.h"

#include <sys/stat.h>

#include "core/digest.h"
#include "schema.h"

namespace interlock::audit {
namespace {

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

}  // namespace

core::StatusOr<Db> OpenAtRest(const std::string& path) {
  if (FileSize(path) < 0) return core::NotFound("there is no `" + path + "`");
  if (FileSize(path + "-journal") > 0) {
    return core::FailedPrecondition(
        "`" + path +
        "-journal` would be rolled back by whoever opens the file "
        "next; a daemon that was killed while it erased leaves one, and takes "
        "it back when it starts; without one, find out who put it there");
  }
  const bool at_rest = FileSize(path + "-wal") <= 0;
  INTERLOCK_ASSIGN_OR_RETURN(Db db,
                             OpenForReading(FileUri(path, at_rest), SteppedBy::kManyThreads));
  INTERLOCK_RETURN_IF_ERROR(Exec(db.get(), "BEGIN"));
  return db;
}

}  // namespace interlock::audit
