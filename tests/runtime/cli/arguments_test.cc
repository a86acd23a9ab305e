// Command lines that cannot work, and what is said about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "console.h"
#include "harness/temp_folder.h"

namespace interlock::runtime::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kId[] = "00000000-0000-7000-8000-000000000001";

struct BadLine {
  std::vector<std::string> words;
  std::string said;
};

class BadLines : public ::testing::TestWithParam<BadLine> {};

TEST_P(BadLines, EndWithTwoAndOneLineThatSaysWhatToDo) {
  const Ran ran = RunLine(GetParam().words);
  EXPECT_EQ(ran.code, kCouldNotTell);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, ::testing::StartsWith("error: "));
  EXPECT_THAT(ran.err, HasSubstr(GetParam().said));
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadLines,
    ::testing::Values(
        BadLine{{}, "see `interlock --help`"},
        BadLine{{"frob"}, "`interlock` has no command `frob`; see `interlock --help`"},
        BadLine{{"audit", "frob", "x"},
                "`interlock audit` has no command `frob`; see `interlock audit --help`"},
        BadLine{{"runs", "list", "--address", ""}, "the address of interlockd is empty"},
        BadLine{{"tools", "call", "t", "--args", "{}", "--proof", "/nonexistent/x", "--address",
                 "127.0.0.1:1"},
                "cannot write `/nonexistent/x`"},
        BadLine{{"runs"}, "see `interlock runs --help`"},
        BadLine{{"runs", "show"}, "RUN is required"},
        BadLine{{"runs", "show", "01a20879"},
                "RUN: `01a20879` is no run id (36 characters); `interlock runs list` shows them"},
        BadLine{{"runs", "watch", "01a20879"}, "no run id"},
        BadLine{{"runs", "message", "01a20879", "yes"}, "no run id"},
        BadLine{{"runs", "cancel", "01a20879"}, "no run id"},
        BadLine{{"runs", "replay", "01a20879", "--config", "c"}, "no run id"},
        BadLine{{"calls", "list", "--run", "01a20879"}, "--run: `01a20879` is no run id"},
        BadLine{{"approvals", "list", "--run", "01a20879"}, "no run id"},
        BadLine{{"audit", "entries", "--run", "01a20879"}, "no run id"},
        BadLine{{"audit", "query", "--run", "01a20879"}, "no run id"},
        BadLine{{"audit", "evidence", "--run", "01a20879", "--out", "o"}, "no run id"},
        BadLine{{"calls", "show", "x"},
                "`x` is no call id (36 characters); `interlock calls list`"},
        BadLine{{"calls", "resolve", "x", "--happened", "--reason", "r"}, "no call id"},
        BadLine{{"approvals", "show", "x"}, "`x` is no approval id (36 characters)"},
        BadLine{{"approvals", "approve", "x"}, "no approval id"},
        BadLine{{"approvals", "delegate", "x", "--to", "li"}, "no approval id"},
        BadLine{{"runs", "show", "tenants/main/runs/x", "--address", "127.0.0.1:1", "--timeout-ms",
                 "5000"},
                "no answer from"},
        BadLine{{"runs", "list", "--limit", "0"}, "--limit"},
        BadLine{{"runs", "replay", kId}, "--config is required"},
        BadLine{{"switches", "stop", "tool:pay"}, "--reason is required"},
        BadLine{{"rollouts", "set", "desk", "2", "10"}, "--reason is required"},
        BadLine{{"rollouts", "set", "desk", "2", "101", "--reason", "r"}, "PERCENT"},
        BadLine{{"runs", "list", "--limit", "many"}, "--limit"},
        BadLine{{"runs", "list", "--state", "asleep"},
                "no run state `asleep`; there are running, "},
        BadLine{{"run", "refund"}, "--message"}, BadLine{{"run", "--message", "x"}, "AGENT"},
        BadLine{{"approvals", "list", "--state", "maybe"},
                "no approval state `maybe`; there are pending, "},
        BadLine{{"approvals", "edit", kId}, "--args is required"},
        BadLine{{"calls", "list", "--state", "sleepy"},
                "no call state `sleepy`; there are proposed, denied, parked, "},
        BadLine{{"calls", "list", "--state", "ok", "--unknown"}, "excludes"},
        BadLine{{"calls", "resolve", kId, "--reason", "r"}, "--happened or --not-happened"},
        BadLine{{"calls", "resolve", kId, "--reason", "r", "--happened", "--not-happened"},
                "--happened or --not-happened"},
        BadLine{{"calls", "resolve", kId, "--happened"}, "--reason"},
        BadLine{{"tools", "call", "orders.get"}, "--args"},
        BadLine{{"tools", "check", "/nonexistent/folder"}, "no folder of manifests"},
        BadLine{{"tools", "check", ".", "--var", "no-equals"}, "NAME=VALUE"},
        BadLine{{"audit", "show", "-5"}, "INDEX: Value -5 not in range 0 to 9223372036854775807;"},
        BadLine{{"audit", "proof", "x"}, "INDEX: Value x not in range 0 to 9223372036854775807;"},
        BadLine{{"audit", "proof", "--since", "0"}, "--since: Value 0 not in range 1 to"},
        BadLine{{"runs", "list", "--token-file", "/"}, "cannot read the token file `/`"},
        BadLine{{"audit", "query", "--from", "yesterday"}, "`yesterday` is no time"},
        BadLine{{"audit", "verify", "/nonexistent/folder"}, "no audit.db in `/nonexistent/folder`"},
        BadLine{{"policy", "check", "/nonexistent/folder"}, "/nonexistent/folder"},
        BadLine{{"policy", "explain", ".", "--tool", "t"}, "--args"},
        BadLine{{"policy", "explain", ".", "--call", "c", "--tool", "t"}, "not both"},
        BadLine{{"sandbox", "exec", "--level", "perfect", "--", "/bin/true"}, "perfect"},
        BadLine{{"sandbox", "exec", "--mount", "relative", "--", "/bin/true"}, "/HOST[:/BOX][:rw]"},
        BadLine{{"eval", "/nonexistent.yaml", "--data", "/tmp", "--cases", "c"},
                "/nonexistent.yaml"},
        BadLine{{"eval", "s.yaml", "--data", "/tmp", "--cases", "c", "--jobs", "0"}, "--jobs"},
        BadLine{{"runs", "list", "--token-file", "/nonexistent/token"},
                "cannot read the token file"},
        BadLine{{"runs", "list", "--timeout-ms", "0"}, "--timeout-ms"}));

class PolicyFolderOf {
 public:
  explicit PolicyFolderOf(std::initializer_list<std::pair<const char*, const char*>> files) {
    for (const auto& [name, text] : files) std::ofstream(folder_.File(name)) << text;
  }
  Ran Check() const { return RunLine({"policy", "check", folder_.path()}); }

 private:
  interlock::test::TempFolder folder_;
};

TEST(PolicyCheck, SaysThatToolsWereNotCheckedWhereThereAreNone) {
  const PolicyFolderOf folder{{"desk.lua", R"(
policy "desk" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("orders.get", "read", function(c) return allow() end))"}};
  const Ran ran = folder.Check();
  EXPECT_EQ(ran.code, kYes) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("ok  1 file, 1 rule, "));
  EXPECT_THAT(ran.err, HasSubstr("note: no manifests were found"));
  EXPECT_THAT(ran.err, HasSubstr("give --tools FOLDER"));
}

TEST(PolicyCheck, AFolderWithoutPoliciesIsNoBundle) {
  const Ran ran = PolicyFolderOf({{"readme.txt", "policies come here"}}).Check();
  EXPECT_EQ(ran.code, kNo);
  EXPECT_THAT(ran.out, HasSubstr("holds no policies (*.lua): with it every call is denied"));
  EXPECT_THAT(ran.out, HasSubstr("[EMPTY]"));
}

TEST(Replay, AFolderWithoutPoliciesIsNoBundle) {
  const interlock::test::TempFolder folder;
  for (const char* name : {"agents", "tools", "policies", "scripts", "next"}) {
    std::filesystem::create_directory(folder.File(name));
  }
  std::ofstream(folder.File("c.yaml")) << R"(data_dir: data
listen: 127.0.0.1:0
origin: shop.example
tenants: [{id: main, policies: policies, tools: tools, agents: agents}]
principals:
  - {id: ops, tenant: main, roles: [operator],
     token_sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
planners:
  - {name: scripted, kind: scripted, folder: scripts}
)";
  const Ran ran = RunLine(
      {"runs", "replay", kId, "--config", folder.File("c.yaml"), "--bundle", folder.File("next")});
  EXPECT_EQ(ran.code, kCouldNotTell);
  EXPECT_EQ(ran.err, "error: `" + folder.File("next") +
                         "` holds no policies (*.lua): with it every call is denied\n");
}

TEST(CommandLine, SaysWhereItLookedWhenThereIsNoDaemon) {
  const Ran ran = RunLine({"runs", "list", "--address", "127.0.0.1:1", "--timeout-ms", "5000"});
  EXPECT_EQ(ran.code, kCouldNotTell);
  EXPECT_THAT(ran.err, HasSubstr("no answer from `127.0.0.1:1`"));
  EXPECT_THAT(ran.err, HasSubstr("--address"));
}

// gRPC would end the program over such a header.
TEST(CommandLine, RefusesATokenThatNoHeaderCanHold) {
  ::setenv("INTERLOCK_TOKEN", "abc\ndef", 1);
  const Ran ran = RunLine({"runs", "list", "--address", "127.0.0.1:1"});
  ::unsetenv("INTERLOCK_TOKEN");
  EXPECT_EQ(ran.code, kCouldNotTell);
  EXPECT_EQ(ran.err,
            "error: INTERLOCK_TOKEN holds no token: one line of printable ASCII is expected\n");
}

TEST(CommandLine, PutsErrorsIntoTheDocumentWithJson) {
  const Ran ran = RunLine({"runs", "list", "--state", "asleep", "--json"});
  EXPECT_EQ(ran.code, kCouldNotTell);
  EXPECT_EQ(ran.err, "");
  const core::Json document = core::Json::parse(ran.out);
  EXPECT_EQ(document["error"]["code"], "INVALID_ARGUMENT");
  EXPECT_THAT(document["error"]["message"].get<std::string>(), HasSubstr("asleep"));
}

TEST(CommandLine, HelpAndVersionEndWithZero) {
  const Ran help = RunLine({"--help"});
  EXPECT_EQ(help.code, kYes);
  for (const char* group : {"run", "runs", "approvals", "tools", "calls", "budgets", "switches",
                            "rollouts", "policy", "audit", "sandbox", "eval", "doctor"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + group));
  }
  EXPECT_THAT(RunLine({"--version"}).out, ::testing::StartsWith("interlock "));
}

TEST(CommandLine, TakesGlobalOptionsAfterTheCommandToo) {
  const Ran before = RunLine({"--json", "calls", "resolve", kId, "--reason", "r"});
  const Ran after = RunLine({"calls", "resolve", kId, "--reason", "r", "--json"});
  EXPECT_EQ(before.out, after.out);
  EXPECT_THAT(after.out, HasSubstr("\"error\""));
}

}  // namespace
}  // namespace interlock::runtime::cli
