// The filter is what its data say: every number of every ABI is judged by the compiled program, and
// no program changes unseen. `INTERLOCK_WRITE_FILTERS=1` writes tests/sandbox/filters.txt anew.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "bpf.h"
#include "core/digest.h"
#include "seccomp_filter.h"
#include "syscalls.h"
#include "wire.h"

namespace interlock::sandbox::test {
namespace {

constexpr std::uint32_t kNumbers = 600;
constexpr std::uint32_t kX32Bit = 0x40000000;
constexpr std::pair<FilterVariant, const char*> kVariants[] = {
    {FilterVariant::kNormal, ""},
    {FilterVariant::kHostTree, " on the host's tree"},
    {FilterVariant::kHostTreeNoSignals, " on the host's tree without signals"}};

Filter Build(Profile profile, FilterVariant variant) {
  std::string problem;
  auto filter = BuildFilter(profile, variant, problem);
  EXPECT_TRUE(filter) << problem;
  return filter ? *filter : Filter{};
}

void Put(std::map<int, std::uint32_t>& verdicts, const char* name, std::uint32_t verdict) {
  const int number = seccomp_syscall_resolve_name(name);
  ASSERT_NE(number, __NR_SCMP_ERROR) << name;
  verdicts[number] = verdict;
}

// What the data say about a call whose arguments are all zero.
std::map<int, std::uint32_t> Wanted(Profile profile, FilterVariant variant) {
  std::map<int, std::uint32_t> verdicts;
  for (const char* name : kAllowed) Put(verdicts, name, SECCOMP_RET_ALLOW);
  for (const char* name :
       {"open", "openat", "creat", "clone", "prlimit64", "personality", "fcntl"}) {
    Put(verdicts, name, SECCOMP_RET_ALLOW);
  }
  if (variant == FilterVariant::kNormal) {
    for (const char* name : kOwnTreeOnly) Put(verdicts, name, SECCOMP_RET_ALLOW);
    for (const char* name : {"chmod", "fchmod", "fchmodat"}) Put(verdicts, name, SECCOMP_RET_ALLOW);
  }
  if (variant != FilterVariant::kHostTreeNoSignals) {
    for (const char* name : kSignals) Put(verdicts, name, SECCOMP_RET_ALLOW);
    Put(verdicts, "truncate", SECCOMP_RET_ALLOW);
  }
  for (const ProfileCall& call : kProfileCalls) {
    if (call.profile == profile) Put(verdicts, call.name, SECCOMP_RET_ALLOW);
  }
  for (const char* name : kAbsent) Put(verdicts, name, SECCOMP_RET_ERRNO | ENOSYS);
  for (const char* name : kUnsupported) Put(verdicts, name, SECCOMP_RET_ERRNO | EOPNOTSUPP);
  for (const int number : kAbsentNumbers) verdicts[number] = SECCOMP_RET_ERRNO | ENOSYS;
  for (const char* name : kEnding) Put(verdicts, name, SECCOMP_RET_KILL_PROCESS);
  return verdicts;
}

TEST(Filter, JudgesEveryNumberAsTheDataSay) {
  for (int p = 0; p < kProfiles; ++p) {
    for (const auto& [variant, name] : kVariants) {
      const auto profile = static_cast<Profile>(p);
      const Filter filter = Build(profile, variant);
      const auto wanted = Wanted(profile, variant);
      for (std::uint32_t number = 0; number < kNumbers; ++number) {
        const auto found = wanted.find(static_cast<int>(number));
        const std::uint32_t verdict =
            found == wanted.end() ? SECCOMP_RET_ERRNO | EPERM : found->second;
        EXPECT_EQ(Verdict(filter.kill, number, AUDIT_ARCH_X86_64, {}), verdict)
            << ProfileName(profile) << name << " "
            << SyscallName(static_cast<int>(number), AUDIT_ARCH_X86_64);
        const std::uint32_t noticed =
            verdict == SECCOMP_RET_KILL_PROCESS ? SECCOMP_RET_USER_NOTIF : verdict;
        EXPECT_EQ(Verdict(filter.notify, number, AUDIT_ARCH_X86_64, {}), noticed) << number;
      }
    }
  }
}

TEST(Filter, EveryEntryByAnotherAbiEndsTheBox) {
  const Filter filter = Build(Profile::kNode, FilterVariant::kNormal);
  for (std::uint32_t number = 0; number < kNumbers; ++number) {
    EXPECT_EQ(Verdict(filter.notify, number, AUDIT_ARCH_I386, {}), SECCOMP_RET_USER_NOTIF);
    EXPECT_EQ(Verdict(filter.notify, number | kX32Bit, AUDIT_ARCH_X86_64, {}),
              SECCOMP_RET_USER_NOTIF);
    EXPECT_EQ(Verdict(filter.kill, number | kX32Bit, AUDIT_ARCH_X86_64, {}),
              SECCOMP_RET_KILL_PROCESS);
  }
  EXPECT_EQ(Verdict(filter.notify, 0, AUDIT_ARCH_AARCH64, {}), SECCOMP_RET_USER_NOTIF);
}

// Names of refused calls cost no verdict: who listens is told of them, and of those that end a box.
TEST(Filter, TellingRefusalsChangesOnlyWhoAnswers) {
  Filter filter = Build(Profile::kStatic, FilterVariant::kHostTree);
  const Filter plain = filter;
  TellRefusals(filter);
  EXPECT_EQ(filter.kill.size(), plain.kill.size());
  for (const std::uint32_t arch :
       {std::uint32_t{AUDIT_ARCH_X86_64}, std::uint32_t{AUDIT_ARCH_I386}}) {
    for (const std::uint32_t bit : {0u, kX32Bit}) {
      for (std::uint32_t number = 0; number < kNumbers; ++number) {
        const std::uint32_t whole = number | bit;
        const std::uint32_t verdict = Verdict(plain.kill, whole, arch, {});
        const bool told = verdict == SECCOMP_RET_KILL_PROCESS ||
                          verdict == (SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(EPERM));
        EXPECT_EQ(Verdict(filter.notify, whole, arch, {}), told ? SECCOMP_RET_USER_NOTIF : verdict)
            << whole;
        EXPECT_EQ(Verdict(filter.kill, whole, arch, {}), verdict) << whole;
        if (told) {
          EXPECT_EQ(EndsBox(static_cast<int>(whole), arch), verdict == SECCOMP_RET_KILL_PROCESS)
              << whole;
        }
      }
    }
  }
}

// Arguments that a walk with zeros does not reach.
TEST(Filter, OnTheHostsTreeNoDescriptorGetsAnOwnerOrALease) {
  const Filter own = Build(Profile::kStatic, FilterVariant::kNormal);
  const Filter host = Build(Profile::kStatic, FilterVariant::kHostTree);
  const auto number = static_cast<std::uint32_t>(seccomp_syscall_resolve_name("fcntl"));
  constexpr std::uint64_t kHighBits = std::uint64_t{1} << 40;
  const auto asked = [&](const Filter& filter, std::uint64_t command) {
    return Verdict(filter.kill, number, AUDIT_ARCH_X86_64, {0, command});
  };
  for (const int command : {F_SETOWN, F_SETOWN_EX, F_SETSIG, F_SETLEASE, F_NOTIFY}) {
    const auto plain = static_cast<std::uint64_t>(command);
    EXPECT_EQ(asked(own, plain), SECCOMP_RET_ALLOW) << command;
    EXPECT_EQ(asked(host, plain), SECCOMP_RET_ERRNO | EPERM) << command;
    EXPECT_EQ(asked(host, plain | kHighBits), SECCOMP_RET_ERRNO | EPERM) << command;
  }
  for (const int command : {F_GETFD, F_SETFL, F_SETLK, F_SETLKW, F_OFD_SETLK, F_DUPFD_CLOEXEC}) {
    EXPECT_EQ(asked(host, static_cast<std::uint64_t>(command)), SECCOMP_RET_ALLOW) << command;
  }
}

TEST(Filter, NoProgramChangesUnseen) {
  std::ostringstream now;
  for (int p = 0; p < kProfiles; ++p) {
    for (const auto& [variant, name] : kVariants) {
      const Filter filter = Build(static_cast<Profile>(p), variant);
      const std::string bytes(reinterpret_cast<const char*>(filter.notify.data()),
                              filter.notify.size() * sizeof(sock_filter));
      now << ProfileName(static_cast<Profile>(p)) << name << ": " << filter.notify.size()
          << " instructions, " << core::DigestName(core::Sha256(bytes)) << "\n";
    }
  }
  if (std::getenv("INTERLOCK_WRITE_FILTERS") != nullptr) {
    std::ofstream(INTERLOCK_FILTERS) << now.str();
  }
  std::ostringstream recorded;
  recorded << std::ifstream(INTERLOCK_FILTERS).rdbuf();
  EXPECT_EQ(recorded.str(), now.str())
      << "if the change is meant, run this test with INTERLOCK_WRITE_FILTERS=1";
}

}  // namespace
}  // namespace interlock::sandbox::test
