// A file on a read-only disk, for tests: a mount of its own, which only this process and what it
// starts can see. Permissions do not do, since tests may run as root.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace interlock::test {

class ReadOnlyMount {
 public:
  // Before any thread is started that shall see the mounts. Empty: done; else why not.
  static std::string Prepare() {
    if (::unshare(CLONE_NEWNS) != 0) return Why("a mount namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Why("mounts");
    return "";
  }

  explicit ReadOnlyMount(std::string path) : path_(std::move(path)) {
    const char* at = path_.c_str();
    ok_ = ::mount(at, at, nullptr, MS_BIND, nullptr) == 0 &&
          ::mount(nullptr, at, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
  }
  ~ReadOnlyMount() { Undo(); }
  ReadOnlyMount(const ReadOnlyMount&) = delete;
  ReadOnlyMount& operator=(const ReadOnlyMount&) = delete;
  bool ok() const { return ok_; }
  void Undo() {
    if (ok_) ::umount2(path_.c_str(), MNT_DETACH);
    ok_ = false;
  }

 private:
  static std::string Why(const char* what) {
    return std::string("needs ") + what + " of its own: " + std::strerror(errno);
  }
  const std::string path_;
  bool ok_ = false;
};

}  // namespace interlock::test
