#include "ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "private_file.h"

namespace interlock::audit {

Ballast::Ballast(std::string folder, std::uint64_t bytes)
    : path_(std::move(folder) + "/ballast"), bytes_(bytes) {}

core::Status Ballast::Keep() {
  if (bytes_ == 0) return core::OkStatus();
  const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus("cannot open", path_);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus("cannot stat", path_);
  const auto allocated = static_cast<std::uint64_t>(info.st_blocks) * 512;
  if (static_cast<std::uint64_t>(info.st_size) == bytes_ && allocated >= bytes_) {
    return core::OkStatus();
  }
  // Real blocks are wanted, not a hole.
  const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes_));
  if (error == 0) return core::OkStatus();
  ::unlink(path_.c_str());
  errno = error;
  return ErrnoStatus("cannot keep space back in", path_);
}

bool Ballast::Release() { return ::unlink(path_.c_str()) == 0; }

}  // namespace interlock::audit
