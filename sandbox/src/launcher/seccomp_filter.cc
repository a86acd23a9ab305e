#include "seccomp_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/memfd.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>

#include "fd.h"
#include "syscalls.h"

namespace interlock::sandbox {
namespace {
// libseccomp's own macros are C.
constexpr int kX32Bit = 0x40000000;

constexpr scmp_arg_cmp Arg(unsigned index, scmp_compare compare, std::uint64_t a,
                           std::uint64_t b = 0) {
  return {index, compare, a, b};
}

using Context = std::unique_ptr<void, void (*)(void*)>;

// Collects the first error, so that the list of rules reads as a list.
class Rules {
 public:
  explicit Rules(scmp_filter_ctx context) : context_(context) {}

  template <typename... Cmp>
  void Add(std::uint32_t action, const char* name, Cmp... conditions) {
    AddNumber(action, seccomp_syscall_resolve_name(name), conditions...);
  }
  template <typename... Cmp>
  void AddNumber(std::uint32_t action, int number, Cmp... conditions) {
    if (number == __NR_SCMP_ERROR || error_ != 0) return;  // unknown here: stays with the default
    error_ = seccomp_rule_add(context_, action, number, sizeof...(conditions), conditions...);
  }
  template <typename... Cmp>
  void Allow(const char* name, Cmp... conditions) {
    Add(SCMP_ACT_ALLOW, name, conditions...);
  }
  int error() const { return error_; }

 private:
  scmp_filter_ctx context_;
  int error_ = 0;
};

void AddOwnTree(Rules& rules) {
  for (const char* name : kOwnTreeOnly) rules.Allow(name);
  rules.Allow("fcntl");
  // Never a set-id bit: nosuid holds inside the box only, the file may lie on the host.
  rules.Allow("chmod", Arg(1, SCMP_CMP_MASKED_EQ, kSetIdBits, 0));
  rules.Allow("fchmod", Arg(1, SCMP_CMP_MASKED_EQ, kSetIdBits, 0));
  rules.Allow("fchmodat", Arg(2, SCMP_CMP_MASKED_EQ, kSetIdBits, 0));
}

void AddOpening(Rules& rules) {
  rules.Allow("open", Arg(1, SCMP_CMP_MASKED_EQ, kCreates, 0));
  rules.Allow("open", Arg(2, SCMP_CMP_MASKED_EQ, kSetIdBits, 0));
  rules.Allow("openat", Arg(2, SCMP_CMP_MASKED_EQ, kCreates, 0));
  rules.Allow("openat", Arg(3, SCMP_CMP_MASKED_EQ, kSetIdBits, 0));
  rules.Allow("truncate");
}

// O_RDONLY|O_TRUNC empties a file that Landlock before ABI 3 lets a box read.
void AddOpeningWithoutTruncate(Rules& rules) {
  constexpr std::uint64_t kCreatesOrTruncates = kCreates | O_TRUNC;
  for (const std::uint64_t mode : {std::uint64_t{O_WRONLY}, std::uint64_t{O_RDWR}}) {
    rules.Allow("open", Arg(1, SCMP_CMP_MASKED_EQ, O_ACCMODE, mode),
                Arg(2, SCMP_CMP_MASKED_EQ, kSetIdBits, 0));
    rules.Allow("openat", Arg(2, SCMP_CMP_MASKED_EQ, O_ACCMODE, mode),
                Arg(3, SCMP_CMP_MASKED_EQ, kSetIdBits, 0));
  }
  rules.Allow("open", Arg(1, SCMP_CMP_MASKED_EQ, kCreatesOrTruncates, 0));
  rules.Allow("openat", Arg(2, SCMP_CMP_MASKED_EQ, kCreatesOrTruncates, 0));
}

void AddFcntlsOnHostTree(Rules& rules) {
  for (const int command : kFcntlsOnHostTree) {
    rules.Allow("fcntl", Arg(1, SCMP_CMP_MASKED_EQ, kLow32, static_cast<std::uint64_t>(command)));
  }
}

void AddProcesses(Rules& rules) {
  rules.Allow("clone", Arg(0, SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0));
  rules.Allow("prlimit64", Arg(0, SCMP_CMP_EQ, 0));
  rules.Allow("personality", Arg(0, SCMP_CMP_EQ, 0));
  rules.Allow("personality", Arg(0, SCMP_CMP_MASKED_EQ, kLow32, kLow32));
  for (const int option : kPrctls) {
    rules.Allow("prctl", Arg(0, SCMP_CMP_MASKED_EQ, kLow32, static_cast<std::uint64_t>(option)));
  }
}

void AddDevicesAndSockets(Rules& rules) {
  for (const unsigned command : kIoctls) {
    rules.Allow("ioctl", Arg(1, SCMP_CMP_MASKED_EQ, kLow32, command));
  }
  // Connected pairs only: a datagram socket could still be pointed at a path or an abstract name.
  constexpr std::uint64_t kTypeBits = 0xf;
  for (const std::uint64_t type : {std::uint64_t{SOCK_STREAM}, std::uint64_t{SOCK_SEQPACKET}}) {
    rules.Allow("socketpair", Arg(0, SCMP_CMP_MASKED_EQ, kLow32, AF_UNIX),
                Arg(1, SCMP_CMP_MASKED_EQ, kTypeBits, type));
  }
}

int AddRules(scmp_filter_ctx context, Profile profile, FilterVariant variant) {
  Rules rules(context);
  for (const char* name : kAllowed) rules.Allow(name);
  for (const char* name : kAbsent) rules.Add(SCMP_ACT_ERRNO(ENOSYS), name);
  for (const char* name : kUnsupported) rules.Add(SCMP_ACT_ERRNO(EOPNOTSUPP), name);
  for (const int number : kAbsentNumbers) rules.AddNumber(SCMP_ACT_ERRNO(ENOSYS), number);
  for (const char* name : kEnding) rules.Add(SCMP_ACT_KILL_PROCESS, name);
  rules.Allow("creat", Arg(1, SCMP_CMP_MASKED_EQ, kSetIdBits, 0));
  AddProcesses(rules);
  AddDevicesAndSockets(rules);
  if (variant == FilterVariant::kNormal) {
    AddOwnTree(rules);
  } else {
    AddFcntlsOnHostTree(rules);
  }
  if (variant == FilterVariant::kHostTreeNoSignals) {
    AddOpeningWithoutTruncate(rules);
  } else {
    for (const char* name : kSignals) rules.Allow(name);
    AddOpening(rules);
  }
  for (const ProfileCall& extra : kProfileCalls) {
    if (extra.profile == profile) rules.Allow(extra.name);
  }
  return rules.error();
}

std::optional<std::vector<sock_filter>> Export(scmp_filter_ctx context) {
  const Fd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file.valid() || seccomp_export_bpf(context, file.get()) != 0) return std::nullopt;
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size <= 0 || size % static_cast<off_t>(sizeof(sock_filter)) != 0) return std::nullopt;
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size) {
    return std::nullopt;
  }
  return program;
}
}  // namespace

std::optional<Filter> BuildFilter(Profile profile, FilterVariant variant, std::string& problem) {
  const Context context(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release);
  if (context == nullptr) {
    problem = "seccomp_init failed";
    return std::nullopt;
  }
  int error = seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  // A balanced tree instead of a chain: tens of comparisons less on each call.
  if (error == 0) error = seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (error == 0) error = AddRules(context.get(), profile, variant);
  std::optional<std::vector<sock_filter>> program;
  if (error == 0) program = Export(context.get());
  if (!program) {
    problem = std::string("building the system call filter: ") + std::strerror(-error);
    return std::nullopt;
  }
  Filter filter{*program, *program};
  // Same verdicts; only who does the killing differs, so that the call's number is known.
  for (sock_filter& instruction : filter.notify) {
    if (instruction.code == (BPF_RET | BPF_K) && instruction.k == SECCOMP_RET_KILL_PROCESS) {
      instruction.k = SECCOMP_RET_USER_NOTIF;
    }
  }
  return filter;
}

void TellRefusals(Filter& filter) {
  for (sock_filter& instruction : filter.notify) {
    const bool refuses = instruction.code == (BPF_RET | BPF_K) &&
                         instruction.k == (SECCOMP_RET_ERRNO | static_cast<unsigned>(EPERM));
    if (refuses) instruction.k = SECCOMP_RET_USER_NOTIF;
  }
}

bool EndsBox(int number, unsigned arch) {
  if (arch != AUDIT_ARCH_X86_64 || (number & kX32Bit) != 0) return true;
  return std::any_of(std::begin(kEnding), std::end(kEnding), [number](const char* name) {
    return seccomp_syscall_resolve_name(name) == number;
  });
}

std::string SyscallName(int number, unsigned arch) {
  std::uint32_t token = SCMP_ARCH_NATIVE;
  std::string prefix;
  if (arch == AUDIT_ARCH_I386) {
    token = SCMP_ARCH_X86;
    prefix = "32-bit entry: ";
  } else if (arch == AUDIT_ARCH_X86_64 && (number & kX32Bit) != 0) {
    prefix = "x32 entry: ";
    number &= ~kX32Bit;
  }
  char* name = seccomp_syscall_resolve_num_arch(token, number);
  const std::string text = name == nullptr ? "system call " + std::to_string(number) : name;
  std::free(name);
  return prefix + text;
}

}  // namespace interlock::sandbox
