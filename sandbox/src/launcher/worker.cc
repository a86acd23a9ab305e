#include "worker.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "landlock.h"
#include "message.h"
#include "process.h"

namespace interlock::sandbox {
namespace {
constexpr rlim_t kOpenFilesMax = 256;
constexpr rlim_t kPendingSignalsMax = 1024;  // timers too; counted for the host's user, as well
constexpr int kChannel = 3;                  // of the program
constexpr int kOwnFirst = 32;                // ours, until exec
constexpr std::size_t kRehearsedBytes = 4096;
constexpr const char* kExecFolders[] = {"/usr",   "/bin",   "/sbin",  "/lib",
                                        "/lib32", "/lib64", "/libx32"};
constexpr const char* kReadFiles[] = {"/etc/ld.so.cache",     "/etc/alternatives", "/etc/localtime",
                                      "/etc/ssl/openssl.cnf",  // node ends without it
                                      "/dev/random",          "/dev/urandom"};
constexpr const char* kWriteDevices[] = {"/dev/null", "/dev/zero", "/dev/full"};

void EnterCgroups(const Steps& steps, const BoxPlan& plan) {
  for (const int fd : plan.cgroup_entrances) {
    steps.Must(::write(fd, "0", 1) == 1, "enter control group");
    ::close(fd);
  }
}

void BecomeUser(const Steps& steps, uid_t uid, gid_t gid) {
  if (uid == kKeepUid) return;
  steps.Must(::setgroups(0, nullptr), "setgroups");
  steps.Must(::setresgid(gid, gid, gid), "setresgid");
  steps.Must(::setresuid(uid, uid, uid), "setresuid");
}

void ResetSignals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// The listener, or -1 when the filter had to be loaded without one.
int LoadFilter(const Steps& steps, const Filter& filter) {
  const auto load = [](const std::vector<sock_filter>& code, unsigned flags) {
    const sock_fprog program{static_cast<unsigned short>(code.size()),
                             const_cast<sock_filter*>(code.data())};
    return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  };
  const long listener = load(filter.notify, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (listener >= 0) return static_cast<int>(listener);
  // EBUSY: we run below another listener, as some container managers use.
  steps.Must(load(filter.kill, 0), "load the system call filter");
  return -1;
}

void Harden(const Steps& steps, const BoxPlan& plan, uid_t uid, gid_t gid) {
  steps.Must(::setsid(), "setsid");
  ResetSignals();
  EnterCgroups(steps, plan);
  DropBoundingSet();  // while we may: the change of user takes the right to
  BecomeUser(steps, uid, gid);
  steps.Must(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "set death signal");
  steps.Must(DropCapabilities(), "drop capabilities");
  steps.Must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
}

void LoadFilterAndReport(const Steps& steps, const BoxPlan& plan, int socket) {
  const Fd listener(LoadFilter(steps, *plan.filter));
  Report ready;
  const int fd = listener.get();
  SendMessage(socket, std::string_view(reinterpret_cast<const char*>(&ready), sizeof ready),
              listener.valid() ? std::span(&fd, 1) : std::span<const int>(), 0);
}

FileRight WritableRight(Profile profile) {
  return profile == Profile::kShell ? FileRight::kReadWriteExecute : FileRight::kReadWrite;
}

void AllowSystem(const Steps& steps, const Landlock& landlock) {
  for (const char* path : kExecFolders) {
    steps.Must(landlock.AllowPath(path, FileRight::kReadExecute), "landlock", path);
  }
  for (const char* path : kReadFiles) {
    steps.Must(landlock.AllowPath(path, FileRight::kRead), "landlock", path);
  }
}

// Mostly there is nothing in the way, and one system call does it: in a call somebody waits.
void Limit(const Steps& steps, __rlimit_resource which, rlim_t soft, rlim_t hard,
           const char* name) {
  const rlimit asked{soft, hard};
  if (::setrlimit(which, &asked) == 0) return;
  rlimit now{};
  ::getrlimit(which, &now);
  const rlimit wanted{std::min(soft, now.rlim_max), std::min(hard, now.rlim_max)};
  steps.Must(::setrlimit(which, &wanted), "setrlimit", name);
}

// What does not depend on the call.
void SetUsualLimits(const Steps& steps) {
  Limit(steps, RLIMIT_NOFILE, kOpenFilesMax, kOpenFilesMax, "nofile");
  Limit(steps, RLIMIT_SIGPENDING, kPendingSignalsMax, kPendingSignalsMax, "sigpending");
  Limit(steps, RLIMIT_CORE, 0, 0, "core");
  Limit(steps, RLIMIT_MSGQUEUE, 0, 0, "msgqueue");
}

// What does not depend on the call.
void PrepareLandlock(const Steps& steps, const BoxPlan& plan, Landlock& landlock) {
  if (plan.landlock_abi == 0) return;
  steps.Must(landlock.Create(plan.landlock_abi), "landlock_create_ruleset");
  if (plan.namespaces) {
    // The tree holds nothing but what the box may see; Landlock is the second wall around writing.
    steps.Must(landlock.AllowPath("/", FileRight::kReadExecute), "landlock", "/");
    steps.Must(landlock.AllowPath("/tmp", WritableRight(plan.profile)), "landlock", "/tmp");
  } else {
    AllowSystem(steps, landlock);
  }
  for (const char* path : kWriteDevices) {
    steps.Must(landlock.AllowPath(path, FileRight::kDevice), "landlock", path);
  }
  if (plan.takes_mounts) return;
  steps.Must(landlock.Enforce(), "landlock_restrict_self");
  landlock.Close();  // or exec would, while somebody waits
}

void ConfineFiles(const Steps& steps, const BoxPlan& plan, const Landlock& landlock, const Go& go,
                  const std::vector<Fd>& fds) {
  if (plan.landlock_abi == 0 || !plan.takes_mounts) return;  // done before it was ready
  const FileRight writable = WritableRight(plan.profile);
  for (std::size_t i = 0; i < go.request.spec.mounts.size(); ++i) {
    const Mount& mount = go.request.spec.mounts[i];
    const FileRight right = mount.access == Access::kReadOnly ? FileRight::kReadExecute : writable;
    const bool ok = plan.namespaces ? landlock.AllowPath(mount.box_path.c_str(), right)
                                    : landlock.Allow(fds[i].get(), right);
    steps.Must(ok, "landlock", mount.box_path.c_str());
  }
  if (!plan.namespaces) {
    // Without namespaces init opened the call's private temporary folder and put it last.
    steps.Must(landlock.Allow(fds.back().get(), writable), "landlock", "temporary folder");
  }
  steps.Must(landlock.Enforce(), "landlock_restrict_self");
}

void SetLimits(const Steps& steps, const Go& go) {
  const Limits& limits = go.request.spec.limits;
  const auto cpu_s = static_cast<rlim_t>((limits.cpu_ms + 999) / 1000);
  const auto memory = static_cast<rlim_t>(limits.memory_bytes);
  Limit(steps, RLIMIT_CPU, cpu_s, cpu_s + 1, "cpu");
  Limit(steps, RLIMIT_FSIZE, static_cast<rlim_t>(limits.file_bytes),
        static_cast<rlim_t>(limits.file_bytes), "fsize");
  if (go.tasks_max > 0) {
    Limit(steps, RLIMIT_NPROC, static_cast<rlim_t>(go.tasks_max), static_cast<rlim_t>(go.tasks_max),
          "nproc");
  }
  if (!go.memory_by_rlimit) return;
  Limit(steps, RLIMIT_DATA, memory, memory, "data");
  // Node reserves far more address space than it uses.
  if (go.request.spec.profile != Profile::kNode) Limit(steps, RLIMIT_AS, memory, memory, "as");
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const BoxSpec& spec) {
  std::vector<std::string> words;
  bool has_path = false;
  for (const auto& [name, value] : spec.env) {
    has_path = has_path || name == "PATH";
    words.push_back(name + "=" + value);
  }
  if (!has_path) words.push_back("PATH=/usr/local/bin:/usr/bin:/bin");
  return words;
}

// What exec takes. The spec must outlive it.
struct Words {
  explicit Words(BoxSpec& spec)
      : environment(Environment(spec)), argv(Pointers(spec.argv)), env(Pointers(environment)) {}
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> env;
};

// A call as it arrives.
struct Handed {
  Go go;
  Fd input;
  Fd channel;
  std::vector<Fd> mounts;  // where they come as descriptors
};

std::size_t DescriptorsOf(const Go& go) {
  return (go.has_input ? 1u : 0u) + (go.request.has_channel ? 1u : 0u);
}

// False with errno, which is 0 when whoever calls is gone.
bool TakeCall(int socket, Handed& call) {
  char room[kMessageBytesMax];
  std::string_view bytes;
  std::vector<Fd>& fds = call.mounts;
  errno = 0;
  if (ReceiveMessage(socket, room, bytes, fds, 0) != Received::kMessage) return false;
  errno = EPROTO;
  if (!DecodeGo(bytes, call.go) || fds.size() < DescriptorsOf(call.go)) return false;
  if (call.go.request.has_channel) {
    call.channel = std::move(fds.back());
    fds.pop_back();
  }
  if (call.go.has_input) {
    call.input = std::move(fds.front());
    fds.erase(fds.begin());
  }
  return true;
}

// Through exec, as `number`, which it may have already.
void Keep(const Steps& steps, int fd, int number) {
  steps.Must(fd == number ? ::fcntl(fd, F_SETFD, 0) : ::dup2(fd, number), "dup2");
}

[[noreturn]] void Execute(const Steps& steps, Handed& call) {
  BoxSpec& spec = call.go.request.spec;
  steps.Must(::chdir(spec.work_dir.c_str()), "chdir to work_dir", spec.work_dir.c_str());
  if (call.input.valid()) Keep(steps, call.input.get(), STDIN_FILENO);
  const Words words(spec);
  // The socket to the launcher goes with exec: its end of file says that exec succeeded.
  if (call.channel.valid()) Keep(steps, call.channel.get(), kChannel);
  const unsigned first = call.channel.valid() ? kChannel + 1 : kChannel;
  steps.Must(::syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC), "close_range");
  ::execve(words.argv[0], words.argv.data(), words.env.data());
  steps.Fail("exec", spec.argv[0].c_str());
}

// Of the numbers that the program gets.
int OutOfTheWay(int socket) {
  const int moved = ::fcntl(socket, F_DUPFD_CLOEXEC, kOwnFirst);
  if (moved < 0) ::_exit(1);
  ::close(socket);
  return moved;
}

// A forked process copies each page that it writes on first use, and what it runs must be mapped:
// for those that a call takes, both are done while nobody waits.
void Rehearse() {
  Go go;
  go.request.spec.argv = {"/bin/true", std::string(kRehearsedBytes, 'x')};
  go.request.spec.env = {{"NAME", "value"}};
  go.request.spec.mounts = {{"/a", "/b", Access::kReadOnly}};
  Fd from;
  Fd to;
  Handed back;
  if (!MessagePair(from, to) || !SendMessage(from.get(), EncodeGo(go), {}, 0)) return;
  if (!TakeCall(to.get(), back) || ::chdir(".") != 0) return;
  Words words(back.go.request.spec);
  ::execve("", words.argv.data(), words.env.data());  // which no file is called
}
}  // namespace

void RunWorker(const BoxPlan& plan, WorkerSockets sockets, uid_t uid, gid_t gid) {
  const int init = OutOfTheWay(sockets.init);
  const int launcher = OutOfTheWay(sockets.launcher);
  const Steps hardening(init);
  Harden(hardening, plan, uid, gid);
  ForgetCode();
  Landlock landlock;
  PrepareLandlock(hardening, plan, landlock);
  Rehearse();
  // Its listener travels with the report; from here on the filter is in force.
  LoadFilterAndReport(hardening, plan, init);
  const Steps steps(launcher);
  // Only now: descriptors that the user has under way in messages, of all boxes, are held against
  // the sender's limit of open files (unix(7), ETOOMANYREFS).
  SetUsualLimits(steps);
  if (plan.namespaces && !plan.takes_mounts) ::close(init);  // or exec would
  char mounted;
  if (plan.namespaces && plan.takes_mounts && ::read(init, &mounted, 1) != 1) ::_exit(1);
  Handed call;
  const bool taken = TakeCall(plan.namespaces ? launcher : init, call);
  if (!taken && errno == 0) ::_exit(1);
  steps.Must(taken, "read the call");
  ConfineFiles(steps, plan, landlock, call.go, call.mounts);
  SetLimits(steps, call.go);
  Execute(steps, call);
}

}  // namespace interlock::sandbox
