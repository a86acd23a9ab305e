#include "engine/state.h"

#include <algorithm>
#include <utility>

#include "audit/keyed_hash.h"
#include "core/check.h"
#include "core/digest.h"
#include "engine/lineage.h"
#include "engine/run_state.h"
#include "engine/state_fields.h"
#include "runtime/projectors.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kEditedMark = "edit:";        // before the id of a call
constexpr const char* kTrustedTime = "trusted_time_us";  // before the clock came in doubt
// Clean rows of a table in memory: of tables that grow with every call those of the last moments,
// which is all that the gate asks for (more of them do not stay in a processor's cache); of the
// others what is in use.
constexpr std::size_t kRowsOfCallsKept = 4'096;
constexpr std::size_t kRowsKept = 65'536;

// A JSON array of plain tokens as space separated words.
std::string WordsIn(const audit::EntryView& entry, std::string_view field) {
  return WordsOf(entry.body, field);
}

}  // namespace

std::vector<std::string> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

void AddMissing(std::vector<std::string>& words, const std::vector<std::string>& more) {
  for (const std::string& word : more) {
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
}

std::vector<std::string> TextsOf(const core::JsonObjectView& body, std::string_view field) {
  std::vector<std::string> texts;
  const auto elements = core::JsonArrayElements(body.Raw(field).value_or("[]"));
  if (!elements.ok()) return texts;
  for (const std::string_view element : *elements) {
    const auto text = core::ParseJson(element, core::kPayloadLimits);
    if (text.ok() && text->is_string()) texts.push_back(text->get<std::string>());
  }
  return texts;
}

bool SaysUntrusted(const core::JsonObjectView& body) {
  const auto labels = core::JsonArrayElements(body.Raw("labels").value_or("[]"));
  return labels.ok() && !labels->empty() && labels->front() == R"("untrusted")";
}

std::string WordsOf(const core::JsonObjectView& body, std::string_view field) {
  std::string words;
  const auto elements = core::JsonArrayElements(body.Raw(field).value_or("[]"));
  if (!elements.ok()) return words;
  for (const std::string_view element : *elements) {
    if (element.size() < 2) continue;
    if (!words.empty()) words += ' ';
    words += element.substr(1, element.size() - 2);
  }
  return words;
}

void AddWord(std::string& words, std::string_view word) {
  for (const std::string& known : SplitWords(words)) {
    if (known == word) return;
  }
  words += words.empty() ? "" : " ";
  words += word;
}

std::string BudgetKey(std::string_view budget, std::string_view unit, std::string_view scope_hmac,
                      std::int64_t window_us) {
  std::string key;
  key.reserve(budget.size() + unit.size() + scope_hmac.size() + 24);
  key.append(budget).append("|").append(unit).append("|").append(scope_hmac).append("|");
  return key.append(std::to_string(window_us));
}

std::vector<std::string> State::Schema() const {
  std::vector<std::string> schema = {
      RowTable<RunRow>::CreateSql(),
      "CREATE INDEX IF NOT EXISTS p_run_state ON p_run(state, run)",
      RowTable<ModelDayRow>::CreateSql(),
      "CREATE INDEX IF NOT EXISTS p_run_parent ON p_run(parent, run) WHERE parent != ''",
      RowTable<CallRow>::CreateSql(),
      "CREATE INDEX IF NOT EXISTS p_call_run ON p_call(run, call)",
      "CREATE INDEX IF NOT EXISTS p_call_state ON p_call(state, call)",
      "CREATE INDEX IF NOT EXISTS p_call_edited ON p_call(state, call) WHERE edited_index >= 0",
      "CREATE INDEX IF NOT EXISTS p_call_edit ON p_call(edit_until_us) WHERE edit_until_us > 0",
      RowTable<ApprovalRow>::CreateSql(),
      "CREATE INDEX IF NOT EXISTS p_approval_phase ON p_approval(phase, expires_us)",
      "CREATE INDEX IF NOT EXISTS p_approval_call ON p_approval(call)",
      "CREATE INDEX IF NOT EXISTS p_approval_esc ON p_approval(escalate_us) WHERE escalate_us > 0",
      "CREATE INDEX IF NOT EXISTS p_approval_remind ON p_approval(remind_us) WHERE remind_us > 0",
      "CREATE INDEX IF NOT EXISTS p_approval_run ON p_approval(run)",
      RowTable<BudgetRow>::CreateSql(),
      RowTable<HoldRow>::CreateSql(),
      RowTable<CallHoldsRow>::CreateSql(),
      RowTable<RunApprovalsRow>::CreateSql(),
      RowTable<CreditRow>::CreateSql(),
      RowTable<EffectRow>::CreateSql(),
      RowTable<LockRow>::CreateSql(),
      RowTable<CounterRow>::CreateSql(),
      RowTable<RequestRow>::CreateSql(),
      RowTable<FactRow>::CreateSql(),
      RowTable<NoteRow>::CreateSql(),
      "CREATE INDEX IF NOT EXISTS p_note_subject ON p_note(subject, create_us)",
      RowTable<SubjectNotesRow>::CreateSql(),
  };
  for (std::string& statement : AuditSchema()) schema.push_back(std::move(statement));
  return schema;
}

State::State(const audit::KeyStore* keys, std::size_t runs_kept)
    : keys_(keys), runs_kept_(runs_kept) {
  if (keys_ == nullptr) return;
  const auto secret = core::DigestFromHex(keys_->Hmac("projection", "rows"));
  INTERLOCK_CHECK(secret.ok());
  hasher_ = RowHasher(std::string(core::AsBytes(*secret).substr(0, audit::kHashKeyBytes)));
  ForEachSealed(*this, [this](auto& table) { table.SealWith(&hasher_); });
}

// Rows that are older than the watermark beside them would do for a budget what a roll-back does,
// so the watermark is part of it.
std::string State::Seal(std::uint64_t next_index) const {
  if (keys_ == nullptr) return "";
  std::string text = std::to_string(next_index);
  ForEachSealed(*this, [&text](const auto& table) {
    text += " " + std::to_string(table.sum().low) + "-" + std::to_string(table.sum().high);
  });
  return keys_->Hmac("projection", text);
}

core::Status State::Attach(sqlite3* db) {
  const std::lock_guard lock(mutex_);
  core::Status status = core::OkStatus();
  ForEachTable([&](auto& table) {
    if (status.ok()) status = table.Attach(db);
  });
  if (!status.ok()) return status;
  const FactRow* clock = settings_.Find("clock");
  if (clock != nullptr && clock->value == "in_doubt") DoubtClock();
  LoadSwitches();
  LoadRollouts();
  if (ReadErrorOfTables()) return core::DataLoss("the rows of `p_setting` cannot be read");
  return LoadDelegations(db);
}

void State::ClockStepped(std::int64_t by_us) {
  if (by_us > kClockDoubtMicros) {  // before the next command of this batch
    trusted_us_.store(newest_us(), std::memory_order_relaxed);
    DoubtClock();
  }
  const std::lock_guard lock(clock_mutex_);
  if (clock_listener_) {
    clock_listener_(by_us);
  } else {
    clock_steps_.push_back(by_us);
  }
}

std::int64_t State::TrustedTime(std::int64_t now_us) {
  if (!clock_in_doubt()) return now_us;
  const FactRow* row = settings_.Find(kTrustedTime);
  const std::int64_t then = trusted_us_.load(std::memory_order_relaxed);
  if (row != nullptr) return std::min(now_us, NumberAt(row->value));
  return then > 0 ? std::min(now_us, then) : now_us;
}

void State::OnClockStep(std::function<void(std::int64_t)> listener) {
  const std::lock_guard lock(clock_mutex_);
  clock_listener_ = std::move(listener);
  if (!clock_listener_) return;
  for (const std::int64_t by_us : std::exchange(clock_steps_, {})) clock_listener_(by_us);
}

void State::Committed() {
  const std::lock_guard lock(mutex_);
  ++batch_;
  ForEachTable([this](auto& table) { table.SetBatch(batch_); });
  if (std::exchange(approvals_changed_, false)) {
    approvals_version_.fetch_add(1, std::memory_order_release);
  }
  committed_.notify_all();
}

// Without the lock: rows do not change meanwhile, and what a flush notes about them no Peek reads.
// So the workers go on deciding while rows are written.
core::Status State::Flush() {
  trim_ = true;
  core::Status status = core::OkStatus();
  ForEachTable([&](auto& table) {
    if (status.ok()) status = table.Flush();
  });
  return status;
}

void State::Reset() {
  const std::lock_guard lock(mutex_);
  ++batch_;
  ForEachTable([this](auto& table) {
    table.Reset();
    table.SetBatch(batch_);
  });
  committed_.notify_all();  // what they waited for never was
}

std::string State::Setting(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const FactRow* row = settings_.Find(name);
  return row == nullptr ? "" : row->value;
}

std::vector<std::string> State::HoldsOf(const std::string& call) {
  const std::lock_guard lock(mutex_);
  const CallHoldsRow* row = call_holds_.Find(call);
  return row == nullptr ? std::vector<std::string>{} : SplitWords(row->holds);
}

std::vector<std::string> State::EditedCallsOf(const std::string& run) {
  std::vector<std::string> calls;
  for (const std::string& word : OpenApprovalsOf(run)) {
    if (word.starts_with(kEditedMark)) calls.push_back(word.substr(kEditedMark.size()));
  }
  return calls;
}

// Beside the open approvals of its run: both are what the run's end has to look for. Without a run,
// its time is.
void State::NoteEdited(const CallRow& call, bool waits) {
  approvals_changed_ = true;
  if (call.run.empty()) return;
  NoteOpen(call.run, std::string(kEditedMark) + call.call, waits);
}

core::Status State::Apply(const audit::EntryView& entry) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(trim_, false)) TrimTables();
  newest_us_.store(entry.time_us, std::memory_order_relaxed);
  INTERLOCK_RETURN_IF_ERROR(ApplyKind(entry));
  if (ReadErrorOfTables())
    return core::DataLoss("a row that entry " + std::to_string(entry.index) +
                          " changes cannot be read");
  return core::OkStatus();
}

void State::TrimTables() {
  runs_.Trim(runs_kept_), calls_.Trim(kRowsOfCallsKept), approvals_.Trim(kRowsKept);
  holds_.Trim(kRowsOfCallsKept), call_holds_.Trim(kRowsOfCallsKept), effects_.Trim(kRowsKept);
  counters_.Trim(kRowsKept), requests_.Trim(kRowsOfCallsKept), run_approvals_.Trim(kRowsKept);
  locks_.Trim(kRowsKept), budgets_.Trim(kRowsKept), notes_.Trim(kRowsOfCallsKept);
  subject_notes_.Trim(kRowsOfCallsKept), credits_.Trim(kRowsOfCallsKept);
  model_days_.Trim(kRowsOfCallsKept);
}

bool State::TakeReadError() {
  const std::lock_guard lock(mutex_);
  return ReadErrorOfTables();
}

bool State::ReadErrorOfTables() {
  bool failed = false;
  ForEachTable([&failed](auto& table) { failed = table.TakeReadError() || failed; });
  return failed;
}

core::Status State::ApplyKind(const audit::EntryView& entry) {
  const std::string_view kind = entry.kind;
  if (kind == "bundle.activated") {
    settings_.Edit("bundle").value = Field(entry, "bundle");
    if (const std::int64_t revision = entry.body.Int("revision").value_or(0); revision > 0) {
      settings_.Edit("bundle_revision").value =
          std::to_string(revision) + " " + Field(entry, "files_digest");
    }
    return core::OkStatus();
  }
  if (kind == "clock.stepped" && entry.body.Bool("in_doubt").value_or(false)) {
    settings_.Edit("clock").value = "in_doubt";
    // A clock that went back does not take the log's time with it.
    const std::int64_t ahead_us = std::max<std::int64_t>(0, Amount(entry, "by_us"));
    settings_.Edit(kTrustedTime).value = std::to_string(entry.time_us - ahead_us);
    DoubtClock();
  } else if (kind == "clock.confirmed") {
    settings_.Erase(kTrustedTime);
    settings_.Edit("clock").value = "confirmed";
    clock_in_doubt_.store(false, std::memory_order_release);
  }
  if (kind == "log.opened") {
    const auto previous = entry.body.Object("previous");
    settings_.Edit(kPreviousLog).value = previous ? previous->String("origin").value_or("") : "";
  }
  if (kind == "state.carried") return ApplyCarried(entry);
  if (kind.starts_with("run.") || kind.starts_with("message.") || kind.starts_with("plan.")) {
    INTERLOCK_RETURN_IF_ERROR(ApplyRun(entry));
  } else if (kind.starts_with("budget.")) {
    INTERLOCK_RETURN_IF_ERROR(ApplyBudget(entry));
  } else if (kind.starts_with("approval.")) {
    INTERLOCK_RETURN_IF_ERROR(ApplyApproval(entry));
  } else if (kind.starts_with("call.") || kind.starts_with("facts.") ||
             kind.starts_with("result.")) {
    INTERLOCK_RETURN_IF_ERROR(ApplyCall(entry));
  } else if (kind.starts_with("switch.")) {
    INTERLOCK_RETURN_IF_ERROR(ApplySwitch(entry));
  } else if (kind == "rollout.set") {
    INTERLOCK_RETURN_IF_ERROR(ApplyRollout(entry));
  } else if (kind.starts_with("memory.")) {
    INTERLOCK_RETURN_IF_ERROR(ApplyMemory(entry));
  } else if (kind == "payload.erased") {
    DropErasedNotes(entry);
    ApplyErased(entry);
  } else if (kind == "access.read") {
    ApplyAccess(entry);
  }
  if (!entry.run.empty()) TouchRun(entry);
  return core::OkStatus();
}

void State::TouchRun(const audit::EntryView& entry) {
  RunRow& run = runs_.Edit(std::string(entry.run));
  run.state = StateAfter(run.state, entry.kind, entry.body);
  if (run.state != RunState::kWaitingForRun) run.waits_for.clear();
  run.update_us = entry.time_us;
  run.newest_index = static_cast<std::int64_t>(entry.index);
  run.newest_hash = core::Hex(entry.leaf_hash);
  run.entries = entry.run_seq + 1;
  if (run_listener_) run_listener_(run.run);
}

void State::NoteRequest(const audit::EntryView& entry, std::string_view kind,
                        std::string_view name) {
  const std::string request = Field(entry, "request");
  if (request.empty()) return;
  RequestRow& row = requests_.Edit(request);
  row.digest = Field(entry, "request_digest");
  row.kind = kind;
  row.name = name;
}

core::Status State::ApplyRun(const audit::EntryView& entry) {
  const std::string id(entry.run);
  if (id.empty()) return Missing(entry, "run");
  RunRow& run = runs_.Edit(id);
  const std::string_view kind = entry.kind;
  if (kind == "run.started") {
    run.agent = Field(entry, "agent");
    run.agent_digest = Field(entry, "agent_digest");
    run.principal = Field(entry, "principal");
    run.subject = Field(entry, "subject");
    run.user = Field(entry, "user");
    run.create_us = entry.time_us;
    run.first_index = static_cast<std::int64_t>(entry.index);
    NoteRequest(entry, "run", id);
    NoteLineage(entry, run);
  } else if (kind == "message.received") {
    NoteRequest(entry, "message", id);
    run.message_us = entry.time_us;
    ++run.messages;
    const bool withheld = entry.body.Bool("withheld").value_or(false);
    if (!withheld && SaysUntrusted(entry.body)) run.untrusted = 1;
    if (!withheld && Field(entry, "from") == "operator") AddWord(run.told_by, Actor(entry));
    NoteWindow(entry);
    TakeSlots(WordsIn(entry, "counters"), entry, "message");
  } else if (kind == "plan.received") {
    run.steps = entry.body.Int("step").value_or(0) + 1;
    NoteCost(entry, run);
  } else if (kind == "run.waiting") {
    if (entry.body.Raw("text")) run.text_index = static_cast<std::int64_t>(entry.index);
    run.waits_for = WordsIn(entry, "runs");
  } else if (kind == "run.completed") {
    run.text_index = static_cast<std::int64_t>(entry.index);
  } else if (kind == "run.failed" || kind == "run.compensating") {
    run.code = Field(entry, "code");
    run.text_index = static_cast<std::int64_t>(entry.index);
  } else if (kind == "run.cancelling") {
    NoteRequest(entry, "cancel", id);
  } else if (kind == "run.cancelled") {
    run.code = "CANCELLED";
    NoteRequest(entry, "cancel", id);
  } else if (kind == "run.escalated") {
    run.text_index = static_cast<std::int64_t>(entry.index);
  }
  return core::OkStatus();
}

// Last of all: another row may move this one.
void State::NoteLineage(const audit::EntryView& entry, RunRow& run) {
  const auto object = entry.body.Object("lineage");
  if (!object) return;
  const Lineage lineage = LineageFrom(*object);
  run.parent = lineage.parent;
  run.root = lineage.root;
  run.parent_call = lineage.call;
  for (const std::string& agent : lineage.agents) AddWord(run.above, agent);
  for (const std::string& one : lineage.told_by) AddWord(run.told_by, one);
  ++runs_.Edit(lineage.root).started;
}

core::Status State::ApplyCall(const audit::EntryView& entry) {
  const std::string id = Field(entry, "call");
  if (id.empty()) return Missing(entry, "call");
  CallRow& call = calls_.Edit(id);
  const std::string_view kind = entry.kind;
  const auto index = static_cast<std::int64_t>(entry.index);
  call.update_us = entry.time_us;
  call.newest_index = index;
  call.newest_hash = core::Hex(entry.leaf_hash);
  if (kind == "call.proposed") {
    call.run = entry.run;
    call.tool = Field(entry, "tool");
    call.principal = Field(entry, "principal");
    const RunRow* run = entry.run.empty() ? nullptr : runs_.Find(call.run);
    call.subject = run == nullptr ? Field(entry, "subject") : run->subject;
    call.subject_part = SubjectPart(call.subject);
    if (const auto user = entry.body.String("user")) {
      CallUserRow& row = call_users_.Edit(id);
      row.user = *user;
      row.create_us = entry.time_us;
    }
    call.agent = run == nullptr ? "" : run->agent;
    call.step = entry.body.Int("step").value_or(-1);
    call.position = entry.body.Int("position").value_or(-1);
    call.create_us = entry.time_us;
    call.proposed_index = index;
    NoteRequest(entry, "call", id);
    return core::OkStatus();
  }
  const bool undecided = call.edited_index > call.decided_index;
  if (undecided && (kind == "call.decided" || kind == "call.withdrawn")) {
    call.edit_until_us = 0;
    NoteEdited(call, false);
  }
  if (kind == "call.decided") return ApplyDecided(entry, call);
  if (kind == "call.intended") return ApplyIntended(entry, call);
  if (kind == "call.outcome") return ApplyOutcome(entry, call);
  if (kind == "call.resolved") return ApplyResolved(entry, call);
  if (kind == "call.compensated") ApplyCompensated(entry, call);
  if (kind == "call.edited") {
    call.edited_index = index;
    ++call.edits;
    call.edit_until_us = call.run.empty() ? entry.body.Int("until_us").value_or(0) : 0;
    NoteEdited(call, /*waits=*/true);
    NoteRequest(entry, "edit", id);
  }
  if (kind == "call.edit_refused") ++call.edits;  // tries are counted, not only what came of them
  if (kind == "call.withdrawn") {
    call.state = CallState::kWithdrawn;
    call.code = "WITHDRAWN";
  }
  if (kind == "result.released") {
    call.released_index = index;
    const bool read = !entry.body.Bool("by_handle").value_or(false);
    if (read && SaysUntrusted(entry.body) && !call.run.empty()) runs_.Edit(call.run).untrusted = 1;
  }
  return core::OkStatus();
}

core::Status State::ApplyDecided(const audit::EntryView& entry, CallRow& call) {
  call.verdict = Field(entry, "effect");
  call.code = Field(entry, "code");
  call.decided_index = static_cast<std::int64_t>(entry.index);
  NoteWindow(entry);
  NoteRules(entry, call);
  if (call.verdict == "deny") call.state = CallState::kDenied;
  if (call.verdict == "refuse") call.state = CallState::kRefused;
  if (call.verdict == "ask") call.state = CallState::kParked;
  return core::OkStatus();
}

core::Status State::ApplyIntended(const audit::EntryView& entry, CallRow& call) {
  call.state = CallState::kIntended;
  call.intended_index = static_cast<std::int64_t>(entry.index);
  call.effect = Field(entry, "effect");
  call.effect_key = Field(entry, "effect_key");
  call.idempotency_key = Field(entry, "idempotency_key");
  call.attempt = entry.body.Int("attempt").value_or(1);
  call.locks = WordsIn(entry, "locks");
  call.counters = WordsIn(entry, "counters");
  if (call.intent_us == 0) call.intent_us = entry.time_us;
  call.resolved_by.clear();  // what was said was said of the attempt before
  call.resolved_as.clear();
  call.compensable = entry.body.Bool("compensable").value_or(false) ? 1 : 0;
  TakeEffect(call);
  if (call.effect != "read") {
    for (const std::string& lock : SplitWords(call.locks)) locks_.Edit(lock).call = call.call;
  }
  if (call.attempt > 1) return core::OkStatus();  // a retry takes no second slot
  TakeSlots(call.counters, entry, call.call);
  return core::OkStatus();
}

core::Status State::ApplyOutcome(const audit::EntryView& entry, CallRow& call) {
  call.outcome = Field(entry, "kind");
  call.level = Field(entry, "level");
  call.outcome_index = static_cast<std::int64_t>(entry.index);
  if (call.outcome == "ok" || call.outcome == "reconciled_done") {
    call.state = CallState::kOk;
    SettleLocks(call);
    KeepEffect(call);
    NoteMoney(entry, call);
  } else if (call.outcome == "unknown") {
    call.state = CallState::kUnknown;  // key and locks stay taken
  } else {
    call.state = call.outcome == "not_started" ? CallState::kNotStarted : CallState::kFailed;
    call.code = Field(entry, "code");
    SettleLocks(call);
    FreeEffect(call);
    if (call.state == CallState::kNotStarted) FreeCounters(call);
  }
  NoteTellers(entry, call.run);
  return core::OkStatus();
}

// Who told the run of an agent's call what to do has told so, through its answer, the one that
// reads it.
void State::NoteTellers(const audit::EntryView& entry, const std::string& run) {
  const auto ended = entry.body.Object("ended");
  const std::string told_by = ended ? WordsOf(*ended, "told_by") : "";
  if (told_by.empty() || run.empty()) return;
  RunRow& row = runs_.Edit(run);
  for (const std::string& one : SplitWords(told_by)) AddWord(row.told_by, one);
}

core::Status State::ApplyResolved(const audit::EntryView& entry, CallRow& call) {
  const bool happened = entry.body.Bool("happened").value_or(false);
  const std::string as = happened ? "happened" : "not_happened";
  if (call.resolved_as != as) call.resolved_by.clear();  // he took his word back
  call.resolved_as = as;
  AddWord(call.resolved_by, Field(entry, "by"));
  NoteRequest(entry, "resolve", call.call);
  if (!entry.body.Bool("complete").value_or(false)) return core::OkStatus();
  call.outcome = happened ? "resolved_done" : "resolved_not_done";
  call.state = happened ? CallState::kOk : CallState::kFailed;
  call.outcome_index = static_cast<std::int64_t>(entry.index);
  SettleLocks(call);
  if (happened) {
    KeepEffect(call);
  } else {
    FreeEffect(call);
  }
  return core::OkStatus();
}

void State::SettleLocks(CallRow& call) {
  for (const std::string& lock : SplitWords(call.locks)) {
    const LockRow* row = locks_.Find(lock);
    if (row != nullptr && row->call == call.call) locks_.Erase(lock);
  }
}

StatePtr MakeState(const audit::KeyStore* keys, std::size_t runs_kept) {
  return StatePtr(new State(keys, runs_kept));
}
void StateDeleter::operator()(State* state) const { delete state; }
audit::Projector* ProjectorOf(State& state) { return &state; }
std::function<void(std::int64_t)> ClockSteppedOf(State& state) {
  return [&state](std::int64_t by_us) { state.ClockStepped(by_us); };
}

std::vector<std::unique_ptr<audit::Projector>> MakeProjectors() {
  std::vector<std::unique_ptr<audit::Projector>> projectors;
  projectors.push_back(std::make_unique<State>());
  return projectors;
}

}  // namespace interlock::runtime
