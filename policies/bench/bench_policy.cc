// Decisions a second: p50 is what counts, so run with --benchmark_repetitions and read the median.
// Floor in the same run: as many empty protected calls into plain Lua.
#include <benchmark/benchmark.h>
#include <lauxlib.h>
#include <lua.h>

#include <memory>
#include <string>

#include "core/check.h"
#include "policies/bundle.h"
#include "policies/detect.h"

namespace interlock::policies {
namespace {

class NoState final : public StateReader {
 public:
  VersionedRead BudgetUsed(const BudgetDecl& budget, std::string_view) const override {
    return {.key = budget.name, .version = 0, .value = 0};
  }
  VersionedRead Count(std::string_view key, std::int64_t, std::int64_t) const override {
    return {.key = std::string(key), .version = 0, .value = 0};
  }
};

// `applicable` rules about refunds.create, and `others` about tools of their own.
std::unique_ptr<Engine> MakeEngine(int applicable, int others) {
  std::vector<BundleFile> files;
  std::string text =
      "policy \"p\" { owner = \"bench\", tools = { \"*\" } }\n"
      "on(\"refunds.create\", \"allow\", function(c) return allow() end)\n";
  for (int i = 1; i < applicable; ++i) {
    text += "on(\"refunds.create\", \"r" + std::to_string(i) +
            "\", function(c) if c.args.amount > " + std::to_string(100000 + i) +
            " and c.facts.order.status == \"delivered\" and c.user ~= \"u1\" then "
            "return deny { code = \"NO\" } end end)\n";
  }
  files.push_back({.path = "p.lua", .text = text});
  for (int file = 0; file * 500 < others; ++file) {
    text = "policy \"o" + std::to_string(file) + "\" { owner = \"bench\", tools = { \"*\" } }\n";
    for (int i = 0; i < 500; ++i) {
      const std::string name = "t" + std::to_string(file * 500 + i);
      text += "on(\"" + name + "\", \"" + name + "\", function(c) return allow() end)\n";
    }
    files.push_back({.path = "o" + std::to_string(file) + ".lua", .text = text});
  }
  auto bundle = Bundle::Load(std::move(files), {}, nullptr);
  INTERLOCK_CHECK(bundle.ok());
  auto engine = Engine::Make(*std::move(bundle));
  INTERLOCK_CHECK(engine.ok());
  return *std::move(engine);
}

void BM_Decide(benchmark::State& bench) {
  const std::unique_ptr<Engine> engine =
      MakeEngine(static_cast<int>(bench.range(0)), static_cast<int>(bench.range(1)));
  const core::Json args = {{"order_id", "o-1001"},
                           {"payment_id", "p-77"},
                           {"amount", 2000},
                           {"currency", "USD"},
                           {"reason", "broken"}};
  const std::string args_text = core::CanonicalJson(args);
  const core::Json session = {{"shop", "s1"}};
  const std::vector<Fact> facts = {{.name = "order",
                                    .present = true,
                                    .value = {{"status", "paid"}, {"paid", 5000}, {"refunded", 0}},
                                    .error_code = ""}};
  const std::vector<std::string> roles = {"integrator"};
  const NoState state;
  DecisionInput input;
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
  input.state = &state;
  for ([[maybe_unused]] auto _ : bench) {
    const Decision decision = engine->Decide(input);
    INTERLOCK_CHECK(decision.verdict == Verdict::kAllow);
  }
  bench.counters["decisions"] =
      benchmark::Counter(static_cast<double>(bench.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Decide)
    ->ArgNames({"applicable", "others"})
    ->Args({10, 0})
    ->Args({100, 0})
    ->Args({10, 10'000});

// Floor: the same number of protected calls of `if amount > 100000 then …` in plain Lua, nothing
// around.
void BM_PlainLuaFloor(benchmark::State& bench) {
  const std::unique_ptr<lua_State, decltype(&lua_close)> owner(luaL_newstate(), &lua_close);
  lua_State* lua = owner.get();
  INTERLOCK_CHECK(luaL_loadstring(lua,
                                  "local c = ... if c.amount > 100000 and c.status == 'x' then "
                                  "return 1 end") == LUA_OK);
  lua_createtable(lua, 0, 2);
  lua_pushinteger(lua, 2000);
  lua_setfield(lua, -2, "amount");
  for ([[maybe_unused]] auto _ : bench) {
    for (std::int64_t i = 0; i < bench.range(0); ++i) {
      lua_pushvalue(lua, 1);
      lua_pushvalue(lua, 2);
      INTERLOCK_CHECK(lua_pcall(lua, 1, 0, 0) == LUA_OK);
    }
  }
}
BENCHMARK(BM_PlainLuaFloor)->Arg(10)->Arg(100);

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

void BM_Detect(benchmark::State& bench) {
  std::string text = OrdinaryText(static_cast<std::size_t>(bench.range(0)));
  const DetectOptions options = {.pii = (bench.range(1) & 1) != 0,
                                 .secrets = (bench.range(1) & 2) != 0,
                                 .injection = (bench.range(1) & 4) != 0};
  if (bench.range(2) != 0) text.replace(text.size() / 2, 4, "Gr\xC3\xBC\xC3\x9F");
  WarmDetectors();
  INTERLOCK_CHECK(!Detect(text, options).truncated);
  for ([[maybe_unused]] auto _ : bench) benchmark::DoNotOptimize(Detect(text, options));
  bench.SetBytesProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(BM_Detect)
    ->ArgNames({"bytes", "groups", "folded"})
    ->Args({200, 7, 0})
    ->Args({4096, 7, 0})
    ->Args({4096, 7, 1})
    ->Args({4096, 1, 0})
    ->Args({4096, 2, 0})
    ->Args({4096, 4, 0});

// Floor: one look at each byte of 4 KB, with a branch.
void BM_DetectFloor(benchmark::State& bench) {
  const std::string text = OrdinaryText(4096);
  for ([[maybe_unused]] auto _ : bench) {
    std::int64_t digits = 0;
    for (const char& c : text) {
      benchmark::DoNotOptimize(&c);
      if (c >= '0' && c <= '9') ++digits;
    }
    benchmark::DoNotOptimize(digits);
  }
}
BENCHMARK(BM_DetectFloor);

}  // namespace
}  // namespace interlock::policies

BENCHMARK_MAIN();
