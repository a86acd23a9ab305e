// What the filter lets through, as data: seccomp_filter.cc compiles it, and a test compiles it
// again and compares each verdict and the digest of each program with tests/sandbox/filters.txt.
#pragma once

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cstdint>

#include "sandbox/launcher.h"

namespace interlock::sandbox {

// Calls without condition. Grouped by subject; nothing here reaches outside the box's own
// processes, its file tree and its inherited descriptors.
// clang-format off
inline constexpr const char* kAllowed[] = {
    // memory
    "brk", "mmap", "munmap", "mprotect", "mremap", "madvise", "mincore", "msync", "mlock", "munlock", "mlock2",
    "membarrier", "pkey_alloc", "pkey_free", "pkey_mprotect",
    // files
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "close",
    "close_range", "lseek", "stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "mkdir", "mkdirat", "rmdir",
    "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "ftruncate",
    "fallocate", "fadvise64", "readahead", "sync_file_range", "fsync", "fdatasync", "sync", "syncfs", "statfs",
    "fstatfs", "flock", "umask", "dup", "dup2", "dup3", "pipe", "pipe2", "sendfile", "splice", "tee", "vmsplice",
    "copy_file_range",
    "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
    // waiting
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "eventfd", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd", "signalfd4",
    // processes and threads
    "fork", "vfork", "execve", "exit", "exit_group", "wait4", "waitid", "getpid", "getppid", "gettid", "getpgrp",
    "getpgid", "setpgid", "getsid", "setsid", "set_tid_address", "set_robust_list", "get_robust_list", "rseq", "futex",
    "sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_get_priority_max",
    "sched_get_priority_min", "getpriority", "getrusage", "times", "getrlimit", "setrlimit", "arch_prctl", "getcpu",
    // identity, read only (setuid and friends fail for want of capability)
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget", "uname", "sysinfo",
    // signals and time
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend",
    "sigaltstack", "pause", "alarm", "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime",
    "timer_getoverrun", "timer_delete", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres",
    "gettimeofday", "time", "restart_syscall", "getrandom",
    // inherited or paired sockets; none can be made that leaves the box
    "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown", "getsockopt", "setsockopt",
    "getsockname", "getpeername",
    // a box may only narrow itself further
    "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
};

// Only in a box with a file tree and an ipc namespace of its own. Landlock judges none of these: without namespaces
// they would change what the box's user owns anywhere on the host (a read-only descriptor is enough for some), and the
// host's own System V objects. chmod and its kin belong to them too.
inline constexpr const char* kOwnTreeOnly[] = {
    "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "utimensat", "futimesat",
    "shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semctl", "semtimedop",
    "msgget", "msgsnd", "msgrcv", "msgctl",
};
// clang-format on

// On the host's own tree a descriptor must not be told whom to signal (F_SETOWN, F_SETOWN_EX,
// F_SETSIG: no Landlock before scopes stops that), nor hold up others who open the file
// (F_SETLEASE).
inline constexpr int kFcntlsOnHostTree[] = {
    F_DUPFD,      F_GETFD,      F_SETFD,     F_GETFL,     F_SETFL,      F_GETLK,
    F_SETLK,      F_SETLKW,     F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC,
    F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS};

inline constexpr const char* kSignals[] = {"kill", "tkill", "tgkill", "rt_sigqueueinfo",
                                           "rt_tgsigqueueinfo"};
// C libraries fall back to the older call when the first two do not exist. Instances of inotify are
// counted for the host's user that made the box (user_namespaces(7)), 128 for all that it runs, and
// without namespaces their watches tell of files that Landlock closes; programs look again from
// time to time instead.
inline constexpr const char* kAbsent[] = {"clone3", "openat2", "inotify_init", "inotify_init1"};
// Newer than libseccomp's names: futex_waitv, fchmodat2.
inline constexpr int kAbsentNumbers[] = {449, 452};
// As on a file system without them: cp -p and its kin go on.
inline constexpr const char* kUnsupported[] = {"setxattr",    "lsetxattr",    "fsetxattr",
                                               "removexattr", "lremovexattr", "fremovexattr"};
// Nobody needs these by mistake: they end the box.
inline constexpr const char* kEnding[] = {"ptrace"};

struct ProfileCall {
  Profile profile;
  const char* name;
};
// The event loops of node and python wait for children by descriptor; libuv falls back from
// io_uring by itself.
inline constexpr ProfileCall kProfileCalls[] = {{Profile::kNode, "pidfd_open"},
                                                {Profile::kNode, "epoll_pwait2"},
                                                {Profile::kPython, "pidfd_open"}};

inline constexpr unsigned kNamespaceFlags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
                                            CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                                            CLONE_NEWCGROUP | CLONE_NEWTIME;
inline constexpr std::uint64_t kSetIdBits = S_ISUID | S_ISGID;
// O_TMPFILE without O_DIRECTORY: the bit that makes open(2) read its mode.
inline constexpr std::uint64_t kCreates = O_CREAT | (O_TMPFILE & ~O_DIRECTORY);
inline constexpr std::uint64_t kLow32 =
    0xffffffffu;  // the kernel looks at 32 bits of these (CVE-2019-10063)

inline constexpr unsigned kIoctls[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX};
inline constexpr int kPrctls[] = {
    PR_SET_NAME,     PR_GET_NAME,       PR_SET_PDEATHSIG,       PR_GET_PDEATHSIG,
    PR_SET_DUMPABLE, PR_GET_DUMPABLE,   PR_SET_NO_NEW_PRIVS,    PR_GET_NO_NEW_PRIVS,
    PR_GET_SECCOMP,  PR_CAPBSET_READ,   PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER,
    PR_SET_VMA,      PR_GET_TIMERSLACK, PR_SET_TIMERSLACK,      PR_SET_THP_DISABLE};

}  // namespace interlock::sandbox
