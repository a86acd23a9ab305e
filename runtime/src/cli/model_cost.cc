#include "cli/model_cost.h"

#include <array>
#include <ostream>

#include "cli/message_json.h"

namespace interlock::runtime::cli {
namespace {

// "1200 tokens read (800 from the provider's cache)"
std::string TokensText(std::int64_t tokens, const std::string& how, std::int64_t part,
                       const std::string& of_what) {
  std::string text = std::to_string(tokens) + how;
  if (part > 0) text += " (" + std::to_string(part) + of_what + ")";
  return text;
}

void Add(const wire::ModelCost& cost, wire::ModelCost& sum) {
  sum.set_prompt_tokens(sum.prompt_tokens() + cost.prompt_tokens());
  sum.set_cached_tokens(sum.cached_tokens() + cost.cached_tokens());
  sum.set_completion_tokens(sum.completion_tokens() + cost.completion_tokens());
  sum.set_reasoning_tokens(sum.reasoning_tokens() + cost.reasoning_tokens());
  sum.set_cache_hits(sum.cache_hits() + cost.cache_hits());
  sum.set_provider_replies(sum.provider_replies() + cost.provider_replies());
  for (const auto& [currency, micros] : cost.cost_micros()) {
    (*sum.mutable_cost_micros())[currency] += micros;
  }
  for (const auto& [currency, micros] : cost.saved_micros()) {
    (*sum.mutable_saved_micros())[currency] += micros;
  }
}

using Sum = wire::ModelDay;
using Micros = google::protobuf::Map<std::string, std::int64_t>;

// What is counted: as a column, and as a counter of the exposition.
struct Column {
  const char* title;
  const char* metric;
  const char* help;
  std::int64_t (*of)(const Sum& sum);
};
constexpr std::array<Column, 7> kCounts = {{
    {"REQUESTS", "requests", "Requests to models that ended, in whatever way.",
     [](const Sum& sum) { return std::int64_t{sum.requests()}; }},
    {"NO REPLY", "failed_requests", "Of these: there was no reply.",
     [](const Sum& sum) { return std::int64_t{sum.failed()}; }},
    {"FROM CACHE", "cache_hits", "Of these: the daemon's own cache gave the reply.",
     [](const Sum& sum) { return std::int64_t{sum.cost().cache_hits()}; }},
    {"READ", "input_tokens", "Tokens read.",
     [](const Sum& sum) { return std::int64_t{sum.cost().prompt_tokens()}; }},
    {"OF IT CACHED", "cached_input_tokens", "Of these: read from the provider's cache.",
     [](const Sum& sum) { return std::int64_t{sum.cost().cached_tokens()}; }},
    {"WRITTEN", "output_tokens", "Tokens written.",
     [](const Sum& sum) { return std::int64_t{sum.cost().completion_tokens()}; }},
    {"OF IT REASONING", "reasoning_tokens", "Of these: written while the model reasoned.",
     [](const Sum& sum) { return std::int64_t{sum.cost().reasoning_tokens()}; }},
}};

struct Money {
  const char* metric;
  const char* help;
  Micros (*of)(const Sum& sum);
};
constexpr std::array<Money, 2> kMoney = {{
    {"cost", "Cost in units of the currency.",
     [](const Sum& sum) { return sum.cost().cost_micros(); }},
    {"saved_cost", "What replies from the daemon's own cache had cost at first.",
     [](const Sum& sum) { return sum.cost().saved_micros(); }},
}};

std::vector<std::string> WithCells(std::vector<std::string> row, const Sum& sum) {
  for (const Column& column : kCounts) row.push_back(std::to_string(column.of(sum)));
  for (const Money& money : kMoney) row.push_back(MicrosText(money.of(sum)));
  return row;
}

// Of the text format: backslash, quote and line feed are escaped.
std::string LabelText(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string LabelsOf(const std::string& tenant, const Sum& sum) {
  return "tenant=" + LabelText(tenant) + ",planner=" + LabelText(sum.planner()) +
         ",provider=" + LabelText(sum.provider()) + ",model=" + LabelText(sum.model());
}

void PrintHead(const Io& io, const std::string& metric, const char* help) {
  io.out << "# HELP interlock_model_" << metric << "_total " << help << '\n'
         << "# TYPE interlock_model_" << metric << "_total counter\n";
}

void PrintSample(const Io& io, const std::string& metric, const std::string& labels,
                 const std::string& value) {
  io.out << "interlock_model_" << metric << "_total{" << labels << "} " << value << '\n';
}

}  // namespace

std::string MicrosText(std::int64_t micros) {
  constexpr std::int64_t kUnit = 1'000'000;
  std::string part = std::to_string(kUnit + micros % kUnit).substr(1);
  while (part.size() > 2 && part.back() == '0') part.pop_back();
  return std::to_string(micros / kUnit) + "." + part;
}

std::string MicrosText(const google::protobuf::Map<std::string, std::int64_t>& micros) {
  const std::map<std::string, std::int64_t> sorted(micros.begin(), micros.end());
  std::string text;
  for (const auto& [currency, amount] : sorted) {
    text += (text.empty() ? "" : " + ") + MicrosText(amount) + " " + currency;
  }
  return text;
}

std::string CostText(const wire::ModelCost& cost) {
  const bool any = cost.prompt_tokens() + cost.completion_tokens() + cost.cache_hits() +
                       cost.provider_replies() >
                   0;
  if (!any) return "";
  std::string text = TokensText(cost.prompt_tokens(), " tokens read", cost.cached_tokens(),
                                " from the provider's cache");
  text += ", ";
  text +=
      TokensText(cost.completion_tokens(), " written", cost.reasoning_tokens(), " of reasoning");
  if (!cost.cost_micros().empty()) text += ", " + MicrosText(cost.cost_micros());
  if (cost.cache_hits() == 0) return text;
  text += "; " + std::to_string(cost.cache_hits()) + " of " +
          std::to_string(cost.cache_hits() + cost.provider_replies()) + " replies from the cache";
  if (!cost.saved_micros().empty()) text += ", which saved " + MicrosText(cost.saved_micros());
  return text;
}

void ModelSums::Take(const wire::ModelDay& day) {
  const std::string when = by_day_ ? day.day() : "";
  wire::ModelDay& sum = sums_[{when, day.planner(), day.provider(), day.model()}];
  sum.set_day(when);
  sum.set_planner(day.planner());
  sum.set_provider(day.provider());
  sum.set_model(day.model());
  for (wire::ModelDay* to : {&sum, &total_}) {
    to->set_requests(to->requests() + day.requests());
    to->set_failed(to->failed() + day.failed());
    Add(day.cost(), *to->mutable_cost());
  }
}

std::vector<wire::ModelDay> ModelSums::rows() const {
  std::vector<wire::ModelDay> rows;
  for (const auto& [key, sum] : sums_) rows.push_back(sum);
  return rows;
}

void PrintModels(const Io& io, const ModelSums& sums) {
  const std::vector<wire::ModelDay> rows = sums.rows();
  if (io.json) {
    core::Json list = core::Json::array();
    for (const wire::ModelDay& sum : rows) list.push_back(MessageJson(sum));
    return PrintJson(io, {{"models", list}, {"total", MessageJson(sums.total())}});
  }
  std::vector<std::string> head = {"PLANNER", "PROVIDER", "MODEL"};
  if (sums.by_day()) head.insert(head.begin(), "DAY (UTC)");
  const std::size_t names = head.size();
  for (const Column& column : kCounts) head.emplace_back(column.title);
  head.insert(head.end(), {"COST", "SAVED"});
  Table table(std::move(head));
  for (const wire::ModelDay& sum : rows) {
    std::vector<std::string> row = {sum.planner(), sum.provider(), sum.model()};
    if (sums.by_day()) row.insert(row.begin(), sum.day());
    table.Add(WithCells(std::move(row), sum));
  }
  std::vector<std::string> total(names);
  total.front() = "total";
  if (rows.size() > 1) table.Add(WithCells(std::move(total), sums.total()));
  table.Print(io);
}

void PrintExposition(const Io& io, const std::string& tenant,
                     const std::vector<wire::ModelDay>& sums) {
  for (const Column& column : kCounts) {
    PrintHead(io, column.metric, column.help);
    for (const wire::ModelDay& sum : sums) {
      PrintSample(io, column.metric, LabelsOf(tenant, sum), std::to_string(column.of(sum)));
    }
  }
  for (const Money& money : kMoney) {
    PrintHead(io, money.metric, money.help);
    for (const wire::ModelDay& sum : sums) {
      const Micros micros = money.of(sum);
      const std::map<std::string, std::int64_t> sorted(micros.begin(), micros.end());
      for (const auto& [currency, amount] : sorted) {
        PrintSample(io, money.metric, LabelsOf(tenant, sum) + ",currency=" + LabelText(currency),
                    MicrosText(amount));
      }
    }
  }
}

}  // namespace interlock::runtime::cli
