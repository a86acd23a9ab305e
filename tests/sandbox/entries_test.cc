// Every system call number, by every entry that the processor has, from inside a box: what the
// compiled filter says is what the program gets.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#include <sstream>

#include "boxes.h"
#include "bpf.h"
#include "seccomp_filter.h"
#include "wire.h"

namespace interlock::sandbox::test {
namespace {

constexpr int kLast = 550;

class Entries : public ::testing::TestWithParam<Ground> {
 protected:
  void SetUp() override {
    boxes_ = std::make_unique<Boxes>(GetParam(), 2);
    if (!boxes_->why_not().empty()) GTEST_SKIP() << GetParam().name << ": " << boxes_->why_not();
  }
  std::unique_ptr<Boxes> boxes_;
};

// The number of calls that were refused.
int CheckWalk(const std::string& lines, const Filter& filter) {
  std::istringstream in(lines);
  int refused = 0;
  for (int number = 0, error = 0; in >> number >> error;) {
    const std::uint32_t verdict =
        Verdict(filter.kill, static_cast<std::uint32_t>(number), AUDIT_ARCH_X86_64, {});
    if (verdict == SECCOMP_RET_ALLOW) continue;
    EXPECT_EQ(error, static_cast<int>(verdict & SECCOMP_RET_DATA))
        << SyscallName(number, AUDIT_ARCH_X86_64);
    ++refused;
  }
  return refused;
}

TEST_P(Entries, EveryNumberIsJudgedAsTheFilterSays) {
  for (int p = 0; p < kProfiles; ++p) {
    const auto profile = static_cast<Profile>(p);
    std::string problem;
    const auto variant = boxes_->namespaces() ? FilterVariant::kNormal : FilterVariant::kHostTree;
    const auto filter = BuildFilter(profile, variant, problem);
    ASSERT_TRUE(filter) << problem;
    BoxSpec spec = boxes_->Hostile({"walk", "0", std::to_string(kLast)});
    spec.profile = profile;
    const BoxResult result = boxes_->Run(spec);
    ASSERT_EQ(result.kind, EndKind::kExit) << Describe(result);
    const int refused = CheckWalk(result.stdout_bytes, *filter);
    EXPECT_GT(refused, 150) << Describe(result);  // the walk went to its end
    EXPECT_NE(result.stdout_bytes.find("\n" + std::to_string(kLast) + " "), std::string::npos);
  }
}

TEST_P(Entries, NoOtherAbiGetsThrough) {
  // All of them where a box costs least, a sample elsewhere: the filter is the same.
  const int step = std::string(GetParam().name) == "RootFull" ? 1 : 47;
  for (int number = 0; number <= kLast; number += step) {
    const std::string text = std::to_string(number);
    for (const auto& [payload, prefix] :
         {std::pair<const char*, const char*>("enter-x32", "x32"), {"enter-32", "32-bit"}}) {
      const BoxResult result = boxes_->Run(boxes_->Hostile({payload, text}));
      EXPECT_EQ(result.kind, EndKind::kViolation) << payload << " " << text << Describe(result);
      EXPECT_TRUE(result.detail.starts_with(std::string(prefix) + " entry: ")) << result.detail;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Grounds, Entries, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

}  // namespace
}  // namespace interlock::sandbox::test
