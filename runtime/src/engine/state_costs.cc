// What models came to, by run and by day (ADR 50): sums of what plan.received says in the clear.
#include <algorithm>

#include "engine/state.h"
#include "engine/state_fields.h"
#include "engine/utc.h"

namespace interlock::runtime {
namespace {

void AddAmount(const core::JsonObjectView& of, std::string_view name, std::string& sums) {
  const auto amount = of.Object(name);
  if (!amount) return;
  sums = WithAmount(sums, NumberAt(amount->String("amount").value_or("")),
                    amount->String("unit").value_or(""));
}

template <typename Row>
void TakeUse(const core::JsonObjectView& of, Row& row) {
  const auto tokens = [&of](std::string_view name) {
    return std::max<std::int64_t>(0, of.Int(name).value_or(0));
  };
  row.tokens_in += tokens("tokens_in");
  row.tokens_cached += tokens("tokens_cached");
  row.tokens_out += tokens("tokens_out");
  row.tokens_reasoning += tokens("tokens_reasoning");
  AddAmount(of, "cost", row.cost);
}

// Of a run or of a day: both sum the same.
template <typename Row>
void TakeCost(const audit::EntryView& entry, Row& row) {
  TakeUse(entry.body, row);
  if (const auto spent = entry.body.Object("spent")) TakeUse(*spent, row);
  AddAmount(entry.body, "saved", row.saved);
  row.cache_hits += entry.body.Bool("from_cache").value_or(false) ? 1 : 0;
  row.asked += entry.body.Bool("asked").value_or(false) ? 1 : 0;
}

// "gpt" of "planner:gpt".
std::string PlannerOf(const audit::EntryView& entry) {
  const std::string actor = Actor(entry);
  return actor.substr(std::min(actor.find(':') + 1, actor.size()));
}

}  // namespace

void State::NoteCost(const audit::EntryView& entry, RunRow& run) {
  TakeCost(entry, run);
  const std::string day = UtcDay(entry.time_us);
  const std::string planner = PlannerOf(entry);
  const std::string provider = Field(entry, "provider");
  const std::string model = Field(entry, "model");
  ModelDayRow& row = model_days_.Edit(day + "|" + planner + "|" + provider + "|" + model);
  row.day = day;
  row.planner = planner;
  row.provider = provider;
  row.model = model;
  ++row.requests;
  row.failed += Field(entry, "finish") == "error" ? 1 : 0;
  TakeCost(entry, row);
}

}  // namespace interlock::runtime
