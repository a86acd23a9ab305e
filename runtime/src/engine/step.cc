#include "engine/step.h"

#include <algorithm>
#include <utility>

#include "core/json.h"
#include "engine/entries.h"
#include "engine/lineage.h"
#include "engine/run_state.h"
#include "engine/step_compensation.h"

namespace interlock::runtime {
namespace {

using Effects = std::vector<Effect>;

CallSlot* Find(RunCore& run, const std::string& call) {
  for (CallSlot& slot : run.slots) {
    if (slot.call == call) return &slot;
  }
  return nullptr;
}

bool Busy(const RunCore& run) {
  return Any(run, SlotPhase::kDeciding) || Any(run, SlotPhase::kRunning);
}

bool HasOpen(const RunCore& run) {
  return Any(run, SlotPhase::kParked) || Any(run, SlotPhase::kPerson) || Any(run, SlotPhase::kRun);
}

// Results wait for the open calls of their plan, so that the planner reads one complete picture.
bool HasUnread(const RunCore& run) {
  const auto complete = [&run](std::int64_t step) {
    return std::none_of(run.slots.begin(), run.slots.end(), [step](const CallSlot& slot) {
      return slot.step == step && slot.phase != SlotPhase::kDone;
    });
  };
  return run.news || std::any_of(run.slots.begin(), run.slots.end(), [&](const CallSlot& slot) {
           return slot.phase == SlotPhase::kDone && !slot.shown && complete(slot.step);
         });
}

Effects Fail(RunCore& run, std::string code, std::string reason) {
  return EndUncompleted(
      run, {.state = RunState::kFailed, .code = std::move(code), .reason = std::move(reason)});
}

bool Fails(const RunCore& run) { return run.closing.kind == Closing::Kind::kFailed; }

void CloseAsFailed(RunCore& run, std::string code, std::string reason) {
  run.closing = {.kind = Closing::Kind::kFailed,
                 .text = "",
                 .code = std::move(code),
                 .reason = std::move(reason)};
}

Effects EndCancel(RunCore& run) {
  if (run.planning || Busy(run)) return {};  // rule 11
  if (Any(run, SlotPhase::kRun)) return {effect::StopRuns{}};
  if (Any(run, SlotPhase::kPerson)) return {};
  return EndUncompleted(
      run, {.state = RunState::kCancelled, .code = "CANCELLED", .reason = "cancelled"});
}

// Says that the run waits, once.
template <typename Wait>
Effects WaitAs(RunCore& run, RunState state, Wait wait) {
  if (run.state == state) return {};
  run.state = state;
  return {std::move(wait)};
}

// What a waiting run is told of sets it to work, as it does in the log (StateAfter): it says anew
// that it waits.
void GoOnWaiting(RunCore& run) {
  if (IsWaiting(run.state)) run.state = RunState::kRunning;
}

// What the planner said while calls are open, or beside them, is for the user: whatever becomes of
// them, the planner is asked again then. Nothing: it said nothing, or that was seen to.
Effects SayFirst(RunCore& run) {
  Closing& closing = run.closing;
  if (closing.kind == Closing::Kind::kNone && !run.remark.empty()) {
    closing = {.kind = Closing::Kind::kAsk, .text = run.remark, .code = "", .reason = ""};
  }
  const bool text = closing.kind == Closing::Kind::kAsk || closing.kind == Closing::Kind::kAnswer;
  if (!text || closing.said || closing.text.empty()) return {};
  if (!closing.checked) return {effect::CheckAnswer{Closing::Kind::kAsk, closing.text}};
  closing.said = true;
  return WaitAs(run, RunState::kWaitingForUser, effect::WaitForUser{closing.text});
}

// The run waits for what is open, once the user has been told what there is to tell.
template <typename Wait>
Effects SayAndWait(RunCore& run, RunState state, Wait wait) {
  if (run.state == state) return {};
  Effects says = SayFirst(run);
  return says.empty() ? WaitAs(run, state, std::move(wait)) : says;
}

// A run that fails ends when those have that it started; why it fails is said at once, also of one
// that has said already that it waits.
Effects StopAndWait(RunCore& run) {
  if (run.state == RunState::kWaitingForRun && run.closing.said) return {effect::StopRuns{}};
  run.state = RunState::kWaitingForRun;
  run.closing.said = true;
  return {effect::StopRuns{}, effect::WaitForRun{}};
}

Effects Close(RunCore& run) {
  const bool fails = Fails(run);
  const bool asked = run.state == RunState::kWaitingForUser;  // it was checked then
  if (run.closing.kind != Closing::Kind::kNone && !fails && !asked && !run.closing.checked) {
    const bool ends = run.closing.kind == Closing::Kind::kAnswer;  // a question waits for more
    return {effect::CheckAnswer{run.closing.kind, run.closing.text, ends ? LacksOf(run) : ""}};
  }
  switch (run.closing.kind) {
    case Closing::Kind::kNone:
      return {};
    case Closing::Kind::kEscalate:
      run.state = RunState::kEscalated;
      return {
          effect::Finish{.state = run.state, .answer = run.closing.text, .code = "", .reason = ""}};
    case Closing::Kind::kAsk:
      return WaitAs(run, RunState::kWaitingForUser, effect::WaitForUser{run.closing.text});
    case Closing::Kind::kAnswer:
      run.state = RunState::kCompleted;
      return {
          effect::Finish{.state = run.state, .answer = run.closing.text, .code = "", .reason = ""}};
    case Closing::Kind::kFailed:
      return Fail(run, run.closing.code, run.closing.reason);
  }
  return {};
}

// Precondition: nothing is in flight.
Effects EndFailed(RunCore& run) {
  return Any(run, SlotPhase::kRun) ? StopAndWait(run) : Close(run);
}

bool TokensUsed(const RunCore& run) {
  return run.limits.tokens_max > 0 && run.tokens >= run.limits.tokens_max;
}

// At a limit it fails as it does otherwise: when those have ended that it started.
Effects RequestPlan(RunCore& run) {
  if (TokensUsed(run)) {
    CloseAsFailed(
        run, kTokenLimit,
        "the run used its " + std::to_string(run.limits.tokens_max) + " tokens of the model");
    return EndFailed(run);
  }
  if (run.steps >= run.limits.steps_max) {
    CloseAsFailed(run, kStepLimit,
                  "the run took its " + std::to_string(run.limits.steps_max) + " steps");
    return EndFailed(run);
  }
  run.state = RunState::kRunning;
  run.planning = true;
  return {effect::RequestPlan{}};
}

// What is to be done when nothing is in flight that an event would tell of: a function of the state
// alone, so that a restart at any point finds the same. The order is the loop itself.
Effects Next(RunCore& run) {
  if (run.state == RunState::kCancelling) return EndCancel(run);
  if (run.planning) return {};
  const bool runs = Any(run, SlotPhase::kRun);
  if (Fails(run)) return Busy(run) ? Effects{} : EndFailed(run);
  if (Any(run, SlotPhase::kDeciding)) return {};
  if (Any(run, SlotPhase::kProposed)) return {effect::StartCalls{}};
  if (Any(run, SlotPhase::kRunning)) return {};
  const bool waits = Any(run, SlotPhase::kParked);
  const bool person = Any(run, SlotPhase::kPerson);
  const bool hands_over = run.closing.kind == Closing::Kind::kEscalate;
  // Those that it started may be using all the tokens that it has left.
  const bool lent = runs && TokensLeft(run) == 0 && !TokensUsed(run);
  // A message does not wait (rule 15).
  if (!lent && (run.news || (HasUnread(run) && !hands_over))) return RequestPlan(run);
  if (person) return SayAndWait(run, RunState::kWaitingForPerson, effect::WaitForPerson{});
  if (hands_over && !runs) return Close(run);  // its open approvals end with it
  if (waits) return SayAndWait(run, RunState::kWaitingForApproval, effect::Park{});
  if (runs) return SayAndWait(run, RunState::kWaitingForRun, effect::WaitForRun{});
  return Close(run);
}

// The newest message holds the result of this call.
void MarkNewest(RunCore& run, const CallSlot& slot) {
  run.context.marks.resize(run.messages.size());
  run.context.marks.back() = {.call = slot.call, .handle = slot.handle};
}

// Tool messages come in plan order; what was shown as pending comes late, as a note of the runtime.
void ShowObservations(RunCore& run) {
  for (CallSlot& slot : run.slots) {
    if (slot.phase == SlotPhase::kProposed || slot.phase == SlotPhase::kDeciding) continue;
    if (!slot.shown) {
      run.messages.push_back({.role = Role::kTool,
                              .text = slot.observation,
                              .calls = {},
                              .call_id = slot.proposed.id});
      MarkNewest(run, slot);
      slot.shown = true;
      if (slot.phase == SlotPhase::kDone) slot.step = -1;  // nothing more to tell
    }
  }
  for (CallSlot& slot : run.slots) {  // behind the results, which must follow their plan
    if (slot.edit.empty() || !slot.shown) continue;
    run.messages.push_back({.role = Role::kUser,
                            .text = "[from the runtime, not from the user] A person changed the "
                                    "arguments of the call `" +
                                    slot.proposed.id + "` (" + slot.proposed.tool +
                                    "): " + slot.edit,
                            .calls = {},
                            .call_id = ""});
    slot.edit.clear();
  }
  for (CallSlot& slot : run.slots) {
    if (slot.phase != SlotPhase::kDone || !slot.shown || slot.step < 0) continue;
    // Tools' words never stand where the operator's do: a note in the conversation, not a system
    // message.
    run.messages.push_back({.role = Role::kUser,
                            .text = "[from the runtime, not from the user] The call `" +
                                    slot.proposed.id + "` (" + slot.proposed.tool +
                                    ") that was pending has ended. " + std::string(kLateResult) +
                                    slot.observation,
                            .calls = {},
                            .call_id = ""});
    MarkNewest(run, slot);
    slot.step = -1;
  }
  std::erase_if(run.slots, [](const CallSlot& slot) { return slot.step < 0; });
  run.news = false;
}

Effects On(RunCore& run, const event::Message& message) {
  // Results of the plan come before what the user said after it: see PlanRequested.
  run.messages.push_back({.role = Role::kUser, .text = message.text, .calls = {}, .call_id = ""});
  run.news = true;
  ++run.user_messages;
  run.recent.clear();
  run.repairs = 0;
  GoOnWaiting(run);
  return Next(run);
}

Effects On(RunCore& run, const event::PlanRequested&) {
  run.planning = true;
  run.closing = {};
  run.remark.clear();
  // A message that came meanwhile stands already; tool messages must follow their assistant
  // message. Each keeps its mark: among them may be the note of a late result.
  std::vector<MessageMark>& marks = run.context.marks;
  marks.resize(run.messages.size());
  std::vector<std::pair<ChatMessage, MessageMark>> later;
  while (!run.messages.empty() && run.messages.back().role == Role::kUser && !run.slots.empty()) {
    later.emplace_back(std::move(run.messages.back()), std::move(marks.back()));
    run.messages.pop_back();
    marks.pop_back();
  }
  ShowObservations(run);
  marks.resize(run.messages.size());
  for (auto message = later.rbegin(); message != later.rend(); ++message) {
    run.messages.push_back(std::move(message->first));
    marks.push_back(std::move(message->second));
  }
  FitContext(run);
  return {};
}

// The call that hands the run over is answered only if something comes in between.
void HandOver(RunCore& run, const ProposedCall& call, std::int64_t step, std::int64_t position) {
  const auto args = core::ParseJson(call.args_text, core::kPayloadLimits);
  const bool fits = args.ok() && args->is_object() && args->size() == 1 &&
                    args->contains("summary") && (*args)["summary"].is_string();
  if (fits) {
    run.closing = {.kind = Closing::Kind::kEscalate,
                   .text = (*args)["summary"].get<std::string>(),
                   .code = "",
                   .reason = ""};
  }
  run.slots.push_back(
      {.proposed = call,
       .step = step,
       .position = position,
       .call = "",
       .phase = SlotPhase::kDone,
       .observation =
           fits ? ObservationFailed("NOT_HANDED_OVER", "the user wrote before it was handed over")
                : ObservationFailed("BAD_ARGUMENTS", "`summary` must be given, as a text"),
       .shown = false});
}

Effects On(RunCore& run, const event::PlanReceived& received) {
  run.planning = false;
  const std::int64_t step = run.steps++;
  const Plan& plan = received.plan;
  run.tokens += plan.prompt_tokens + plan.completion_tokens + received.spent;
  LearnTokens(run, plan);
  const Loop loop = LoopOf(run.recent, plan, run.limits.repeats_max);
  NotePlan(run.recent, plan, run.limits.repeats_max);
  run.messages.push_back({.role = Role::kAssistant,
                          .text = plan.text,
                          .calls = plan.calls,
                          .call_id = "",
                          .author = AuthorOf(plan)});
  if (Fails(run)) return Next(run);
  if (plan.finish != Finish::kCalls) {
    const bool ask =
        plan.finish == Finish::kAsk || (run.on_text == OnText::kAsk && !plan.final_answer);
    run.closing = {.kind = ask ? Closing::Kind::kAsk : Closing::Kind::kAnswer,
                   .text = plan.text,
                   .code = "",
                   .reason = ""};
    return Next(run);
  }
  run.calls += static_cast<std::int64_t>(plan.calls.size());
  if (run.calls > run.limits.calls_max) {
    CloseAsFailed(
        run, kCallLimit,
        "the run proposed more than its " + std::to_string(run.limits.calls_max) + " calls");
    return Next(run);
  }
  if (loop.times > 0) {
    CloseAsFailed(run, "LOOP",
                  "the planner made the very same call of `" + loop.tool + "` " +
                      std::to_string(loop.times) + " times");
    return Next(run);
  }
  run.remark = plan.text;
  for (std::size_t i = 0; i < plan.calls.size(); ++i) {
    if (run.escalates && plan.calls[i].tool == kEscalateTool) {
      HandOver(run, plan.calls[i], step, static_cast<std::int64_t>(i));
      continue;
    }
    run.slots.push_back({.proposed = plan.calls[i],
                         .step = step,
                         .position = static_cast<std::int64_t>(i),
                         .call = "",
                         .phase = SlotPhase::kProposed,
                         .observation = "",
                         .shown = false});
  }
  return Next(run);
}

// What the planner wrote and nobody was given goes back to it, a bounded number of times. False:
// there have been as many.
bool TellPlanner(RunCore& run, std::string text) {
  if (run.repairs >= run.limits.repairs_max) return false;
  ++run.repairs;
  run.closing = {};
  run.messages.push_back({.role = Role::kUser,
                          .text = "[from the runtime, not from the user] " + std::move(text),
                          .calls = {},
                          .call_id = ""});
  run.news = true;
  return true;
}

Effects On(RunCore& run, const event::PlanFailed& failed) {
  run.planning = false;
  run.tokens += failed.spent;
  const bool fault = failed.code == kModelReply;
  if (fault) ++run.steps;
  if (Fails(run) || run.state == RunState::kCancelling) return Next(run);
  if (fault &&
      TellPlanner(run, "Your last reply was not used: " + failed.reason + ". Write it anew.")) {
    return Next(run);
  }
  CloseAsFailed(run, fault ? std::string(kPlannerReply) : failed.code, failed.reason);
  return Next(run);
}

void FailAsRefused(RunCore& run, const event::AnswerChecked& checked) {
  const std::string times = std::to_string(run.repairs + 1);
  if (checked.code == kTogether) {
    CloseAsFailed(run, "INCOMPLETE", "it wanted to end " + times + " times: " + LacksOf(run));
    return;
  }
  const bool schema = checked.code == kAnswerSchema;
  CloseAsFailed(run, schema ? "ANSWER_INVALID" : "ANSWER_WITHHELD",
                "the answer was refused " + times + " times: " + checked.code +
                    (schema ? "; " + checked.say : ""));
}

// A refused answer goes back to the planner, a bounded number of times.
Effects On(RunCore& run, const event::AnswerChecked& checked) {
  Closing& closing = run.closing;
  if (closing.kind == Closing::Kind::kNone || Fails(run)) return {};
  if (checked.passes) {
    closing.checked = true;
    if (checked.changed) closing.text = checked.text;
    return Next(run);
  }
  if (HasOpen(run)) {  // the planner is asked again in any case
    closing.said = true;
    return Next(run);
  }
  if (!TellPlanner(run, "Nobody was given this (" + checked.code + "). " + checked.say)) {
    FailAsRefused(run, checked);
  }
  return Next(run);
}

Effects On(RunCore& run, const event::CallDeciding& deciding) {
  for (CallSlot& slot : run.slots) {
    if (slot.step != deciding.step || slot.position != deciding.position) continue;
    slot.call = deciding.call;
    slot.compensable = deciding.compensable;
    slot.phase = SlotPhase::kDeciding;
  }
  return {};
}

Effects On(RunCore& run, const event::CallParked& parked) {
  CallSlot* slot = Find(run, parked.call);
  if (slot == nullptr || slot->phase == SlotPhase::kDone) return {};
  slot->phase = SlotPhase::kParked;
  slot->observation = parked.observation;
  return Next(run);
}

Effects On(RunCore& run, const event::CallRunning& running) {
  CallSlot* slot = Find(run, running.call);
  if (slot == nullptr || slot->phase == SlotPhase::kDone) return {};
  slot->phase = SlotPhase::kRunning;
  if (running.started.empty()) return {};
  slot->phase = SlotPhase::kRun;
  slot->started = running.started;
  slot->tokens = running.tokens;
  slot->observation = ObservationAtWork(running.started);
  return Next(run);
}

Effects On(RunCore& run, const event::CallNeedsPerson& person) {
  CallSlot* slot = Find(run, person.call);
  if (slot == nullptr || slot->phase == SlotPhase::kDone) return {};
  slot->phase = SlotPhase::kPerson;
  slot->observation = person.observation;
  return Next(run);
}

bool Has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

void NoteTogether(RunCore& run, const std::string& tool) {
  const bool grouped = std::any_of(run.together.begin(), run.together.end(),
                                   [&](const auto& group) { return Has(group, tool); });
  if (grouped && !Has(run.took, tool)) run.took.push_back(tool);
}

// Two that ended at about the same time may be heard of the other way round. Calls of one entry
// stay in the order in which they come.
void NoteEffect(RunCore& run, const std::string& call, std::uint64_t index) {
  std::vector<TakenEffect>& effects = run.effects;
  const std::uint64_t newest = effects.empty() ? 0 : effects.back().index;
  const std::uint64_t at = index == 0 ? newest : index;
  const auto behind =
      std::upper_bound(effects.begin(), effects.end(), at,
                       [](std::uint64_t of, const TakenEffect& one) { return of < one.index; });
  effects.insert(behind, {.call = call, .index = at});
}

Effects On(RunCore& run, const event::CallDone& done) {
  CallSlot* slot = Find(run, done.call);
  if (slot == nullptr || slot->phase == SlotPhase::kDone) return {};
  slot->phase = SlotPhase::kDone;
  slot->observation = done.observation;
  if (slot->compensable && done.took_effect) NoteEffect(run, done.call, done.index);
  if (done.took_effect) NoteTogether(run, slot->proposed.tool);
  for (const std::string& call : done.effects) NoteEffect(run, call, done.index);
  run.tokens += done.tokens;
  run.news = run.news || slot->shown;  // was shown as pending: now there is news
  GoOnWaiting(run);
  return Next(run);
}

Effects On(RunCore& run, const event::CallReleased& released) {
  CallSlot* slot = Find(run, released.call);
  if (slot == nullptr || slot->phase != SlotPhase::kDone) return {};
  if (!released.observation.empty()) slot->observation = released.observation;
  if (!released.handle.empty()) slot->handle = released.handle;
  return {};
}

Effects On(RunCore& run, const event::CallEdited& edited) {
  if (CallSlot* slot = Find(run, edited.call); slot != nullptr) slot->edit = edited.change;
  return {};
}

Effects On(RunCore& run, const event::CallGranted& granted) {
  CallSlot* slot = Find(run, granted.call);
  if (slot == nullptr || slot->phase != SlotPhase::kParked) return {};
  if (run.state == RunState::kCancelling || Fails(run)) return {};
  slot->phase = SlotPhase::kDeciding;
  run.state = RunState::kRunning;
  return {effect::ResumeCall{granted.call}};
}

Effects On(RunCore& run, const event::Compensating& compensating) {
  return StepCompensating(run, compensating);
}

Effects On(RunCore&, const event::CompensationProposed&) { return {}; }

Effects On(RunCore& run, const event::TimeUp&) {
  if (run.state == RunState::kCancelling) return {};
  if (!Fails(run)) CloseAsFailed(run, kTimeLimit, "the run took longer than its agent allows");
  // What has not passed the gate never will.
  std::erase_if(run.slots, [](const CallSlot& slot) { return slot.phase == SlotPhase::kProposed; });
  // Started calls are not lost, and the driver stops the planner: the run ends when they have
  // ended. Runs that it started are stopped at once; why is said behind a plan on its way, and
  // behind the call of an agent in the gate, which may start one more.
  if (Any(run, SlotPhase::kRun)) {
    const bool may_start =
        std::any_of(run.slots.begin(), run.slots.end(), [](const CallSlot& slot) {
          return slot.phase == SlotPhase::kDeciding && IsAgentTool(slot.proposed.tool);
        });
    return run.planning || may_start ? Effects{effect::StopRuns{}} : StopAndWait(run);
  }
  if (Busy(run)) return {};
  return Next(run);
}

Effects On(RunCore& run, const event::Cancel& cancel) {
  if (run.state == RunState::kCancelling) return {};
  run.state = RunState::kCancelling;
  // What has not passed the gate never will.
  std::erase_if(run.slots, [](const CallSlot& slot) {
    return slot.phase == SlotPhase::kProposed || slot.phase == SlotPhase::kParked;
  });
  Effects effects{effect::BeginCancel{cancel.by}};
  for (Effect& effect : EndCancel(run)) effects.push_back(std::move(effect));
  return effects;
}

Effects On(RunCore& run, const event::Resume&) {
  if (run.planning && run.state != RunState::kCancelling) return {effect::AskPlannerAgain{}};
  run.planning = false;
  return Next(run);
}

}  // namespace

bool Any(const RunCore& run, SlotPhase phase) {
  return std::any_of(run.slots.begin(), run.slots.end(),
                     [phase](const CallSlot& slot) { return slot.phase == phase; });
}

bool FailureIsSaid(const RunCore& run) { return Fails(run) && run.closing.said; }

std::int64_t TokensLeft(const RunCore& run) {
  if (run.limits.tokens_max == 0) return -1;
  std::int64_t left = run.limits.tokens_max - run.tokens;
  for (const CallSlot& slot : run.slots) {
    if (slot.phase != SlotPhase::kDone) left -= slot.tokens;
  }
  return std::max<std::int64_t>(0, left);
}

std::int64_t StepsLeft(const RunCore& run) {
  return std::max<std::int64_t>(0, run.limits.steps_max - run.steps);
}

std::int64_t CallsLeft(const RunCore& run) {
  return std::max<std::int64_t>(0, run.limits.calls_max - run.calls);
}

std::string LacksOf(const RunCore& run) {
  for (const std::vector<std::string>& group : run.together) {
    std::string done;
    std::string lacks;
    for (const std::string& tool : group) {
      std::string& names = Has(run.took, tool) ? done : lacks;
      names += (names.empty() ? "`" : ", `") + tool + "`";
    }
    if (!done.empty() && !lacks.empty()) {
      return done + " took effect and " + lacks + " did not; they belong together";
    }
  }
  return "";
}

std::vector<std::string> RunsOf(const RunCore& run) {
  std::vector<std::string> runs;
  for (const CallSlot& slot : run.slots) {
    if (slot.phase == SlotPhase::kRun) runs.push_back(slot.started);
  }
  return runs;
}

std::vector<Effect> Step(RunCore& run, const Event& event) {
  if (IsFinal(run.state)) return {};
  if (run.state == RunState::kCompensating) return StepCompensating(run, event);
  return std::visit([&](const auto& e) { return On(run, e); }, event);
}

}  // namespace interlock::runtime
