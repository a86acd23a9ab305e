#include "config/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace interlock::runtime {
namespace {

// An open descriptor. Neither copies nor moves.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::string ErrnoText() { return std::generic_category().message(errno); }

bool WriteAll(int fd, const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno != EINTR) return false;
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
  }
  return true;
}

}  // namespace

core::StatusOr<std::string> ReadWholeFile(const std::string& path, std::size_t bytes_max) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return core::NotFound("cannot read `" + path + "`: " + ErrnoText());
  std::string bytes(bytes_max + 1, '\0');  // one more: to see that there is more
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(file.fd(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return core::NotFound("cannot read `" + path + "`: " + ErrnoText());
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > bytes_max) {
    return core::InvalidArgument("`" + path + "` is larger than " + std::to_string(bytes_max) +
                                 " bytes");
  }
  bytes.resize(size);
  return bytes;
}

core::Status WriteFileAtomically(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".new";
  const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.fd() < 0 || !WriteAll(file.fd(), bytes) || ::fsync(file.fd()) != 0 ||
      std::rename(temporary.c_str(), path.c_str()) != 0) {
    return core::Unavailable("cannot write `" + path + "`: " + ErrnoText());
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
