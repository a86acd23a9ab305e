#include "config/planner_reader.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/agent.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kPricesMax = 256;
constexpr std::size_t kRoutesMax = 256;
constexpr std::size_t kRouteUsesMax = 16;

bool IsCurrency(std::string_view text) {
  return text.size() == 3 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::int64_t ReadPrice(YamlMap& map, std::string_view key, std::int64_t fallback) {
  if (!map.Has(key)) {
    map.Text(key, "");
    return fallback;
  }
  const auto price = ParsePrice(map.Text(key, ""));
  if (price.ok()) return *price;
  map.faults().Add(map.LineOfKey(key),
                   "`" + std::string(key) + "` is " + std::string(core::Message(price.status())));
  return fallback;
}

// What is not given costs what input costs.
ModelPrice ReadModelPrice(YamlMap map) {
  ModelPrice price;
  price.model = map.RequiredText("model");
  map.RequiredText("input");
  price.input = ReadPrice(map, "input", 0);
  price.cached_input = ReadPrice(map, "cached_input", price.input);
  price.cache_write = ReadPrice(map, "cache_write", price.input);
  map.RequiredText("output");
  price.output = ReadPrice(map, "output", 0);
  map.Close();
  return price;
}

// One of two of the same name is never taken.
template <typename Entry>
void CheckNamedOnce(YamlMap& map, std::string_view list, const std::vector<Entry>& entries) {
  std::set<std::string> seen;
  for (const Entry& entry : entries) {
    if (entry.model.empty() || seen.insert(entry.model).second) continue;
    map.faults().Add(map.LineOfKey(list), "`" + std::string(list) + "` has `" + entry.model +
                                              "` twice; keep the one that holds");
  }
}

PriceTable ReadPrices(YamlMap map) {
  PriceTable table;
  table.currency = map.Text("currency", "USD");
  if (!IsCurrency(table.currency)) {
    map.faults().Add(map.LineOfKey("currency"), "`currency` must be three capital letters, as USD");
  }
  for (const YAML::Node& node : map.List("models")) {
    table.models.push_back(
        ReadModelPrice(YamlMap(node, "an entry of `prices.models`", map.faults())));
  }
  CheckNamedOnce(map, "models", table.models);
  if (table.models.size() > kPricesMax) {
    map.faults().Add(map.LineOfKey("models"), "more than 256 prices; name the rest `*`");
  }
  map.Close();
  return table;
}

void ReadHedge(YamlMap& map, Route& route) {
  YamlMap hedge = map.Map("hedge");
  if (map.Has("hedge")) {
    hedge.RequiredText("after_ms");
    route.hedge_after_ms = hedge.Int("after_ms", 1, {1, 600'000});
    route.hedge_percent_max = hedge.Int("percent_max", 5, {1, 100});
    if (route.use.size() < 2 && route.canary.empty()) {
      map.faults().Add(map.LineOfKey("hedge"),
                       "`hedge` asks a second planner of `use`; name one more, or the same twice");
    }
  }
  hedge.Close();
}

Route ReadRoute(YamlMap map) {
  Route route;
  route.agents = map.TextList("agents");
  route.risks = map.TextList("risks");
  if (!std::all_of(route.risks.begin(), route.risks.end(), IsRisk)) {
    map.faults().Add(map.LineOfKey("risks"), "`risks` must be low, medium or high, as in agents");
  }
  route.use = map.TextList("use");
  route.prefer =
      static_cast<RoutePreference>(map.Choice("prefer", {"order", "cost", "latency"}, 0));
  YamlMap canary = map.Map("canary");
  if (map.Has("canary")) {
    route.canary = canary.RequiredText("planner");
    route.canary_percent = canary.Int("percent", 0, {0, 100});
  }
  canary.Close();
  ReadHedge(map, route);
  map.Close();
  if (route.use.empty() || route.use.size() > kRouteUsesMax) {
    map.faults().Add(map.line(), "a route needs 1 to 16 planners in `use`");
  }
  return route;
}

void ReadLimits(YamlMap& map, ModelOptions& model) {
  model.requests_per_minute = map.Int("requests_per_minute", 0, {0, 1'000'000});
  model.tokens_per_minute = map.Int("tokens_per_minute", 0, {0, 1'000'000'000});
  model.concurrent_max = map.Int("concurrent_max", 0, {0, 100'000});
  YamlMap breaker = map.Map("breaker");
  model.breaker_failures = breaker.Int("failures", 0, {0, 1000});
  model.breaker_rest_ms = breaker.Int("rest_ms", model.breaker_rest_ms, {1, 3'600'000});
  breaker.Close();
  YamlMap cache = map.Map("cache");
  model.cache_entries_max = cache.Int("entries_max", 0, {0, 1'000'000});
  model.cache_ttl_ms = cache.Int("ttl_ms", model.cache_ttl_ms, {1, 86'400'000});
  cache.Close();
}

bool IsVariableName(std::string_view text) {
  const bool digit_first = !text.empty() && text[0] >= '0' && text[0] <= '9';
  return !digit_first && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool IsDecimal(std::string_view text) {
  return ParsePrice(text).ok() && text.size() <= 8;  // digits, and a fraction
}

}  // namespace

void ReadPlannerKind(YamlMap& map, PlannerConfig& planner) {
  const int kind = map.Choice(
      "kind", {"scripted", "openai", "openai_responses", "anthropic", "gemini", "router"}, -1);
  planner.kind = kind <= 0   ? PlannerKind::kScripted
                 : kind == 5 ? PlannerKind::kRouter
                             : PlannerKind::kModel;
  if (planner.kind != PlannerKind::kModel) return;
  planner.model.dialect = static_cast<Dialect>(kind - 1);
}

void ReadContexts(YamlMap& map, ContextTable& contexts) {
  for (const YAML::Node& node : map.List("contexts")) {
    YamlMap one(node, "an entry of `contexts`", map.faults());
    ModelContext context;
    context.model = one.RequiredText("model");
    one.RequiredText("tokens");
    context.tokens = one.Int("tokens", 1'024, {1'024, 100'000'000});
    one.Close();
    contexts.push_back(std::move(context));
  }
  CheckNamedOnce(map, "contexts", contexts);
  if (contexts.size() > kPricesMax) {
    map.faults().Add(map.LineOfKey("contexts"), "more than 256 contexts; name the rest `*`");
  }
}

void ReadModel(YamlMap& map, ModelOptions& model) {
  model.base_url = map.RequiredText("base_url");
  model.model = map.Text("model", "");
  model.api_key_env = map.Text("api_key_env", "");
  model.api_key_file = map.Text("api_key_file", "");
  model.timeout_ms = map.Int("timeout_ms", model.timeout_ms, {1, 600'000});
  model.retries_max = map.Int("retries_max", model.retries_max, {0, 10});
  model.temperature = map.Text("temperature", "");
  model.output_tokens_max = map.Int("output_tokens_max", 0, {0, 1'000'000});
  model.stream = map.Bool("stream", false);
  model.prompt_cache = map.Bool("prompt_cache", false);
  model.http2 = map.Bool("http2", false);
  ReadLimits(map, model);
  model.prices = ReadPrices(map.Map("prices"));
  if (!model.base_url.starts_with("http://") && !model.base_url.starts_with("https://")) {
    map.faults().Add(map.LineOfKey("base_url"), "`base_url` must start with http:// or https://");
  }
  if (!IsVariableName(model.api_key_env)) {  // not shown: it may be the key
    map.faults().Add(map.LineOfKey("api_key_env"),
                     "`api_key_env` must be the name of an environment variable, letters, digits "
                     "and `_`; the key itself stands in that variable");
  }
  if (!model.api_key_env.empty() && !model.api_key_file.empty()) {
    map.faults().Add(map.LineOfKey("api_key_file"),
                     "`api_key_file` beside `api_key_env`; keep one");
  }
  if (!model.temperature.empty() && !IsDecimal(model.temperature)) {
    map.faults().Add(map.LineOfKey("temperature"), "`temperature` must be a number, as 0.2");
  }
}

void ReadRoutes(YamlMap& map, PlannerConfig& planner) {
  for (const YAML::Node& node : map.List("routes")) {
    planner.routes.push_back(ReadRoute(YamlMap(node, "an entry of `routes`", map.faults())));
  }
  if (planner.routes.empty() || planner.routes.size() > kRoutesMax) {
    map.faults().Add(map.LineOfKey("routes"), "a router needs 1 to 256 `routes`");
  }
}

}  // namespace interlock::runtime
