// Decisions and detectors, each beside its floor in the same run: one line `BENCH {json}` a row.
// The rules are those of bench/cedar.mjs, which asks the same of Cedar.
#include <lauxlib.h>
#include <lua.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/check.h"
#include "core/json.h"
#include "policies/active.h"
#include "policies/backtest.h"
#include "policies/bundle.h"
#include "policies/detect.h"

namespace interlock::policies {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUp = 2'000;
constexpr int kSamples = 2'000;
constexpr int kBatch = 16;  // decisions a sample: one alone is not much longer than the clock

class NoState final : public StateReader {
 public:
  VersionedRead BudgetUsed(const BudgetDecl& budget, std::string_view) const override {
    return {.key = budget.name, .version = 0, .value = 0};
  }
  VersionedRead Count(std::string_view key, std::int64_t, std::int64_t) const override {
    return {.key = std::string(key), .version = 0, .value = 0};
  }
  VersionedRead Sum(std::string_view key, std::int64_t, std::int64_t) const override {
    return {.key = std::string(key), .version = 0, .value = 0};
  }
};

struct Times {
  double p50 = 0;  // µs of one
  double p99 = 0;
};

template <typename Work>
Times Measure(int batch, const Work& work) {
  for (int i = 0; i < kWarmUp; ++i) work();
  std::vector<double> micros;
  micros.reserve(kSamples);
  for (int i = 0; i < kSamples; ++i) {
    const auto start = Clock::now();
    for (int one = 0; one < batch; ++one) work();
    micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count() /
                     batch);
  }
  std::sort(micros.begin(), micros.end());
  return {.p50 = micros[micros.size() / 2], .p99 = micros[micros.size() * 99 / 100]};
}

struct Row {
  std::string what;
  Times times;
  double floor = 0;
  std::string floor_name;
  double target = 0;  // µs of p50; 0: none
};

void Print(const Row& row) {
  core::Json json = {{"what", row.what}, {"p50", row.times.p50}, {"p99", row.times.p99},
                     {"unit", "us"},     {"floor", row.floor},   {"floor_name", row.floor_name},
                     {"target", ""},     {"target_met", nullptr}};
  if (row.floor <= 0) json["floor"] = nullptr;
  if (row.target > 0) {
    std::string text = std::to_string(row.target);
    json["target"] = "p50 <= " + text.substr(0, text.find('.')) + " us";
    json["target_met"] = row.times.p50 <= row.target;
  }
  std::printf("BENCH %s\n", json.dump().c_str());
  std::fflush(stdout);
}

enum class Form { kTable, kFunction };

// One rule that allows, and `count` - 1 that look at an amount, a fact and the user and say
// nothing.
std::string Applicable(int count, Form form) {
  std::string text = "policy \"p\" { owner = \"bench\", tools = { \"*\" } }\n";
  text += form == Form::kTable
              ? "rule \"allow\" { on = \"refunds.create\", allow = true }\n"
              : "on(\"refunds.create\", \"allow\", function(c) return allow() end)\n";
  for (int i = 1; i < count; ++i) {
    const std::string n = std::to_string(i);
    const std::string limit = std::to_string(100'000 + i);
    text += form == Form::kTable
                ? "rule \"r" + n +
                      "\" { on = \"refunds.create\", where = { [\"args.amount\"] = gt(" + limit +
                      "), [\"facts.order.status\"] = \"delivered\", user = ne(\"u1\"), "
                      "[\"args.reason\"] = trusted() }, deny = { code = \"NO\" } }\n"
                : "on(\"refunds.create\", \"r" + n + "\", function(c) if c.args.amount > " + limit +
                      " and c.facts.order.status == \"delivered\" and c.user ~= \"u1\" and "
                      "trusted(c.args, \"reason\") then return deny { code = \"NO\" } end end)\n";
  }
  return text;
}

// Rules about other tools, and rules about this one for other customers.
void AddOthers(int others, std::vector<BundleFile>& files) {
  for (int file = 0; file * 500 < others; ++file) {
    const std::string f = std::to_string(file);
    std::string text = "policy \"o" + f + "\" { owner = \"bench\", tools = { \"*\" } }\n";
    for (int i = 0; i < 500; ++i) {
      const std::string n = std::to_string(file * 500 + i);
      text += i % 2 == 0
                  ? "rule \"t" + n + "\" { on = \"t" + n + "\", allow = true }\n"
                  : "rule \"c" + n +
                        "\" { on = \"refunds.create\", where = { [\"args.customer\"] = \"c" + n +
                        "\", [\"args.amount\"] = gt(5) }, deny = { code = \"CUSTOMER\" } }\n";
    }
    files.push_back({.path = "o" + f + ".lua", .text = std::move(text)});
  }
}

std::shared_ptr<const Bundle> MakeBundle(int applicable, int others, Form form) {
  std::vector<BundleFile> files = {{.path = "p.lua", .text = Applicable(applicable, form)}};
  AddOthers(others, files);
  auto bundle = Bundle::Load(std::move(files), {}, nullptr);
  INTERLOCK_CHECK(bundle.ok());
  return *std::move(bundle);
}

// A refund as the gate would give it, labels on.
struct Refund {
  core::Json args = {{"order_id", "o-1001"}, {"customer", "c-none"}, {"payment_id", "p-77"},
                     {"amount", 2000},       {"currency", "USD"},    {"reason", "broken"}};
  std::string args_text = core::CanonicalJson(args);
  core::Json session = {{"shop", "s1"}};
  std::vector<Fact> facts = {{.name = "order",
                              .present = true,
                              .value = {{"status", "paid"}, {"paid", 5000}, {"refunded", 0}},
                              .error_code = ""}};
  std::vector<std::string> roles = {"integrator"};
  LabelMap labels;
  NoState state;
  DecisionInput input;

  Refund() {
    labels.Set("args", {.trusted = true, .sources = {"user"}, .tags = {}, .readers = {"*"}});
    labels.Set("args.reason",
               {.trusted = false, .sources = {"tool:mail"}, .tags = {"mail"}, .readers = {"u1"}});
    input.call = {.id = "0190b0a0-0000-7000-8000-000000000001",
                  .run = "0190b0a0-0000-7000-8000-000000000002",
                  .tool = "refunds.create",
                  .effect = "money",
                  .agent = "refund",
                  .step = 3};
    input.tenant = "main";
    input.principal = "ticketing";
    input.principal_roles = &roles;
    input.user = "u1";
    input.args = &args;
    input.args_text = args_text;
    input.session = &session;
    input.facts = &facts;
    input.now_us = 1'767'225'600'000'000;
    input.labels = &labels;
    input.state = &state;
  }
};

// The same number of protected calls of `if amount > 100000 then …` in plain Lua, nothing around.
double PlainLuaFloor(int rules) {
  const std::unique_ptr<lua_State, decltype(&lua_close)> owner(luaL_newstate(), &lua_close);
  lua_State* lua = owner.get();
  INTERLOCK_CHECK(luaL_loadstring(lua,
                                  "local c = ... if c.amount > 100000 and c.status == 'x' then "
                                  "return 1 end") == LUA_OK);
  lua_createtable(lua, 0, 2);
  lua_pushinteger(lua, 2000);
  lua_setfield(lua, -2, "amount");
  return Measure(kBatch,
                 [&] {
                   for (int i = 0; i < rules; ++i) {
                     lua_pushvalue(lua, 1);
                     lua_pushvalue(lua, 2);
                     INTERLOCK_CHECK(lua_pcall(lua, 1, 0, 0) == LUA_OK);
                   }
                 })
      .p50;
}

void BenchDecide(const std::string& what, int applicable, int others, Form form, double target) {
  const std::shared_ptr<const Bundle> bundle = MakeBundle(applicable, others, form);
  const auto engine = Engine::Make(bundle);
  INTERLOCK_CHECK(engine.ok());
  const Refund refund;
  const Times times = Measure(
      kBatch, [&] { INTERLOCK_CHECK((*engine)->Decide(refund.input).verdict == Verdict::kAllow); });
  Print({what, times, PlainLuaFloor(applicable), "as many Lua calls", target});
}

void BenchRecord() {
  const Refund refund;
  Print({"digest of a decision's input (once a recorded call)",
         Measure(kBatch, [&] { INTERLOCK_CHECK(InputDigest(refund.input) != core::Digest{}); }),
         Measure(kBatch, [&] { INTERLOCK_CHECK(core::Sha256(refund.args_text) != core::Digest{}); })
             .p50,
         "SHA-256 of the arguments", 0});
}

// How long a bundle of 1,000 rules with an example each takes to be ready.
void BenchLoad() {
  std::string text = "policy \"p\" { owner = \"bench\", tools = { \"*\" } }\n";
  for (int i = 0; i < 1'000; ++i) {
    const std::string n = std::to_string(i);
    text += "rule \"r" + n + "\" { on = \"refunds.create\", where = { [\"args.amount\"] = le(" + n +
            ") }, allow = true, examples = { { args = { amount = " + n +
            " }, expect = \"allow\" } } }\n";
  }
  const std::vector<BundleFile> files = {{.path = "p.lua", .text = text}};
  std::vector<double> micros;
  for (int i = 0; i < 9; ++i) {
    const auto start = Clock::now();
    auto bundle = Bundle::Load(files, {}, nullptr);
    INTERLOCK_CHECK(bundle.ok() && Engine::Make(*bundle).ok());
    micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(micros.begin(), micros.end());
  Print({"load of 1,000 rules with examples, and an engine of them",
         {.p50 = micros[4], .p99 = micros[8]},
         0,
         "",
         50'000});
}

// 1,000 rules with an example each; all that speak say the same word.
BundleSource ThousandRules(const std::string& word) {
  std::string text = "policy \"p\" { owner = \"bench\", tools = { \"*\" } }\n";
  for (int i = 0; i < 1'000; ++i) {
    const std::string n = std::to_string(3 * i);
    text += "rule \"r" + n + "\" { on = \"refunds.create\", where = { [\"args.amount\"] = gt(" + n +
            ") }, deny = { code = \"" + word + "\" }, examples = { { args = { amount = " + n +
            " + 1 }, expect = \"deny\", code = \"" + word + "\" } } }\n";
  }
  return {.files = {{.path = "p.lua", .text = std::move(text)}}, .tools = {}, .seal = ""};
}

// Another thread decides all the while: every decision is one bundle's or the other's, whole.
void BenchReload() {
  BundleStore store({});
  INTERLOCK_CHECK(store.Activate(ThousandRules("OLD"), nullptr).ok());
  std::atomic<bool> stop = false;
  std::atomic<std::int64_t> decided = 0;
  std::thread worker([&] {
    StoreEngine engine(store);
    const Refund refund;
    while (!stop) {
      const Decision decision = engine.Decide(refund.input, nullptr, nullptr);
      INTERLOCK_CHECK(decision.verdict == Verdict::kDeny && decision.rules.size() == 667);
      INTERLOCK_CHECK(decision.code == "OLD" || decision.code == "NEW");
      for (const FiredRule& rule : decision.rules) INTERLOCK_CHECK(rule.code == decision.code);
      ++decided;
    }
  });
  std::vector<double> micros;
  for (int i = 0; i < 9; ++i) {
    const std::int64_t before = decided;
    while (decided == before) std::this_thread::yield();
    BundleSource source = ThousandRules(i % 2 == 0 ? "NEW" : "OLD");
    const auto start = Clock::now();
    INTERLOCK_CHECK(store.Activate(std::move(source), nullptr).ok());
    micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  stop = true;
  worker.join();
  std::sort(micros.begin(), micros.end());
  Print({"reload of 1,000 rules under decisions (" + std::to_string(decided) + ", none mixed)",
         {.p50 = micros[4], .p99 = micros[8]},
         0,
         "",
         50'000});
}

// Ten rules, a budget and a limit, on calls as `policy record` writes them.
void BenchBacktest() {
  constexpr int kDecisions = 50'000;
  constexpr double kTarget = 50'000;  // a second and core
  auto bundle = Bundle::Load(
      {{.path = "p.lua",
        .text =
            Applicable(10, Form::kTable) +
            "local DAY = budget \"day\" { unit = \"calls\", limit = 1000000, per = \"user\", "
            "window = \"1d\" }\n"
            "rule \"day\" { on = \"refunds.create\", reserve = { budget = DAY, amount = 1 } }\n"
            "rule \"often\" { on = \"refunds.create\", limit = { key = \"{args.order_id}\", max "
            "= 100, per = \"1h\" } }\n"
            "fact \"order\" { tool = \"orders.get\", args = { id = \"{args.order_id}\" }, on = "
            "\"refunds.create\" }\n"}},
      {{.name = "refunds.create", .effect = "money"}, {.name = "orders.get", .effect = "read"}},
      nullptr);
  INTERLOCK_CHECK(bundle.ok());
  const Refund refund;
  std::vector<RecordedDecision> recorded(kDecisions);
  std::size_t bytes = 0;
  for (int i = 0; i < kDecisions; ++i) {
    RecordedDecision& one = recorded[static_cast<std::size_t>(i)];
    one.call = "0190b0a0-0000-7000-8000-" + std::to_string(100'000'000'000 + i);
    one.tool = "refunds.create";
    one.verdict = "allow";
    one.code = "OK";
    one.time_us = refund.input.now_us + i * 1'000'000LL;
    one.input = {{"tool", one.tool},        {"user", "u" + std::to_string(i % 500)},
                 {"args", refund.args},     {"session", refund.session},
                 {"now", one.time_us},      {"labels", {{"args", {{"trusted", true}}}}},
                 {"principal", "ticketing"}};
    one.input["facts"] = {{"order", refund.facts.front().value}};
    one.input["args"]["order_id"] = "o-" + std::to_string(i % 5'000);
    bytes += core::CanonicalJson(RecordedJson(one)).size() + 1;
  }
  const auto start = Clock::now();
  const BacktestReport report = Backtest(*bundle, std::move(recorded), BacktestOptions());
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  INTERLOCK_CHECK(report.decisions == kDecisions && report.same == kDecisions);
  const double rate = kDecisions / seconds;
  const core::Json row = {
      {"what", "backtest, " + std::to_string(bytes / kDecisions) + " bytes a recorded decision"},
      {"p50", rate},
      {"unit", "decisions/s"},
      {"floor", nullptr},
      {"floor_name", ""},
      {"target", ">= 50,000"},
      {"target_met", rate >= kTarget}};
  std::printf("BENCH %s\n", row.dump().c_str());
  std::fflush(stdout);
}

// What customers write: prose with order numbers, prices, dates and links.
std::string OrdinaryText(std::size_t size) {
  constexpr std::string_view kParagraph =
      "Hello, I ordered two lamps (order ORD-2026-004711) on 2026-05-01 and paid 129.90 USD in "
      "all. "
      "One arrived broken, the other one is fine. Your colleague told me to send a photo, which I "
      "did "
      "yesterday at 10:45, and nobody has answered since. Could you please check the parcel with "
      "the "
      "tracking number 1Z999AA10123456784 and tell me whether I get the money back, or a new lamp? "
      "I "
      "would rather have the new one, since the old ones are no longer sold. The instructions say "
      "that "
      "the shade, item 40-2217 rev. 3, can be replaced: is that true? Thank you for your help, and "
      "have "
      "a nice day. Previous message: we are sorry to hear that; please see "
      "shop.example/help/returns. ";
  std::string text;
  while (text.size() < size) text += kParagraph;
  text.resize(size);
  return text;
}

void BenchDetect(const std::string& what, std::size_t bytes, const DetectOptions& options,
                 double target) {
  const std::string text = OrdinaryText(bytes);
  std::int64_t seen = 0;
  const Times floor = Measure(4, [&] {
    for (const char c : text) {
      if (c >= '0' && c <= '9') ++seen;
      asm volatile("" : "+r"(seen));  // one look at each byte, with a branch
    }
  });
  const Times times = Measure(4, [&] { INTERLOCK_CHECK(!Detect(text, options).truncated); });
  Print({what, times, floor.p50, "one look a byte", target});
}

int Main() {
  WarmDetectors();
  BenchDecide("decision, 10 table rules", 10, 0, Form::kTable, 2);
  BenchDecide("decision, 100 table rules", 100, 0, Form::kTable, 12);
  BenchDecide("decision, 10 of 10,000 table rules", 10, 10'000, Form::kTable, 3);
  BenchDecide("decision, 10 rules as functions", 10, 0, Form::kFunction, 0);
  BenchDecide("decision, 100 rules as functions", 100, 0, Form::kFunction, 0);
  BenchRecord();
  BenchLoad();
  BenchReload();
  BenchBacktest();
  const DetectOptions all = {.pii = true, .secrets = true, .injection = true};
  BenchDetect("detectors, 200 bytes", 200, all, 0);
  BenchDetect("detectors, 4 KiB", 4096, all, 20);
  BenchDetect("detectors, 4 KiB, personal data", 4096, {.pii = true}, 0);
  BenchDetect("detectors, 4 KiB, secrets", 4096, {.secrets = true}, 0);
  BenchDetect("detectors, 4 KiB, injection", 4096, {.injection = true}, 0);
  return 0;
}

}  // namespace
}  // namespace interlock::policies

int main() { return interlock::policies::Main(); }
