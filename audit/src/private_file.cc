#include "private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace interlock::audit {
namespace {

constexpr std::size_t kPrivateBytesMax = 64 * 1024;

core::Status CheckMode(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return ErrnoStatus("cannot stat", path);
  if (!S_ISREG(info.st_mode)) return core::PermissionDenied("`" + path + "` is not a regular file");
  if ((info.st_mode & 0077) != 0) {
    return core::PermissionDenied("others may read `" + path + "`; set its mode to 0600");
  }
  return core::OkStatus();
}

core::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoStatus("cannot write", path);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return core::OkStatus();
}

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

core::Status ErrnoStatus(std::string_view doing, const std::string& path) {
  const int error = errno;
  core::StatusCode code = core::StatusCode::kDataLoss;
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      code = core::StatusCode::kResourceExhausted;
      break;
    case ENOENT:
      code = core::StatusCode::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = core::StatusCode::kPermissionDenied;
      break;
    default:
      break;
  }
  std::string message = std::string(doing) + " `" + path +
                        "`: " + std::error_code(error, std::generic_category()).message();
  if (code == core::StatusCode::kResourceExhausted) message += kMakeRoom;
  return core::Error(code, message);
}

core::Status MakeFolder(const std::string& folder) {
  const std::string parent = ParentOf(folder);
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (::mkdir(folder.c_str(), 0700) == 0) return SyncFolder(parent);
  if (errno != EEXIST) return ErrnoStatus("cannot make", folder);
  if (!std::filesystem::is_directory(folder, error)) {
    return core::FailedPrecondition("`" + folder + "` is not a folder");
  }
  return core::OkStatus();
}

core::Status SyncFolder(const std::string& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus("cannot open", folder);
  if (::fsync(fd.get()) != 0) return ErrnoStatus("cannot sync", folder);
  return core::OkStatus();
}

core::StatusOr<std::string> ReadPrivateFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return ErrnoStatus("cannot open", path);
  INTERLOCK_RETURN_IF_ERROR(CheckMode(fd.get(), path));
  std::string bytes(kPrivateBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t n = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("cannot read", path);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > kPrivateBytesMax) return core::InvalidArgument("`" + path + "` is too large");
  bytes.resize(size);
  return bytes;
}

core::Status CreatePrivateFile(const std::string& path, std::string_view bytes) {
  // Written beside and linked into place, so that a crash never leaves half a key under the real
  // name.
  const std::string part = path + ".part";
  ::unlink(part.c_str());
  const UniqueFd fd(::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoStatus("cannot make", part);
  INTERLOCK_RETURN_IF_ERROR(WriteAll(fd.get(), bytes, part));
  if (::fsync(fd.get()) != 0) return ErrnoStatus("cannot sync", part);
  if (::link(part.c_str(), path.c_str()) != 0) {
    core::Status status = errno == EEXIST
                              ? core::FailedPrecondition("`" + path + "` exists already")
                              : ErrnoStatus("cannot make", path);
    ::unlink(part.c_str());
    return status;
  }
  ::unlink(part.c_str());
  return SyncFolder(ParentOf(path));
}

core::Status CheckPrivate(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return ErrnoStatus("cannot open", path);
  return CheckMode(fd.get(), path);
}

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.fd_;
    other.fd_ = -1;
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace interlock::audit
