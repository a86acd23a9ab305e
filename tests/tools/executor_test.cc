#include "tools/executor.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "executor_fixture.h"
#include "harness/temp_folder.h"

namespace interlock::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST_F(ExecutorTest, RunsOnceForAPermitThatFits) {
  const Outcome outcome = Exit(0, R"({"status":"open"})");
  EXPECT_EQ(outcome.kind, OutcomeKind::kOk);
  EXPECT_EQ(outcome.result, core::Json({{"status", "open"}}));
  EXPECT_TRUE(outcome.sandboxed);
  EXPECT_EQ(outcome.box.stdout_bytes, "");
  ASSERT_EQ(launcher_.specs.size(), 1u);
  const sandbox::BoxSpec& box = launcher_.specs[0];
  EXPECT_THAT(box.argv, ElementsAre("/opt/tool"));
  EXPECT_EQ(box.stdin_bytes, R"({"order_id":"o-1"})");
  EXPECT_THAT(box.env, ElementsAre(Pair("INTERLOCK_CALL_ID", "call-1"),
                                   Pair("INTERLOCK_IDEMPOTENCY_KEY", "key-1")));
}

struct Mismatch {
  const char* what;
  void (*change)(core::PermitTerms& terms, CallSpec& spec);
};
class ExecutorPermit : public ExecutorTest, public ::testing::WithParamInterface<Mismatch> {};

TEST_P(ExecutorPermit, ThatDoesNotFitRunsNothing) {
  CallSpec spec = Spec();
  core::PermitTerms terms = Terms(spec);
  GetParam().change(terms, spec);
  const auto outcome = RunWith(std::move(terms), std::move(spec));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->kind, OutcomeKind::kNotStarted);
  EXPECT_EQ(outcome->error_code, "PERMIT");
  EXPECT_EQ(outcome->error, GetParam().what);
  EXPECT_FALSE(outcome->sandboxed);
  EXPECT_THAT(launcher_.specs, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, ExecutorPermit,
    ::testing::Values(
        Mismatch{"permit has expired", [](core::PermitTerms& terms,
                                          CallSpec&) { terms.expires_monotonic_us = 1'000'000; }},
        Mismatch{"permit has expired",
                 [](core::PermitTerms& terms, CallSpec&) { terms.expires_monotonic_us = 0; }},
        Mismatch{"permit is for another call",
                 [](core::PermitTerms& terms, CallSpec&) { terms.call_id = "call-2"; }},
        Mismatch{
            "permit is for another call",
            [](core::PermitTerms& terms, CallSpec& spec) { terms.call_id = spec.call_id = ""; }},
        Mismatch{"permit is for another tool",
                 [](core::PermitTerms& terms, CallSpec&) { terms.tool_digest[0] ^= 1; }},
        Mismatch{"permit is for other arguments",
                 [](core::PermitTerms& terms, CallSpec&) { terms.args_digest[31] ^= 1; }},
        Mismatch{
            "permit is for other arguments",  // the bytes were changed after they were digested
            [](core::PermitTerms&, CallSpec& spec) { spec.args.text = R"({"order_id":"o-2"})"; }},
        Mismatch{"permit is for other limits",
                 [](core::PermitTerms& terms, CallSpec&) { terms.limits_digest[5] ^= 1; }}));

TEST_F(ExecutorTest, APermitLivesUntilItsLastMicrosecond) {
  CallSpec spec = Spec();
  core::PermitTerms terms = Terms(spec);
  terms.expires_monotonic_us = clock_.now + 1;
  RunWith(std::move(terms), std::move(spec));
  EXPECT_EQ(launcher_.specs.size(), 1u);
}

TEST_F(ExecutorTest, LookupRefusesWhateverHasAnEffect) {
  for (const Effect effect : {Effect::kWrite, Effect::kMoney, Effect::kEgress}) {
    tool_ = MakeTool(ProcessManifest(effect));
    CallSpec spec = Spec();
    core::PermitTerms terms = Terms(spec);
    std::optional<Outcome> got;
    executor_->Lookup(mint_.MintLookup(std::move(terms)), std::move(spec),
                      [&](Outcome outcome) { got = std::move(outcome); });
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->kind, OutcomeKind::kNotStarted);
    EXPECT_THAT(launcher_.specs, IsEmpty());
  }
}

TEST_F(ExecutorTest, LookupRunsAToolOfEffectRead) {
  CallSpec spec = Spec();
  core::PermitTerms terms = Terms(spec);
  executor_->Lookup(mint_.MintLookup(std::move(terms)), std::move(spec), [](Outcome) {});
  EXPECT_EQ(launcher_.specs.size(), 1u);
}

TEST_F(ExecutorTest, WithoutALauncherProcessToolsAreRefused) {
  executor_ = MakeExecutor({.launcher = nullptr, .clock = &clock_, .builtins = {}});
  const auto outcome = Run(Spec());
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->kind, OutcomeKind::kNotStarted);
  EXPECT_EQ(outcome->error_code, "REFUSED");
}

TEST_F(ExecutorTest, TheDeadlineCutsTheWallLimit) {
  CallSpec spec = Spec();
  spec.deadline_monotonic_us = clock_.now + 250'000;
  Run(std::move(spec));
  ASSERT_EQ(launcher_.specs.size(), 1u);
  EXPECT_EQ(launcher_.specs[0].limits.wall_ms, 250);
}

TEST_F(ExecutorTest, TheBoxGetsTheManifestsPlacesAndWhoeverWatches) {
  Manifest manifest = ProcessManifest(Effect::kRead);
  manifest.process->connect = {{"db.example", 5432}};
  manifest.process->networks = {"10.20.0.0/16"};
  tool_ = MakeTool(std::move(manifest));
  CallSpec spec = Spec();
  std::string told;
  spec.on_output = [&](const sandbox::Output& output) { told += output.bytes; };
  Run(std::move(spec));
  ASSERT_EQ(launcher_.specs.size(), 1u);
  const sandbox::BoxSpec& box = launcher_.specs[0];
  ASSERT_EQ(box.destinations.size(), 1u);
  EXPECT_EQ(box.destinations[0].host, "db.example");
  EXPECT_EQ(box.destinations[0].port, 5432);
  ASSERT_EQ(box.addresses.networks.size(), 1u);
  EXPECT_EQ(box.addresses.networks[0].bits, 16);
  EXPECT_FALSE(box.addresses.allow_private);
  box.on_output({false, "half"});
  EXPECT_EQ(told, "half");
}

TEST_F(ExecutorTest, ADeadlineThatPassedStartsNothing) {
  CallSpec spec = Spec();
  spec.deadline_monotonic_us = clock_.now - 1;
  const auto outcome = Run(std::move(spec));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->kind, OutcomeKind::kNotStarted);
  EXPECT_EQ(outcome->error_code, "DEADLINE");
  EXPECT_THAT(launcher_.specs, IsEmpty());
}

TEST_F(ExecutorTest, CancelReachesTheBoxAndTheOutcomeStillComes) {
  Run(Spec());
  ASSERT_FALSE(outcome_->has_value());
  executor_->Cancel(handle_);
  EXPECT_THAT(launcher_.cancelled, ElementsAre(101));
  sandbox::BoxResult box;
  box.kind = sandbox::EndKind::kCancelled;
  launcher_.End(101, box);
  ASSERT_TRUE(outcome_->has_value());
  EXPECT_EQ((*outcome_)->error_code, "CANCELLED");
}

TEST_F(ExecutorTest, CancelOfAnEndedCallTouchesNothing) {
  launcher_.at_once = sandbox::BoxResult{};
  Run(Spec());
  executor_->Cancel(handle_);
  executor_->Cancel(4711);
  EXPECT_THAT(launcher_.cancelled, IsEmpty());
}

TEST_F(ExecutorTest, ABoxMayOutliveTheExecutor) {
  Run(Spec());
  executor_.reset();
  sandbox::BoxResult box;
  box.kind = sandbox::EndKind::kExit;
  box.stdout_bytes = "1";
  launcher_.End(101, box);
  ASSERT_TRUE(outcome_->has_value());
  EXPECT_EQ((*outcome_)->kind, OutcomeKind::kOk);
}

class ExecutorArtifacts : public ExecutorTest {
 protected:
  void SetUp() override {
    ExecutorTest::SetUp();
    std::filesystem::create_directories(folder_ + "/case-1");
    Manifest manifest = ProcessManifest(Effect::kWrite);
    manifest.process->mounts = {
        {folder_, folder_, sandbox::Access::kReadWrite, {.bytes = 1 << 20, .files = 10}}};
    manifest.process->artifacts =
        ArtifactSpec{.folder = folder_ + "/{session.shop}",
                     .files = {"report.txt", "gone.txt", "link"},
                     .limits = {.files_max = 3, .file_bytes_max = 100, .bytes_max = 100}};
    tool_ = MakeTool(std::move(manifest));
    std::ofstream(folder_ + "/case-1/report.txt") << "all is well";
    std::filesystem::create_symlink("/etc/hostname", folder_ + "/case-1/link");
  }
  // Of a call of session.shop case-1 that ended so.
  Outcome Ended(sandbox::BoxResult box) {
    CallSpec spec = Spec();
    spec.session = {{"shop", "case-1"}};
    Run(std::move(spec));
    launcher_.End(101, std::move(box));
    executor_.reset();  // the collector has done its work then
    EXPECT_TRUE(outcome_->has_value());
    return **outcome_;
  }
  const test::TempFolder temp_;
  const std::string folder_ = temp_.path();
};

TEST_F(ExecutorArtifacts, AreReadBeforeTheOutcomeIsGiven) {
  sandbox::BoxResult box;
  box.kind = sandbox::EndKind::kExit;
  box.stdout_bytes = "1";
  const Outcome outcome = Ended(box);
  EXPECT_EQ(outcome.kind, OutcomeKind::kOk);
  ASSERT_EQ(outcome.artifacts.taken.size(), 1u);
  EXPECT_EQ(outcome.artifacts.taken[0].path, "report.txt");
  EXPECT_EQ(outcome.artifacts.taken[0].bytes, "all is well");
  ASSERT_EQ(outcome.artifacts.skipped.size(), 2u) << "what is not there, and a link";
  EXPECT_EQ(launcher_.specs[0].mounts[0].quota.bytes, 1 << 20);
}

TEST_F(ExecutorArtifacts, AFailedCallLeavesThemToo) {
  sandbox::BoxResult box;
  box.kind = sandbox::EndKind::kTimeout;
  EXPECT_EQ(Ended(box).artifacts.taken.size(), 1u);
}

TEST_F(ExecutorArtifacts, OfACallThatNeverRanNothingIsRead) {
  sandbox::BoxResult box;
  box.kind = sandbox::EndKind::kNotRun;
  const Outcome outcome = Ended(box);
  EXPECT_THAT(outcome.artifacts.taken, IsEmpty());
  EXPECT_THAT(outcome.artifacts.skipped, IsEmpty());
}

TEST_F(ExecutorArtifacts, ASessionValueIsNoWayOut) {
  CallSpec spec = Spec();
  spec.session = {{"shop", "../case-1"}};
  const auto outcome = Run(std::move(spec));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->error_code, "REFUSED");
  EXPECT_THAT(launcher_.specs, IsEmpty());
}

class ExecutorSession : public ExecutorTest {
 protected:
  void SetUp() override {
    ExecutorTest::SetUp();
    Manifest manifest = ProcessManifest(Effect::kRead);
    manifest.process->mounts = {
        {"/data/{session.shop}", "/data/{session.shop}", sandbox::Access::kReadWrite}};
    manifest.process->env = {{"SHOP_DB", "/data/{session.shop}/shop.db"}};
    tool_ = MakeTool(std::move(manifest));
  }
};

TEST_F(ExecutorSession, FillsMountsAndEnvironment) {
  CallSpec spec = Spec();
  spec.session = {{"shop", "case-1_A.b"}};
  Run(std::move(spec));
  ASSERT_EQ(launcher_.specs.size(), 1u);
  EXPECT_EQ(launcher_.specs[0].mounts.at(0).host_path, "/data/case-1_A.b");
  EXPECT_EQ(launcher_.specs[0].mounts.at(0).box_path, "/data/case-1_A.b");
  EXPECT_THAT(launcher_.specs[0].env,
              ::testing::Contains(Pair("SHOP_DB", "/data/case-1_A.b/shop.db")));
}

TEST_F(ExecutorSession, RefusesWhateverIsNotOnePlainName) {
  const core::Json hostile[] = {"..",
                                ".",
                                ".hidden",
                                "",
                                "a/b",
                                "/etc",
                                "a\nb",
                                "a b",
                                "ä",
                                std::string("a\0b", 3),
                                std::string(65, 'a'),
                                "%2e%2e",
                                "{x}",
                                1,
                                true,
                                nullptr,
                                core::Json::array({"a"})};
  for (const core::Json& value : hostile) {
    CallSpec spec = Spec();
    spec.session = {{"shop", value}};
    const auto outcome = Run(std::move(spec));
    ASSERT_TRUE(outcome.has_value()) << value;
    EXPECT_EQ(outcome->kind, OutcomeKind::kNotStarted) << value;
    EXPECT_THAT(outcome->error, HasSubstr("`session.shop` must be one plain name")) << value;
  }
  EXPECT_THAT(launcher_.specs, IsEmpty());
}

TEST_F(ExecutorSession, RefusesAMissingValue) {
  const auto outcome = Run(Spec());
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->error, "`session.shop` is missing");
}

TEST_F(ExecutorTest, SaysWhereAToolRuns) {
  EXPECT_EQ(executor_->LevelFor(*tool_), "none") << "what the launcher has";
  Manifest manifest = ProcessManifest(Effect::kRead);
  manifest.process.reset();
  manifest.builtin = "echo";
  EXPECT_EQ(executor_->LevelFor(*MakeTool(manifest)), "builtin");
  manifest.builtin.clear();
  manifest.http = HttpSpec{};
  manifest.http->url = "https://shop.example/orders";
  EXPECT_EQ(executor_->LevelFor(*MakeTool(manifest)), "http");
  const auto without = MakeExecutor({.clock = &clock_, .builtins = {}});
  EXPECT_EQ(without->LevelFor(*tool_), "") << "there is no launcher";
}

class ExecutorBuiltin : public ExecutorTest {
 protected:
  void Use(std::string builtin, Effect effect) {
    Manifest manifest = ProcessManifest(effect);
    manifest.process.reset();
    manifest.builtin = std::move(builtin);
    manifest.result_schema = {{"type", "object"}, {"required", {"order_id"}}};
    tool_ = MakeTool(std::move(manifest));
  }
};

TEST_F(ExecutorBuiltin, RunsInProcessAndChecksItsResult) {
  Use("echo", Effect::kRead);
  auto outcome = Run(Spec());
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->kind, OutcomeKind::kOk);
  EXPECT_FALSE(outcome->sandboxed);
  CallSpec empty = Spec();
  empty.args = *tool_->ValidateArgs(std::string_view("{}"));
  outcome = Run(std::move(empty));
  EXPECT_EQ(outcome->kind, OutcomeKind::kFailed);
  EXPECT_EQ(outcome->error, "result does not fit its schema: `/` lacks `order_id`");
}

TEST_F(ExecutorBuiltin, AnUnknownOneDoesNotStart) {
  Use("absent", Effect::kRead);
  EXPECT_EQ(Run(Spec())->kind, OutcomeKind::kNotStarted);
}

TEST_F(ExecutorBuiltin, AnExceptionLeavesAnEffectUnknown) {
  Use("throws", Effect::kRead);
  EXPECT_EQ(Run(Spec())->kind, OutcomeKind::kFailed);
  Use("throws", Effect::kWrite);
  const auto outcome = Run(Spec());
  EXPECT_EQ(outcome->kind, OutcomeKind::kUnknown);
  EXPECT_EQ(outcome->error, "line\\nbroken");
}

TEST_F(ExecutorBuiltin, NeedsAPermitLikeAnyOther) {
  Use("echo", Effect::kRead);
  CallSpec spec = Spec();
  core::PermitTerms terms = Terms(spec);
  terms.args_digest[0] ^= 1;
  EXPECT_EQ(RunWith(std::move(terms), std::move(spec))->kind, OutcomeKind::kNotStarted);
}

}  // namespace
}  // namespace interlock::tools
