// What the fake engine finds: budgets, costs of models, words.
#include "fixture.h"

namespace interlock::runtime {

core::StatusOr<std::vector<BudgetInfo>> FakeEngine::ListBudgets(const core::Principal& who,
                                                                const BudgetQuery& query) {
  INTERLOCK_RETURN_IF_ERROR(See("ListBudgets", who, query.user + (query.past ? " past" : "")));
  BudgetInfo a{.name = "a", .scope = "s", .unit = "USD", .limit = 5, .held = 1, .settled = 2};
  BudgetInfo b = a, c = a;
  b.name = "b";
  c.name = "c";
  return std::vector<BudgetInfo>{c, a, b};
}
core::StatusOr<Page<ModelDay>> FakeEngine::ListModelDays(const core::Principal& who,
                                                         const PageSpec& page,
                                                         const DayRange& days) {
  INTERLOCK_RETURN_IF_ERROR(
      See("ListModelDays", who, days.from + ".." + days.to + " after " + page.cursor));
  Page<ModelDay> found;
  found.items.push_back({.day = "2026-11-23",
                         .planner = "route",
                         .provider = "gpt",
                         .model = "some-model",
                         .requests = 3,
                         .failed = 1,
                         .cost = {.tokens_in = 10, .tokens_cached = 4, .micros = {{"EUR", 7}}}});
  if (page.cursor.empty()) found.next_cursor = "2026-11-23|route|gpt|some-model";
  return found;
}
void FakeEngine::SearchCalls(const core::Principal& who, PageSpec page, std::string text,
                             Reply<FoundTexts> reply) {
  if (core::Status status = See("SearchCalls", who, text); !status.ok()) return reply(status);
  {
    const std::scoped_lock lock(mutex_);
    asked_.hangup = page.hangup;
  }
  FoundTexts found;
  found.page.items.push_back({kCallId, 3, "args", "a [word]", "test/main", "audit-0001.db"});
  found.access_index = 9;
  Send<FoundTexts>(std::move(reply), found);
}

}  // namespace interlock::runtime
