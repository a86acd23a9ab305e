// A run asks its planner, and looks at what it wants to answer before anybody reads it.
#include <algorithm>

#include "engine/run_actor.h"

namespace interlock::runtime {
namespace {

std::string PlannerCode(const core::Status& status) {
  switch (status.code()) {
    case core::StatusCode::kDeadlineExceeded:
      return "PLANNER_TIMEOUT";
    case core::StatusCode::kUnavailable:
      return "PLANNER_UNAVAILABLE";
    case core::StatusCode::kInvalidArgument:
      return "PLANNER_REPLY";
    case core::StatusCode::kCancelled:
      return "PLANNER_CANCELLED";
    default:
      return "PLANNER";
  }
}

std::string_view FinishName(Finish finish) {
  switch (finish) {
    case Finish::kCalls:
      return "calls";
    case Finish::kAnswer:
      return "answer";
    case Finish::kAsk:
      return "ask";
  }
  return "answer";
}

}  // namespace

PlanRequest RunActor::MakePlanRequest() {
  PlanRequest request;
  request.run = run_;
  request.agent = agent_->name;
  request.step = core_.steps;
  request.model = agent_->model;
  request.messages.push_back(
      {.role = Role::kSystem, .text = agent_->prompt, .calls = {}, .call_id = ""});
  request.messages.insert(request.messages.end(), core_.messages.begin(), core_.messages.end());
  for (const auto& tool : hub_.parts.registry->tools()) {
    if (AgentMayUse(*agent_, tool->manifest().name)) request.tools.push_back(tool);
  }
  if (agent_->escalates) request.tools.push_back(hub_.escalate_tool);
  request.answer_schema = agent_->answer_schema;
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
    const std::string named = ReleaseInto(reads_, results_,
                                          {.id = result.id,
                                           .shown = result.shown,
                                           .succeeded = result.succeeded,
                                           .by_handle = result.release.by_handle,
                                           .label = {.trusted = result.release.trusted_tool,
                                                     .readers = result.release.readers,
                                                     .changes = result.release.changes}});
    if (!named.empty()) Step(core_, event::CallReleased{result.id.call, named});
  }
  return drafts;
}

// What the planner will read is released in the same durable step that records the request (rule
// 7).
asio::awaitable<void> RunActor::RequestPlan() {
  if (hub_.stopping()) co_return Stall();
  std::vector<Draft> drafts = TakeChecks();
  std::vector<std::string> shown;
  for (Draft& release : TakeReleases(shown)) drafts.push_back(std::move(release));
  Step(core_, event::PlanRequested{});
  Draft requested = MakeDraft("plan.requested", "engine");
  BodyWriter(requested)
      .Int("messages", static_cast<std::int64_t>(core_.messages.size()))
      .String("planner", agent_->planner)
      .Raw("results", JsonStrings(shown))
      .Int("step", core_.steps)
      .Close();
  drafts.push_back(std::move(requested));
  co_await WriteUnlessStopped(std::move(drafts));
  if (!stalled_) co_await AskPlanner();
}

asio::awaitable<void> RunActor::AskPlanner() {
  PlanRequest request = MakePlanRequest();
  const std::int64_t step = request.step;
  auto start = [this, &request](std::function<void(core::StatusOr<Plan>)> done) {
    planner_handle_ = planner_->Propose(std::move(request), std::move(done));
  };
  core::StatusOr<Plan> plan = co_await Await<core::StatusOr<Plan>>(std::move(start));
  planner_handle_ = 0;
  if (plan.ok() && plan->calls.size() > kPlanCallsMax) {
    plan = core::InvalidArgument("the plan holds more than " + std::to_string(kPlanCallsMax) +
                                 " calls");
  }
  // What could not be read back would stop the run at every restart.
  const std::string recorded = plan.ok() ? PlanToJson(*plan) : "";
  if (recorded.size() > core::kPayloadLimits.bytes_max) {
    plan = core::InvalidArgument("the reply is too large to be recorded");
  }
  Draft received = MakeDraft("plan.received", "planner:" + agent_->planner);
  const bool ok = plan.ok();
  const std::string code = ok ? "" : PlannerCode(plan.status());
  const std::string reason = ok ? "" : std::string(core::Message(plan.status()).substr(0, 500));
  if (ok) {
    const std::string sealed = sealer_->JsonText(received, recorded);
    BodyWriter(received)
        .Int("calls", static_cast<std::int64_t>(plan->calls.size()))
        .String("finish", FinishName(plan->finish))
        .Raw("plan", sealed)
        .Int("step", step)
        .Int("tokens_in", plan->prompt_tokens)
        .Int("tokens_out", plan->completion_tokens)
        .Close();
  } else {
    const std::string sealed = sealer_->Text(received, reason);  // may tell what the model said
    BodyWriter(received)
        .Int("calls", 0)
        .String("code", code)
        .String("finish", "error")
        .Raw("reason", sealed)
        .Int("step", step)
        .Close();
  }
  std::vector<Draft> drafts;
  drafts.push_back(std::move(received));
  co_await Write(std::move(drafts));
  if (stalled_) co_return;
  if (ok) {
    Handle(event::PlanReceived{std::move(*plan)});
  } else {
    Handle(event::PlanFailed{code, reason});
  }
}

// ---------------------------------------------------------------- answers

namespace {

std::string_view NameOf(Closing::Kind kind) {
  if (kind == Closing::Kind::kAsk) return "question";
  return kind == Closing::Kind::kEscalate ? "summary" : "answer";
}

// Models like to put JSON into a Markdown fence.
std::string_view WithoutFence(std::string_view text) {
  constexpr std::string_view kFence = "```";
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t start = text.find_first_not_of(kSpace);
  if (start == std::string_view::npos) return text;
  text = text.substr(start, text.find_last_not_of(kSpace) - start + 1);
  const std::size_t line = text.find('\n');
  const bool fenced = text.starts_with(kFence) && text.ends_with(kFence) && line + 3 < text.size();
  return fenced ? text.substr(line + 1, text.size() - line - 1 - kFence.size()) : text;
}

}  // namespace

// Leaves the answer in its one canonical form.
bool RunActor::FitsSchema(std::string& answer, JudgedText& judged) const {
  const auto value = core::ParseJson(WithoutFence(answer), core::kPayloadLimits);
  const core::Status fits =
      value.ok() ? agent_->answer_form->ValidateResult(*value) : value.status();
  if (fits.ok()) {
    answer = core::CanonicalJson(*value);
    return true;
  }
  judged.withheld = true;
  judged.changed.reset();
  judged.code = kAnswerSchema;
  judged.say = "Answer with JSON that fits the schema, and nothing else: " +
               std::string(core::Message(fits).substr(0, 500));
  return false;
}

JudgedText RunActor::JudgeAnswer(const effect::CheckAnswer& check) {
  const bool formed =
      check.kind == Closing::Kind::kAnswer && agent_ != nullptr && agent_->answer_form != nullptr;
  JudgedText judged;
  std::string answer = check.text;
  if (formed && !FitsSchema(answer, judged)) return judged;
  judged = hub_.gate.JudgeText(worker_.engine.get(), {.phase = policies::RulePhase::kAnswer,
                                                      .id = &base_,
                                                      .text = answer,
                                                      .label = reads_.ModelLabel(),
                                                      .flow_untrusted = reads_.untrusted()});
  if (judged.withheld) return judged;
  if (judged.changed) answer = *judged.changed;
  if (formed && judged.changed && !FitsSchema(answer, judged)) return judged;
  if (answer != check.text) judged.changed = answer;
  return judged;
}

// Nobody takes over a run whose summary is kept from him in silence: it is handed over without.
void RunActor::Perform(const effect::CheckAnswer& check) {
  JudgedText judged = JudgeAnswer(check);
  if (check.kind == Closing::Kind::kEscalate && judged.withheld) {
    judged.withheld = false;
    judged.changed = "";
  }
  if (!judged.silent()) {
    checks_.push_back(DraftAnswerChecked(run_, *sealer_, NameOf(check.kind), judged));
  }
  Handle(event::AnswerChecked{.passes = !judged.withheld,
                              .changed = judged.changed.has_value(),
                              .text = judged.changed.value_or(""),
                              .code = judged.code,
                              .say = judged.say});
}

}  // namespace interlock::runtime
