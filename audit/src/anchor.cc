#include "anchor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "private_file.h"

namespace interlock::audit {
namespace {

// Heads are no secret: others may read them.
constexpr mode_t kMode = 0644;

bool EndsWhole(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || info.st_size == 0) return true;
  std::array<char, 2> end{};
  return info.st_size >= 2 && ::pread(fd, end.data(), end.size(), info.st_size - 2) == 2 &&
         end[0] == '\n' && end[1] == '\n';
}

}  // namespace

core::Status AppendToAnchor(const std::string& path, std::string_view note) {
  const UniqueFd fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (!fd.valid()) return ErrnoStatus("cannot open", path);
  std::string text = EndsWhole(fd.get()) ? "" : "\n\n";
  text.append(note).append("\n");
  for (std::string_view left = text; !left.empty();) {
    const ssize_t n = ::write(fd.get(), left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoStatus("cannot write", path);
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd.get()) != 0) return ErrnoStatus("cannot sync", path);
  return core::OkStatus();
}

}  // namespace interlock::audit
