// Payloads that wear a machine out, each with the ending that stops it.
#include <gtest/gtest.h>

#include <chrono>

#include "boxes.h"

namespace interlock::sandbox::test {
namespace {

class Pressure : public ::testing::TestWithParam<Ground> {
 protected:
  void SetUp() override {
    boxes_ = std::make_unique<Boxes>(GetParam(), 1);
    if (!boxes_->why_not().empty()) GTEST_SKIP() << GetParam().name << ": " << boxes_->why_not();
  }
  std::unique_ptr<Boxes> boxes_;
};

TEST_P(Pressure, R29_MemoryThatNoProcessMapsCountsToo) {
  BoxSpec spec = boxes_->Hostile({"eat-tmp"});
  if (!boxes_->namespaces()) {  // on the host's disk it is not memory, and counted as that
    spec.limits.tmp_bytes = 4 << 20;
    spec.limits.file_bytes = 1 << 30;
    const BoxResult counted = boxes_->Run(spec);
    EXPECT_EQ(counted.kind, EndKind::kDisk) << Describe(counted);
    EXPECT_EQ(counted.detail, "`TMPDIR` holds more than its quota of 4194304 bytes");
    return;
  }
  if (!boxes_->cgroups()) GTEST_SKIP() << "/tmp is charged to a box by its memory group";
  spec.limits.memory_bytes = 32 << 20;
  spec.limits.tmp_bytes = 256 << 20;
  spec.limits.file_bytes = 256 << 20;
  const BoxResult result = boxes_->Run(spec);
  // The status survives: init is outside the group that ran out.
  EXPECT_EQ(result.kind, EndKind::kMemory) << Describe(result);
  BoxSpec small = spec;
  small.limits.tmp_bytes = 4 << 20;
  EXPECT_EQ(boxes_->Run(small).stdout_bytes, "ENOSPC");
}

TEST_P(Pressure, R62_ByteByByteEndsAtTheWallLimit) {
  BoxSpec spec = boxes_->Hostile({"drip"});
  spec.limits.wall_ms = 800;
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kTimeout) << Describe(result);
  EXPECT_GT(result.stdout_bytes.size(), 1u);
  EXPECT_LT(result.cpu_us, result.wall_us);
}

TEST_P(Pressure, R68_ManySpinnersShareOneProcessor) {
  if (!boxes_->cgroups()) GTEST_SKIP() << "the quota is a control group's";
  BoxSpec spec = boxes_->Hostile({"spin-many", "24"});
  spec.limits.wall_ms = 1000;
  spec.limits.cpu_ms = 60'000;
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kTimeout) << Describe(result);
  // One processor all the time (the launcher may be late), a period of the quota, and what the
  // kernel counts late.
  EXPECT_LT(result.cpu_us, result.wall_us + 400'000) << Describe(result);
}

TEST_P(Pressure, R69_NamesAreChargedToTheBox) {
  BoxSpec spec = boxes_->Hostile({"stat-many", "100000000"});
  spec.limits.wall_ms = 500;
  spec.limits.memory_bytes = 64 << 20;
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kTimeout) << Describe(result);
  if (boxes_->cgroups()) {
    EXPECT_LE(result.memory_peak_bytes, 64 << 20);
  }
}

TEST_P(Pressure, R70_AProgramThatFailsInSetUpWasNotRunAndHurtsNobody) {
  BoxSpec broken = boxes_->Hostile({"exit-with", "0"});
  broken.work_dir = "/no/such/folder";
  for (int i = 0; i < 20; ++i) {
    const BoxResult result = boxes_->Run(broken);
    EXPECT_EQ(result.kind, EndKind::kNotRun) << Describe(result);
    EXPECT_EQ(result.detail, "chdir to work_dir /no/such/folder: No such file or directory");
  }
  EXPECT_EQ(boxes_->Run(boxes_->Hostile({"exit-with", "7"})).value, 7);
}

INSTANTIATE_TEST_SUITE_P(Grounds, Pressure, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

}  // namespace
}  // namespace interlock::sandbox::test
