// What auditors look for, folded beside what the gate needs: rules, money, looks at content,
// erasures; and the views that stand in every snapshot.
#include <cstdio>

#include "core/digest.h"
#include "engine/call_source.h"
#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {

void State::BeginErasing(const std::string& key) {
  const std::lock_guard lock(erasing_mutex_);
  erasing_[key] = Erasing::kBegun;
  any_erasing_.store(true, std::memory_order_release);
}

void State::EndErasing(const std::string& key) {
  const std::lock_guard lock(erasing_mutex_);
  erasing_.erase(key);
  any_erasing_.store(!erasing_.empty(), std::memory_order_release);
}

bool State::MaySeal(const std::string& key, std::string_view kind) const {
  if (!any_erasing_.load(std::memory_order_acquire)) return true;
  const std::lock_guard lock(erasing_mutex_);
  const auto at = erasing_.find(key);
  if (at == erasing_.end()) return true;
  const bool begins = kind == "run.started" || kind == "message.received" ||
                      kind == "call.proposed" || kind == "facts.gathered" ||
                      kind == "call.decided" || kind == "call.edited";
  return at->second == Erasing::kBegun && !begins;
}
namespace {

std::string Field(const core::JsonObjectView& body, std::string_view name) {
  return body.String(name).value_or("");
}

// "EUR", and not a unit of a counting budget.
bool IsCurrency(std::string_view unit) {
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  return unit.size() == 3 && upper(unit[0]) && upper(unit[1]) && upper(unit[2]);
}

// The elements of a list of numbers or names, as words.
std::string Words(std::string_view list) {
  std::string words;
  const auto elements = core::JsonArrayElements(list);
  if (!elements.ok()) return words;
  for (std::string_view element : *elements) {
    if (element.starts_with('"')) element = element.substr(1, element.size() - 2);
    if (!words.empty()) words += ' ';
    words += element;
  }
  return words;
}

constexpr const char* kTime = "strftime('%Y-%m-%dT%H:%M:%fZ', ";

// `column` in microseconds as a readable time.
std::string Time(std::string_view column, std::string_view name) {
  std::string sql = kTime;
  sql.append(column).append(" / 1e6, 'unixepoch') AS ").append(name);
  return sql;
}

}  // namespace

void State::ApplyErased(const audit::EntryView& entry) {
  const std::string key = Field(entry.body, "key");
  if (key.empty()) return;  // single payloads: the entry names them, nothing is left to do
  {
    const std::lock_guard lock(erasing_mutex_);
    const auto erasing = erasing_.find(key);
    if (erasing != erasing_.end()) erasing->second = Erasing::kDone;
  }
  ErasureRow& row = erasures_.Edit(key);
  row.subject = Field(entry.body, "subject");
  row.reason = Field(entry.body, "reason");
  row.legal_basis = Field(entry.body, "legal_basis");
  row.entry_index = static_cast<std::int64_t>(entry.index);
  row.time_us = entry.time_us;
  NoteRequest(entry, "erase", std::to_string(entry.index));
}

void State::ApplyAccess(const audit::EntryView& entry) {
  char key[24];
  std::snprintf(key, sizeof key, "%020llu", static_cast<unsigned long long>(entry.index));
  AccessRow& row = accesses_.Edit(key);
  row.actor = Actor(entry);
  row.what = entry.body.String("what").value_or("run");
  row.target_run = Field(entry.body, "target_run");
  row.reason = Field(entry.body, "reason");
  row.slots = Words(entry.body.Raw("slots").value_or("[]"));
  row.fields = Words(entry.body.Raw("fields").value_or("[]"));
  row.log = Field(entry.body, "log");
  const auto one = entry.body.Int("entry");
  row.first_index = one.value_or(entry.body.Int("first").value_or(-1));
  row.last_index = one.value_or(entry.body.Int("last").value_or(-1));
  row.entry_index = static_cast<std::int64_t>(entry.index);
  row.time_us = entry.time_us;
}

void State::NoteRules(const audit::EntryView& entry, CallRow& call) {
  call.rules.clear();
  const auto rules = core::JsonArrayElements(entry.body.Raw("rules").value_or("[]"));
  if (!rules.ok()) return;
  for (const std::string_view rule : *rules) {
    const auto view = core::JsonObjectView::Of(rule);
    if (view.ok()) AddWord(call.rules, view->String("id").value_or(""));
  }
}

// What the tool reported is what moved; without a report, the largest hold that was settled for a
// call that moves money.
void State::NoteMoney(const audit::EntryView& entry, CallRow& call) {
  const auto reported = entry.body.Object("money");
  const core::JsonObjectView& from = reported ? *reported : entry.body;
  const std::string unit = Field(from, "unit");
  const std::int64_t amount = std::strtoll(Field(from, "amount").c_str(), nullptr, 10);
  if (!IsCurrency(unit)) return;
  const bool settled = entry.kind == "budget.settled" && call.effect == "money";
  if (!reported && !(settled && amount > call.amount)) return;
  call.amount = amount;
  call.unit = unit;
}

std::vector<std::string> AuditSchema() {
  std::vector<std::string> schema = {
      RowTable<ErasureRow>::CreateSql(),
      RowTable<AccessRow>::CreateSql(),
      RowTable<CallUserRow>::CreateSql(),
      "CREATE INDEX IF NOT EXISTS p_run_subject ON p_run(subject)",
      "CREATE VIEW IF NOT EXISTS v_calls AS SELECT c.call, c.run, c.tool, c.agent, "
      "c.principal AS actor, c.subject, coalesce((SELECT r.user FROM p_run r "
      "WHERE r.run = c.run), (SELECT u.user FROM p_call_user u WHERE u.call = c.call), '') AS "
      "user, c.verdict, c.code, "
      "c.rules AS rule, c.approved_by AS approver, c.outcome, c.level, c.effect, c.amount, "
      "c.unit AS currency, c.compensated_by, c.create_us, c.update_us, " +
          Time("c.create_us", "time") +
          ", c.proposed_index, c.decided_index, c.outcome_index FROM p_call c",
      "CREATE VIEW IF NOT EXISTS v_decisions AS SELECT c.decided_index AS idx, c.call, c.run, "
      "c.tool, c.principal AS actor, c.verdict, c.code, c.rules AS rule, c.create_us, " +
          Time("c.create_us", "time") + " FROM p_call c WHERE c.decided_index >= 0",
      "CREATE VIEW IF NOT EXISTS v_approvals AS SELECT a.approval, a.call, a.run, a.tool, a.rule, "
      "CASE a.phase WHEN 0 THEN 'pending' WHEN 1 THEN 'granted' WHEN 2 THEN 'rejected' "
      "WHEN 3 THEN 'expired' WHEN 4 THEN 'consumed' ELSE 'voided' END AS phase, a.quorum, "
      "a.granted_by, a.approvers, a.entry_index AS idx, a.create_us, a.update_us, " +
          Time("a.create_us", "time") + " FROM p_approval a",
      "CREATE VIEW IF NOT EXISTS v_money AS SELECT c.call, c.run, c.tool, c.principal AS actor, "
      "c.subject, c.amount, c.unit AS currency, c.outcome, c.compensated_by, "
      "c.approved_by AS approver, "
      "c.outcome_index AS idx, c.create_us, " +
          Time("c.create_us", "time") + " FROM p_call c WHERE c.amount <> 0",
      "CREATE VIEW IF NOT EXISTS v_access AS SELECT entry_index AS idx, actor, what, target_run, "
      "first_index, last_index, time_us, " +
          Time("time_us", "time") + ", reason, slots, fields, log FROM p_access",
      "CREATE VIEW IF NOT EXISTS v_erasures AS SELECT entry_index AS idx, key, subject, reason, "
      "legal_basis, time_us, " +
          Time("time_us", "time") + " FROM p_erasure",
      "CREATE VIEW IF NOT EXISTS v_notes AS SELECT entry_index AS idx, subject, topic, agent, run, "
      "call, CASE untrusted WHEN 0 THEN 'trusted' ELSE 'untrusted' END AS label, bytes, log, "
      "create_us, " +
          Time("create_us", "time") + " FROM p_note",
  };
  for (std::string& statement : CallIndexSchema()) schema.push_back(std::move(statement));
  return schema;
}

}  // namespace interlock::runtime
