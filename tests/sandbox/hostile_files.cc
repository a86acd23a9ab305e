#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "hostile.h"

std::string FillTmp() {
  const int fd = ::open(TemporaryFile("fill").c_str(), O_CREAT | O_WRONLY, 0600);
  static char block[1 << 16];
  long total = 0;
  for (ssize_t n; (n = ::write(fd, block, sizeof block)) > 0;) total += n;
  return std::string(strerrorname_np(errno)) + " after " + std::to_string(total);
}

namespace {

std::string ReadFile(const Args& args) {
  const int fd = ::open(args[0].c_str(), O_RDONLY | O_NONBLOCK);
  char byte;
  return Outcome(fd < 0 ? fd : ::read(fd, &byte, 1));
}
std::string WriteFile(const Args& args) {
  const int fd = ::open(args[0].c_str(), O_WRONLY | O_CREAT, 0600);
  return Outcome(fd < 0 ? fd : ::write(fd, "x", 1));
}
// By a child that makes the name again and again, and whose end is to send `signal` (0: none, which
// hides it from an ordinary wait). This process ends when the name was there.
std::string LeaveWriter(const Args& args) {
  const long child = Sys(SYS_clone, std::atoi(args[1].c_str()));
  if (child < 0) return Outcome(child);
  while (child == 0) ::close(::open(args[0].c_str(), O_WRONLY | O_CREAT, 0600));
  while (::access(args[0].c_str(), F_OK) != 0) ::usleep(100);
  std::exit(0);
}
std::string WriteTemporary(const Args&) { return WriteFile({TemporaryFile("written")}); }
std::string OpenForWriting(const Args& args) { return Outcome(::open(args[0].c_str(), O_WRONLY)); }
std::string OpenForReading(const Args& args) {
  return Outcome(::open(args[0].c_str(), O_RDONLY | O_NONBLOCK));
}
// A file of so many bytes; with `hold`, it waits to be killed for it.
std::string WriteMuch(const Args& args) {
  const int fd = ::open(args[0].c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
  static char block[1 << 12];
  long left = std::atol(args[1].c_str());
  for (ssize_t n; left > 0 && (n = ::write(fd, block, sizeof block)) > 0;) left -= n;
  while (args.size() > 2) ::pause();
  return left > 0 ? Outcome(-1) : "ok";
}
// So many empty files, each in a folder of the one before if `nested`.
std::string MakeMany(const Args& args) {
  std::string folder = args[0];
  for (int i = 0; i < std::atoi(args[1].c_str()); ++i) {
    const std::string path = folder + "/m" + std::to_string(i);
    const bool nested = args.size() > 2;
    const int made = nested ? ::mkdir(path.c_str(), 0700)
                            : ::close(::open(path.c_str(), O_CREAT | O_WRONLY | O_EXCL, 0600));
    if (made != 0) return Outcome(-1);
    if (nested) folder = path;
  }
  return "ok";
}
std::string MakeFolder(const Args& args) { return Outcome(::mkdir(args[0].c_str(), 0700)); }
std::string MakeLink(const Args& args) {
  return Outcome(::symlink(args[0].c_str(), args[1].c_str()));
}
// A folder goes, and a link of its name leads elsewhere.
std::string SwapForLink(const Args& args) {
  const std::string aside = args[0] + ".old";
  if (::rename(args[0].c_str(), aside.c_str()) != 0) return Outcome(-1);
  return MakeLink({args[1], args[0]});
}
std::string RenameOut(const Args& args) {
  return Outcome(::rename(args[0].c_str(), TemporaryFile("moved").c_str()));
}
std::string RenameWithin(const Args& args) {
  const std::string from = args[0] + "/moved";
  ::close(::open(from.c_str(), O_CREAT | O_WRONLY, 0600));
  return Outcome(::rename(from.c_str(), (from + "2").c_str()));
}
std::string Unlink(const Args& args) { return Outcome(::unlink(args[0].c_str())); }
std::string ListFolder(const Args& args) { return ::opendir(args[0].c_str()) ? "ok" : Outcome(-1); }
std::string ReadThroughLink(const Args& args) {
  const std::string link = TemporaryFile("interlock-hostile-link");
  ::unlink(link.c_str());
  if (::symlink(args[0].c_str(), link.c_str()) != 0) return "no link";
  return ReadFile({link});
}

std::string SetId(const Args& args) {
  const std::string path = args[0] + "/setid";
  ::close(::open(path.c_str(), O_CREAT | O_WRONLY, 0700));
  const int fd = ::open(path.c_str(), O_RDONLY);
  const std::string other = args[0] + "/setid2";
  return Same(
      {{"chmod", [&] { return ::chmod(path.c_str(), 04755); }},
       {"chmod sgid", [&] { return ::chmod(path.c_str(), 02755); }},
       {"fchmod", [&] { return ::fchmod(fd, 04755); }},
       {"fchmodat",
        [&] { return Sys(SYS_fchmodat, AT_FDCWD, reinterpret_cast<long>(path.c_str()), 04755); }},
       {"open", [&] { return ::open(other.c_str(), O_CREAT | O_WRONLY, 04755); }},
       {"creat", [&] { return Sys(SYS_creat, reinterpret_cast<long>(other.c_str()), 04755); }},
       {"tmpfile", [&] { return ::open(args[0].c_str(), O_TMPFILE | O_WRONLY, 04755); }}});
}

std::string ChangeMetadata(const Args& args) {
  const char* path = args[0].c_str();
  const long at = reinterpret_cast<long>(path);
  constexpr auto kSame = static_cast<unsigned>(-1);
  return Same({{"chmod", [=] { return ::chmod(path, 0755); }},
               {"fchmodat", [=] { return Sys(SYS_fchmodat, AT_FDCWD, at, 0755); }},
               {"chown", [=] { return ::chown(path, kSame, kSame); }},
               {"lchown", [=] { return ::lchown(path, kSame, kSame); }},
               {"fchownat", [=] { return ::fchownat(AT_FDCWD, path, kSame, kSame, 0); }},
               {"utime", [=] { return Sys(SYS_utime, at); }},
               {"utimes", [=] { return Sys(SYS_utimes, at); }},
               {"futimesat", [=] { return Sys(SYS_futimesat, AT_FDCWD, at); }},
               {"utimensat", [=] { return Sys(SYS_utimensat, AT_FDCWD, at); }}});
}

// Through a descriptor that may only be read.
std::string ChangeOpenMetadata(const Args& args) {
  const int fd = ::open(args[0].c_str(), O_RDONLY);
  if (fd < 0) return "cannot be read";
  constexpr auto kSame = static_cast<unsigned>(-1);
  return Same({{"fchmod", [=] { return ::fchmod(fd, 0755); }},
               {"fchown", [=] { return ::fchown(fd, kSame, kSame); }},
               {"futimens", [=] { return ::futimens(fd, nullptr); }}});
}

std::string PlainMode(const Args& args) {
  const std::string path = args[0] + "/plain";
  ::close(::open(path.c_str(), O_CREAT | O_WRONLY, 0700));
  return Outcome(::chmod(path.c_str(), 0755));
}

std::string FillInodes(const Args&) {
  for (int i = 0; i < 100'000; ++i) {
    const int fd =
        ::open(TemporaryFile(("i" + std::to_string(i)).c_str()).c_str(), O_CREAT | O_WRONLY, 0600);
    if (fd < 0) return std::string(strerrorname_np(errno)) + " after " + std::to_string(i);
    ::close(fd);
  }
  return "ok";
}

std::string Huge(const Args& args) {
  ::signal(SIGXFSZ, SIG_IGN);
  const int fd = ::open((args[0] + "/huge").c_str(), O_CREAT | O_RDWR, 0600);
  return Same({{"ftruncate", [&] { return ::ftruncate(fd, 1l << 40); }},
               {"fallocate", [&] { return ::fallocate(fd, 0, 0, 1l << 30); }}});
}

std::string SmallSize(const Args& args) {
  return Outcome(
      ::ftruncate(::open((args[0] + "/small").c_str(), O_CREAT | O_RDWR, 0600), 1 << 20));
}

std::string WriteBeyond(const Args& args) {
  const int fd = ::open((args[0] + "/beyond").c_str(), O_CREAT | O_RDWR, 0600);
  static char block[1 << 16];
  while (::write(fd, block, sizeof block) > 0) {
  }
  return Outcome(-1);
}

std::string HardLink(const Args&) {
  return Outcome(::link("/usr/bin/env", TemporaryFile("hard").c_str()));
}

std::string LeaveState(const Args&) {
  const int memory = static_cast<int>(Sys(SYS_shmget, 4711, 4096, 01000 | 0600));
  return WriteFile({"/tmp/state"}) + " " + Outcome(memory);
}

std::string FindState(const Args&) {
  const std::string file = ReadFile({"/tmp/state"});
  return file + " " + Outcome(Sys(SYS_shmget, 4711, 4096, 0));
}

}  // namespace

Payloads FilePayloads() {
  return {{"read", ReadFile},
          {"write", WriteFile},
          {"leave-writer", LeaveWriter},
          {"write-much", WriteMuch},
          {"make-many", MakeMany},
          {"write-temporary", WriteTemporary},
          {"open-for-writing", OpenForWriting},
          {"open-for-reading", OpenForReading},
          {"make-folder", MakeFolder},
          {"make-link", MakeLink},
          {"swap-for-link", SwapForLink},
          {"rename-out", RenameOut},
          {"rename-within", RenameWithin},
          {"unlink", Unlink},
          {"list", ListFolder},
          {"read-through-link", ReadThroughLink},
          {"set-id", SetId},
          {"change-metadata", ChangeMetadata},
          {"change-open-metadata", ChangeOpenMetadata},
          {"plain-mode", PlainMode},
          {"fill-tmp", [](const Args&) { return FillTmp(); }},
          {"fill-inodes", FillInodes},
          {"huge", Huge},
          {"small-size", SmallSize},
          {"write-beyond", WriteBeyond},
          {"hard-link", HardLink},
          {"leave-state", LeaveState},
          {"find-state", FindState}};
}
