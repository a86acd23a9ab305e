// What models came to (ADR 50), as it is told: of a run, of those that work for it, and by day.
#include "engine/engine.h"
#include "engine/model_cost.h"
#include "engine/select.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

// By currency; what is in no money is left out.
std::map<std::string, std::int64_t> MicrosIn(std::string_view sums) {
  constexpr std::string_view kMicro = "micro-";
  std::map<std::string, std::int64_t> micros;
  for (const std::string& word : SplitWords(sums)) {
    const std::size_t unit = std::min(word.find(':') + 1, word.size());
    if (!std::string_view(word).substr(unit).starts_with(kMicro)) continue;
    micros[word.substr(unit + kMicro.size())] = NumberAt(word);
  }
  return micros;
}

// Of a run or of a day.
template <typename Row>
ModelCost CostOf(const Row& row) {
  return {.tokens_in = row.tokens_in,
          .tokens_cached = row.tokens_cached,
          .tokens_out = row.tokens_out,
          .tokens_reasoning = row.tokens_reasoning,
          .micros = MicrosIn(row.cost),
          .saved_micros = MicrosIn(row.saved),
          .cache_hits = row.cache_hits,
          .asked = row.asked};
}

}  // namespace

ModelCost ModelCostOf(const RunRow& row) { return CostOf(row); }

core::StatusOr<ModelCost> ModelCostBelow(const audit::Log& log, const std::string& run) {
  INTERLOCK_ASSIGN_OR_RETURN(
      const auto below,
      Select<RunRow>(log,
                     "WHERE run IN (WITH RECURSIVE tree(run) AS (SELECT run FROM p_run WHERE "
                     "parent = ? AND parent != '' UNION SELECT p_run.run FROM p_run JOIN tree ON "
                     "p_run.parent = tree.run AND p_run.parent != '') SELECT run FROM tree)",
                     {run}));
  ModelCost sum;
  for (const RunRow& row : below) Add(CostOf(row), sum);
  return sum;
}

void Add(const ModelCost& cost, ModelCost& sum) {
  sum.tokens_in += cost.tokens_in;
  sum.tokens_cached += cost.tokens_cached;
  sum.tokens_out += cost.tokens_out;
  sum.tokens_reasoning += cost.tokens_reasoning;
  for (const auto& [currency, micros] : cost.micros) sum.micros[currency] += micros;
  for (const auto& [currency, micros] : cost.saved_micros) sum.saved_micros[currency] += micros;
  sum.cache_hits += cost.cache_hits;
  sum.asked += cost.asked;
}

// Keys begin with the day, and end before the next one's with what stands behind '|'.
core::StatusOr<Page<ModelDay>> EngineImpl::ListModelDays(const core::Principal& who,
                                                         const PageSpec& page,
                                                         const DayRange& days) {
  if (!who.Has(core::kRoleAuditor)) INTERLOCK_RETURN_IF_ERROR(Need(who, core::kRoleOperator));
  INTERLOCK_ASSIGN_OR_RETURN(
      auto rows, Select<ModelDayRow>(*hub_.parts.log,
                                     "WHERE key > ? AND key >= ? AND (? = '' OR key < ?) ORDER BY "
                                     "key LIMIT " +
                                         std::to_string(page.size + 1),
                                     {page.cursor, days.from, days.to, days.to + "}"}));
  Page<ModelDay> result;
  if (static_cast<int>(rows.size()) > page.size) {
    rows.pop_back();
    result.next_cursor = rows.back().key;
  }
  for (const ModelDayRow& row : rows) {
    result.items.push_back({.day = row.day,
                            .planner = row.planner,
                            .provider = row.provider,
                            .model = row.model,
                            .requests = row.requests,
                            .failed = row.failed,
                            .cost = CostOf(row)});
  }
  return result;
}

}  // namespace interlock::runtime
