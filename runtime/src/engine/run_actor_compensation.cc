// A run that was not completed takes back what it did: the driver of step_compensation.h.
#include <algorithm>

#include "engine/compensation_call.h"
#include "engine/open_approvals.h"
#include "engine/plan_budgets.h"
#include "engine/run_actor.h"
#include "engine/run_entries.h"
#include "engine/run_state.h"
#include "engine/switches.h"

namespace interlock::runtime {
namespace {

// A person has said what came of one of them, and the core has not heard it: it is the log that
// says in which order they are taken back.
bool AnyResolved(State& state, const std::vector<Compensation>& calls) {
  return std::any_of(calls.begin(), calls.end(), [&state](const Compensation& one) {
    const CallRow* call = one.happened ? nullptr : state.FindCall(one.of);
    return call != nullptr && call->state != CallState::kUnknown;
  });
}

}  // namespace

void RunActor::Perform(const effect::BeginCompensation& begin) { Spawn(BeginCompensation(begin)); }

// From here on the log says that the run fails, and what is to be taken back.
asio::awaitable<void> RunActor::BeginCompensation(effect::BeginCompensation begin) {
  if (hub_.stopping()) co_return Stall();
  open_approvals_.clear();
  const bool fails = begin.ending.state == RunState::kFailed;
  const Unless unless = fails ? FailsUnless(begin.ending.code) : Unless::kNothing;
  const Read read = ReadSoFar();
  std::vector<Draft> drafts = TakeChecks();
  drafts.push_back(DraftCompensating(run_, *sealer_, begin));
  bool news = false;
  core::Status status = co_await hub_.journal.Commit([&, this](Serial& serial) -> core::Status {
    news = Prevents(serial, unless, read) || AnyResolved(serial.state(), begin.calls);
    if (news) return core::OkStatus();
    INTERLOCK_RETURN_IF_ERROR(VoidOpenApprovals(serial, run_, "run ended"));
    if (charged_) INTERLOCK_RETURN_IF_ERROR(SettlePlan(serial, run_, {}));
    for (Draft& one : drafts) INTERLOCK_RETURN_IF_ERROR(serial.Append(one).status());
    return core::OkStatus();
  });
  if (!status.ok()) co_return Stall();
  if (news) co_return Stall(Back::kAtOnce);
  charged_ = false;
  Handle(event::Compensating{std::move(begin.ending), std::move(begin.calls)});
}

// A call of this run, or of one that it started.
core::StatusOr<RecordedCall> RunActor::RecordedAs(const std::string& of) {
  INTERLOCK_ASSIGN_OR_RETURN(const CallRow row, hub_.CallRowOf(of));
  if (row.run != run_) {
    const auto read = [this](const std::string& run) { return hub_.ReadBack(run); };
    return CallOfEnded(row.run, of, read, below_);
  }
  INTERLOCK_ASSIGN_OR_RETURN(RecordedRun recorded, hub_.ReadBack(row.run));
  for (RecordedCall& call : recorded.calls) {
    if (call.id.call == of) return std::move(call);
  }
  return core::DataLoss("the log has no call `" + of + "`");
}

// What cannot be read now is read later, for a while: a run that fails has to end. What never can
// be is not taken back, and stands for a person to see.
core::StatusOr<std::unique_ptr<Ticket>> RunActor::NewCompensation(const std::string& of) {
  ToTakeBack back{.of = of, .tool = "", .call = RecordedAs(of)};
  const bool lost = !back.call.ok() && (IsLost(back.call.status()) || hub_.GivesUpReading(run_));
  if (!back.call.ok() && !lost) return back.call.status();
  const auto row = lost ? hub_.CallRowOf(of) : core::StatusOr<CallRow>(CallRow{});
  back.tool = lost ? (row.ok() ? row->tool : "") : back.call->id.tool;
  auto ticket = std::make_unique<Ticket>();
  ticket->id = base_;
  ticket->id.call = hub_.NewId();
  MakeCompensation(*hub_.parts.registry, core_, back, *ticket);
  ticket->sealer = sealer_;
  ticket->reads = &reads_;
  return ticket;
}

void RunActor::Perform(const effect::Compensate& compensate) {
  if (hub_.stopping()) return Stall();
  auto ticket = NewCompensation(compensate.of);
  // What a switch stops would be denied for good; when it is lifted, it can be taken back.
  if (!ticket.ok() || StoppedFor(*hub_.parts.state, base_, (*ticket)->id.tool)) return Stall();
  auto live = std::make_shared<LiveCall>();
  live->ticket = std::move(*ticket);
  live->ticket->handle = &live->handle;
  Step(core_, event::CompensationProposed{compensate.of, live->ticket->id.call});
  Spawn(PassCompensation(std::move(live)));
}

asio::awaitable<void> RunActor::PassCompensation(std::shared_ptr<LiveCall> live) {
  co_await PassGate(std::move(live));
}

}  // namespace interlock::runtime
