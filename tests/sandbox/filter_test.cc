// The filter is what its data say: every number of every ABI is judged by the compiled program, and
// no program changes unseen. `INTERLOCK_WRITE_FILTERS=1` writes tests/sandbox/filters.txt anew.
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

#include "bpf.h"
#include "core/digest.h"
#include "seccomp_filter.h"
#include "syscalls.h"
#include "wire.h"

namespace interlock::sandbox::test {
namespace {

constexpr std::uint32_t kNumbers = 600;
constexpr std::uint32_t kX32Bit = 0x40000000;
constexpr FilterVariant kVariants[] = {FilterVariant::kNormal, FilterVariant::kNoSignals};

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
  for (const char* name : {"open", "openat", "chmod", "fchmod", "fchmodat", "creat", "clone",
                           "prlimit64", "personality"}) {
    Put(verdicts, name, SECCOMP_RET_ALLOW);
  }
  if (variant == FilterVariant::kNormal) {
    for (const char* name : kSignals) Put(verdicts, name, SECCOMP_RET_ALLOW);
    Put(verdicts, "truncate", SECCOMP_RET_ALLOW);
  }
  for (const ProfileCall& call : kProfileCalls) {
    if (call.profile == profile) Put(verdicts, call.name, SECCOMP_RET_ALLOW);
  }
  for (const char* name : kAbsent) Put(verdicts, name, SECCOMP_RET_ERRNO | ENOSYS);
  for (const int number : kAbsentNumbers) verdicts[number] = SECCOMP_RET_ERRNO | ENOSYS;
  for (const char* name : kEnding) Put(verdicts, name, SECCOMP_RET_KILL_PROCESS);
  return verdicts;
}

TEST(Filter, JudgesEveryNumberAsTheDataSay) {
  for (int p = 0; p < kProfiles; ++p) {
    for (const FilterVariant variant : kVariants) {
      const auto profile = static_cast<Profile>(p);
      const Filter filter = Build(profile, variant);
      const auto wanted = Wanted(profile, variant);
      for (std::uint32_t number = 0; number < kNumbers; ++number) {
        const auto found = wanted.find(static_cast<int>(number));
        const std::uint32_t verdict =
            found == wanted.end() ? SECCOMP_RET_ERRNO | EPERM : found->second;
        EXPECT_EQ(Verdict(filter.kill, number, AUDIT_ARCH_X86_64, {}), verdict)
            << ProfileName(profile) << " "
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

TEST(Filter, NoProgramChangesUnseen) {
  std::ostringstream now;
  for (int p = 0; p < kProfiles; ++p) {
    for (const FilterVariant variant : kVariants) {
      const Filter filter = Build(static_cast<Profile>(p), variant);
      const std::string bytes(reinterpret_cast<const char*>(filter.notify.data()),
                              filter.notify.size() * sizeof(sock_filter));
      now << ProfileName(static_cast<Profile>(p))
          << (variant == FilterVariant::kNormal ? "" : " without signals") << ": "
          << filter.notify.size() << " instructions, " << core::DigestName(core::Sha256(bytes))
          << "\n";
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
