// What goes on when one log follows another (docs/audit_format.md, "Rotation"): effect keys,
// budgets, counters, notes, request ids, erasures and settings, as rows in entries `state.carried`.
// Runs, calls and approvals stay behind: they are over when a log is closed. Of a log that was
// restored from a backup and can end nothing, what was open is taken at its worst: effect keys stay
// taken and held money counts as spent.
#include <algorithm>

#include "core/json.h"
#include "engine/run_state.h"
#include "engine/state.h"
#include "engine/state_fields.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kBodyBytesMax = 48 * 1024;  // of a `state.carried` entry; a row may pass it
constexpr std::size_t kEventsARow = 400;          // of a counter; what is more goes to further rows
constexpr core::JsonLimits kBodyLimits{.bytes_max = 65'535, .depth_max = 4};

using Texts = std::vector<std::string>;

std::string RowText(const Texts& row) {
  std::string text = "[";
  for (const std::string& value : row) {
    if (text.size() > 1) text += ',';
    core::AppendJsonString(value, text);
  }
  return text + "]";
}

// {"rows":[[…],…],"table":"effect"}, as many as the rows need.
class BodyWriters {
 public:
  void Begin(std::string_view table) {
    End();
    table_ = table;
  }
  void Add(const Texts& row) {
    const std::string text = RowText(row);
    if (!rows_.empty() && rows_.size() + text.size() > kBodyBytesMax) End();
    rows_ += (rows_.empty() ? "" : ",") + text;
  }
  std::vector<std::string> Take() {
    End();
    return std::move(bodies_);
  }

 private:
  void End() {
    if (rows_.empty()) return;
    std::string& body = bodies_.emplace_back();
    core::JsonObjectWriter writer(body);
    writer.Raw("rows", "[" + rows_ + "]");
    writer.String("table", table_);
    writer.Close();
    rows_.clear();
  }

  std::string table_;
  std::string rows_;
  std::vector<std::string> bodies_;
};

template <typename Row, typename Each>
core::Status ForEachRow(sqlite3* db, Each each) {
  const std::string columns = ColumnList<Row>();
  INTERLOCK_ASSIGN_OR_RETURN(const Statement select,
                             Prepare(db, "SELECT " + columns + " FROM " + std::string(Row::kTable) +
                                             " ORDER BY " + columns.substr(0, columns.find(','))));
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(select.get())) == SQLITE_ROW) each(ReadRow<Row>(select.get()));
  return code == SQLITE_DONE ? core::OkStatus() : core::Internal(sqlite3_errmsg(db));
}

std::string Text(std::int64_t value) { return std::to_string(value); }

void AddCounter(BodyWriters& bodies, const CounterRow& row) {
  const std::vector<std::string> events = SplitWords(row.events);
  std::size_t at = 0;
  do {  // also a counter without events has a version
    std::string piece;
    const std::size_t end = std::min(events.size(), at + kEventsARow);
    for (; at < end; ++at) piece += (piece.empty() ? "" : " ") + events[at];
    bodies.Add({row.key, piece, Text(row.version)});
  } while (at < events.size());
}

// Their content stays where it is sealed. Without a log: in the one that is closed now.
void AddNoteRow(BodyWriters& bodies, const NoteRow& row) {
  bodies.Add({row.log, Text(row.entry_index), row.subject, row.topic, row.run, row.call, row.agent,
              Text(row.untrusted), Text(row.bytes), Text(row.create_us)});
}

core::StatusOr<std::int64_t> Count(sqlite3* db, const std::string& sql) {
  INTERLOCK_ASSIGN_OR_RETURN(const Statement select, Prepare(db, "SELECT count(*) FROM " + sql));
  if (sqlite3_step(select.get()) != SQLITE_ROW) return core::Internal(sqlite3_errmsg(db));
  return sqlite3_column_int64(select.get(), 0);
}

// "(0, 1, 2)", the states that `is` says so of.
template <typename State, typename Is>
std::string StatesIn(State last, Is is) {
  std::string list;
  for (int state = 0; state <= static_cast<int>(last); ++state) {
    if (is(static_cast<State>(state))) list += (list.empty() ? "(" : ", ") + std::to_string(state);
  }
  return list + ")";
}

}  // namespace

core::Status State::MayClose(sqlite3* db) {
  const std::string runs = StatesIn(kRunStateLast, [](RunState state) { return !IsFinal(state); });
  const auto call = [](CallState state) { return std::to_string(static_cast<int>(state)); };
  const auto phase = [](policies::ApprovalPhase p) { return std::to_string(static_cast<int>(p)); };
  struct Open {
    std::string from;
    const char* what;
    const char* how;
  };
  const Open all[] = {
      {"p_run WHERE state IN " + runs, "runs are open", "let them end, or cancel them"},
      {"p_call WHERE state IN (" + call(CallState::kIntended) + ", " + call(CallState::kRunning) +
           ", " + call(CallState::kUnknown) + ")",
       "calls have no known outcome", "see `interlock calls list --unknown` and resolve them"},
      {"p_call WHERE run = '' AND state = " + call(CallState::kParked),
       "calls wait for an approval", "decide on their approvals"},
      {"p_approval WHERE phase IN (" + phase(policies::ApprovalPhase::kPending) + ", " +
           phase(policies::ApprovalPhase::kGranted) +
           ") AND call IN (SELECT call FROM p_call WHERE state = " + call(CallState::kParked) + ")",
       "approvals are open", "decide on them"},
      {"p_hold", "holds on budgets are open", "end their calls"},
  };
  std::string found;
  for (const Open& open : all) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t count, Count(db, open.from));
    if (count == 0) continue;
    found +=
        (found.empty() ? "" : "; ") + std::to_string(count) + " " + open.what + ": " + open.how;
  }
  if (found.empty()) return core::OkStatus();
  return core::FailedPrecondition(found + "; then rotate again");
}

core::StatusOr<std::vector<std::string>> State::Carried(sqlite3* db) {
  BodyWriters bodies;
  bodies.Begin("budget");
  INTERLOCK_RETURN_IF_ERROR(ForEachRow<BudgetRow>(db, [&](const BudgetRow& row) {
    bodies.Add({row.budget, row.unit, row.scope, Text(row.window_us), Text(row.limit_amount),
                Text(row.settled + row.held), Text(row.version)});
  }));
  bodies.Begin("counter");
  INTERLOCK_RETURN_IF_ERROR(
      ForEachRow<CounterRow>(db, [&](const CounterRow& row) { AddCounter(bodies, row); }));
  bodies.Begin("effect");
  INTERLOCK_RETURN_IF_ERROR(ForEachRow<EffectRow>(db, [&](const EffectRow& row) {
    if (row.undone_by.empty()) {
      bodies.Add({row.key, row.call});
    } else {
      bodies.Add({row.key, row.call, Text(row.undone), row.undone_by, row.undone_key});
    }
  }));
  bodies.Begin("erasure");
  INTERLOCK_RETURN_IF_ERROR(ForEachRow<ErasureRow>(db, [&](const ErasureRow& row) {
    bodies.Add({row.key, row.subject, row.reason, row.legal_basis, Text(row.time_us)});
  }));
  bodies.Begin("note");
  INTERLOCK_RETURN_IF_ERROR(
      ForEachRow<NoteRow>(db, [&](const NoteRow& row) { AddNoteRow(bodies, row); }));
  bodies.Begin("request");
  INTERLOCK_RETURN_IF_ERROR(ForEachRow<RequestRow>(db, [&](const RequestRow& row) {
    bodies.Add({row.request, row.digest, row.kind, row.name});
  }));
  bodies.Begin("setting");
  INTERLOCK_RETURN_IF_ERROR(ForEachRow<FactRow>(db, [&](const FactRow& row) {
    // The bundle is activated anew: its files are kept by the log that cites them.
    if (row.name != "bundle" && row.name != kPreviousLog) bodies.Add({row.name, row.value});
  }));
  return bodies.Take();
}

core::Status State::ApplyCarried(const audit::EntryView& entry) {
  const core::Status bad =
      core::DataLoss("entry " + std::to_string(entry.index) + " carries state of an unknown form");
  const auto table = entry.body.String("table");
  const auto rows = core::ParseJson(entry.body.Raw("rows").value_or(""), kBodyLimits);
  if (!table || !rows.ok() || !rows->is_array()) return bad;
  for (const core::Json& row : *rows) {
    Texts texts;
    if (!row.is_array()) return bad;
    for (const core::Json& value : row) {
      if (!value.is_string()) return bad;
      texts.push_back(value.get<std::string>());
    }
    if (!CarryRow(*table, texts).ok()) return bad;
  }
  if (*table != "setting") return core::OkStatus();
  LoadSwitches();
  LoadRollouts();
  return core::OkStatus();
}

core::Status State::CarryRow(std::string_view table, const Texts& row) {
  if (table == "budget" && row.size() == 7) {
    BudgetRow& budget = budgets_.Edit(BudgetKey(row[0], row[1], row[2], NumberAt(row[3])));
    budget.budget = row[0];
    budget.unit = row[1];
    budget.scope = row[2];
    budget.window_us = NumberAt(row[3]);
    budget.limit_amount = NumberAt(row[4]);
    budget.settled = NumberAt(row[5]);
    budget.version = NumberAt(row[6]);
  } else if (table == "counter" && row.size() == 3) {
    CounterRow& counter = counters_.Edit(row[0]);
    counter.events += (counter.events.empty() ? "" : " ") + row[1];
    counter.version = NumberAt(row[2]);
  } else if (table == "effect" && (row.size() == 2 || row.size() == 5)) {
    EffectRow& effect = effects_.Edit(row[0]);
    effect.call = row[1];
    if (row.size() == 5) {
      effect.undone = NumberAt(row[2]);
      effect.undone_by = row[3];
      effect.undone_key = row[4];
    }
  } else if (table == "erasure" && row.size() == 5) {
    ErasureRow& erasure = erasures_.Edit(row[0]);
    erasure.subject = row[1];
    erasure.reason = row[2];
    erasure.legal_basis = row[3];
    erasure.entry_index = -1;  // of a log before this one
    erasure.time_us = NumberAt(row[4]);
  } else if (table == "note" && row.size() == 10) {
    CarryNote(row);
  } else if (table == "request" && row.size() == 4) {
    RequestRow& request = requests_.Edit(row[0]);
    request.digest = row[1];
    request.kind = row[2];
    request.name = row[3];
  } else if (table == "setting" && row.size() == 2) {
    settings_.Edit(row[0]).value = row[1];
    CarryDelegation(row[0], row[1]);
    if (row[0] == "clock" && row[1] == "in_doubt") DoubtClock();
  } else {
    return core::DataLoss("unknown");
  }
  return core::OkStatus();
}

}  // namespace interlock::runtime
