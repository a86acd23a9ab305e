// What a machine that lacks something says about it, and what still holds there.
#include <gmock/gmock.h>
#include <unistd.h>

#include <future>

#include "boxes.h"

namespace interlock::sandbox::test {
namespace {
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const Feature* Find(const Launcher& launcher, const std::string& name) {
  for (const Feature& feature : launcher.capabilities().features) {
    if (feature.name == name) return &feature;
  }
  return nullptr;
}

class Launched : public ::testing::Test {
 protected:
  // The hostile program with these arguments.
  BoxResult RunIn(BoxSpec spec, const Folder& folder, std::vector<std::string> args) {
    spec.argv = {folder.hostile()};
    spec.argv.insert(spec.argv.end(), args.begin(), args.end());
    spec.mounts = {{folder.hostile(), folder.hostile(), Access::kReadOnly}};
    std::promise<BoxResult> promise;
    launcher_->Run(std::move(spec),
                   [&](BoxResult result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }
  std::unique_ptr<Launcher> launcher_;
};

class Fenced : public Launched {
 protected:
  void SetUp() override {
    LauncherOptions options;
    options.program = INTERLOCK_AS_FENCED;
    auto launcher = StartLauncher(options);
    if (!launcher.ok()) GTEST_SKIP() << "no user namespace to fence: " << launcher.status();
    launcher_ = std::move(*launcher);
  }
  BoxResult Run(std::vector<std::string> args, Level level_min) {
    BoxSpec spec;
    spec.level_min = level_min;
    return RunIn(std::move(spec), folder_, std::move(args));
  }
  Folder folder_{false};
};

TEST_F(Fenced, WithoutUserNamespacesBoxesAreLandlockOnly) {
  ASSERT_EQ(launcher_->capabilities().level, Level::kLandlockOnly);
  EXPECT_EQ(Run({"write-temporary"}, Level::kLandlockOnly).stdout_bytes, "ok");
  EXPECT_EQ(Run({"read", folder_.Path("secret")}, Level::kLandlockOnly).stdout_bytes, "EACCES");
  EXPECT_EQ(Run({"namespaces"}, Level::kLandlockOnly).stdout_bytes, "EPERM");
}

TEST_F(Fenced, SaysWhatIsMissingAndWhatToDo) {
  const Feature* namespaces = Find(*launcher_, "namespaces");
  ASSERT_NE(namespaces, nullptr);
  EXPECT_FALSE(namespaces->available);
  EXPECT_EQ(namespaces->detail, "clone: No space left on device");
  EXPECT_THAT(namespaces->fix, HasSubstr("sysctl -w user.max_user_namespaces=10000"));
  const Feature* user = Find(*launcher_, "box user");
  ASSERT_NE(user, nullptr);
  EXPECT_FALSE(user->available) << "root of a namespace has no ids to give away";
}

TEST_F(Fenced, AProgramThatDemandsMoreIsRefusedInOneLine) {
  const BoxResult result = Run({"write-temporary"}, Level::kFull);
  EXPECT_EQ(result.kind, EndKind::kNotRun);
  EXPECT_EQ(result.detail.find('\n'), std::string::npos);
  EXPECT_THAT(result.detail,
              HasSubstr("this machine gives sandbox level `landlock-only`, the program demands "
                        "`full`: namespaces missing (clone: No space left on device); sysctl -w "
                        "user.max_user_namespaces=10000"));
}

class Unboxed : public Launched {
 protected:
  void Start(bool allow_none) {
    LauncherOptions options;
    options.program = INTERLOCK_LAUNCHER;
    options.level_cap = Level::kNone;
    options.allow_none = allow_none;
    auto launcher = StartLauncher(options);
    ASSERT_TRUE(launcher.ok()) << launcher.status();
    launcher_ = std::move(*launcher);
    EXPECT_EQ(launcher_->capabilities().level, Level::kNone);
  }
  BoxResult Read(Level level_min) {
    BoxSpec spec;
    spec.level_min = level_min;
    return RunIn(std::move(spec), folder_, {"read", folder_.Path("secret")});
  }
  Folder folder_{false};
};

TEST_F(Unboxed, ACapOfNoneMeansNoBoxAndTheResultSaysSo) {
  Start(/*allow_none=*/true);
  const BoxResult result = Read(Level::kNone);
  EXPECT_EQ(result.stdout_bytes, "ok") << "no wall is around files: " << Describe(result);
  EXPECT_EQ(result.level, Level::kNone);
  EXPECT_EQ(Read(Level::kLandlockOnly).kind, EndKind::kNotRun);
}

TEST_F(Unboxed, WithoutTheOperatorsWordNothingRuns) {
  Start(/*allow_none=*/false);
  EXPECT_EQ(Read(Level::kNone).kind, EndKind::kNotRun);
}

// As `sandbox exec --explain` runs a program.
class Naming : public Launched, public ::testing::WithParamInterface<Level> {
 protected:
  void SetUp() override {
    LauncherOptions options;
    options.program = INTERLOCK_LAUNCHER;
    options.level_cap = GetParam();
    options.name_refused = true;
    auto launcher = StartLauncher(options);
    ASSERT_TRUE(launcher.ok()) << launcher.status();
    launcher_ = std::move(*launcher);
  }
  BoxResult Run(std::vector<std::string> args) {
    BoxSpec spec;
    spec.level_min = Level::kLandlockOnly;
    return RunIn(std::move(spec), folder_, std::move(args));
  }
  Folder folder_{false};
};

TEST_P(Naming, EachRefusedCallIsToldOnceAndStillFailsWithEperm) {
  const BoxResult result = Run({"sockets"});
  EXPECT_EQ(result.stdout_bytes, "EPERM") << Describe(result);
  EXPECT_THAT(result.refused,
              UnorderedElementsAre("socket", "connect", "bind", "listen", "socketpair"));
  EXPECT_THAT(Run({"kernel-doors"}).refused, SizeIs(::testing::Le(kRefusedMax)));
}

TEST_P(Naming, NothingIsToldOfAProgramThatMeetsNoRefusal) {
  const BoxResult result = Run({"write-temporary"});
  EXPECT_EQ(result.stdout_bytes, "ok") << Describe(result);
  EXPECT_THAT(result.refused, IsEmpty());
}

TEST_P(Naming, WhatEndsABoxStillEndsIt) {
  const BoxResult result = Run({"trace-me"});
  EXPECT_EQ(result.kind, EndKind::kViolation) << Describe(result);
  EXPECT_THAT(result.detail, HasSubstr("ptrace"));
}

INSTANTIATE_TEST_SUITE_P(Levels, Naming, ::testing::Values(Level::kFull, Level::kLandlockOnly),
                         [](const auto& item) {
                           return item.param == Level::kFull ? "Full" : "LandlockOnly";
                         });

class Delegated : public Launched {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give groups away";
    LauncherOptions options;
    options.program = INTERLOCK_AS_DELEGATED;
    auto launcher = StartLauncher(options);
    if (!launcher.ok()) GTEST_SKIP() << "no groups of version 1 to give: " << launcher.status();
    launcher_ = std::move(*launcher);
  }
  ~Delegated() override {
    launcher_.reset();
    RemoveDelegatedGroups();
  }
  BoxResult Run(std::vector<std::string> args) {
    BoxSpec spec;
    spec.level_min = Level::kFull;
    spec.limits.memory_bytes = 32 << 20;
    spec.limits.pids = 16;
    return RunIn(std::move(spec), folder_, std::move(args));
  }
  Folder folder_{true};
};

TEST_F(Delegated, AnOrdinaryUserWithGroupsOfItsOwnHasBoxesAtFull) {
  const Feature* groups = Find(*launcher_, "control groups");
  ASSERT_NE(groups, nullptr);
  ASSERT_EQ(launcher_->capabilities().level, Level::kFull) << groups->detail;
  EXPECT_EQ(groups->detail, "version 1: memory, pids, cpu");
  const BoxResult quiet = Run({"write-temporary"});
  EXPECT_EQ(quiet.stdout_bytes, "ok") << Describe(quiet);
  EXPECT_EQ(quiet.level, Level::kFull);
  EXPECT_GT(quiet.memory_peak_bytes, 0);
  // Of the whole tree, which no limit of a process could do.
  const BoxResult hungry = Run({"child-eats-memory"});
  EXPECT_EQ(hungry.kind, EndKind::kMemory) << Describe(hungry);
  EXPECT_THAT(Run({"fork-bomb"}).stdout_bytes, HasSubstr("EAGAIN after 15"));
}

}  // namespace
}  // namespace interlock::sandbox::test
