#include "engine/run_entries.h"

#include <algorithm>

#include "config/utf8.h"
#include "engine/plan_budgets.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kReasonShown = 500;
constexpr std::int64_t kToolTokens = 12;  // around a tool

std::string PlannerCode(const core::Status& status) {
  switch (status.code()) {
    case core::StatusCode::kDeadlineExceeded:
      return "PLANNER_TIMEOUT";
    case core::StatusCode::kUnavailable:
      return "PLANNER_UNAVAILABLE";
    case core::StatusCode::kInvalidArgument:
    case core::StatusCode::kDataLoss:
      return std::string(kPlannerReply);
    case core::StatusCode::kOutOfRange:
      return std::string(kModelReply);
    case core::StatusCode::kPermissionDenied:
      return "PLANNER_REFUSED";
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

// Leaves the answer in its one canonical form.
bool FitsSchema(const AgentFile& agent, std::string& answer, JudgedText& judged) {
  const auto value = core::ParseJson(WithoutFence(answer), core::kPayloadLimits);
  const core::Status fits = value.ok() ? agent.answer_form->ValidateResult(*value) : value.status();
  if (fits.ok()) {
    answer = core::CanonicalJson(*value);
    return true;
  }
  judged.withheld = true;
  judged.changed.reset();
  judged.code = kAnswerSchema;
  judged.say = "Answer with JSON that fits the schema, and nothing else: " +
               std::string(core::Message(fits).substr(0, kReasonShown));
  return false;
}

void AddLeft(BodyWriter& body, std::int64_t left_ms) {
  if (left_ms >= 0) body.Int("left_ms", left_ms);
}

}  // namespace

void AskForAnswer(const AgentFile& agent, PlanRequest& request) {
  request.answer_schema = agent.answer_schema;
  request.ends_by_tool = agent.on_text == OnText::kAsk;
}

std::string ListOrSealed(Draft& draft, const Sealer& sealer, const std::vector<std::string>& list) {
  std::string json = JsonStrings(list);
  return json.size() <= kListBytesMax ? json : sealer.JsonText(draft, json);
}

Draft DraftPlanRequested(const std::string& run, const PlanRequestedFields& fields) {
  const bool refused = !fields.refused.empty();
  Draft requested = MakeDraft(refused ? "plan.refused" : "plan.requested", run, "engine");
  if (!fields.bundle.empty()) requested.cites.push_back(fields.bundle);
  const std::string results = ListOrSealed(requested, *fields.sealer, fields.results);
  BodyWriter body(requested);
  if (fields.again) body.Bool("again", true);
  if (fields.refused_code != kModelBudget) body.Optional("code", fields.refused_code);
  AddLeft(body, fields.left_ms);
  if (fields.left_out.any()) {
    std::string left_out;
    core::JsonObjectWriter writer(left_out);
    writer.Int("plans", fields.left_out.plans);
    writer.Int("results", fields.left_out.results);
    writer.Int("texts", fields.left_out.texts);
    writer.Close();
    body.Raw("left_out", left_out);
  }
  body.Int("messages", static_cast<std::int64_t>(fields.messages))
      .String("planner", fields.planner)
      .Optional("prompt", fields.prompt)
      .Raw("results", results)
      .Int("step", fields.step);
  if (fields.tokens > 0) body.Int("tokens", fields.tokens);
  if (!fields.use.empty()) body.Raw("use", fields.use);
  body.Optional("why", fields.refused).Close();
  return requested;
}

PlanRequestedFields AskedOf(RunCore& core, const AgentFile& agent, std::vector<std::string> results,
                            const Sealer& sealer) {
  PlanRequestedFields fields{.planner = agent.planner,
                             .messages = core.messages.size(),
                             .results = std::move(results),
                             .step = core.steps,
                             .left_out = core.context.left_out,
                             .sealer = &sealer};
  if (core.context.budget.tokens > 0) fields.tokens = PromptTokens(core);
  if (fields.left_out.any())
    fields.prompt = sealer.keys().Hmac("prompt", PromptText(core, agent.prompt));
  return fields;
}

std::string ContextJson(const ModelContext& model, const AgentFile& agent,
                        const std::vector<std::shared_ptr<const tools::Tool>>& tools) {
  const std::int64_t own = agent.limits.context_tokens_max;
  std::int64_t tokens = model.tokens > 0 ? PromptShare(model.tokens) : own;
  if (own > 0) tokens = std::min(tokens, own);
  if (tokens == 0) return "";
  const TokenFamily family = FamilyOf(model.model);
  std::int64_t overhead = EstimateTokens(agent.prompt, family);
  for (const auto& tool : tools) {
    const tools::Manifest& manifest = tool->manifest();
    overhead += kToolTokens + EstimateTokens(manifest.name, family) +
                EstimateTokens(manifest.description, family) +
                EstimateTokens(core::CanonicalJson(manifest.input_schema), family);
  }
  if (!agent.answer_schema.is_null()) {
    overhead += EstimateTokens(core::CanonicalJson(agent.answer_schema), family);
  }
  std::string json;
  core::JsonObjectWriter writer(json);
  writer.String("family", FamilyName(family));
  writer.Int("overhead", overhead);
  writer.Int("tokens", tokens);
  writer.Close();
  return json;
}

ContextBudget BudgetOf(const core::JsonObjectView& context) {
  return {.tokens = std::max<std::int64_t>(context.Int("tokens").value_or(0), 0),
          .overhead = std::max<std::int64_t>(context.Int("overhead").value_or(0), 0),
          .family = FamilyNamed(context.String("family").value_or(""))};
}

PlanReply ReplyOf(core::StatusOr<Plan>& plan) {
  PlanReply reply;
  if (plan.ok() && plan->calls.size() > kPlanCallsMax) {
    reply.spent = SpentOn(*plan);
    plan = core::Error(core::StatusCode::kOutOfRange,
                       "the plan holds more than " + std::to_string(kPlanCallsMax) + " calls");
  }
  reply.recorded = plan.ok() ? PlanToJson(*plan) : "";
  // What could not be read back would stop the run at every restart.
  if (reply.recorded.size() > core::kPayloadLimits.bytes_max) {
    reply.spent = SpentOn(*plan);
    plan = core::InvalidArgument("the reply is too large to be recorded");
  }
  reply.ok = plan.ok();
  if (reply.ok) return reply;
  reply.code = PlannerCode(plan.status());
  // Cut anywhere, it may end within a character.
  reply.reason = AsUtf8(core::Message(plan.status()).substr(0, kReasonShown));
  return reply;
}

namespace {

void AddMicros(BodyWriter& body, std::string_view name, std::int64_t micros,
               const std::string& currency) {
  if (micros <= 0 || currency.empty()) return;
  body.Raw(name, MicrosJson(micros, currency));
}

}  // namespace

Draft DraftPlanReceived(const std::string& run, const Sealer& sealer, std::string_view planner,
                        std::int64_t step, const PlanReply& reply,
                        const core::StatusOr<Plan>& plan) {
  Draft received = MakeDraft("plan.received", run, "planner:" + std::string(planner));
  const bool lost = reply.lost.has_value() && !(reply.ok && reply.lost->requests == 0);
  const bool spent = reply.spent.use.requests > 0;
  if (reply.ok) {
    const std::string sealed = sealer.JsonText(received, reply.recorded);
    BodyWriter body(received);
    const bool asked = !plan->provider.empty() && !plan->from_cache;
    if (asked) body.Bool("asked", true);
    body.Int("calls", static_cast<std::int64_t>(plan->calls.size()));
    AddMicros(body, "cost", plan->cost_micros, plan->currency);
    body.String("finish", FinishName(plan->finish));
    if (plan->from_cache) body.Bool("from_cache", true);
    if (lost) body.Raw("lost", UseJson(*reply.lost));
    body.Optional("model", plan->model).Raw("plan", sealed).Optional("provider", plan->provider);
    AddMicros(body, "saved", plan->saved_micros, plan->currency);
    if (spent) body.Raw("spent", SpentJson(reply.spent));
    body.Int("step", step);
    if (plan->cached_tokens > 0) body.Int("tokens_cached", plan->cached_tokens);
    body.Int("tokens_in", plan->prompt_tokens).Int("tokens_out", plan->completion_tokens);
    if (plan->reasoning_tokens > 0) body.Int("tokens_reasoning", plan->reasoning_tokens);
    if (reply.wait_ms >= 0) body.Int("wait_ms", reply.wait_ms);
    body.Close();
    return received;
  }
  const std::string sealed = sealer.Text(received, reply.reason);  // may tell what the model said
  BodyWriter body(received);
  body.Int("calls", 0).String("code", reply.code).String("finish", "error");
  if (lost) body.Raw("lost", UseJson(*reply.lost));
  body.Raw("reason", sealed);
  if (spent) body.Raw("spent", SpentJson(reply.spent));
  body.Int("step", step);
  if (reply.wait_ms >= 0) body.Int("wait_ms", reply.wait_ms);
  body.Close();
  return received;
}

Draft DraftParked(const std::string& run, const Sealer& sealer,
                  const std::vector<std::string>& approvals, std::int64_t left_ms) {
  Draft parked = MakeDraft("run.parked", run, "engine");
  const std::string list = ListOrSealed(parked, sealer, approvals);
  BodyWriter body(parked);
  body.Raw("approvals", list);
  AddLeft(body, left_ms);
  body.Close();
  return parked;
}

Draft DraftWaitForUser(const std::string& run, const Sealer& sealer, std::string_view text,
                       std::int64_t left_ms) {
  Draft waiting = MakeDraft("run.waiting", run, "engine");
  const std::string sealed = sealer.Text(waiting, text);
  BodyWriter body(waiting);
  body.String("for", "user");
  AddLeft(body, left_ms);
  body.Raw("text", sealed).Close();
  return waiting;
}

Draft DraftWaitForPerson(const std::string& run, std::int64_t left_ms) {
  Draft waiting = MakeDraft("run.waiting", run, "engine");
  BodyWriter body(waiting);
  body.String("for", "person");
  AddLeft(body, left_ms);
  body.Close();
  return waiting;
}

Draft DraftWaitForRun(const RunCore& run, const Sealer& sealer, std::int64_t left_ms) {
  Draft waiting = MakeDraft("run.waiting", run.run, "engine");
  const bool fails = run.closing.kind == Closing::Kind::kFailed;
  const std::string reason = fails ? sealer.Text(waiting, run.closing.reason) : "";
  BodyWriter body(waiting);
  if (fails) body.String("code", run.closing.code);
  body.String("for", "run").Int("left_ms", left_ms);
  if (fails) body.Raw("reason", reason);
  body.Raw("runs", JsonStrings(RunsOf(run))).Close();
  return waiting;
}

namespace {

// For a switch or a planner, by name.
Draft WaitFor(const std::string& run, std::string_view what, std::string_view name,
              std::int64_t left_ms) {
  Draft waiting = MakeDraft("run.waiting", run, "engine");
  BodyWriter body(waiting);
  body.String("for", what);
  AddLeft(body, left_ms);
  body.String(what, name).Close();
  return waiting;
}

}  // namespace

Draft DraftWaitForSwitch(const std::string& run, std::string_view name, std::int64_t left_ms) {
  return WaitFor(run, "switch", name, left_ms);
}

Draft DraftWaitForPlanner(const std::string& run, std::string_view planner, std::int64_t left_ms) {
  return WaitFor(run, "planner", planner, left_ms);
}

Draft DraftResumed(const std::string& run, std::string_view why) {
  Draft resumed = MakeDraft("run.resumed", run, "engine");
  BodyWriter(resumed).String("why", why).Close();
  return resumed;
}

Draft DraftCompensating(const std::string& run, const Sealer& sealer,
                        const effect::BeginCompensation& begin) {
  std::vector<std::string> calls;
  for (const Compensation& one : begin.calls) calls.push_back(one.of);
  Draft draft = MakeDraft("run.compensating", run, "engine");
  const std::string reason = sealer.Text(draft, begin.ending.reason);
  const std::string list = ListOrSealed(draft, sealer, calls);
  BodyWriter(draft)
      .String("as", RunStateName(begin.ending.state))
      .Raw("calls", list)
      .String("code", begin.ending.code)
      .Raw("reason", reason)
      .Close();
  return draft;
}

Draft DraftFinish(const std::string& run, const Sealer& sealer, const effect::Finish& finish) {
  const bool completed = finish.state == RunState::kCompleted;
  if (completed || finish.state == RunState::kEscalated) {
    Draft done = MakeDraft(completed ? "run.completed" : "run.escalated", run, "engine");
    const std::string text = sealer.Text(done, finish.answer);
    BodyWriter(done).Raw(completed ? "answer" : "summary", text).Close();
    return done;
  }
  const bool cancelled = finish.state == RunState::kCancelled || finish.as == RunState::kCancelled;
  Draft draft = MakeDraft(cancelled ? "run.cancelled" : "run.failed", run, "engine");
  const std::string reason = cancelled ? "" : sealer.Text(draft, finish.reason);
  const std::string stands = ListOrSealed(draft, sealer, finish.uncompensated);
  BodyWriter body(draft);
  if (!cancelled) body.String("code", finish.code).Raw("reason", reason);
  if (!finish.uncompensated.empty()) body.Raw("uncompensated", stands);
  if (cancelled) body.String("why", "asked");
  body.Close();
  return draft;
}

std::string_view NameOf(Closing::Kind kind) {
  if (kind == Closing::Kind::kAsk) return "question";
  return kind == Closing::Kind::kEscalate ? "summary" : "answer";
}

JudgedText JudgeAnswer(const Gate& gate, policies::Engine* engine, const AgentFile* agent,
                       const CallIdentity& base, const Provenance& reads,
                       const effect::CheckAnswer& check) {
  const bool formed =
      check.kind == Closing::Kind::kAnswer && agent != nullptr && agent->answer_form != nullptr;
  JudgedText judged;
  if (!check.lacks.empty()) {
    judged.withheld = true;
    judged.code = kTogether;
    judged.say = check.lacks +
                 ". Do what is missing, or ask the user; if the run ends now, what "
                 "took effect is taken back.";
    return judged;
  }
  std::string answer = check.text;
  if (formed && !FitsSchema(*agent, answer, judged)) return judged;
  judged = gate.JudgeText(engine, {.phase = policies::RulePhase::kAnswer,
                                   .id = &base,
                                   .text = answer,
                                   .label = reads.ModelLabel(),
                                   .flow_untrusted = reads.untrusted()});
  if (!judged.withheld) {
    if (judged.changed) answer = *judged.changed;
    const bool fits = !formed || !judged.changed || FitsSchema(*agent, answer, judged);
    if (fits && answer != check.text) judged.changed = answer;
  }
  // Nobody takes over a run whose summary is kept from him in silence: it is handed over without.
  if (check.kind == Closing::Kind::kEscalate && judged.withheld) {
    judged.withheld = false;
    judged.changed = "";
  }
  return judged;
}

event::AnswerChecked CheckedAs(const JudgedText& judged) {
  return {.passes = !judged.withheld,
          .changed = judged.changed.has_value(),
          .text = judged.changed.value_or(""),
          .code = judged.code,
          .say = judged.say};
}

}  // namespace interlock::runtime
