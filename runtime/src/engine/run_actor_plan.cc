// A run asks its planner, and looks at what it wants to answer before anybody reads it.
#include <algorithm>

#include "engine/plan_budgets.h"
#include "engine/run_actor.h"
#include "engine/run_entries.h"

namespace interlock::runtime {

PlanRequest RunActor::MakePlanRequest() {
  PlanRequest request;
  request.run = run_;
  request.agent = agent_->name;
  request.step = core_.steps;
  request.model = agent_->model;
  request.risk = agent_->risk;
  request.messages.push_back(
      {.role = Role::kSystem, .text = agent_->prompt, .calls = {}, .call_id = ""});
  if (std::string line = LeftOutLine(core_); !line.empty()) {
    request.messages.push_back(
        {.role = Role::kSystem, .text = std::move(line), .calls = {}, .call_id = ""});
  }
  request.messages.insert(request.messages.end(), core_.messages.begin(), core_.messages.end());
  request.tools = hub_.ToolsOf(*agent_);
  AskForAnswer(*agent_, request);
  request.tenant = hub_.parts.tenant;
  request.session = *base_.session;
  request.deadline_monotonic_us =
      hub_.parts.clock->MonotonicMicros() + hub_.parts.limits.plan_wait_us;
  return request;
}

std::vector<Draft> RunActor::TakeReleases(std::vector<std::string>& shown) {
  std::vector<Draft> drafts;
  for (Unreleased& result : std::exchange(unreleased_, {})) {
    drafts.push_back(DraftResultReleased(result.id, *sealer_, result.release));
    shown.push_back(result.id.call);
    const bool reads_results = agent_ != nullptr && ReadsResults(*agent_);
    NamedResult named = ReleaseInto(reads_, results_, reads_results,
                                    {.id = result.id,
                                     .shown = result.shown,
                                     .succeeded = result.succeeded,
                                     .by_handle = result.release.by_handle,
                                     .preview = result.release.preview,
                                     .from = result.from,
                                     .label = {.trusted = result.release.trusted_tool,
                                               .readers = result.release.readers,
                                               .changes = result.release.changes,
                                               .sources = result.release.sources}});
    Step(core_, event::CallReleased{result.id.call, std::move(named.observation),
                                    std::move(named.handle)});
  }
  return drafts;
}

// What the planner will read is released in the same durable step that records the request (rule
// 7).
asio::awaitable<void> RunActor::RequestPlan() {
  if (hub_.stopping()) co_return Stall();
  // Its time was up before this began.
  const Closing& closing = core_.closing;
  if (closing.kind == Closing::Kind::kFailed) {
    co_return Handle(event::PlanFailed{closing.code, closing.reason});
  }
  if (planner_ == nullptr) co_return co_await WaitForPlanner();
  co_await RequestPlanWith(nullptr);
}

// What the log knows better, and the run once it waits, is read back from the log.
asio::awaitable<void> RunActor::WaitForPlanner() {
  const Read read = ReadSoFar();
  const std::vector<std::string> at_work = AtWork(nullptr);
  Draft waiting = DraftWaitForPlanner(run_, agent_->planner, WallLeftMs());
  core::Status status = co_await hub_.journal.Commit(
      [this, &read, &at_work, &waiting](Serial& serial) -> core::Status {
        if (HasNews(serial, read) || HasEnded(serial, at_work)) return core::OkStatus();
        if (charged_) INTERLOCK_RETURN_IF_ERROR(SettlePlan(serial, run_, {}));
        return serial.Append(waiting).status();
      });
  Stall(status.ok() ? Back::kAtOnce : Back::kLater);
}

asio::awaitable<void> RunActor::RequestPlanWith(Ended* ended) {
  std::vector<Draft> drafts = TakeChecks();
  std::vector<std::string> shown;
  for (Draft& release : TakeReleases(shown)) drafts.push_back(std::move(release));
  if (const auto overflow = ContextOverflow(core_)) {
    const Heard heard = HeardSoFar();
    co_await WriteUnlessStopped(std::move(drafts), {}, ended);
    if (HeardSoFar() != heard) co_return Stall(Back::kAtOnce);
    co_return Handle(event::PlanFailed{kContextLimit, *overflow});
  }
  Step(core_, event::PlanRequested{});
  PlanRequestedFields fields = AskedOf(core_, *agent_, std::move(shown), *sealer_);
  fields.left_ms = WallLeftMs();
  co_await AskIfCovered(std::move(drafts), fields, ended);
}

// The request stands in the log; a restart finds it without a reply. What it used nobody knows: it
// has cost what it held, and the next one holds anew.
asio::awaitable<void> RunActor::AskPlannerAgain() {
  if (planner_ == nullptr) co_return co_await WaitForPlanner();
  PlanRequestedFields fields = AskedOf(core_, *agent_, {}, *sealer_);
  fields.again = true;
  fields.left_ms = WallLeftMs();
  if (charged_ || worker_.engine == nullptr || MostOfRequest()) {
    co_return co_await AskIfCovered({}, fields, nullptr);
  }
  if (IsStopped()) co_await WriteUnlessStopped({}, {});
  if (!stalled_) co_await AskPlanner();
}

RunActor::Heard RunActor::HeardSoFar() const {
  Heard heard{.messages = core_.messages.size(), .calls = {}};
  for (const CallSlot& slot : core_.slots) {
    heard.calls.push_back({.phase = slot.phase, .edit = slot.edit});
  }
  return heard;
}

// What is only held by the requests of others is free when they have their replies: the run waits
// for that, as long as it would for a reply.
asio::awaitable<void> RunActor::AskIfCovered(std::vector<Draft> drafts,
                                             const PlanRequestedFields& fields, Ended* ended) {
  PlanAsk ask{.who = &base_, .fields = &fields, .most = MostOfRequest()};
  PlanRefusal refused;
  const Heard heard = HeardSoFar();
  auto hold = [this, &ask, &refused, &drafts](Serial& serial) -> core::Status {
    if (charged_) INTERLOCK_RETURN_IF_ERROR(SettlePlan(serial, run_, {}));
    INTERLOCK_ASSIGN_OR_RETURN(refused, AskOrRefuse(serial, hub_.gate.parts(), ask, drafts));
    return core::OkStatus();
  };
  const EngineLimits& limits = hub_.parts.limits;
  const std::int64_t until_us = hub_.parts.clock->MonotonicMicros() + limits.plan_wait_us;
  do {
    if (refused.waits) {
      request_waits_ = true;
      co_await SleepFor(*hub_.timers, limits.retry_pause_us);
      request_waits_ = false;
      if (hub_.stopping()) co_return Stall();
      // The request is of a conversation that has gone on meanwhile.
      if (HeardSoFar() != heard) co_return Stall(Back::kAtOnce);
    }
    ask.waits = !IsOver() && hub_.parts.clock->MonotonicMicros() < until_us;
    co_await WriteUnlessStopped({}, hold, std::exchange(ended, nullptr));
    if (stalled_) co_return;
    charged_ = false;
  } while (refused.waits);
  charged_ = refused.code.empty() && ask.most.has_value();
  if (!refused.code.empty()) co_return Handle(event::PlanFailed{refused.code, refused.why});
  co_await AskPlanner();
}

std::optional<policies::ModelUse> RunActor::MostOfRequest() {
  if (!ChargesModels(worker_.engine.get())) return std::nullopt;
  PlanRequest request = MakePlanRequest();
  request.lost = std::make_shared<std::optional<policies::ModelUse>>();
  policies::ModelUse most = planner_->Bound(request);
  most.wait_ms = hub_.parts.limits.plan_wait_us / 1000;
  return most;
}

bool RunActor::IsOver() const {
  return core_.state == RunState::kCancelling || core_.closing.kind == Closing::Kind::kFailed;
}

asio::awaitable<void> RunActor::AskPlanner() {
  const std::int64_t step = core_.steps;
  const auto lost = std::make_shared<std::optional<policies::ModelUse>>();
  const auto spent = std::make_shared<Spent>();
  // The request is made here: while it is under way the coroutine's frame has nothing of it.
  auto start = [this, step, &lost, &spent](std::function<void(core::StatusOr<Plan>)> done) {
    PlanRequest request = MakePlanRequest();
    if (charged_) request.lost = lost;
    request.spent = spent;
    if (agent_->streams) request.on_text = hub_.texts->For(run_, step);
    planner_handle_ = planner_->Propose(std::move(request), std::move(done));
  };
  const std::int64_t since_us = hub_.parts.clock->MonotonicMicros();
  core::StatusOr<Plan> plan =
      core::Error(core::StatusCode::kCancelled, "the run ended before its planner was asked");
  if (IsOver()) {
    *lost = policies::NoUse();
  } else {
    plan = co_await Await<core::StatusOr<Plan>>(std::move(start));
  }
  planner_handle_ = 0;
  PlanReply reply = ReplyOf(plan);
  Add(*spent, reply.spent);
  if (charged_) {
    reply.wait_ms = (hub_.parts.clock->MonotonicMicros() - since_us + 999) / 1000;
    reply.lost = *lost;
  }
  Draft received = DraftPlanReceived(run_, *sealer_, agent_->planner, step, reply, plan);
  co_await lending_.Take();
  const bool at_once = reply.ok && TakesCallsAtOnce(*plan);
  if (!at_once) co_await TakeReply(reply, plan, received);
  lending_.Give();
  if (!at_once) co_return;
  event::PlanReceived calls{*std::move(plan), reply.spent.use.tokens};
  co_await TakeCalls(std::move(calls), std::move(received));
}

asio::awaitable<void> RunActor::TakeReply(const PlanReply& reply, core::StatusOr<Plan>& plan,
                                          Draft& received) {
  const std::int64_t spent_tokens = reply.spent.use.tokens;
  std::vector<Draft> drafts;
  drafts.push_back(std::move(received));
  auto settle = [this, &reply, &plan](Serial& serial) {
    if (!charged_) return core::OkStatus();
    return SettlePlan(serial, run_, CostOf(plan, reply));
  };
  co_await Write(std::move(drafts), std::move(settle));
  charged_ = false;
  if (stalled_) co_return;
  if (reply.ok) {
    Handle(event::PlanReceived{std::move(*plan), spent_tokens});
  } else {
    Handle(event::PlanFailed{reply.code, reply.reason, spent_tokens});
  }
}

void RunActor::Perform(const effect::CheckAnswer& check) {
  const JudgedText judged =
      JudgeAnswer(hub_.gate, worker_.engine.get(), agent_, base_, reads_, check);
  if (!judged.silent()) {
    checks_.push_back(DraftAnswerChecked(run_, *sealer_, NameOf(check.kind), judged));
  }
  Handle(CheckedAs(judged));
}

}  // namespace interlock::runtime
