// What approvers hand on, in the fold: a row of settings each, "delegation|<by>|<to>|<approval>",
// so that they are sealed, rebuilt and carried into the next log as every setting is.
#include <algorithm>
#include <tuple>

#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kPrefix = "delegation|";

// Ids have no bar in them (core::IsPlainId).
std::string RowOf(const policies::Delegation& given) {
  return std::string(kPrefix) + given.by + "|" + given.to + "|" + given.approval;
}

bool IsSame(const policies::Delegation& a, const policies::Delegation& b) {
  return a.by == b.by && a.to == b.to && a.approval == b.approval;
}

// "<until_us> <role> …"; shorter than the entry that it comes from.
std::string TextOf(const policies::Delegation& given) {
  std::string text = std::to_string(given.until_us);
  for (const std::string& role : given.roles) text += " " + role;
  return text;
}

std::string_view Part(std::string_view& left) {
  const std::string_view part = left.substr(0, left.find('|'));
  left.remove_prefix(std::min(part.size() + 1, left.size()));
  return part;
}

policies::Delegation Read(std::string_view name, std::string_view text) {
  policies::Delegation given;
  name.remove_prefix(kPrefix.size());
  given.by = Part(name);
  given.to = Part(name);
  given.approval = name;
  given.roles = SplitWords(text);
  given.until_us = NumberAt(text);
  if (!given.roles.empty()) given.roles.erase(given.roles.begin());
  return given;
}

void Sort(std::vector<policies::Delegation>& all) {
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::tie(a.by, a.to, a.approval) < std::tie(b.by, b.to, b.approval);
  });
}

}  // namespace

std::vector<policies::Delegation> State::Delegations() const {
  const std::lock_guard lock(mutex_);
  return delegations_;
}

// The newest word of one person to another about the same holds; what has passed is forgotten.
core::Status State::ApplyDelegated(const audit::EntryView& entry) {
  policies::Delegation given{.approval = Field(entry, "approval"),
                             .by = Field(entry, "by"),
                             .roles = SplitWords(WordsOf(entry.body, "roles")),
                             .to = Field(entry, "to"),
                             .until_us = entry.body.Int("until_us").value_or(0)};
  if (given.by.empty()) return Missing(entry, "by");
  if (given.to.empty()) return Missing(entry, "to");
  NoteRequest(entry, "delegation", given.to);
  std::erase_if(delegations_, [&](const policies::Delegation& one) {
    if (!IsSame(one, given) && one.until_us > entry.time_us) return false;
    settings_.Erase(RowOf(one));
    return true;
  });
  if (given.until_us <= entry.time_us) return core::OkStatus();
  settings_.Edit(RowOf(given)).value = TextOf(given);
  delegations_.push_back(std::move(given));
  Sort(delegations_);
  return core::OkStatus();
}

// It waits for nobody any more, so nobody stands in for another there.
void State::EndDelegationsOf(const std::string& approval) {
  std::erase_if(delegations_, [&](const policies::Delegation& one) {
    if (one.approval != approval) return false;
    settings_.Erase(RowOf(one));
    return true;
  });
}

// A setting of the log before this one.
void State::CarryDelegation(const std::string& name, const std::string& text) {
  if (!name.starts_with(kPrefix)) return;
  delegations_.push_back(Read(name, text));
  Sort(delegations_);
}

// Under the lock.
core::Status State::LoadDelegations(sqlite3* db) {
  delegations_.clear();
  INTERLOCK_ASSIGN_OR_RETURN(
      const Statement select,
      Prepare(db, "SELECT " + ColumnList<FactRow>() + " FROM " + std::string(FactRow::kTable) +
                      " WHERE name >= 'delegation|' AND name < 'delegation}'"));
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
    const FactRow row = ReadRow<FactRow>(select.get());
    delegations_.push_back(Read(row.name, row.value));
  }
  Sort(delegations_);
  return code == SQLITE_DONE ? core::OkStatus() : core::Internal(sqlite3_errmsg(db));
}

}  // namespace interlock::runtime
