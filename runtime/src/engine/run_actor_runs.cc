// Runs that this one started by calling an agent (ADR 42). They live by themselves; this one waits
// for them without memory, takes their ends, and stops them when it ends itself.
#include <algorithm>
#include <chrono>
#include <set>

#include "engine/lineage.h"
#include "engine/run_actor.h"
#include "engine/run_entries.h"
#include "engine/run_state.h"
#include "runtime/own_tools.h"

namespace interlock::runtime {
namespace {

// The entry's words that are its end: an answer, a summary or a reason. Errors: kNotFound when they
// were erased; anything else passes.
core::StatusOr<std::string> TextOfEnd(const Place& place, const RunRow& row) {
  if (row.text_index < 0 || row.state == RunState::kCancelled) return "";
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry,
                             place.log->Read(static_cast<std::uint64_t>(row.text_index)));
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                             core::JsonObjectView::Of(entry.bytes));
  const auto body = view.Object("body");
  if (!body) return core::DataLoss("entry " + std::to_string(entry.index) + " has no body");
  const char* field = row.state == RunState::kCompleted   ? "answer"
                      : row.state == RunState::kEscalated ? "summary"
                                                          : "reason";
  return place.history->Content(entry.index, *body, field);
}

// Whether it took effect, or may have, for good: what the run takes back, or took, is not counted.
bool Stands(const RecordedCall& call, const std::set<std::string>& taken_back) {
  if (call.ended) return call.ended->stands;
  const bool nothing = call.outcome == "failed" || call.outcome == "not_started" ||
                       call.outcome == "reconciled_not_done" || call.outcome == "resolved_not_done";
  const bool harmless = call.effect == "read" || IsOwnTool(call.id.tool);
  return call.attempt > 0 && !nothing && !harmless && call.id.compensates.empty() &&
         !taken_back.contains(call.id.call);
}

bool AnyStands(const RunRow& row, const RecordedRun& run) {
  if (row.state == RunState::kUncompensated || row.code == kRunLost) return true;
  std::set<std::string> taken_back;
  for (const TakenEffect& one : run.core.effects) taken_back.insert(one.call);
  for (const Compensation& one : run.core.compensations) taken_back.insert(one.of);
  return std::any_of(run.calls.begin(), run.calls.end(),
                     [&](const RecordedCall& call) { return Stands(call, taken_back); });
}

}  // namespace

std::int64_t RunActor::WallLeftMs() const {
  if (agent_ == nullptr) return core_.wall_left_ms;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      timer_.expiry() - asio::steady_timer::clock_type::now());
  return std::clamp<std::int64_t>(left.count(), 1, core_.limits.wall_ms);
}

void RunActor::GiveLimits(Ticket& ticket) const {
  ticket.tokens_left = TokensLeft(core_);
  ticket.steps_left = StepsLeft(core_);
  ticket.calls_left = CallsLeft(core_);
  ticket.wall_left_ms = WallLeftMs();
}

void RunActor::Perform(const effect::WaitForRun& wait) {
  std::vector<Draft> drafts = TakeChecks();
  if (FailureIsSaid(core_)) {
    drafts.push_back(DraftWaitForRun(core_, *sealer_, WallLeftMs()));
    return Spawn(WriteThatItFails(std::move(drafts)));
  }
  Spawn(WriteUnlessNews(std::move(drafts), RunState::kWaitingForRun, StillWaits(wait)));
}

RunActor::Still RunActor::StillWaits(const effect::WaitForRun&) const {
  std::vector<std::pair<std::string, std::string>> calls;  // and the runs that they started
  for (const CallSlot& slot : core_.slots) {
    if (slot.phase == SlotPhase::kRun) calls.emplace_back(slot.call, slot.started);
  }
  const Draft waits = DraftWaitForRun(core_, *sealer_, WallLeftMs());
  return [calls, waits](State& state, std::vector<Draft>& drafts) {
    drafts.push_back(waits);
    return std::all_of(calls.begin(), calls.end(), [&](const auto& one) {
      const CallRow* call = state.FindCall(one.first);
      const RunRow* started = state.FindRun(one.second);
      return call != nullptr && call->state == CallState::kIntended && started != nullptr &&
             !IsFinal(started->state);
    });
  };
}

// Why it fails is said whatever has come meanwhile, but for a cancel: nothing else would tell it
// after a restart, and those that it started are being stopped for it. Of what came before that
// entry the core may hear behind it; then it stands there already.
asio::awaitable<void> RunActor::WriteThatItFails(std::vector<Draft> drafts) {
  bool ending = false;
  const bool said = std::exchange(log_says_why_, true);
  core::Status status =
      co_await hub_.journal.Commit([this, &drafts, &ending, said](Serial& serial) -> core::Status {
        const RunRow* row = serial.state().FindRun(run_);
        ending = row == nullptr || IsEnding(row->state);
        if (ending || (said && row->state == RunState::kWaitingForRun)) return core::OkStatus();
        for (Draft& draft : drafts) INTERLOCK_RETURN_IF_ERROR(serial.Append(draft).status());
        return core::OkStatus();
      });
  if (!status.ok()) co_return Stall();
  if (ending) Stall(Back::kAtOnce);
}

void RunActor::Perform(const effect::StopRuns&) {
  for (const std::string& started : RunsOf(core_)) hub_.StopRun(started, run_);
}

// What the log is told meanwhile stands behind the outcomes, as the core must see it: until it has
// them, these calls are ones that run.
void RunActor::LookAtRuns() {
  for (const CallSlot& slot : core_.slots) {
    if (slot.phase != SlotPhase::kRun) continue;
    const auto row = hub_.RunRowOf(slot.started);
    if (!row.ok()) return Stall();
    if (!IsFinal(row->state)) continue;
    Step(core_, event::CallRunning{.call = slot.call});
    Spawn(TakeEnd(slot.call));
  }
}

asio::awaitable<void> RunActor::TakeEnd(std::string call) {
  auto made = hub_.stopping() ? core::StatusOr<std::unique_ptr<Ticket>>(core::Unavailable(""))
                              : TicketOfEnd(call);
  if (!made.ok()) co_return Stall();
  Ticket& ticket = **made;
  co_await lending_.Take();
  const core::Status status = co_await hub_.gate.RecordEnd(worker_, ticket);
  if (status.ok()) {
    HearEnd(ticket);
  } else {
    Stall();
  }
  lending_.Give();
}

void RunActor::HearEnd(Ticket& ticket) {
  event::CallDone done{.call = ticket.id.call,
                       .observation = ticket.observation,
                       .took_effect = Succeeded(ticket.outcome_kind),
                       .index = ticket.newest.index,
                       .tokens = ticket.ended->tokens,
                       .effects = ticket.ended->effects};
  KeepForRelease(ticket);
  Handle(done);
}

// As its own log tells it.
core::StatusOr<RunActor::EndedRun> RunActor::EndOf(const RunRow& row) const {
  INTERLOCK_ASSIGN_OR_RETURN(const RecordedRun started, hub_.ReadBack(row.run));
  EndedRun ended;
  const auto words = TextOfEnd(hub_.here(), row);
  ended.erased = words.status().code() == core::StatusCode::kNotFound;
  if (!words.ok() && !ended.erased) return words.status();
  ended.text = ended.erased ? "what it said was erased" : *words;
  ended.end.tokens = started.core.tokens;
  ended.end.label = started.reads.ModelLabel();
  ended.end.told_by = SplitWords(row.told_by);
  ended.end.stands = AnyStands(row, started);
  const bool answered = row.state == RunState::kCompleted || row.state == RunState::kEscalated;
  if (answered) {
    for (const TakenEffect& one : started.core.effects) ended.end.effects.push_back(one.call);
    ended.end.effects_beside = HasTooManyEffects(ended.end);
  }
  return ended;
}

// What the run that a call started has come to. What cannot be read now is read later: an end is
// recorded once, and for good. What never can be is an end, too, of which the worst is taken.
core::StatusOr<std::unique_ptr<Ticket>> RunActor::TicketOfEnd(const std::string& call) {
  INTERLOCK_ASSIGN_OR_RETURN(const RecordedRun own, hub_.ReadBack(run_));
  const auto recorded = std::find_if(own.calls.begin(), own.calls.end(),
                                     [&](const RecordedCall& one) { return one.id.call == call; });
  if (recorded == own.calls.end()) return core::DataLoss("the log has no call `" + call + "`");
  INTERLOCK_ASSIGN_OR_RETURN(const RunRow row, hub_.RunRowOf(recorded->starts));
  auto ended = EndOf(row);
  const bool lost = IsLost(ended.status());
  if (!ended.ok() && !lost) return ended.status();
  if (lost) {
    ended = EndedRun{.end = {.tokens = recorded->starts_tokens, .label = {.trusted = false}},
                     .text = std::string(core::Message(ended.status()))};
    ended->end.stands = true;
  }
  INTERLOCK_ASSIGN_OR_RETURN(auto ticket, hub_.TicketOf(*recorded, agent_));
  ticket->reads = &reads_;
  ticket->facts = FactsFromJson(recorded->facts);
  RunEnd& end = ticket->ended.emplace(std::move(ended->end));
  end.run = row.run;
  end.state = row.state;
  AddSource(end.label, "tool:" + recorded->id.tool);
  const AgentFile* agent = hub_.PinnedAgent(row.agent, row.agent_digest);
  ticket->outcome =
      OutcomeOfRun(row.state, {.agent = row.agent,
                               .code = row.code,
                               .text = ended->text,
                               .erased = ended->erased,
                               .lost = lost,
                               .formed = agent != nullptr && !agent->answer_schema.is_null(),
                               .stands = end.stands});
  return ticket;
}

}  // namespace interlock::runtime
