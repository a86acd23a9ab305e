#include "runtime/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/box_share.h"
#include "harness/temp_folder.h"
#include "policies/seal.h"

namespace interlock::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGood[] = R"(data_dir: data
listen: 127.0.0.1:0
origin: shop.example
sandbox: {allow_none: true, boxes_max: 8, level_cap: landlock-only}
log: {level: debug, file: log/interlockd.log}
tenants:
  - id: main
    policies: policies
    tools: /opt/tools
    agents: ./agents
    vars: {shop_dir: ../shop, bin: /opt/bin, word: plain}
principals:
  - {id: ticketing, tenant: main, roles: [integrator, user-relay],
     token_sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
planners:
  - {name: scripted, kind: scripted, folder: scripts}
  - {name: openai, kind: openai, base_url: "http://127.0.0.1:9/v1", model: m, timeout_ms: 5, retries_max: 0}
)";

core::StatusOr<Config> Parse(std::string_view text) {
  return ParseConfig("c.yaml", "/etc/il", text);
}

std::string ErrorOf(std::string_view text) {
  const auto config = Parse(text);
  return config.ok() ? "accepted" : std::string(core::Message(config.status()));
}

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

constexpr char kWitnessKey[] = "w.example+bf20add4+BGG3op9v3HIXXDPBmFc/0CioJHhGCXc+pyvvFPlBZdYO";

TEST(Config, ReadsWitnessesAndSaysWhatIsWrongWithThem) {
  const std::string good = std::string(kGood) +
                           "audit:\n  witness_interval_ms: 250\n  witness_patience_ms: 9000\n"
                           "  witnesses:\n    - {url: 'http://127.0.0.1:7446/', vkey: '" +
                           kWitnessKey + "'}\n";
  const auto config = Parse(good);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->audit.witnesses.size(), 1u);
  EXPECT_EQ(config->audit.witnesses[0].url, "http://127.0.0.1:7446");
  EXPECT_EQ(config->audit.witnesses[0].vkey, kWitnessKey);
  EXPECT_EQ(config->audit.witness_interval_ms, 250);
  EXPECT_EQ(config->audit.witness_patience_ms, 9'000);
  EXPECT_THAT(ErrorOf(Replaced(good, "'http://127", "'127")),
              HasSubstr("`url` must start with http:// or https://"));
  EXPECT_THAT(ErrorOf(Replaced(good, kWitnessKey, "w+00000000+AAAA")),
              HasSubstr("`vkey` must be the key of a witness"));
  EXPECT_THAT(ErrorOf(Replaced(good, "url: ", "uri: ")), HasSubstr("url"));
  EXPECT_THAT(ErrorOf(good + "    - {url: 'http://else.example', vkey: '" + kWitnessKey + "'}\n"),
              HasSubstr("given twice"));
  EXPECT_THAT(ErrorOf(Replaced(good, "interval_ms: 250", "interval_ms: 1")),
              HasSubstr("witness_interval_ms"));
}

// What StartLauncher takes.
TEST(Config, BoxesAreAtMostWhatTheLauncherTakes) {
  EXPECT_TRUE(Parse(Replaced(kGood, "boxes_max: 8", "boxes_max: 512")).ok());
  EXPECT_THAT(ErrorOf(Replaced(kGood, "boxes_max: 8", "boxes_max: 513")), HasSubstr("boxes_max"));
}

TEST(BoxShare, LeavesRoomForServersWithinTheTenantsPart) {
  for (const auto& [boxes_max, tenants] :
       {std::pair<int, std::size_t>{3, 1}, {8, 1}, {64, 1}, {512, 1}, {64, 4}, {512, 100}}) {
    const BoxShare share = DivideBoxes(boxes_max, tenants, 16);
    EXPECT_LE(share.sessions + share.calls + share.lookups, boxes_max / static_cast<int>(tenants));
    EXPECT_LE(share.sessions, 16);
    EXPECT_GE(std::min({share.sessions, share.calls, share.lookups}), 1);
  }
  EXPECT_EQ(DivideBoxes(64, 1, 16).sessions, 16);
  EXPECT_EQ(DivideBoxes(64, 1, 16).calls, 24);
  EXPECT_EQ(DivideBoxes(1, 1, 16).calls, 1) << "one of each, however few";
}

TEST(Config, ReadsWebhooksAndSaysWhatIsWrongWithThem) {
  const std::string good =
      std::string(kGood) +
      "webhooks:\n  - {name: desk, tenant: main, url: 'https://hooks.example/il',\n"
      "     secret_file: desk.key, events: ['approval.*', run.failed], body: chat,\n"
      "     link: 'https://c.example/{approval}', details: true, give_up_ms: 60000}\n";
  const auto config = Parse(good);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->webhooks.size(), 1u);
  const WebhookConfig& hook = config->webhooks[0];
  EXPECT_EQ(hook.url, "https://hooks.example/il");
  EXPECT_THAT(hook.secret_file, ::testing::EndsWith("/desk.key"));
  EXPECT_THAT(hook.events, ::testing::ElementsAre("approval.*", "run.failed"));
  EXPECT_EQ(hook.body, WebhookBody::kChat);
  EXPECT_TRUE(hook.details);
  EXPECT_FALSE(hook.allow_private);
  EXPECT_EQ(hook.give_up_ms, 60'000);
  EXPECT_THAT(ErrorOf(Replaced(good, "'https://hooks.example", "'http://hooks.example")),
              HasSubstr("`url` must start with https://"));
  EXPECT_EQ(ErrorOf(Replaced(Replaced(good, "'https://hooks.example", "'http://hooks.example"),
                             "details: true", "allow_private: true")),
            "accepted");
  EXPECT_THAT(ErrorOf(Replaced(good, "tenant: main, url", "tenant: other, url")),
              HasSubstr("tenant `other` is not among `tenants`"));
  EXPECT_THAT(ErrorOf(Replaced(good, "body: chat", "body: xml")), HasSubstr("body"));
  EXPECT_THAT(ErrorOf(Replaced(good, "secret_file: desk.key", "secret: x")), HasSubstr("secret"));
  EXPECT_THAT(ErrorOf(good + "  - {name: desk, tenant: main, url: 'https://b.example', "
                             "secret_file: b.key}\n"),
              HasSubstr("webhook `desk` is given twice"));
}

// A trust root that trusts nobody would take anything: it is a fault.
TEST(Config, ReadsTheTrustRootOfATenant) {
  const std::string key = policies::MakeSealKey("ci", std::string(32, 'k')).verifier;
  const auto with = [](const std::string& trust) {
    return Replaced(kGood, "    tools: /opt/tools\n",
                    "    tools: /opt/tools\n    candidate: next\n    trust: " + trust + "\n");
  };
  const auto config = Parse(with("{keys: ['" + key + "'], origin: shop/main}"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tenants[0].candidate, "/etc/il/next");
  EXPECT_EQ(config->tenants[0].trust.keys, std::vector<std::string>{key});
  EXPECT_EQ(config->tenants[0].trust.origin, "shop/main");
  EXPECT_TRUE(Parse(kGood)->tenants[0].trust.keys.empty());
  EXPECT_THAT(ErrorOf(with("{keys: [], origin: shop/main}")), HasSubstr("trusts nobody"));
  EXPECT_THAT(ErrorOf(with("{origin: shop/main}")), HasSubstr("trusts nobody"));
  EXPECT_THAT(ErrorOf(with("{keys: ['ci+00000000+AAAA']}")), HasSubstr("a trusted key is name+"));
  EXPECT_THAT(ErrorOf(with("{keys: ['" + key + "'], orgin: x}")), HasSubstr("orgin"));
}

TEST(Config, ReadsHowFastPeopleMayGrant) {
  const auto with = [](const std::string& keys) {
    return std::string(kGood) + "approvals: {" + keys + "}\n";
  };
  EXPECT_EQ(Parse(kGood)->approvals.grants_per_minute, 12);
  EXPECT_EQ(Parse(kGood)->approvals.grant_pause_ms, 0);
  const auto config = Parse(with("grants_per_minute: 5, grant_pause_ms: 2500"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->approvals.grants_per_minute, 5);
  EXPECT_EQ(config->approvals.grant_pause_ms, 2500);
  EXPECT_THAT(ErrorOf(with("grants_per_minute: 0")),
              HasSubstr("`grants_per_minute` must be a whole number from 1 to 1000, found `0`"));
  EXPECT_THAT(ErrorOf(with("grant_pause_ms: 60001")),
              HasSubstr("`grant_pause_ms` must be a whole number from 0 to 60000"));
  EXPECT_THAT(ErrorOf(with("grants: 5")), HasSubstr("unknown key `grants` in `approvals`"));
}

TEST(Config, ReadsEveryKey) {
  const auto config = Parse(kGood);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->data_dir, "/etc/il/data");
  EXPECT_EQ(config->listen, "127.0.0.1:0");
  EXPECT_EQ(config->origin, "shop.example");
  EXPECT_EQ(config->launcher, "");
  EXPECT_TRUE(config->sandbox.allow_none);
  EXPECT_EQ(config->sandbox.boxes_max, 8);
  EXPECT_EQ(config->sandbox.level_cap, sandbox::Level::kLandlockOnly);
  EXPECT_EQ(config->log.level, "debug");
  EXPECT_EQ(config->log.file, "/etc/il/log/interlockd.log");
  ASSERT_EQ(config->tenants.size(), 1u);
  const TenantConfig& tenant = config->tenants[0];
  EXPECT_EQ(tenant.policies, "/etc/il/policies");
  EXPECT_EQ(tenant.tools, "/opt/tools");
  EXPECT_EQ(tenant.agents, "/etc/il/agents");
  const std::vector<std::pair<std::string, std::string>> vars = {
      {"bin", "/opt/bin"}, {"shop_dir", "/etc/shop"}, {"word", "plain"}};
  EXPECT_EQ(tenant.vars, vars);
  ASSERT_EQ(config->principals.size(), 1u);
  EXPECT_TRUE(config->principals[0].principal.Has("user-relay"));
  ASSERT_EQ(config->planners.size(), 2u);
  EXPECT_EQ(config->planners[0].folder, "/etc/il/scripts");
  EXPECT_EQ(config->planners[1].kind, PlannerKind::kModel);
  EXPECT_EQ(config->planners[1].model.timeout_ms, 5);
  EXPECT_EQ(config->planners[1].model.retries_max, 0);
  EXPECT_FALSE(config->planners[1].model.http2);
  const auto other = Parse(Replaced(kGood, "retries_max: 0", "http2: true"));
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE(other->planners[1].model.http2);
}

struct Fault {
  const char* name;
  const char* from;  // in kGood
  const char* to;
  const char* message;
};

class ConfigFault : public ::testing::TestWithParam<Fault> {};

TEST_P(ConfigFault, IsOneLineWithFileAndLine) {
  const Fault& fault = GetParam();
  const std::string error = ErrorOf(Replaced(kGood, fault.from, fault.to));
  EXPECT_EQ(error, fault.message);
  EXPECT_EQ(error.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    All, ConfigFault,
    ::testing::Values(
        Fault{"UnknownKeyWithSuggestion", "listen:", "listn:",
              "c.yaml:2: unknown key `listn` in the configuration; did you mean `listen`?"},
        Fault{"UnknownKeyDeepInside", "boxes_max", "boxes",
              "c.yaml:4: unknown key `boxes` in `sandbox`; known here: allow_none, boxes_max, "
              "level_cap"},
        Fault{"UnknownKeyInTenant", "    tools:", "    tool: x\n    tools:",
              "c.yaml:9: unknown key `tool` in an entry of `tenants`; did you mean `tools`?"},
        Fault{"KeyTwice", "origin: shop.example", "origin: a\norigin: b",
              "c.yaml:4: key `origin` is given twice, first in line 3; remove one"},
        Fault{"MapForText", "origin: shop.example", "origin: {a: b}",
              "c.yaml:3: `origin` must be one value, found a map"},
        Fault{"NothingForText", "origin: shop.example",
              "origin:", "c.yaml:3: `origin` must be one value, found nothing"},
        Fault{"WordForSwitch", "retries_max: 0", "http2: maybe",
              "c.yaml:17: `http2` must be true or false, found `maybe`"},
        Fault{"TextForNumber", "boxes_max: 8", "boxes_max: many",
              "c.yaml:4: `boxes_max` must be a whole number from 1 to 512, found `many`"},
        Fault{"QuotedNumber", "boxes_max: 8", "boxes_max: '8'",
              "c.yaml:4: `boxes_max` must be a whole number from 1 to 512, found `8`"},
        Fault{"NumberOutOfRange", "boxes_max: 8", "boxes_max: 0",
              "c.yaml:4: `boxes_max` must be a whole number from 1 to 512, found `0`"},
        Fault{"YesForBool", "allow_none: true", "allow_none: yes",
              "c.yaml:4: `allow_none` must be true or false, found `yes`"},
        Fault{"UnknownLevel", "landlock-only", "most",
              "c.yaml:4: `level_cap` must be one of none, landlock-only, full-nocgroup, full, "
              "found `most`"},
        Fault{"MissingFolder", "    policies: policies\n", "",
              "c.yaml:7: an entry of `tenants` needs `policies`; add `policies: …`"},
        Fault{"ListForMap", "log: {level: debug, file: log/interlockd.log}", "log: [a]",
              "c.yaml:5: `log` must be a map of keys"},
        Fault{"TenantId", "id: main", "id: Main",
              "c.yaml:7: `id` must be 1 to 63 characters of a-z, 0-9 and `-`, the first a letter"},
        Fault{"PrincipalOfNoTenant", "tenant: main", "tenant: other",
              "c.yaml:13: tenant `other` is not among `tenants`; add it there"},
        Fault{"TokenNotHashed", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
              "secret",
              "c.yaml:14: `token_sha256` must be 64 lower-case hex characters; make it with "
              "`printf %s "
              "TOKEN | sha256sum`"},
        Fault{"PlannerKind", "kind: openai", "kind: magic",
              "c.yaml:17: `kind` must be one of scripted, openai, openai_responses, anthropic, "
              "gemini, "
              "router, found `magic`"},
        Fault{"PlannerTwice", "name: openai", "name: scripted",
              "c.yaml:17: planner `scripted` is given twice"},
        Fault{"PlannerUrl", "http://", "ftp://",
              "c.yaml:17: `base_url` must start with http:// or https://"},
        Fault{"ListenWithoutPort", "listen: 127.0.0.1:0", "listen: localhost",
              "c.yaml:2: `listen` must be host:port with port 0 to 65535, found `localhost`"},
        Fault{"ListenToTheWorld", "listen: 127.0.0.1:0", "listen: 0.0.0.0:7443",
              "c.yaml:2: `listen` must be a loopback address, found `0.0.0.0:7443`; put a TLS "
              "proxy in "
              "front for other machines"},
        Fault{"SecondDocument",
              "listen:", "---\nlisten:", "c.yaml:3: a second document; keep one document a file"}),
    [](const auto& param_info) { return param_info.param.name; });

constexpr char kModels[] = R"(
  - name: claude
    kind: anthropic
    base_url: https://models.example/v1
    model: c-1
    api_key_file: keys/claude
    temperature: 0.2
    output_tokens_max: 4096
    stream: true
    prompt_cache: true
    requests_per_minute: 60
    tokens_per_minute: 100000
    concurrent_max: 8
    breaker: {failures: 5, rest_ms: 1000}
    cache: {entries_max: 10, ttl_ms: 5000}
    prices:
      currency: EUR
      models:
        - {model: c-1, input: "3.00", cached_input: "0.30", cache_write: 3.75, output: "15"}
        - {model: "*", input: "1", output: "2"}
  - name: smart
    kind: router
    routes:
      - agents: [refund-*]
        risks: [high]
        use: [claude, openai]
        prefer: cost
        canary: {planner: openai, percent: 5}
      - use: [openai]
)";

TEST(Config, ARouteOfNoKnownRiskIsASlip) {
  std::string text = kModels + 1;
  text.replace(text.find("[high]"), 6, "[highest]");
  EXPECT_THAT(std::string(core::Message(Parse(std::string(kGood) + text).status())),
              HasSubstr("`risks` must be low, medium or high"));
}

TEST(Config, ReadsModelsAndRoutes) {
  const auto config = Parse(std::string(kGood) + (kModels + 1));
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->planners.size(), 4u);
  const ModelOptions& claude = config->planners[2].model;
  EXPECT_EQ(claude.dialect, Dialect::kAnthropic);
  EXPECT_EQ(claude.api_key_file, "/etc/il/keys/claude");
  EXPECT_EQ(claude.temperature, "0.2");
  EXPECT_EQ(claude.output_tokens_max, 4096);
  EXPECT_TRUE(claude.stream && claude.prompt_cache);
  EXPECT_EQ(claude.requests_per_minute, 60);
  EXPECT_EQ(claude.tokens_per_minute, 100'000);
  EXPECT_EQ(claude.concurrent_max, 8);
  EXPECT_EQ(claude.breaker_failures, 5);
  EXPECT_EQ(claude.breaker_rest_ms, 1000);
  EXPECT_EQ(claude.cache_entries_max, 10);
  EXPECT_EQ(claude.cache_ttl_ms, 5000);
  EXPECT_EQ(claude.prices.currency, "EUR");
  ASSERT_EQ(claude.prices.models.size(), 2u);
  EXPECT_EQ(claude.prices.models[0].input, 3'000'000);
  EXPECT_EQ(claude.prices.models[0].cached_input, 300'000);
  EXPECT_EQ(claude.prices.models[0].cache_write, 3'750'000);
  EXPECT_EQ(claude.prices.models[0].output, 15'000'000);
  EXPECT_EQ(claude.prices.models[1].cached_input, 1'000'000);  // as input, when nothing is said
  const PlannerConfig& smart = config->planners[3];
  EXPECT_EQ(smart.kind, PlannerKind::kRouter);
  ASSERT_EQ(smart.routes.size(), 2u);
  EXPECT_EQ(smart.routes[0].agents, std::vector<std::string>{"refund-*"});
  EXPECT_EQ(smart.routes[0].risks, std::vector<std::string>{"high"});
  EXPECT_EQ(smart.routes[0].prefer, RoutePreference::kCost);
  EXPECT_EQ(smart.routes[0].canary, "openai");
  EXPECT_EQ(smart.routes[0].canary_percent, 5);
  EXPECT_EQ(smart.routes[1].use, std::vector<std::string>{"openai"});
}

TEST(Config, HedgesOnlyWhereARouteSaysSoAndHasASecondPlanner) {
  const std::string good = std::string(kGood) + (kModels + 1);
  const auto off = Parse(good);
  ASSERT_TRUE(off.ok()) << off.status();
  EXPECT_EQ(off->planners[3].routes[0].hedge_after_ms, 0);
  const auto route = [&](const std::string& text) {
    return Replaced(good, "- use: [openai]", "- {use: [openai, claude], hedge: {" + text + "}}");
  };
  const auto on = Parse(route("after_ms: 3000"));
  ASSERT_TRUE(on.ok()) << on.status();
  EXPECT_EQ(on->planners[3].routes[1].hedge_after_ms, 3000);
  EXPECT_EQ(on->planners[3].routes[1].hedge_percent_max, 5);
  EXPECT_EQ(Parse(route("after_ms: 1, percent_max: 100"))->planners[3].routes[1].hedge_percent_max,
            100);
  EXPECT_EQ(ErrorOf(route("after_ms: 1, percent_max: 101")),
            "c.yaml:45: `percent_max` must be a whole number from 1 to 100, found `101`");
  EXPECT_EQ(ErrorOf(route("after_ms: 0")),
            "c.yaml:45: `after_ms` must be a whole number from 1 to 600000, found `0`");
  EXPECT_EQ(ErrorOf(Replaced(good, "- use: [openai]", "- {use: [openai], hedge: {after_ms: 9}}")),
            "c.yaml:45: `hedge` asks a second planner of `use`; name one more, or the same twice");
}

TEST(Config, SaysWhatIsWrongWithModelsAndRoutes) {
  const std::string good = std::string(kGood) + (kModels + 1);
  const std::pair<const char*, std::pair<const char*, const char*>> faults[] = {
      {"15",
       {"1,5",
        "c.yaml:35: `output` is not a price a million tokens; write digits with at "
        "most six after a point, as \"2.50\""}},
      {"EUR", {"euro", "c.yaml:33: `currency` must be three capital letters, as USD"}},
      {"temperature: 0.2",
       {"temperature: hot", "c.yaml:23: `temperature` must be a number, as 0.2"}},
      {"api_key_file: keys/claude",
       {"api_key_file: k\n    api_key_env: K",
        "c.yaml:22: `api_key_file` beside `api_key_env`; keep one"}},
      {"api_key_file: keys/claude",
       {"api_key_env: sk-INLINE",
        "c.yaml:22: `api_key_env` must be the name of an environment variable, letters, digits "
        "and `_`; the key itself stands in that variable"}},
      {"percent: 5",
       {"percent: 101", "c.yaml:44: `percent` must be a whole number from 0 to 100, found `101`"}},
      {"use: [openai]",
       {"use: [smart]",
        "c.yaml:15: planner `smart` routes to `smart`, which is no planner of a "
        "kind other than router; add it to `planners`"}},
      {"kind: anthropic\n    base_url: https://models.example/v1\n    model: c-1",
       {"kind: gemini\n    base_url: https://models.example/v1",
        "c.yaml:15: planner `smart` routes to `claude`, which has no `model`; give it one"}},
      {"\"*\"", {"c-1", "c.yaml:34: `models` has `c-1` twice; keep the one that holds"}},
      {"use: [openai]", {"use: []", "c.yaml:45: a route needs 1 to 16 planners in `use`"}},
      {"prefer: cost",
       {"prefer: best", "c.yaml:43: `prefer` must be one of order, cost, latency, found `best`"}},
  };
  for (const auto& [from, change] : faults) {
    EXPECT_EQ(ErrorOf(Replaced(good, from, change.first)), change.second);
  }
}

TEST(Config, KeepsContentThirteenMonthsAndLessThanSixOnlyWhenSaidTwice) {
  const auto plain = Parse(kGood);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_TRUE(plain->audit.search);
  EXPECT_EQ(plain->audit.retention.calls_months, 13);
  const auto classes =
      Parse(std::string(kGood) +
            "audit: {search: false, retention: {default_months: 7, classes: {approvals: 84}}}\n");
  ASSERT_TRUE(classes.ok()) << classes.status();
  EXPECT_FALSE(classes->audit.search);
  EXPECT_EQ(classes->audit.retention.conversation_months, 7);
  EXPECT_EQ(classes->audit.retention.approvals_months, 84);
  EXPECT_EQ(classes->audit.retention.memory_months, 7);
  const auto notes = Parse(std::string(kGood) + "audit: {retention: {classes: {memory: 2}}}\n");
  ASSERT_TRUE(notes.ok()) << notes.status();
  EXPECT_EQ(notes->audit.retention.memory_months, 2);
  const std::string below = "audit: {retention: {classes: {calls: 5}";
  EXPECT_THAT(ErrorOf(std::string(kGood) + below + "}}\n"), HasSubstr("must be said twice"));
  const auto meant = Parse(std::string(kGood) + below + ", accept_below_six_months: true}}\n");
  ASSERT_TRUE(meant.ok()) << meant.status();
  EXPECT_EQ(meant->audit.retention.calls_months, 5);
}

TEST(Config, RefusesWhatIsNoMap) {
  EXPECT_EQ(ErrorOf("- a\n"), "c.yaml:1: expected a map of keys; write `key: value` lines");
  EXPECT_EQ(ErrorOf(""), "c.yaml:1: expected a map of keys; write `key: value` lines");
  EXPECT_THAT(ErrorOf("data_dir: [\n"), StartsWith("c.yaml:2: not YAML: "));
  EXPECT_EQ(ErrorOf("data_dir: \xff\n"), "c.yaml: not UTF-8 text; save the file as UTF-8");
}

TEST(Config, RefusesSharedTokens) {
  const std::string twice =
      Replaced(kGood, "planners:\n",
               "  - {id: other, tenant: main, roles: [], token_sha256: "
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\nplanners:\n");
  EXPECT_EQ(ErrorOf(twice),
            "c.yaml:15: principal `ticketing` has the same token; give each its own");
}

class ConfigFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"policies", "agents", "tools", "scripts"}) {
      std::filesystem::create_directories(folder_ / name);
    }
  }

  std::string Write(const std::string& text) {
    std::ofstream(folder_ / "c.yaml") << text;
    return (folder_ / "c.yaml").string();
  }
  const test::TempFolder temp_;
  const std::filesystem::path folder_ = temp_.path();
};

TEST_F(ConfigFolder, LoadsWhenFoldersExistAndNamesTheOneThatDoesNot) {
  const std::string good = Replaced(kGood, "/opt/tools", "tools");
  EXPECT_TRUE(LoadConfig(Write(good)).ok());
  std::filesystem::remove(folder_ / "agents");
  const auto config = LoadConfig(Write(good));
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(std::string(core::Message(config.status())),
              HasSubstr("c.yaml:10: `agents` names `" + (folder_ / "agents").string() + "`"));
}

TEST_F(ConfigFolder, NamesAMissingConfiguration) {
  const auto config = LoadConfig((folder_ / "none.yaml").string());
  EXPECT_EQ(config.status().code(), core::StatusCode::kNotFound);
  EXPECT_THAT(std::string(core::Message(config.status())), HasSubstr("none.yaml"));
}

}  // namespace
}  // namespace interlock::runtime
