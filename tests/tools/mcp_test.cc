// An MCP server in a box serves the calls of one run; a bad one fails one call and is gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <sstream>
#include <thread>

#include "core/clock.h"
#include "tools/executor.h"

namespace interlock::tools {
namespace {

using core::Json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kPython[] = "/usr/bin/python3";
constexpr char kNode[] = "/usr/bin/node";
constexpr std::chrono::seconds kPatience{120};

Json Pinned() {
  Json tools = Json::array();
  const std::pair<const char*, const char*> kTools[] = {
      {"add", "Adds."}, {"count", "Counts its calls."}, {"fail", "Fails."}};
  for (const auto& [name, description] : kTools) {
    tools.push_back(
        {{"description", description}, {"inputSchema", {{"type", "object"}}}, {"name", name}});
  }
  return tools;
}

class McpServers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto launcher = sandbox::StartLauncher(
        {.program = INTERLOCK_LAUNCHER, .pool_per_profile = 1, .state_file = ""});
    if (launcher.ok()) shared_launcher = *std::move(launcher);
  }
  static void TearDownTestSuite() { shared_launcher.reset(); }
  void SetUp() override {
    if (::access(kPython, X_OK) != 0) GTEST_SKIP() << "no python3";
    if (shared_launcher == nullptr) GTEST_SKIP() << "no sandbox on this machine";
    Executor({.launcher = shared_launcher.get(), .clock = &clock_, .builtins = {}});
    // What a box may see must be readable for all, all the way; the source tree need not be.
    char path[] = "/tmp/interlock-mcp-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    folder_ = path;
    ::chmod(path, 0755);
    std::ofstream(folder_ + "/server.py") << std::ifstream(INTERLOCK_MCP_SERVER).rdbuf();
  }
  void TearDown() override {
    executor_.reset();
    ::unlink((folder_ + "/server.py").c_str());
    ::rmdir(folder_.c_str());
  }
  void Executor(ExecutorOptions options) {
    executor_ = MakeExecutor(std::move(options));
    executor_->OnSessionEnd([this](SessionEnd end) {
      const std::lock_guard lock(mutex_);
      ends_.push_back(std::move(end));
      changed_.notify_all();
    });
  }

  Manifest ManifestOf(const std::string& mode, const std::string& tool, Effect effect) const {
    Manifest manifest;
    manifest.name = "small." + tool;
    manifest.description = "A tool of the small server.";
    manifest.input_schema = {{"type", "object"}};
    manifest.effect = effect;
    manifest.process = ProcessSpec{};
    manifest.process->command = {kPython, "-I", folder_ + "/server.py", mode};
    manifest.process->profile = sandbox::Profile::kPython;
    manifest.process->level_min = sandbox::Level::kLandlockOnly;
    manifest.process->mounts = {{folder_, folder_, sandbox::Access::kReadOnly}};
    manifest.limits.wall_ms = 60'000;
    manifest.mcp = McpSpec{.tool = tool, .pinned = Pinned()};
    return manifest;
  }

  // Begins a call; its outcome comes with the future.
  std::future<Outcome> Begin(Manifest manifest, const std::string& run,
                             const std::string& args = "{}") {
    auto tool = Tool::FromManifest(std::move(manifest));
    EXPECT_TRUE(tool.ok()) << tool.status();
    CallSpec spec;
    spec.tool = *tool;
    spec.args = *spec.tool->ValidateArgs(std::string_view(args));
    spec.session = Json::object();
    spec.run = run;
    spec.call_id = "call-" + std::to_string(++calls_);
    spec.idempotency_key = "key-1";
    spec.on_output = [this](const sandbox::Output& output) {
      const std::lock_guard lock(mutex_);
      shown_ += (output.is_stderr ? "!" : "|") + output.bytes;
    };
    core::PermitTerms terms{
        .call_id = spec.call_id,
        .tool_digest = spec.tool->digest(),
        .args_digest = spec.args.digest,
        .limits_digest = spec.tool->limits_digest(),
        .expires_monotonic_us = clock_.MonotonicMicros() + core::kPermitLifeMicros};
    auto promise = std::make_shared<std::promise<Outcome>>();
    handle_ = executor_->Run(mint_.Mint(std::move(terms)), std::move(spec),
                             [promise](Outcome o) { promise->set_value(std::move(o)); });
    return promise->get_future();
  }
  Outcome Run(const std::string& mode, const std::string& tool, const std::string& run,
              const std::string& args = "{}") {
    return Begin(ManifestOf(mode, tool, Effect::kRead), run, args).get();
  }
  // Pins what the server lists when it is asked in a box of its own, without us.
  static bool PinOf(Manifest& manifest) {
    sandbox::BoxSpec box;
    box.profile = manifest.process->profile;
    box.level_min = manifest.process->level_min;
    box.argv = manifest.process->command;
    box.mounts = manifest.process->mounts;
    box.limits = manifest.limits;
    box.stdin_bytes =
        R"({"id":1,"jsonrpc":"2.0","method":"initialize","params":{"capabilities":{},)"
        R"("clientInfo":{"name":"x","version":"1"},"protocolVersion":"2025-06-18"}})"
        "\n"
        R"({"jsonrpc":"2.0","method":"notifications/initialized"})"
        "\n"
        R"({"id":2,"jsonrpc":"2.0","method":"tools/list","params":{}})"
        "\n";
    std::promise<std::string> promise;
    shared_launcher->Run(std::move(box), [&promise](sandbox::BoxResult result) {
      promise.set_value(std::move(result.stdout_bytes));
    });
    std::istringstream lines(promise.get_future().get());
    for (std::string line; std::getline(lines, line);) {
      auto reply = core::ParseJson(line, core::kPayloadLimits);
      if (!reply.ok() || !reply->contains("result")) continue;
      if (!(*reply)["result"].contains("tools")) continue;
      Json tools = (*reply)["result"]["tools"];
      std::sort(tools.begin(), tools.end(),
                [](const Json& a, const Json& b) { return a["name"] < b["name"]; });
      manifest.mcp->pinned = std::move(tools);
      return true;
    }
    return false;
  }
  // Servers of this test that live; a box's processes are seen from outside.
  int Running() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline");
      std::string line;
      std::getline(file, line);
      if (line.find(folder_ + "/server.py") != std::string::npos) ++count;
    }
    return count;
  }
  // Waits for the end of that many servers. Fewer would have hung for ever.
  std::vector<SessionEnd> Ends(std::size_t count) {
    std::unique_lock lock(mutex_);
    const bool ended = changed_.wait_for(lock, kPatience, [&] { return ends_.size() >= count; });
    EXPECT_TRUE(ended) << "servers live on";
    std::vector<SessionEnd> ends = ends_;
    ends.resize(std::max(count, ends.size()));
    return ends;
  }
  static std::string Brief(const Outcome& outcome) {
    return std::string(OutcomeKindName(outcome.kind)) + " " + outcome.error_code;
  }

  static std::unique_ptr<sandbox::Launcher> shared_launcher;
  core::SystemClock clock_;
  core::PermitMint mint_;
  std::unique_ptr<tools::Executor> executor_;
  std::string folder_;
  int calls_ = 0;
  std::uint64_t handle_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<SessionEnd> ends_;
  std::string shown_;
};
std::unique_ptr<sandbox::Launcher> McpServers::shared_launcher;

TEST_F(McpServers, OneServesTheCallsOfARunAndDiesWithIt) {
  const Outcome first = Run("good", "count", "r1");
  ASSERT_EQ(first.kind, OutcomeKind::kOk) << first.error;
  EXPECT_EQ(first.result["content"][0]["text"], "1");
  EXPECT_FALSE(first.sandboxed);
  EXPECT_EQ(Run("good", "count", "r1").result["content"][0]["text"], "2");
  EXPECT_EQ(Run("good", "count", "r2").result["content"][0]["text"], "1") << "another run";
  executor_->EndRun("r1");
  const std::vector<SessionEnd> ends = Ends(1);
  EXPECT_EQ(ends[0].run, "r1");
  EXPECT_EQ(ends[0].calls, 2);
  EXPECT_EQ(ends[0].why, "");
  EXPECT_EQ(ends[0].box.kind, sandbox::EndKind::kExit) << ends[0].box.detail;
  EXPECT_THAT(ends[0].command, HasSubstr("server.py good"));
  EXPECT_EQ(Run("good", "count", "r2").result["content"][0]["text"], "2") << "it lives on";
}

TEST_F(McpServers, ACallWithoutARunHasOneOfItsOwn) {
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = Run("good", "count", "");
    ASSERT_EQ(outcome.kind, OutcomeKind::kOk) << outcome.error;
    EXPECT_EQ(outcome.result["content"][0]["text"], "1");
    EXPECT_TRUE(outcome.sandboxed) << "the box has ended";
  }
}

TEST_F(McpServers, ResultsFailuresAndWhatIsShown) {
  const Outcome sum = Run("good", "add", "r1", R"({"a": 19, "b": 23})");
  ASSERT_EQ(sum.kind, OutcomeKind::kOk) << sum.error;
  EXPECT_EQ(sum.result["sum"], 42);
  EXPECT_EQ(sum.result["meta"]["interlock/call_id"], "call-1");
  EXPECT_EQ(sum.result["meta"]["interlock/idempotency_key"], "key-1");
  const Outcome failure = Run("good", "fail", "r1");
  EXPECT_EQ(Brief(failure), "failed TOOL_ERROR");
  EXPECT_EQ(failure.error, "it broke\\u{1b}[2J");
  EXPECT_TRUE(failure.reported_failure);
  // The server raises on arguments that it does not expect, and ends.
  const Outcome died = Run("good", "add", "r1", "{}");
  EXPECT_EQ(Brief(died), "failed EXIT_1");
  EXPECT_THAT(died.error, HasSubstr("KeyError"));
  EXPECT_EQ(Run("good", "count", "r1").result["content"][0]["text"], "1") << "a new one";
  const std::lock_guard lock(mutex_);
  EXPECT_THAT(shown_, HasSubstr("!at add\n")) << "stderr is shown";
  EXPECT_EQ(shown_.find('|'), std::string::npos) << "stdout is the protocol's";
}

TEST_F(McpServers, CallsOfARunWaitForEachOther) {
  std::vector<std::future<Outcome>> outcomes;
  outcomes.reserve(8);
  for (int i = 0; i < 8; ++i) {
    outcomes.push_back(Begin(ManifestOf("good", "count", Effect::kRead), "r1"));
  }
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(outcomes[static_cast<std::size_t>(i)].get().result["content"][0]["text"],
              std::to_string(i + 1));
  }
}

struct Bad {
  const char* mode;
  const char* brief;
  const char* error;
  const char* why = "";  // what operators hear besides; callers hear no word of the server
};
inline std::ostream& operator<<(std::ostream& out, const Bad& bad) { return out << bad.mode; }
class BadServers : public McpServers, public ::testing::WithParamInterface<Bad> {};

TEST_P(BadServers, FailOneCallAndAreGone) {
  const Bad& bad = GetParam();
  Manifest manifest = ManifestOf(bad.mode, "count", Effect::kRead);
  const std::string_view mode = bad.mode;
  if (mode != "never-starts" && mode != "does-not-start" && mode != "lists-more") {
    EXPECT_EQ(Brief(Run(bad.mode, "fail", "r1")), "failed TOOL_ERROR") << "so far all is well";
  }
  if (mode.starts_with("never") || mode.starts_with("stops")) manifest.limits.wall_ms = 2000;
  const Outcome outcome = Begin(manifest, "r1").get();
  EXPECT_EQ(Brief(outcome), bad.brief);
  EXPECT_THAT(outcome.error, StartsWith(bad.error));
  EXPECT_EQ(outcome.error.find('\n'), std::string::npos);
  const std::vector<SessionEnd> ends = Ends(1);
  EXPECT_NE(ends[0].why, "") << "it was not its run that ended";
  EXPECT_THAT(ends[0].why, HasSubstr(bad.why));
  EXPECT_EQ(Run("good", "count", "r1").kind, OutcomeKind::kOk) << "the twin, in the same run";
}

INSTANTIATE_TEST_SUITE_P(
    Modes, BadServers,
    ::testing::Values(
        Bad{"dies", "failed EXIT_3",
            "the MCP server ended before it answered: exit status 3: at fail\\nno more"},
        Bad{"floods", "violation OUTPUT", "stdout passed its limit of 1048576 bytes"},
        Bad{"chatters", "failed BAD_RESULT",
            "the MCP server broke the protocol: more than 4096 notifications"},
        Bad{"babbles", "failed BAD_RESULT",
            "the MCP server broke the protocol: stdout holds a line that is no message"},
        Bad{"answers-another", "failed BAD_RESULT",
            "the MCP server broke the protocol: a reply with `id` 5 answers nothing"},
        Bad{"never-answers", "timeout TIMEOUT", "the MCP server did not answer in time"},
        Bad{"stops-the-clock", "timeout TIMEOUT", "the MCP server did not answer in time"},
        Bad{"never-starts", "not_started DEADLINE", "the MCP server was not ready in time"},
        Bad{"does-not-start", "not_started SETUP", "the MCP server ended before it took this call",
            "exit status 1: no licence"},
        Bad{"lists-more", "not_started REFUSED",
            "the MCP server does not list the tools that are pinned",
            "the server lists tool `nuke`, which is not pinned"}),
    [](const auto& item) {
      std::string name = item.param.mode;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST_F(McpServers, OneThatGrowsAToolIsRefusedBeforeItsNextCall) {
  const Outcome first = Run("grows-a-tool", "count", "r1");
  ASSERT_EQ(first.kind, OutcomeKind::kOk) << first.error;
  const Outcome second = Run("grows-a-tool", "count", "r1");
  EXPECT_EQ(Brief(second), "not_started REFUSED");
  EXPECT_EQ(second.error, "the MCP server does not list the tools that are pinned");
  const SessionEnd end = Ends(1)[0];
  EXPECT_EQ(end.calls, 1);
  EXPECT_TRUE(end.refused);
  EXPECT_EQ(end.why, "the server lists tool `nuke`, which is not pinned");
}

TEST_F(McpServers, OneThatAnswersTwiceIsEnded) {
  const Outcome outcome = Run("answers-twice", "count", "r1");
  // Both replies may come at once, or the second when the first was taken already.
  if (outcome.kind != OutcomeKind::kOk) {
    EXPECT_EQ(Brief(outcome), "failed BAD_RESULT");
  }
  EXPECT_THAT(Ends(1)[0].why, HasSubstr("answers nothing that was asked"));
}

TEST_F(McpServers, WhoWaitsBehindABadCallIsToldThatNothingRan) {
  EXPECT_EQ(Brief(Run("dies", "fail", "r1")), "failed TOOL_ERROR");
  auto first = Begin(ManifestOf("dies", "count", Effect::kRead), "r1");
  auto second = Begin(ManifestOf("dies", "count", Effect::kRead), "r1");
  EXPECT_EQ(Brief(first.get()), "failed EXIT_3");
  const Outcome waited = second.get();
  // It may also have come when the first one was dead, and had a server of its own.
  if (waited.kind == OutcomeKind::kNotStarted) {
    EXPECT_EQ(Brief(waited), "not_started SETUP");
  } else {
    EXPECT_EQ(Brief(waited), "failed EXIT_3");
  }
}

TEST_F(McpServers, CancelEndsTheServer) {
  auto outcome = Begin(ManifestOf("never-answers", "count", Effect::kRead), "r1");
  executor_->Cancel(handle_);
  const Outcome cancelled = outcome.get();
  EXPECT_EQ(cancelled.error_code, "CANCELLED") << Brief(cancelled);
  EXPECT_NE(Ends(1)[0].why, "");
}

TEST_F(McpServers, TheIdlestMakesRoomAndBusyOnesDoNot) {
  Executor(
      {.launcher = shared_launcher.get(), .clock = &clock_, .builtins = {}, .sessions_max = 1});
  EXPECT_EQ(Run("good", "count", "r1").kind, OutcomeKind::kOk);
  EXPECT_EQ(Run("good", "count", "r2").kind, OutcomeKind::kOk);
  EXPECT_EQ(Ends(1)[0].why, "another run needed its place");
  auto busy = Begin(ManifestOf("never-answers", "count", Effect::kRead), "r3");
  const std::uint64_t handle = handle_;
  const Outcome refused = Run("good", "count", "r4");
  EXPECT_EQ(Brief(refused), "not_started REFUSED");
  EXPECT_THAT(refused.error, HasSubstr("are busy"));
  executor_->Cancel(handle);
  EXPECT_EQ(busy.get().error_code, "CANCELLED");
}

// A server that others wrote (`./dev peers` fetches it), pinned as it says itself it is. node loads
// it from beneath INTERLOCK_PEERS, so that folder is seen whole.
TEST_F(McpServers, TheFileSystemServerOfTheProtocolsAuthorsWorks) {
  const char* const peers = std::getenv("INTERLOCK_PEERS");
  if (peers == nullptr) GTEST_SKIP() << "set INTERLOCK_PEERS to a folder of ./dev peers";
  if (::access(kNode, X_OK) != 0) GTEST_SKIP() << "no node in /usr/bin";
  const std::string program =
      std::string(peers) + "/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js";
  if (::access(program.c_str(), R_OK) != 0) GTEST_SKIP() << "no server-filesystem there";
  std::ofstream(folder_ + "/note.txt") << "from outside";
  Manifest manifest = ManifestOf("good", "read_text_file", Effect::kRead);
  manifest.process->command = {kNode, program, folder_};
  manifest.process->profile = sandbox::Profile::kNode;
  manifest.process->mounts.push_back({peers, peers, sandbox::Access::kReadOnly});
  manifest.limits.memory_bytes = std::int64_t{1} << 30;
  // It lists more than the fixture's three: refused by name, until its own list is pinned.
  manifest.mcp->pinned = Json::array({Json{{"name", "read_text_file"}}});
  const Outcome refused = Begin(manifest, "r1", R"({"path": "note.txt"})").get();
  EXPECT_EQ(Brief(refused), "not_started REFUSED") << refused.error;
  EXPECT_THAT(Ends(1)[0].why, HasSubstr("which is not pinned"));
  ASSERT_TRUE(PinOf(manifest)) << "the server gave no list of tools";
  const Outcome read = Begin(manifest, "r1", Json{{"path", folder_ + "/note.txt"}}.dump()).get();
  ASSERT_EQ(read.kind, OutcomeKind::kOk) << read.error;
  EXPECT_EQ(read.result["content"], "from outside");
  const Outcome outside = Begin(manifest, "r1", R"({"path": "/etc/passwd"})").get();
  EXPECT_EQ(Brief(outside), "failed TOOL_ERROR");
  EXPECT_TRUE(outside.reported_failure);
  ::unlink((folder_ + "/note.txt").c_str());
}

TEST_F(McpServers, TheEndOfTheExecutorEndsThem) {
  EXPECT_EQ(Run("good", "count", "r1").kind, OutcomeKind::kOk);
  EXPECT_EQ(Running(), 1);
  executor_.reset();
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (Running() > 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(Running(), 0);
}

}  // namespace
}  // namespace interlock::tools
