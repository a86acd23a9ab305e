// Small secret files: made once with mode 0600, durable, refused when others may read them.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::audit {

// Makes `folder` (mode 0700) and its parents if absent. Errors: kPermissionDenied and others with
// errno text.
core::Status MakeFolder(const std::string& folder);
// fsync of a folder, so that a file made in it survives a power cut.
core::Status SyncFolder(const std::string& folder);

// Errors: kNotFound when absent; kPermissionDenied when group or others have any right, it is not a
// regular file, or it cannot be read; kInvalidArgument above 64 KiB.
core::StatusOr<std::string> ReadPrivateFile(const std::string& path);
// Writes a new file with mode 0600 and makes it durable (file and folder). kFailedPrecondition if
// it exists.
core::Status CreatePrivateFile(const std::string& path, std::string_view bytes);

// kPermissionDenied when group or others have any right on `path`; kNotFound when absent.
core::Status CheckPrivate(const std::string& path);

// What ends every message about a disk without room.
inline constexpr std::string_view kMakeRoom = "; make room on its disk";

// errno as a Status: ENOSPC and EDQUOT kResourceExhausted, ENOENT kNotFound, EACCES, EPERM and
// EROFS kPermissionDenied, the rest kDataLoss.
core::Status ErrnoStatus(std::string_view doing, const std::string& path);

// A file descriptor that closes itself.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace interlock::audit
