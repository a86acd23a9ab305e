#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "harness/temp_folder.h"
#include "tools/tool.h"

namespace interlock::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kRefund[] = R"(name: refunds.create
description: Refund one payment.
input:
  type: object
  additionalProperties: false
  required: [order_id, amount]
  properties:
    order_id: {type: string, pattern: "^o-[0-9]{1,9}$"}
    amount: {type: string}
effect: money
effect_key: "refund:{args.order_id}"
locks: ["order:{args.order_id}", "a:{session.shop}"]
idempotency: {supported: true, window_ms: 86400000}
reconcile: {tool: refunds.find, args: {key: "{call.idempotency_key}"}, settle_after_ms: 5}
failure: no_effect
trust: trusted
money: {amount: amount, currency: currency}
limits: {wall_ms: 500, memory_bytes: 64MiB}
sandbox: {profile: python, level: landlock-only}
process:
  command: [/usr/bin/python3, -I, ./shop.py, refund]
  mounts: [{host: "${shop_dir}/{session.shop}", access: read-write}]
  env: {SHOP_DB: "${shop_dir}/{session.shop}/shop.db"}
---
name: refunds.find
description: Finds a refund.
input: '{"type":"object","required":["key"],"properties":{"key":{"type":"string"}}}'
effect: read
builtin: find
)";

class RegistryTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
  }
  core::StatusOr<std::shared_ptr<const Registry>> Load() {
    return Registry::Load(folder_, {{"shop_dir", "/srv/shop"}});
  }
  // The message of Load without the folder; "ok".
  std::string LoadError() {
    const auto registry = Load();
    if (registry.ok()) return "ok";
    std::string message(core::Message(registry.status()));
    for (std::size_t at; (at = message.find(folder_ + "/")) != std::string::npos;) {
      message.erase(at, folder_.size() + 1);
    }
    return message;
  }
  // Replaces one line of the refund manifest and loads it.
  std::string ErrorWith(const std::string& from, const std::string& to) {
    std::string text = kRefund;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    Write("refund.yaml", text);
    return LoadError();
  }

  const test::TempFolder temp_;
  const std::string folder_ = temp_.path();
};

TEST_F(RegistryTest, ReadsEveryKey) {
  Write("refund.yaml", kRefund);
  const auto registry = Load();
  ASSERT_TRUE(registry.ok()) << registry.status();
  ASSERT_EQ((*registry)->tools().size(), 2u);
  const auto tool = (*registry)->Find("refunds.create");
  ASSERT_NE(tool, nullptr);
  const Manifest& manifest = tool->manifest();
  EXPECT_EQ(manifest.effect, Effect::kMoney);
  EXPECT_EQ(manifest.idempotency.window_ms, 86'400'000);
  EXPECT_EQ(manifest.reconcile->settle_after_ms, 5);
  EXPECT_EQ(manifest.failure, FailureMeaning::kNoEffect);
  EXPECT_EQ(manifest.trust, ResultTrust::kTrusted);
  EXPECT_EQ(manifest.limits.wall_ms, 500);
  EXPECT_EQ(manifest.limits.memory_bytes, 64 << 20);
  EXPECT_EQ(manifest.limits.pids, sandbox::Limits().pids);
  EXPECT_EQ(manifest.process->profile, sandbox::Profile::kPython);
  EXPECT_EQ(manifest.process->level_min, sandbox::Level::kLandlockOnly);
  EXPECT_EQ(manifest.source, folder_ + "/refund.yaml:1");
  EXPECT_EQ((*registry)->Find("refunds.find")->manifest().source, folder_ + "/refund.yaml:25");
  EXPECT_EQ((*registry)->Find("refunds"), nullptr);
}

TEST_F(RegistryTest, PathsStartAtTheManifestAndVariablesAreFilled) {
  Write("refund.yaml", kRefund);
  const auto registry = Load();
  ASSERT_TRUE(registry.ok()) << registry.status();
  const ProcessSpec& process = *(*registry)->Find("refunds.create")->manifest().process;
  EXPECT_THAT(process.command,
              ElementsAre("/usr/bin/python3", "-I", folder_ + "/shop.py", "refund"));
  ASSERT_EQ(process.mounts.size(), 2u);
  EXPECT_EQ(process.mounts[0].host_path, "/srv/shop/{session.shop}");
  EXPECT_EQ(process.mounts[0].box_path, "/srv/shop/{session.shop}");
  EXPECT_EQ(process.mounts[0].access, sandbox::Access::kReadWrite);
  EXPECT_EQ(process.mounts[1].host_path, folder_ + "/shop.py");
  EXPECT_EQ(process.mounts[1].access, sandbox::Access::kReadOnly);
  EXPECT_EQ(process.env.at(0).second, "/srv/shop/{session.shop}/shop.db");
}

TEST_F(RegistryTest, TheOrderOfKeysAndFilesDoesNotMoveTheDigest) {
  Write("a.yaml", "name: t\ndescription: d\ninput: {type: object}\neffect: read\nbuiltin: b\n");
  const auto first = Load();
  ASSERT_TRUE(first.ok()) << first.status();
  Write("a.yaml", "");
  Write("b.yaml",
        "builtin: b\neffect: read\ninput: '{\"type\":\"object\"}'\ndescription: d\nname: t\n");
  const auto second = Load();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*first)->Find("t")->digest(), (*second)->Find("t")->digest());
  EXPECT_EQ((*first)->Find("t")->digest(), core::Sha256((*first)->Find("t")->canonical_manifest()));
}

TEST_F(RegistryTest, TheLimitsDigestMovesWithWhatRunsAndNothingElse) {
  const auto limits_of = [&](const std::string& from, const std::string& to) {
    EXPECT_EQ(ErrorWith(from, to), "ok");
    return (*Load())->Find("refunds.create")->limits_digest();
  };
  const core::Digest base = limits_of("failure", "failure");
  EXPECT_EQ(limits_of("failure: no_effect", "failure: unknown"), base);
  EXPECT_EQ(limits_of("Refund one payment.", "Refund it."), base);
  EXPECT_NE(limits_of("wall_ms: 500", "wall_ms: 501"), base);
  EXPECT_NE(limits_of("level: landlock-only", "level: full"), base);
  EXPECT_NE(limits_of("access: read-write", "access: read-only"), base);
  EXPECT_NE(limits_of("shop.py, refund]", "shop.py, return]"), base);
  EXPECT_NE(limits_of("profile: python", "profile: node"), base);
  EXPECT_NE(limits_of("/shop.db\"", "/other.db\""), base);
  EXPECT_NE(limits_of("process:", "process:\n  connect: [\"db.example:5432\"]"), base);
}

TEST_F(RegistryTest, PlacesToConnectToArePartOfWhatRuns) {
  const auto load = [&](const std::string& keys) {
    EXPECT_EQ(ErrorWith("process:", "process:\n  " + keys), "ok") << keys;
    return (*Load())->Find("refunds.create");
  };
  const auto tool =
      load("connect: [\"db.example:5432\", \"10.20.0.7:80\"]\n  networks: [10.20.0.0/16]");
  const ProcessSpec& process = *tool->manifest().process;
  ASSERT_EQ(process.connect.size(), 2u);
  EXPECT_EQ(process.connect[0].host, "db.example");
  EXPECT_EQ(process.connect[0].port, 5432);
  EXPECT_EQ(process.connect[1].port, 80);
  EXPECT_THAT(process.networks, ElementsAre("10.20.0.0/16"));
  EXPECT_NE(tool->digest(), load("connect: [\"db.example:5432\"]")->digest());
  // A manifest without them is digested as before there were any.
  EXPECT_THAT(load("work_dir: /")->canonical_manifest(), Not(HasSubstr("connect")));
}

TEST_F(RegistryTest, QuotasAndArtifactsArePartOfWhatRuns) {
  EXPECT_EQ(ErrorWith("access: read-write", "access: read-write, quota_bytes: 2MiB"), "ok");
  const auto quota = (*Load())->Find("refunds.create");
  EXPECT_EQ(quota->manifest().process->mounts[0].quota.bytes, 2 << 20);
  EXPECT_EQ(quota->manifest().process->mounts[0].quota.files, 16'384);
  EXPECT_THAT(quota->canonical_manifest(), HasSubstr("\"quota_bytes\":2097152"));
  EXPECT_EQ(ErrorWith("process:",
                      "process:\n  artifacts: {folder: \"${shop_dir}/{session.shop}/out\", "
                      "files: [report.pdf, plots/], bytes: 2MiB}"),
            "ok");
  const auto tool = (*Load())->Find("refunds.create");
  ASSERT_TRUE(tool->manifest().process->artifacts.has_value());
  const ArtifactSpec& artifacts = *tool->manifest().process->artifacts;
  EXPECT_TRUE(artifacts.folder.ends_with("/{session.shop}/out")) << artifacts.folder;
  EXPECT_THAT(artifacts.files, ElementsAre("report.pdf", "plots/"));
  EXPECT_EQ(artifacts.limits.bytes_max, 2u << 20);
  EXPECT_EQ(artifacts.limits.files_max, kArtifactsMax);
  EXPECT_NE(tool->digest(), quota->digest());
}

struct Bad {
  const char* from;
  const char* to;
  const char* error;
};
class RegistryRefuses : public RegistryTest, public ::testing::WithParamInterface<Bad> {};

TEST_P(RegistryRefuses, NamingFileAndLine) {
  EXPECT_THAT(ErrorWith(GetParam().from, GetParam().to), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    All, RegistryRefuses,
    ::testing::Values(
        Bad{"failure: no_effect", "failures: no_effect", "refund.yaml:15: unknown key `failures`"},
        Bad{"wall_ms: 500", "wall_s: 5", "refund.yaml:18: unknown key `wall_s` in limits"},
        Bad{"wall_ms: 500", "wall_ms: 0", "refund.yaml:18: `wall_ms` must be an integer from 1"},
        Bad{"wall_ms: 500", "wall_ms: -5", "`wall_ms` must be an integer from 1"},
        Bad{"name: refunds.create", "name: Refunds", "tool name `Refunds` must be"},
        Bad{"name: refunds.create", "name: a..b", "tool name `a..b` must be"},
        Bad{"name: refunds.create", "nam: a", "refund.yaml:1: the manifest needs `name`"},
        Bad{"effect: money", "effect: free", "refund.yaml:10: `effect` must be one of"},
        Bad{"effect_key: \"refund:{args.order_id}\"", "", "effect money needs `effect_key`"},
        Bad{"{args.order_id}\"\nlocks", "{args.payment}\"\nlocks",
            "`effect_key` uses `args.payment`, which `input` does not have"},
        Bad{"[order_id, amount]", "[amount]",
            "`effect_key` uses `args.order_id`, which `input` does not require"},
        Bad{"refund:{args", "refund:{arg", "unknown name `arg`"},
        Bad{"a:{session.shop}", "a:{session.shop", "is never closed"},
        Bad{"tool: refunds.find", "tool: refunds.none", "names an unknown tool `refunds.none`"},
        Bad{"{key: \"{call.idem", "{kee: \"{call.idem", "`reconcile.args` lacks `key`"},
        Bad{"{call.idempotency_key}", "{session.x}", "`reconcile.args`: template"},
        Bad{"effect: read", "effect: write", "`refunds.find` is of effect write"},
        Bad{"window_ms: 86400000", "window_ms: 0", "refund.yaml:13: `window_ms` must be"},
        Bad{", window_ms: 86400000", "", "`idempotency` needs `supported: true` together with"},
        Bad{"type: object", "type: array", "`input` must be a schema with `type: object`"},
        Bad{"pattern:", "patern:", "schema at `/properties/order_id/patern`: unknown keyword"},
        Bad{"'{\"type\"", "'{type", "refund.yaml:27: schema is not json"},
        Bad{"builtin: find", "", "needs exactly one of `process`, `http` and `builtin`"},
        Bad{"builtin: find", "builtin: find\nsandbox: {level: full}", "only for a process tool"},
        Bad{"${shop_dir}/{", "${shop}/{", "refund.yaml:22: unknown variable `shop`"},
        Bad{"/usr/bin/python3, -I", "python3, -I", "command `python3` must be an absolute path"},
        Bad{"[/usr/bin/python3, -I, ./shop.py, refund]", "[]", "`command` must have 1 to"},
        Bad{"access: read-write", "access: rw", "`access` must be one of"},
        Bad{"access: read-write", "box: /db", "cannot be moved at level landlock-only"},
        Bad{"host: \"${shop_dir}/{session.shop}\"", "host: /", "a mount of `/` would undo the box"},
        Bad{"/{session.shop}\", access", "/{args.shop}\", access", "unknown name `args`"},
        Bad{"process:", "process:\n  connect: [db.example]",
            "connect `db.example` must be host:port, the host in lower case"},
        Bad{"process:", "process:\n  connect: [\"db.example:0\"]", "must be host:port"},
        Bad{"process:", "process:\n  connect: [\"db.example:65536\"]", "must be host:port"},
        Bad{"process:", "process:\n  connect: [\"db.example:80x\"]", "must be host:port"},
        Bad{"process:", "process:\n  connect: [\"DB.example:80\"]", "must be host:port"},
        Bad{"process:", "process:\n  connect: [\"http://db.example:80\"]", "must be host:port"},
        Bad{"process:", "process:\n  connect: [\":80\"]", "must be host:port"},
        Bad{"process:", "process:\n  networks: [10.0.0.0/8]", "has no meaning without `connect`"},
        Bad{"process:", "process:\n  connect: [\"a.b:1\"]\n  networks: [0.0.0.0/0]", "0.0.0.0/0"},
        Bad{"access: read-write", "quota_bytes: 1MiB", "`quota_bytes` has no meaning there"},
        Bad{"access: read-write", "access: read-write, quota_files: 5",
            "`quota_files` has no meaning without `quota_bytes`"},
        Bad{"access: read-write", "access: read-write, quota_bytes: 0", "`quota_bytes` must be"},
        Bad{"process:", "process:\n  artifacts: {folder: /srv/elsewhere, files: [a]}",
            "must lie in a mount with `access: read-write`"},
        Bad{"process:", "process:\n  artifacts: {folder: \"${shop_dir}/{session.shop}\"}",
            "artifacts `files` must name 1 to 32"},
        Bad{"process:",
            "process:\n  artifacts: {folder: \"${shop_dir}/{session.shop}\", files: [../a]}",
            "artifact `../a` must be a plain path below the folder"},
        Bad{"process:",
            "process:\n  artifacts: {folder: \"${shop_dir}/{session.shop}\", files: [/a]}",
            "artifact `/a` must be a plain path below the folder"},
        Bad{"SHOP_DB:", "LD_PRELOAD:", "env name `LD_PRELOAD` must be"},
        Bad{"SHOP_DB:", "INTERLOCK_CALL_ID:", "env name `INTERLOCK_CALL_ID` must be"},
        Bad{"name: refunds.find", "name: refunds.create", "the name is taken twice"},
        Bad{"money: {amount: amount, currency: currency}", "money: {amount: amount}",
            "`money` needs one of `currency`"},
        Bad{"currency: currency}", "currency_code: XXQ}", "unknown currency `XXQ`"},
        Bad{"level: landlock-only", "level: half", "`level` must be one of"},
        Bad{"description: Finds a refund.", "description: ''",
            "the manifest needs `description`"}));

TEST_F(RegistryTest, AManifestFileThatWouldBeOverlookedIsAnError) {
  Write("refund.yml", kRefund);
  EXPECT_THAT(LoadError(), HasSubstr("call it .yaml"));
}

TEST_F(RegistryTest, TakesSchemasFromAFile) {
  Write("all.json", R"([{"function":{"name":"a","parameters":{"type":"string"}}},
      {"function":{"name":"b","parameters":{"type":"object","required":["x"]}}}])");
  const auto manifest = [](const std::string& pointer) {
    return "name: b\ndescription: d\ninput_from: {file: all.json, pointer: \"" + pointer +
           "\"}\neffect: read\nbuiltin: b\n";
  };
  for (const char* pointer : {"/1/function/parameters", "/function.name=b/function/parameters"}) {
    Write("b.yaml", manifest(pointer));
    const auto registry = Load();
    ASSERT_TRUE(registry.ok()) << registry.status();
    EXPECT_TRUE((*registry)->Find("b")->ValidateArgs(std::string_view(R"({"x":1})")).ok());
    EXPECT_FALSE((*registry)->Find("b")->ValidateArgs(std::string_view("{}")).ok());
  }
  Write("b.yaml", manifest("/function.name=z/function/parameters"));
  EXPECT_THAT(LoadError(), HasSubstr("b.yaml:3: "));
}

// The example of docs/tools.md is what people copy.
TEST_F(RegistryTest, TheExampleOfTheDocumentationLoads) {
  std::ifstream stream(INTERLOCK_SOURCE_DIR "/docs/tools.md", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(stream)),
                         std::istreambuf_iterator<char>());
  const std::string open = "```yaml\n";
  const std::size_t start = text.find(open);
  ASSERT_NE(start, std::string::npos);
  const std::size_t end = text.find("```", start + open.size());
  Write("docs.yaml", text.substr(start + open.size(), end - start - open.size()));
  const auto registry = Load();
  ASSERT_TRUE(registry.ok()) << registry.status();
  EXPECT_NE((*registry)->Find("refunds.create"), nullptr);
  EXPECT_NE((*registry)->Find("refunds.find"), nullptr);
}

class ToolTest : public RegistryTest {
 protected:
  void SetUp() override {
    RegistryTest::SetUp();
    Write("refund.yaml", kRefund);
    const auto registry = Load();
    ASSERT_TRUE(registry.ok()) << registry.status();
    tool_ = (*registry)->Find("refunds.create");
  }
  std::string ArgsError(std::string_view text) const {
    const auto args = tool_->ValidateArgs(text);
    return args.ok() ? "ok" : std::string(core::Message(args.status()));
  }
  std::shared_ptr<const Tool> tool_;
};

TEST_F(ToolTest, ArgumentsHaveOneByteForm) {
  const auto a = tool_->ValidateArgs(std::string_view(R"({"order_id":"o-1","amount":"1"})"));
  const auto b =
      tool_->ValidateArgs(std::string_view("{ \"amount\":\"\\u0031\", \"order_id\": \"o-1\" }"));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->text, R"({"amount":"1","order_id":"o-1"})");
  EXPECT_EQ(a->text, b->text);
  EXPECT_EQ(a->digest, core::Sha256(a->text));
  const auto c = tool_->ValidateArgs(b->value);
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->digest, a->digest);
}

TEST_F(ToolTest, HostileArgumentsAreRefusedInOneLine) {
  EXPECT_EQ(ArgsError(R"({"order_id":"o-1","amount":5})"),
            "arguments of `refunds.create`: `/amount` must be a string, not an integer");
  EXPECT_THAT(ArgsError(R"({"order_id":"o-1","order_id":"o-2","amount":"1"})"),
              HasSubstr("duplicate key"));
  EXPECT_THAT(ArgsError(R"({"order_id":"o-1","amount":NaN})"), HasSubstr("not JSON"));
  EXPECT_THAT(ArgsError(R"({"order_id":"o-1","amount":9223372036854775808})"),
              HasSubstr("integer beyond"));
  EXPECT_THAT(ArgsError("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(ArgsError(""), HasSubstr("not JSON"));
  EXPECT_THAT(ArgsError("{\"order_id\":\"o-1\n\"}"), HasSubstr("not JSON"));
  EXPECT_THAT(ArgsError(R"({"order_id":"o-1\n","amount":"1"})"),
              HasSubstr("does not match its pattern"));
  const std::string huge = "{\"order_id\":\"" + std::string(1 << 20, 'a') + "\"}";
  EXPECT_EQ(tool_->ValidateArgs(std::string_view(huge)).status().code(),
            core::StatusCode::kResourceExhausted);
  for (const char* text : {"[[[[", "{\"a\":\"\xff\"}"}) {
    EXPECT_EQ(ArgsError(text).find('\n'), std::string::npos);
  }
}

TEST_F(ToolTest, KeysAreFilledAndSorted) {
  const core::Json scope = {{"args", {{"order_id", "o-1:x"}}},
                            {"session", {{"shop", "s"}}},
                            {"call", {{"id", "c"}}},
                            {"tenant", "main"}};
  EXPECT_EQ(*tool_->EffectKey(scope).value(), "refund:o-1%3Ax");
  EXPECT_THAT(tool_->Locks(scope).value(), ElementsAre("a:s", "order:o-1%3Ax"));
  EXPECT_FALSE(tool_->EffectKey({{"args", core::Json::object()}}).ok());
}

constexpr char kNotes[] = R"(name: notes.search
description: Finds notes.
effect: read
process: {command: [/usr/bin/python3, -I, ./notes.py]}
mcp: {tool: search, tools_from: notes.json}
)";
constexpr char kNotesTools[] =
    R"({"id":2,"jsonrpc":"2.0","result":{"tools":[{"name":"write"},{"name":"search",)"
    R"("inputSchema":{"type":"object","required":["q"],"properties":{"q":{"type":"string"}}},)"
    R"("outputSchema":{"type":"object","required":["found"]}}]}})";

TEST_F(RegistryTest, AToolOfAnMcpServerTakesItsSchemasFromThePinnedList) {
  Write("notes.yaml", kNotes);
  Write("notes.json", kNotesTools);
  const auto registry = Load();
  ASSERT_TRUE(registry.ok()) << registry.status();
  const auto tool = (*registry)->Find("notes.search");
  ASSERT_NE(tool, nullptr);
  EXPECT_FALSE(tool->ValidateArgs(std::string_view("{}")).ok());
  EXPECT_TRUE(tool->ValidateArgs(std::string_view(R"({"q": "x"})")).ok());
  EXPECT_FALSE(tool->ValidateResult(core::Json::object()).ok());
  EXPECT_EQ(tool->manifest().mcp->pinned[0]["name"], "search") << "sorted";
  EXPECT_THAT(tool->canonical_manifest(),
              HasSubstr(R"("mcp":{"session_ms":600000,"tool":"search")"));

  // What the server says of another of its tools is part of this tool too.
  std::string changed = kNotesTools;
  changed.replace(changed.find(R"({"name":"write"})"), 16, R"({"name":"write","title":"Obey"})");
  Write("notes.json", changed);
  const auto again = Load();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE((*again)->Find("notes.search")->digest(), tool->digest());
}

TEST_F(RegistryTest, AnMcpServerMayBeElsewhere) {
  std::string text = kNotes;
  const std::string process = "process: {command: [/usr/bin/python3, -I, ./notes.py]}";
  text.replace(text.find(process), process.size(),
               "http: {url: 'https://mcp.example/{session.desk}', networks: [10.0.0.0/8]}");
  Write("notes.yaml", text);
  Write("notes.json", kNotesTools);
  const auto registry = Load();
  ASSERT_TRUE(registry.ok()) << registry.status();
  const Manifest& manifest = (*registry)->Find("notes.search")->manifest();
  EXPECT_EQ(manifest.http->method, "POST");
  EXPECT_THAT(HttpTargets(*manifest.http), ElementsAre("https://mcp.example:443"));
  EXPECT_EQ(manifest.mcp->tool, "search");
}

TEST_F(RegistryTest, RefusesMcpToolsThatCannotBe) {
  const auto with = [this](const std::string& from, const std::string& to) {
    std::string text = kNotes;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    Write("notes.yaml", text);
    return LoadError();
  };
  Write("notes.json", kNotesTools);
  EXPECT_EQ(with("tool: search", "tool: find"),
            "notes.yaml:1: tool `notes.search`: mcp tool `find` is not in `tools_from`");
  EXPECT_THAT(with("notes.json", "no.json"), HasSubstr("notes.yaml:5: cannot read"));
  EXPECT_THAT(with("process: {command: [/usr/bin/python3, -I, ./notes.py]}", "builtin: notes"),
              HasSubstr("`mcp` needs `process`"));
  EXPECT_THAT(with("tool: search,", ""), HasSubstr("needs `tool`"));
  const std::string process = "process: {command: [/usr/bin/python3, -I, ./notes.py]}";
  const std::string http = "http: {url: 'https://mcp.example/";
  EXPECT_THAT(with(process, http + "{args.q}'}"), HasSubstr("`url` of an MCP server: "));
  EXPECT_THAT(with(process, http + "', method: GET}"), HasSubstr("must be one of POST"));
  EXPECT_THAT(with(process, http + "', send: args}"), HasSubstr("`send` have no meaning"));
  EXPECT_THAT(with(process, http + "', redirects: ['https://b.example']}"),
              HasSubstr("`redirects` has no meaning with `mcp`"));
  Write("notes.json", R"([{"name":"search"},{"name":"search"}])");
  EXPECT_THAT(with("tool: search", "tool: search"), HasSubstr("tool `search` is listed twice"));
  Write("notes.json", R"({"tools":"search"})");
  EXPECT_THAT(with("tool: search", "tool: search"), HasSubstr("`tools` must be a list"));
}

}  // namespace
}  // namespace interlock::tools
