#include "engine/budget_view.h"

#include <algorithm>

#include "core/check.h"
#include "policies/budget.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kBudget = "budget/";
constexpr std::string_view kCounter = "counter/";

std::string KeyOf(const policies::BudgetDecl& budget, std::string_view scope,
                  const audit::KeyStore& keys, std::int64_t now_us) {
  return BudgetKey(budget.name, budget.unit, keys.Hmac("scope", scope),
                   policies::WindowStart(now_us, budget.window_ms));
}

std::string Named(std::string_view kind, const std::string& key) { return std::string(kind) + key; }

policies::VersionedRead BudgetRead(const std::string& key, const BudgetRow* row) {
  return {.key = Named(kBudget, key),
          .version = row == nullptr ? 0 : static_cast<std::uint64_t>(row->version),
          .value = row == nullptr ? 0 : row->held + row->settled,
          .held = row == nullptr ? 0 : row->held};
}

policies::VersionedRead CounterRead(const std::string& key, const CounterRow* row) {
  return {.key = Named(kCounter, key),
          .version = row == nullptr ? 0 : static_cast<std::uint64_t>(row->version),
          .value = 0};
}

policies::VersionedRead Unknown(std::string_view kind, const std::string& key) {
  return {.key = Named(kind, key), .version = kUnknownVersion, .value = 0};
}

}  // namespace

HoldFields HoldFieldsOf(const HoldRow& hold, const std::string& id, State& state) {
  const BudgetRow* budget = state.FindBudget(hold.budget_key);
  INTERLOCK_CHECK(budget != nullptr);
  return {.hold = id,
          .budget = budget->budget,
          .scope = budget->scope,
          .unit = budget->unit,
          .window_us = budget->window_us,
          .limit = budget->limit_amount,
          .amount = hold.amount};
}

std::int64_t WindowOf(const policies::Decision& decision, std::int64_t longest_ms) {
  for (const policies::Tally& one : decision.tallies) {
    longest_ms = std::max(longest_ms, one.within_ms);
  }
  return longest_ms;
}

policies::VersionedRead CounterReader::Look(std::string_view key, std::int64_t per_ms,
                                            std::int64_t now_us, Within within) const {
  longest_ms_ = std::max(longest_ms_, per_ms);
  return Read(keys_.Hmac("counter", key), per_ms, now_us, within);
}

policies::VersionedRead PeekReader::BudgetUsed(const policies::BudgetDecl& budget,
                                               std::string_view scope) const {
  const std::string key = KeyOf(budget, scope, keys_, now_us_);
  const auto peeked = state_.PeekBudget(key);
  if (!peeked.known) return Unknown(kBudget, key);
  return BudgetRead(key, peeked.row ? &*peeked.row : nullptr);
}

policies::VersionedRead PeekReader::Read(const std::string& name, std::int64_t per_ms,
                                         std::int64_t now_us, Within within) const {
  const auto peeked = state_.PeekCounter(name);
  if (!peeked.known) return Unknown(kCounter, name);
  policies::VersionedRead read = CounterRead(name, peeked.row ? &*peeked.row : nullptr);
  if (peeked.row) read.value = within(*peeked.row, per_ms, now_us);
  return read;
}

policies::VersionedRead LiveReader::BudgetUsed(const policies::BudgetDecl& budget,
                                               std::string_view scope) const {
  const std::string key = KeyOf(budget, scope, keys_, now_us_);
  return BudgetRead(key, state_.FindBudget(key));
}

policies::VersionedRead LiveReader::Read(const std::string& name, std::int64_t per_ms,
                                         std::int64_t now_us, Within within) const {
  const CounterRow* row = state_.FindCounter(name);
  policies::VersionedRead read = CounterRead(name, row);
  if (row != nullptr) read.value = within(*row, per_ms, now_us);
  return read;
}

std::uint64_t LiveReader::VersionOf(const policies::VersionedRead& read) const {
  if (read.key.starts_with(kBudget)) {
    const BudgetRow* row = state_.FindBudget(read.key.substr(kBudget.size()));
    return row == nullptr ? 0 : static_cast<std::uint64_t>(row->version);
  }
  const CounterRow* row = state_.FindCounter(read.key.substr(kCounter.size()));
  return row == nullptr ? 0 : static_cast<std::uint64_t>(row->version);
}

}  // namespace interlock::runtime
