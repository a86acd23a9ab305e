// One payload a run: `hostile PAYLOAD [ARGS…]`. Prints "ok" when the attack (or the harmless twin)
// succeeds and the errno's name when it is refused; payloads about endings do not return. Numbers
// in comments are rows of the corpus in docs/threat_model.md.
#include "hostile.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

extern char** environ;

std::string Outcome(long result) { return result >= 0 ? "ok" : strerrorname_np(errno); }

std::string TemporaryFile(const char* name) {
  const char* folder = std::getenv("TMPDIR");
  return std::string(folder == nullptr ? "/tmp" : folder) + "/" + name;
}

std::string Same(const Calls& calls) {
  std::string all;
  const bool each = std::getenv("HOSTILE_EACH") != nullptr;
  for (const auto& [name, call] : calls) {
    errno = 0;
    const std::string one = Outcome(call());
    if (each) {
      all += name + std::string("=") + one + ";";
      continue;
    }
    if (all.empty()) all = one;
    if (one != all) return std::string("mixed: ") + name + " " + one + " after " + all;
  }
  return all;
}

long Sys(long number, long a, long b, long c, long d, long e, long f) {
  return ::syscall(number, a, b, c, d, e, f);
}

namespace {

std::string MountFamily(const Args&) {
  return Same({{"mount", [] { return Sys(SYS_mount); }},
               {"umount2", [] { return Sys(SYS_umount2); }},
               {"open_tree", [] { return Sys(SYS_open_tree); }},
               {"move_mount", [] { return Sys(SYS_move_mount); }},
               {"fsopen", [] { return Sys(SYS_fsopen); }},
               {"fsmount", [] { return Sys(SYS_fsmount); }},
               {"fspick", [] { return Sys(SYS_fspick); }},
               {"mount_setattr", [] { return Sys(SYS_mount_setattr); }},
               {"pivot_root", [] { return Sys(SYS_pivot_root); }},
               {"chroot", [] { return Sys(SYS_chroot, reinterpret_cast<long>("/")); }}});
}
std::string MountGroups(const Args&) {
  const long folder = reinterpret_cast<long>("/tmp");
  const auto mount = [=](const char* type) {
    const long name = reinterpret_cast<long>(type);
    return Sys(SYS_mount, name, folder, name, 0, reinterpret_cast<long>("memory"));
  };
  return Same({{"version 1", [=] { return mount("cgroup"); }},
               {"version 2", [=] { return mount("cgroup2"); }}});
}
std::string MakeDevice(const Args&) {
  const std::string path = TemporaryFile("device");
  return Same({{"block", [&] { return ::mknod(path.c_str(), S_IFBLK | 0600, makedev(254, 0)); }},
               {"char", [&] { return ::mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 1)); }},
               {"fifo", [&] { return ::mkfifo(path.c_str(), 0600); }}});
}
std::string BecomeRoot(const Args&) {
  return Same({{"setuid", [] { return ::setuid(0); }},
               {"setresuid", [] { return ::setresuid(0, 0, 0); }},
               {"setgid", [] { return ::setgid(0); }},
               {"setgroups", [] { return Sys(SYS_setgroups); }},
               {"capset", [] { return Sys(SYS_capset); }}});
}
std::string Capabilities(const Args&) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (Sys(SYS_capget, reinterpret_cast<long>(&header), reinterpret_cast<long>(data)) != 0)
    return Outcome(-1);
  int bounding = 0;
  for (int i = 0; i < 41; ++i) bounding += ::prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1;
  char text[128];
  std::snprintf(text, sizeof text, "eff %x bnd %s nnp %d seccomp %d",
                data[0].effective | data[1].effective, bounding == 0 ? "0" : "some",
                ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
  return text;
}

std::string Descriptors(const Args&) {
  int count = 0;
  for (int fd = 3; fd < 4096; ++fd) count += ::fcntl(fd, F_GETFD) >= 0;
  return std::to_string(count);
}
std::string OpenMany(const Args&) {
  int last = 0;
  for (int fd; (fd = ::open("/dev/null", O_RDONLY)) >= 0;) last = fd;
  return std::string(strerrorname_np(errno)) + " after " + std::to_string(last);
}
std::string TerminalTricks(const Args&) {
  constexpr long kHigh = 0x100000000;
  char c = 'x';
  const long at = reinterpret_cast<long>(&c);
  return Same({{"TIOCSTI", [&] { return Sys(SYS_ioctl, 0, TIOCSTI, at); }},
               {"TIOCSTI with high bits", [&] { return Sys(SYS_ioctl, 0, kHigh | TIOCSTI, at); }},
               {"TIOCLINUX", [&] { return Sys(SYS_ioctl, 0, TIOCLINUX, at); }},
               {"FS_IOC_SETFLAGS", [&] { return Sys(SYS_ioctl, 0, FS_IOC_SETFLAGS, at); }}});
}
std::string AskReadable(const Args&) {
  int ends[2];
  int count = 0;
  return Outcome(::pipe(ends) != 0 ? -1 : ::ioctl(ends[0], FIONREAD, &count));
}

std::string Ptrace(const Args&) { return Outcome(::ptrace(PTRACE_ATTACH, ::getppid(), 0, 0)); }
std::string TraceMe(const Args&) { return Outcome(::ptrace(PTRACE_TRACEME, 0, 0, 0)); }
std::string LookIntoOthers(const Args&) {
  return Same({{"process_vm_readv", [] { return Sys(SYS_process_vm_readv, ::getppid()); }},
               {"process_vm_writev", [] { return Sys(SYS_process_vm_writev, ::getppid()); }},
               {"pidfd_getfd", [] { return Sys(438); }},
               {"kcmp", [] { return Sys(SYS_kcmp, ::getpid(), ::getppid()); }}});
}
std::string Signal(const Args& args) {
  return Outcome(::kill(std::atoi(args[0].c_str()), SIGKILL));
}
// What becomes ready would signal that process: nothing here makes it ready.
std::string OwnDescriptor(const Args& args) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return "no pair";
  const int pid = std::atoi(args[0].c_str());
  const f_owner_ex owner{F_OWNER_PID, pid};
  return Same({{"F_SETOWN", [&] { return ::fcntl(ends[0], F_SETOWN, pid); }},
               {"F_SETOWN_EX", [&] { return ::fcntl(ends[0], F_SETOWN_EX, &owner); }}});
}
// To every process that there is: only its own may get it.
std::string SignalAll(const Args&) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  const std::string outcome = Outcome(::kill(-1, SIGKILL));
  if (outcome != "ok") ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? outcome : "the child ended otherwise";
}
std::string SignalParent(const Args&) { return Outcome(::kill(::getppid(), SIGKILL)); }
std::string SignalOwnChild(const Args&) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  if (::kill(child, SIGKILL) != 0) return Outcome(-1);  // the child ends with the box
  ::waitpid(child, nullptr, 0);
  return "ok";
}

std::string Namespaces(const Args&) {
  Calls calls;
  for (const int flag :
       {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS}) {
    // In a child: one space must not stand in the way of the next.
    calls.push_back({"unshare", [flag] {
                       const pid_t child = ::fork();
                       if (child == 0) ::_exit(::unshare(flag) == 0 ? 0 : errno);
                       int status = 0;
                       ::waitpid(child, &status, 0);
                       errno = WEXITSTATUS(status);
                       return errno == 0 ? 0 : -1;
                     }});
    calls.push_back({"clone", [flag] {
                       const long pid = Sys(SYS_clone, flag | SIGCHLD);
                       if (pid == 0) ::_exit(0);
                       return pid;
                     }});
  }
  calls.push_back({"setns", [] { return Sys(SYS_setns, 0, CLONE_NEWUSER); }});
  return Same(calls);
}
std::string Clone3(const Args&) { return Outcome(Sys(SYS_clone3)); }
std::string Fork(const Args&) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  return Outcome(child < 0 ? child : ::waitpid(child, nullptr, 0));
}
std::string Personality(const Args&) { return Outcome(::personality(ADDR_NO_RANDOMIZE)); }
std::string AskPersonality(const Args&) { return Outcome(::personality(0xffffffff)); }
std::string MoreFilter(const Args&) {
  return Same({{"seccomp", [] { return Sys(SYS_seccomp, 1, 8); }},
               {"prctl", [] { return ::prctl(PR_SET_SECCOMP, 2, 0, 0, 0); }}});
}
std::string AnonymousProgram(const Args&) {
  return Same(
      {{"memfd_create", [] { return Sys(SYS_memfd_create, reinterpret_cast<long>("x"), 0); }},
       {"memfd_secret", [] { return Sys(447); }},
       {"execveat",
        [] { return Sys(SYS_execveat, 0, reinterpret_cast<long>(""), 0, 0, AT_EMPTY_PATH); }}});
}
std::string OldEntry(const Args&) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");  // getpid of the 32-bit table
  errno = static_cast<int>(-result);
  return Outcome(result < 0 ? -1 : 0);
#else
  return "ok";
#endif
}
std::string X32Entry(const Args&) { return Outcome(Sys(0x40000000 | 39)); }

std::string KernelDoors(const Args&) {
  Calls calls;
  const std::pair<const char*, long> doors[] = {{"io_uring_setup", SYS_io_uring_setup},
                                                {"io_uring_enter", SYS_io_uring_enter},
                                                {"bpf", SYS_bpf},
                                                {"perf_event_open", SYS_perf_event_open},
                                                {"userfaultfd", SYS_userfaultfd},
                                                {"keyctl", SYS_keyctl},
                                                {"add_key", SYS_add_key},
                                                {"request_key", SYS_request_key},
                                                {"open_by_handle_at", SYS_open_by_handle_at},
                                                {"name_to_handle_at", SYS_name_to_handle_at},
                                                {"fanotify_init", SYS_fanotify_init},
                                                {"landlock unknown", 600}};
  for (const auto& [name, number] : doors) {
    if (number == 600) continue;
    calls.push_back({name, [number = number] { return Sys(number); }});
  }
  return Same(calls);
}
std::string MachineDoors(const Args&) {
  Calls calls;
  const std::pair<const char*, long> doors[] = {{"reboot", SYS_reboot},
                                                {"kexec_load", SYS_kexec_load},
                                                {"init_module", SYS_init_module},
                                                {"finit_module", SYS_finit_module},
                                                {"delete_module", SYS_delete_module},
                                                {"swapon", SYS_swapon},
                                                {"syslog", SYS_syslog},
                                                {"settimeofday", SYS_settimeofday},
                                                {"clock_settime", SYS_clock_settime},
                                                {"clock_adjtime", SYS_clock_adjtime},
                                                {"sethostname", SYS_sethostname},
                                                {"iopl", SYS_iopl},
                                                {"ioperm", SYS_ioperm},
                                                {"acct", SYS_acct},
                                                {"quotactl", SYS_quotactl},
                                                {"vhangup", SYS_vhangup},
                                                {"lookup_dcookie", SYS_lookup_dcookie},
                                                {"mbind", SYS_mbind},
                                                {"migrate_pages", SYS_migrate_pages}};
  const bool control = std::getenv("HOSTILE_EACH") != nullptr;
  for (const auto& [name, number] : doors) {
    // With every right, zero arguments drop a crash kernel and end accounting.
    if (control && (number == SYS_kexec_load || number == SYS_acct)) continue;
    calls.push_back({name, [number = number] { return Sys(number); }});
  }
  return Same(calls);
}
std::string Scheduling(const Args&) {
  const sched_param highest{99};
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  return Same({{"SCHED_FIFO", [&] { return ::sched_setscheduler(0, SCHED_FIFO, &highest); }},
               {"nice", [] { return ::setpriority(PRIO_PROCESS, 0, -20); }},
               {"ioprio", [] { return Sys(SYS_ioprio_set, 1, 0, 1 << 13); }},
               {"affinity", [&] { return ::sched_setaffinity(0, sizeof one, &one); }}});
}

std::string Sockets(const Args&) {
  Calls calls;
  for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG,
                           AF_XDP, AF_KEY, AF_APPLETALK, AF_BLUETOOTH, AF_CAN, AF_TIPC, AF_RDS}) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW}) {
      calls.push_back({"socket", [=] { return ::socket(family, type, 0); }});
    }
  }
  calls.push_back({"connect", [] { return Sys(SYS_connect); }});
  calls.push_back({"bind", [] { return Sys(SYS_bind); }});
  calls.push_back({"listen", [] { return Sys(SYS_listen); }});
  calls.push_back({"datagram pair", [] {
                     int ends[2];
                     return ::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
                   }});
  return Same(calls);
}
std::string Socket(const Args& args) {
  return Outcome(::socket(std::atoi(args[0].c_str()), std::atoi(args[1].c_str()), 0));
}
std::string SocketPair(const Args&) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Outcome(-1);
  char byte = 'x';
  return Outcome(::send(ends[0], &byte, 1, 0) != 1 ? -1 : ::recv(ends[1], &byte, 1, 0));
}

std::string Environment(const Args&) {
  std::string names;
  for (char** at = environ; *at != nullptr; ++at) {
    names += std::string(*at).substr(0, std::string(*at).find('=')) + " ";
  }
  return names;
}
std::string Pids(const Args&) {
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return Outcome(-1);
  int count = 0;
  while (const dirent* entry = ::readdir(proc)) count += std::atoi(entry->d_name) > 0;
  return std::to_string(count);
}
std::string RaiseLimits(const Args&) {
  Calls calls;
  for (const int which : {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CORE}) {
    calls.push_back({"setrlimit", [which] {
                       rlimit limit{};
                       ::getrlimit(static_cast<__rlimit_resource>(which), &limit);
                       limit.rlim_cur = limit.rlim_max = limit.rlim_max + 1000;
                       return ::setrlimit(static_cast<__rlimit_resource>(which), &limit);
                     }});
  }
  calls.push_back(
      {"prlimit of another", [] { return Sys(SYS_prlimit64, ::getppid(), RLIMIT_CPU); }});
  return Same(calls);
}

// ---- endings

std::string ForkBomb(const Args&) {
  int count = 0;
  for (; count < 10'000; ++count) {
    const pid_t child = ::fork();
    if (child < 0) return std::string(strerrorname_np(errno)) + " after " + std::to_string(count);
    if (child == 0) {
      for (;;) ::pause();
    }
  }
  return "ok";
}
std::string ZombieFlood(const Args&) {
  for (int count = 0; count < 10'000; ++count) {
    const pid_t child = ::fork();
    if (child < 0) return std::string(strerrorname_np(errno)) + " after " + std::to_string(count);
    if (child == 0) ::_exit(0);
  }
  return "ok";
}
std::string EatMemory(const Args&) {
  constexpr std::size_t kStep = 4 << 20;
  for (;;) {
    void* at = ::mmap(nullptr, kStep, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return Outcome(-1);
    std::memset(at, 1, kStep);
  }
}
// Fails as an honest program does when a limit stops it, or hangs as another one does.
std::string FailAtLimit(const Args& args) {
  const std::string what = args[0] == "pids" ? ForkBomb({}) : args[0] == "tmp" ? FillTmp() : "";
  while (args.size() > 1 && what.starts_with("E")) ::pause();  // as one waits for a thread
  std::exit(what.starts_with("E") ? 3 : 0);
}
std::string ChildEatsMemory(const Args&) {
  const pid_t child = ::fork();
  if (child == 0) {
    EatMemory({});
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  std::exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}
std::string Stubborn(const Args&) {
  for (int number = 1; number < 65; ++number) ::signal(number, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  for (;;) ::pause();
}
std::string Spin(const Args&) {
  for (;;) __asm__ volatile("");
}
std::string Flood(const Args&) {
  static char block[1 << 16];
  std::memset(block, 'f', sizeof block);
  while (::write(1, block, sizeof block) > 0) {
  }
  return "";
}
std::string ReadInput(const Args&) {
  char part[1 << 16];
  long total = 0;
  for (ssize_t n; (n = ::read(0, part, sizeof part)) > 0;) total += n;
  return std::to_string(total);
}
// A daemon that has left its session and keeps all pipes: it writes a line every millisecond.
std::string Daemonize(const Args& args) {
  if (::fork() == 0) {
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    const int fd = ::open((args[0] + "/beat").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    for (;;) {
      (void)!::write(fd, "beat\n", 5);
      ::usleep(1000);
    }
  }
  for (struct stat info{}; ::stat((args[0] + "/beat").c_str(), &info) != 0 || info.st_size < 10;)
    ::usleep(1000);
  return "ok";
}
std::string CloseAndStay(const Args&) {
  ::close(1);
  ::close(2);
  for (;;) ::pause();
}
std::string Arguments(const Args& args) {
  std::string all;
  for (const std::string& word : args) all += "[" + word + "]";
  return all;
}
std::string ExitWith(const Args& args) { std::exit(std::atoi(args[0].c_str())); }
std::string Raise(const Args& args) {
  ::raise(std::atoi(args[0].c_str()));
  return "ok";
}
std::string RawBytes(const Args&) {
  constexpr char kBytes[] = "\x1b[2J\xff\xfe\0end";
  (void)!::write(1, kBytes, sizeof kBytes - 1);
  std::exit(0);
}
std::string Sleep(const Args&) {
  for (;;) ::pause();
}
std::string SleepTree(const Args&) {
  for (int i = 0; i < 3; ++i) {
    if (::fork() == 0) {
      ::setsid();
      if (::fork() != 0) ::_exit(0);
      for (;;) ::pause();
    }
  }
  for (;;) ::pause();
}

const Payloads kPayloads = {{"mount-groups", MountGroups},
                            {"signal-all", SignalAll},
                            {"socket", Socket},
                            {"arguments", Arguments},
                            {"mount-family", MountFamily},
                            {"make-device", MakeDevice},
                            {"become-root", BecomeRoot},
                            {"capabilities", Capabilities},
                            {"descriptors", Descriptors},
                            {"open-many", OpenMany},
                            {"terminal-tricks", TerminalTricks},
                            {"ask-readable", AskReadable},
                            {"ptrace", Ptrace},
                            {"trace-me", TraceMe},
                            {"look-into-others", LookIntoOthers},
                            {"signal", Signal},
                            {"own-descriptor", OwnDescriptor},
                            {"signal-parent", SignalParent},
                            {"signal-own-child", SignalOwnChild},
                            {"namespaces", Namespaces},
                            {"clone3", Clone3},
                            {"fork", Fork},
                            {"personality", Personality},
                            {"ask-personality", AskPersonality},
                            {"more-filter", MoreFilter},
                            {"anonymous-program", AnonymousProgram},
                            {"old-entry", OldEntry},
                            {"x32-entry", X32Entry},
                            {"kernel-doors", KernelDoors},
                            {"machine-doors", MachineDoors},
                            {"scheduling", Scheduling},
                            {"sockets", Sockets},
                            {"socket-pair", SocketPair},
                            {"environment", Environment},
                            {"pids", Pids},
                            {"raise-limits", RaiseLimits},
                            {"fork-bomb", ForkBomb},
                            {"zombie-flood", ZombieFlood},
                            {"fail-at-limit", FailAtLimit},
                            {"child-eats-memory", ChildEatsMemory},
                            {"stubborn", Stubborn},
                            {"spin", Spin},
                            {"eat-memory", EatMemory},
                            {"flood", Flood},
                            {"read-input", ReadInput},
                            {"daemonize", Daemonize},
                            {"close-and-stay", CloseAndStay},
                            {"exit-with", ExitWith},
                            {"raise", Raise},
                            {"raw-bytes", RawBytes},
                            {"sleep", Sleep},
                            {"sleep-tree", SleepTree}};
}  // namespace

int main(int argc, char** argv) {
  Payloads payloads = kPayloads;
  payloads.merge(FilePayloads());
  payloads.merge(EntryPayloads());
  payloads.merge(PressurePayloads());
  const auto found = argc < 2 ? payloads.end() : payloads.find(argv[1]);
  if (found == payloads.end()) {
    std::fprintf(stderr, "unknown payload\n");
    return 2;
  }
  const std::string outcome = found->second(Args(argv + 2, argv + argc));
  (void)!::write(1, outcome.data(), outcome.size());
  std::_Exit(0);
}
