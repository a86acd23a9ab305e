#include "cli/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace interlock::runtime::cli {
namespace {

core::Status IsThere(const std::string& path) {
  return core::FailedPrecondition("`" + path + "` exists; name a new file");
}

core::Status CannotWrite(const std::string& path) {
  return core::Unavailable("cannot write `" + path + "`");
}

// False with errno; EEXIST: the name is taken, and may not be.
bool Rename(const std::string& from, const std::string& to, IfThere there) {
  const unsigned how = there == IfThere::kRefuse ? RENAME_NOREPLACE : 0;
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), how) == 0) return true;
  // Not every file system knows the flag (NFS does not); a second name is refused just as well.
  if (errno != EINVAL || how == 0 || ::link(from.c_str(), to.c_str()) != 0) return false;
  ::unlink(from.c_str());
  return true;
}

}  // namespace

OutputFile::OutputFile(std::string path, std::string beside, int file, IfThere there)
    : path_(std::move(path)), beside_(std::move(beside)), file_(file), there_(there) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      beside_(std::exchange(other.beside_, "")),
      file_(std::exchange(other.file_, -1)),
      there_(other.there_) {}

OutputFile::~OutputFile() {
  if (file_ < 0) return;
  ::close(file_);
  if (!beside_.empty()) ::unlink(beside_.c_str());
}

core::StatusOr<OutputFile> OutputFile::Make(const std::string& path, ReadableBy who,
                                            IfThere there) {
  struct stat link {};
  struct stat target {};
  const bool is_there = ::lstat(path.c_str(), &link) == 0;
  if (is_there && there == IfThere::kRefuse) return IsThere(path);
  const bool in_place = is_there && ::stat(path.c_str(), &target) == 0 && !S_ISREG(target.st_mode);
  if (in_place) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return CannotWrite(path);
    return OutputFile(path, "", file, there);
  }
  const std::string beside = path + "." + std::to_string(::getpid()) + ".new";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          who == ReadableBy::kOwner ? 0600 : 0666);
  if (file < 0) return CannotWrite(path);
  return OutputFile(path, beside, file, there);
}

core::Status OutputFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return CannotWrite(path_);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return core::OkStatus();
}

core::Status OutputFile::Keep() {
  // Else a power cut may leave the new name with nothing behind it.
  const bool synced = beside_.empty() || ::fsync(file_) == 0;
  const bool closed = ::close(std::exchange(file_, -1)) == 0 && synced;
  if (beside_.empty()) return closed ? core::OkStatus() : CannotWrite(path_);
  if (closed && Rename(beside_, path_, there_)) return core::OkStatus();
  const bool taken = closed && errno == EEXIST;
  ::unlink(beside_.c_str());
  return taken ? IsThere(path_) : CannotWrite(path_);
}

core::Status WriteWhole(const std::string& path, std::string_view bytes) {
  INTERLOCK_ASSIGN_OR_RETURN(OutputFile file,
                             OutputFile::Make(path, ReadableBy::kUmask, IfThere::kReplace));
  INTERLOCK_RETURN_IF_ERROR(file.Append(bytes));
  return file.Keep();
}

}  // namespace interlock::runtime::cli
