#include "engine/history.h"

#include <algorithm>

#include "engine/gate.h"
#include "engine/handles.h"
#include "engine/lineage.h"
#include "engine/long_results.h"
#include "engine/plan_budgets.h"
#include "engine/run_entries.h"
#include "engine/run_state.h"

namespace interlock::runtime {
namespace {

constexpr int kPageEntries = 256;
using Words = std::vector<std::string>;

std::string Field(const core::JsonObjectView& body, std::string_view name) {
  return body.String(name).value_or("");
}

core::Json JsonOf(const std::string& text) {
  auto parsed = core::ParseJson(text, core::kPayloadLimits);
  return parsed.ok() ? *std::move(parsed) : core::Json();
}

RecordedCall* FindCall(std::vector<RecordedCall>& calls, const std::string& id) {
  const auto at = std::find_if(calls.rbegin(), calls.rend(),
                               [&](const RecordedCall& call) { return call.id.call == id; });
  return at == calls.rend() ? nullptr : &*at;
}

// The events that an entry of a call stands for, in the words of the core.
std::vector<Event> EventsOf(const audit::Entry& entry, const RecordedCall& call, bool compensable) {
  const std::string_view kind = entry.kind;
  const std::string& id = call.id.call;
  if (kind == "call.proposed") {
    if (!call.id.compensates.empty()) {
      return {event::CompensationProposed{call.id.compensates, id}};
    }
    return {event::CallDeciding{call.id.step, call.id.position, id, compensable}};
  }
  if (kind == "call.decided") {
    if (call.verdict == "ask") return {event::CallParked{id, ObservationPending({}, call.say)}};
    if (call.verdict == "allow" || call.verdict == "modify") return {};
    return {event::CallDone{id, ObservationOf(call), TookEffect(call)}};
  }
  if (kind == "approval.requested") {
    return {event::CallParked{id, ObservationPending(call.approvals, call.say)}};
  }
  if (kind == "call.edited") {
    return {event::CallEdited{id, ChangeOf(call.id.args_text, call.edited)}};
  }
  if (kind == "call.intended") {
    return {event::CallRunning{.call = id, .started = call.starts, .tokens = call.starts_tokens}};
  }
  if (kind == "call.outcome" && call.outcome == "unknown") {
    return {event::CallNeedsPerson{id, ObservationUnknown()}};  // until a further attempt
  }
  if (kind == "result.released") return {event::CallReleased{id, ObservationOf(call)}};
  const bool ends = kind == "call.outcome" || kind == "call.resolved" || kind == "call.withdrawn" ||
                    kind == "approval.rejected" || kind == "approval.expired" ||
                    kind == "approval.voided";
  const std::string observation = ends ? ObservationOf(call) : "";
  if (observation.empty()) return {};
  event::CallDone done{.call = id,
                       .observation = observation,
                       .took_effect = TookEffect(call),
                       .index = entry.index};
  if (call.ended) {
    done.tokens = call.ended->tokens;
    done.effects = call.ended->effects;
  }
  return {std::move(done)};
}

}  // namespace

// What somebody else takes back, or has taken back, need not be taken back again.
bool TookEffect(const RecordedCall& call) {
  if (Succeeded(call.outcome) || call.outcome == "resolved_done") return true;
  return call.outcome.empty() && !call.id.compensates.empty() && call.code == kDuplicateEffect;
}

bool History::Compensable(const RecordedCall& call) const {
  const auto tool = tools_ == nullptr ? nullptr : tools_->Find(call.id.tool);
  return tool != nullptr && tool->manifest().compensate.has_value();
}

std::string ChangeOf(const std::string& proposed, const std::string& edited) {
  const core::Json before = JsonOf(proposed);
  const core::Json after = JsonOf(edited);
  core::Json names = core::Json::array();
  core::Json removed = core::Json::array();
  for (const auto& [name, value] : after.items()) {
    if (before.is_object() && before.contains(name) && before[name] == value) continue;
    names.push_back(name);
  }
  for (const auto& [name, value] : before.items()) {
    if (!after.contains(name)) removed.push_back(name);
  }
  core::Json change = {{"changed", std::move(names)}};
  if (!removed.empty()) change["removed"] = std::move(removed);
  return core::CanonicalJson(change);
}

std::string ObservationOf(const RecordedCall& call) {
  if (call.outcome == "ok" || call.outcome == "reconciled_done") {
    if (call.withheld) return ObservationWithheld(call.withheld_code, call.withheld_say);
    return call.by_handle || call.preview ? kNamedOnly : ObservationOk(call.result);
  }
  if (call.outcome == "resolved_done") {
    return ObservationOk({{"resolved", "a person confirmed that it took effect"}});
  }
  if (call.outcome == "unknown") return "";
  if (!call.outcome.empty()) {
    return ObservationFailed(call.by_handle ? kUnshownCode : call.error_code, call.error);
  }
  if (call.verdict == "deny" || call.verdict == "refuse") {
    return ObservationDenied(call.code, call.say, call.fix);
  }
  return "";
}

core::Json ShownOf(const RecordedCall& call) {
  if (call.outcome != "ok" && call.outcome != "reconciled_done") return nullptr;
  return call.withheld ? WithheldJson(call.withheld_code, call.withheld_say) : call.result;
}

core::Json ReadOf(const RecordedCall& call) {
  return call.error.empty() ? ShownOf(call) : core::Json(call.error);
}

void ReadInto(Provenance& reads, const event::Message& message) {
  if (message.withheld) return reads.PassOverMessage();
  reads.ReadMessage({.from = message.from,
                     .text = message.text,
                     .untrusted = message.untrusted,
                     .tags = message.tags,
                     .sources = message.sources,
                     .readers = message.readers});
}

NamedResult ReleaseInto(Provenance& reads, ResultsAs results, bool reads_results,
                        ReleasedResult result) {
  const bool read = !result.by_handle;
  const std::string_view tool = result.from.empty() ? result.id.tool : result.from;
  // All of what is not trusted counts as read with its first part: read in pieces, what stands
  // across two of them would be found in neither (rule 16).
  const bool plain = result.label.trusted && result.label.changes.empty();
  if (read && result.preview && plain) {
    reads.ReadResult(tool, CutJson(result.shown, kPreviewBytesMax), result.label);
  } else if (read) {
    reads.ReadResult(tool, result.shown, result.label);
  }
  const bool named = results == ResultsAs::kHandles || reads_results;
  if (!named || !result.succeeded || result.id.tool == kReadResultTool) return {};
  reads.HoldResult(tool, result.shown, std::move(result.label));
  const std::size_t number = reads.held();
  NamedResult name{.observation = "", .handle = "r" + std::to_string(number)};
  if (!read) {
    name.observation = ObservationHandle(number, "outline", OutlineOf(result.shown));
  } else if (result.preview) {
    name.observation = ObservationLong(number, result.shown);
  } else if (results == ResultsAs::kHandles) {
    name.observation = ObservationHandle(number, "result", result.shown);
  }
  return name;
}

core::StatusOr<std::string> History::Content(std::uint64_t index, const core::JsonObjectView& body,
                                             std::string_view field) const {
  const auto object = body.Object(field);
  const auto slot = object ? object->Int("slot") : std::nullopt;
  if (!slot) return core::NotFound("entry has no `" + std::string(field) + "`");
  INTERLOCK_ASSIGN_OR_RETURN(const audit::PayloadRow row,
                             log_.ReadPayload(index, static_cast<int>(*slot)));
  if (row.erased) return core::NotFound("the content was erased");
  if (core::Hex(row.payload.commitment) != object->Token("commit")) {
    return core::DataLoss("payload of entry " + std::to_string(index) +
                          " is not the committed one");
  }
  INTERLOCK_ASSIGN_OR_RETURN(audit::OpenedPayload opened, keys_.Open(row.payload));
  return std::move(opened.plaintext);
}

core::StatusOr<std::string> History::ContentIfAny(std::uint64_t index,
                                                  const core::JsonObjectView& body,
                                                  std::string_view field) const {
  auto text = Content(index, body, field);
  if (!text.ok() && IsLost(text.status())) return std::string();
  return text;
}

core::StatusOr<Words> History::ListOf(std::uint64_t index, const core::JsonObjectView& body,
                                      std::string_view field) const {
  if (!body.Object(field)) return SplitWords(WordsOf(body, field));
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text, Content(index, body, field));
  Words list;
  INTERLOCK_ASSIGN_OR_RETURN(const auto elements, core::JsonArrayElements(text));
  list.reserve(elements.size());
  for (const std::string_view one : elements) list.emplace_back(one.substr(1, one.size() - 2));
  return list;
}

core::StatusOr<core::Json> History::JsonIfAny(std::uint64_t index, const core::JsonObjectView& body,
                                              std::string_view field) const {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text, ContentIfAny(index, body, field));
  return text.empty() ? core::Json() : JsonOf(text);
}

core::Status History::FoldCall(const audit::Entry& entry, const core::JsonObjectView& body,
                               RecordedCall& call) const {
  const std::string& kind = entry.kind;
  if (kind == "call.proposed") {
    call.id.call = Field(body, "call");
    call.id.step = body.Int("step").value_or(-1);
    call.id.position = body.Int("position").value_or(-1);
    INTERLOCK_ASSIGN_OR_RETURN(call.id.tool, ContentIfAny(entry.index, body, "name"));
    if (call.id.tool.empty()) call.id.tool = Field(body, "tool");
    call.id.principal = Field(body, "principal");
    call.id.request = Field(body, "request");
    call.id.compensates = Field(body, "compensates");
    INTERLOCK_ASSIGN_OR_RETURN(call.id.args_text, Content(entry.index, body, "args"));
    if (body.Raw("context")) {
      INTERLOCK_ASSIGN_OR_RETURN(const core::Json context, JsonIfAny(entry.index, body, "context"));
      TakeContext(context, call.id);
    }
  } else if (kind == "facts.gathered") {
    INTERLOCK_ASSIGN_OR_RETURN(call.facts, JsonIfAny(entry.index, body, "facts"));
  } else if (kind == "call.decided") {
    call.verdict = Field(body, "effect");
    call.code = Field(body, "code");
    INTERLOCK_ASSIGN_OR_RETURN(call.say, ContentIfAny(entry.index, body, "say"));
    INTERLOCK_ASSIGN_OR_RETURN(call.decision, JsonIfAny(entry.index, body, "decision"));
    call.fix = call.decision.is_object() ? call.decision.value("fix", core::Json()) : core::Json();
    INTERLOCK_ASSIGN_OR_RETURN(const core::Json labels, JsonIfAny(entry.index, body, "labels"));
    call.labels = {};
    for (const auto& [path, label] : labels.items()) call.labels.Set(path, LabelFromJson(label));
    call.flow_untrusted = body.Bool("untrusted").value_or(false);
    call.args = call.id.args_text;
    if (body.Raw("args")) {
      INTERLOCK_ASSIGN_OR_RETURN(call.args, ContentIfAny(entry.index, body, "args"));
    }
  } else if (kind == "call.edited") {
    INTERLOCK_ASSIGN_OR_RETURN(call.edited, Content(entry.index, body, "args"));
    call.editors = SplitWords(WordsOf(body, "editors"));
    call.edit_until_us = body.Int("until_us").value_or(0);
  } else if (kind == "approval.requested") {
    call.approvals.push_back(Field(body, "approval"));
  } else if (kind == "approval.consumed" || kind == "approval.voided") {
    std::erase(call.approvals, Field(body, "approval"));
    if (body.Bool("ends_call").value_or(false)) {
      call.verdict = "deny";
      call.code = "CONFIRMATION_VOIDED";
      call.say = "The user wrote again before confirming.";
    }
  } else if (kind == "approval.rejected" || kind == "approval.expired") {
    call.verdict = "deny";
    call.code = kind == "approval.rejected" ? "APPROVAL_REJECTED" : "APPROVAL_EXPIRED";
    call.say = SayOfEnded(call.code);
  } else if (kind == "call.intended") {
    call.level = Field(body, "level");
    call.attempt = static_cast<int>(body.Int("attempt").value_or(1));
    call.effect = Field(body, "effect");
    call.intended_tool_digest = Field(body, "tool_digest");
    call.starts = Field(body, "starts");
    call.starts_tokens = body.Int("starts_tokens").value_or(0);
    // A further attempt is open: what the one before it left is not the outcome any more.
    call.outcome.clear();
    call.error_code.clear();
    call.error.clear();
  } else if (kind == "call.outcome") {
    call.outcome = Field(body, "kind");
    call.level = Field(body, "level");
    call.error_code = Field(body, "code");
    INTERLOCK_ASSIGN_OR_RETURN(call.error, ContentIfAny(entry.index, body, "detail"));
    INTERLOCK_ASSIGN_OR_RETURN(call.result, JsonIfAny(entry.index, body, "result"));
    if (const auto ended = body.Raw("ended")) {
      INTERLOCK_ASSIGN_OR_RETURN(const core::Json label,
                                 JsonIfAny(entry.index, body, "ended_label"));
      INTERLOCK_ASSIGN_OR_RETURN(call.ended, RunEndFrom(*ended, label));
    }
  } else if (kind == "call.resolved" && body.Bool("complete").value_or(false)) {
    const bool happened = body.Bool("happened").value_or(false);
    call.outcome = happened ? "resolved_done" : "resolved_not_done";
    call.error_code = happened ? "" : "NOT_DONE";
    call.error = happened ? "" : "a person found that it did not take effect";
  } else if (kind == "call.withdrawn") {
    call.verdict = "deny";
    call.code = "WITHDRAWN";
    call.say = "The call was withdrawn.";
  } else if (kind == "result.released") {
    call.released = true;
    call.withheld = body.Bool("withheld").value_or(true);
    call.withheld_code = Field(body, "code");
    INTERLOCK_ASSIGN_OR_RETURN(call.withheld_say, ContentIfAny(entry.index, body, "say"));
    call.by_handle = body.Bool("by_handle").value_or(false);
    call.preview = body.Bool("preview").value_or(false);
    INTERLOCK_RETURN_IF_ERROR(FoldLabels(entry, body, call));
    INTERLOCK_RETURN_IF_ERROR(FoldShown(entry, body, call));
  }
  return core::OkStatus();
}

core::Status History::FoldLabels(const audit::Entry& entry, const core::JsonObjectView& body,
                                 RecordedCall& call) const {
  constexpr std::string_view kTag = "tag:";
  policies::LabelChange whole{.rule = "", .path = "result", .tags = {}, .untrusted = false};
  const std::vector<std::string> labels = TextsOf(body, "labels");
  call.trusted = !labels.empty() && labels.front() == "trusted";
  for (const std::string& label : labels) {
    if (label.starts_with(kTag)) whole.tags.push_back(label.substr(kTag.size()));
  }
  call.changes = {std::move(whole)};
  if (!body.Raw("spans")) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json spans, JsonIfAny(entry.index, body, "spans"));
  call.trusted = spans.is_object() && spans.value("trusted", false);
  if (spans.is_object()) call.changes = ChangesFromJson(spans.value("changes", core::Json()));
  return core::OkStatus();
}

// What rules made of the result, or of the words of a failure.
core::Status History::FoldShown(const audit::Entry& entry, const core::JsonObjectView& body,
                                RecordedCall& call) const {
  const bool changed = body.Raw("result").has_value();
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json shown, JsonIfAny(entry.index, body, "result"));
  if (Succeeded(call.outcome)) {
    if (changed) call.given = std::exchange(call.result, shown);
  } else if (call.withheld) {
    call.error = call.withheld_say;
  } else if (call.by_handle) {
    call.error = kUnshownFailure;
  } else if (changed) {
    call.error = FailureMessage(shown);
  }
  return core::OkStatus();
}

core::StatusOr<RecordedCall> History::Call(const std::vector<std::uint64_t>& indexes) const {
  RecordedCall call;
  for (const std::uint64_t index : indexes) {
    INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry, log_.Read(index));
    INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                               core::JsonObjectView::Of(entry.bytes));
    const auto body = view.Object("body");
    if (!body) return core::DataLoss("entry " + std::to_string(index) + " has no body");
    INTERLOCK_RETURN_IF_ERROR(FoldCall(entry, *body, call));
  }
  if (call.id.call.empty()) return core::NotFound("no such call");
  if (call.id.session == nullptr)
    call.id.session = std::make_shared<core::Json>(core::Json::object());
  return call;
}

core::StatusOr<event::Message> History::MessageOf(const audit::Entry& entry,
                                                  const core::JsonObjectView& body) const {
  event::Message message;
  message.from = Field(body, "from");
  message.withheld = body.Bool("withheld").value_or(false);
  message.untrusted = SaysUntrusted(body);
  constexpr std::string_view kTag = "tag:";
  for (const std::string& label : TextsOf(body, "labels")) {
    if (label.starts_with(kTag)) message.tags.push_back(label.substr(kTag.size()));
  }
  if (body.Raw("label")) {
    INTERLOCK_ASSIGN_OR_RETURN(const core::Json sealed, JsonIfAny(entry.index, body, "label"));
    policies::Label label = LabelFromJson(sealed);
    message.sources = std::move(label.sources);
    message.readers = std::move(label.readers);
  }
  if (message.withheld) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::string say, ContentIfAny(entry.index, body, "say"));
    message.text = WithheldMessage(Field(body, "code"), say);
    return message;
  }
  INTERLOCK_ASSIGN_OR_RETURN(message.text,
                             Content(entry.index, body, body.Raw("read") ? "read" : "text"));
  return message;
}

core::StatusOr<event::AnswerChecked> History::CheckedOf(const audit::Entry& entry,
                                                        const core::JsonObjectView& body) const {
  event::AnswerChecked checked;
  checked.passes = body.Bool("passes").value_or(false);
  INTERLOCK_ASSIGN_OR_RETURN(checked.text, ContentIfAny(entry.index, body, "text"));
  checked.changed = body.Raw("text").has_value();
  checked.code = Field(body, "code");
  INTERLOCK_ASSIGN_OR_RETURN(checked.say, ContentIfAny(entry.index, body, "say"));
  return checked;
}

namespace {

// The run has been asking since before: the reply was lost.
bool AskedAgain(const core::JsonObjectView& body) { return body.Bool("again").value_or(false); }

// What is left of the time that the run may take goes on from there, however often it is read back.
void TakeWallLeft(const core::JsonObjectView& body, RunCore& core) {
  core.wall_left_ms = body.Int("left_ms").value_or(core.wall_left_ms);
}

// Tokens of replies that gave no plan; versions before wrote none down.
std::int64_t SpentTokens(const core::JsonObjectView& body) {
  const auto spent = body.Object("spent");
  if (!spent) return 0;
  return std::max<std::int64_t>(spent->Int("tokens_in").value_or(0), 0) +
         std::max<std::int64_t>(spent->Int("tokens_out").value_or(0), 0);
}

// The end of what a request to a planner held; holds of calls name their call.
bool SettlesPlan(std::string_view kind, const core::JsonObjectView& body) {
  return (kind == "budget.settled" || kind == "budget.released") && !body.String("call");
}

}  // namespace

core::Status History::FoldRun(const audit::Entry& entry, const core::JsonObjectView& body,
                              const AgentOf& agent_of, RecordedRun& recorded) const {
  const std::string& kind = entry.kind;
  if (kind == "run.started") return FoldStarted(entry, body, agent_of, recorded);
  if (kind == "message.received") {
    INTERLOCK_ASSIGN_OR_RETURN(event::Message message, MessageOf(entry, body));
    ReadInto(recorded.reads, message);
    step_(recorded.core, std::move(message));
  } else if (kind == "answer.checked") {
    INTERLOCK_ASSIGN_OR_RETURN(event::AnswerChecked checked, CheckedOf(entry, body));
    const bool passes = checked.passes;
    const bool said = recorded.core.closing.said;
    step_(recorded.core, std::move(checked));
    if (passes) recorded.core.closing.said = said;  // run.waiting says when it is
  } else if (kind == "plan.requested") {
    recorded.log_planning = true;
    recorded.charged = body.Raw("use").has_value();
    TakeWallLeft(body, recorded.core);
    if (!AskedAgain(body)) step_(recorded.core, event::PlanRequested{});
  } else if (kind == "plan.refused") {
    recorded.log_planning = false;
    if (!AskedAgain(body)) step_(recorded.core, event::PlanRequested{});
    step_(recorded.core,
          event::PlanFailed{body.String("code").value_or(kModelBudget), Field(body, "why")});
  } else if (SettlesPlan(kind, body)) {
    recorded.charged = false;
  } else if (kind == "plan.received") {
    recorded.log_planning = false;
    recorded.charged = false;
    if (Field(body, "finish") == "error") {
      INTERLOCK_ASSIGN_OR_RETURN(std::string reason, ContentIfAny(entry.index, body, "reason"));
      step_(recorded.core,
            event::PlanFailed{Field(body, "code"), std::move(reason), SpentTokens(body)});
    } else {
      INTERLOCK_ASSIGN_OR_RETURN(const std::string text, Content(entry.index, body, "plan"));
      INTERLOCK_ASSIGN_OR_RETURN(Plan plan, PlanFromJson(text));
      step_(recorded.core, event::PlanReceived{std::move(plan), SpentTokens(body)});
    }
  } else if (kind == "run.parked" || kind == "run.waiting") {
    TakeWallLeft(body, recorded.core);
    if (Field(body, "for") == "user") recorded.core.closing.said = true;
    if (const auto code = body.String("code")) {  // it fails, when those have ended that it started
      INTERLOCK_ASSIGN_OR_RETURN(std::string reason, ContentIfAny(entry.index, body, "reason"));
      step_(recorded.core, event::PlanFailed{*code, std::move(reason)});
      recorded.core.closing.said = true;
    }
  } else if (kind == "run.cancelling") {
    step_(recorded.core, event::Cancel{Field(body, "by")});
  } else if (kind == "run.compensating") {
    const bool failed = Field(body, "as") == "failed";
    std::vector<Compensation> calls;
    INTERLOCK_ASSIGN_OR_RETURN(const Words listed, ListOf(entry.index, body, "calls"));
    for (const std::string& of : listed) {
      const RecordedCall* call = FindCall(recorded.calls, of);
      const auto& effects = recorded.core.effects;  // those of runs that it started, too
      const bool below =
          call == nullptr && std::any_of(effects.begin(), effects.end(),
                                         [&of](const TakenEffect& one) { return one.call == of; });
      Compensation one{.of = of, .happened = below || (call != nullptr && TookEffect(*call))};
      const bool known = call != nullptr && !call->outcome.empty() && call->outcome != "unknown";
      if (known && !one.happened) {  // a person said so just before: nothing stands
        one.phase = SlotPhase::kDone;
        one.undone = true;
      }
      calls.push_back(std::move(one));
    }
    INTERLOCK_ASSIGN_OR_RETURN(std::string reason, ContentIfAny(entry.index, body, "reason"));
    step_(recorded.core,
          event::Compensating{.ending = {.state = failed ? RunState::kFailed : RunState::kCancelled,
                                         .code = Field(body, "code"),
                                         .reason = std::move(reason)},
                              .calls = std::move(calls)});
  }
  return core::OkStatus();
}

namespace {

// What the release of a recorded call gives to the planner.
NamedResult FoldRead(const RecordedCall& call, RecordedRun& recorded) {
  std::string from;
  if (call.id.tool == kReadResultTool && Succeeded(call.outcome)) {
    const auto args = core::ParseJson(call.args, core::kPayloadLimits);
    const auto part =
        args.ok() ? PartOfCall(recorded.reads, *args) : core::StatusOr<HeldPart>(args.status());
    if (part.ok()) from = part->tool;
  }
  return ReleaseInto(
      recorded.reads, recorded.results, recorded.reads_results,
      {.id = call.id,
       .shown = ReadOf(call),
       .succeeded = Succeeded(call.outcome),
       .by_handle = call.by_handle,
       .preview = call.preview,
       .from = from,
       .label = {.trusted = call.trusted,
                 .readers = call.ended ? call.ended->label.readers : call.id.Readers(),
                 .changes = call.changes,
                 .sources = call.ended ? call.ended->label.sources : Words{}}});
}

}  // namespace

core::Status History::FoldEntry(const audit::Entry& entry, const AgentOf& agent_of,
                                RecordedRun& recorded) const {
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                             core::JsonObjectView::Of(entry.bytes));
  const auto body = view.Object("body");
  if (!body) return core::DataLoss("entry " + std::to_string(entry.index) + " has no body");
  const std::string& kind = entry.kind;
  recorded.log_state = StateAfter(recorded.log_state, kind, *body);
  if (!body->Raw("call")) {
    INTERLOCK_RETURN_IF_ERROR(FoldRun(entry, *body, agent_of, recorded));
  } else {
    if (kind == "call.proposed") recorded.calls.emplace_back().id = recorded.base;
    RecordedCall* call = kind == "call.proposed" ? &recorded.calls.back()
                                                 : FindCall(recorded.calls, Field(*body, "call"));
    if (call == nullptr) {
      return core::DataLoss("entry " + std::to_string(entry.index) +
                            " names a call that was not proposed");
    }
    INTERLOCK_RETURN_IF_ERROR(FoldCall(entry, *body, *call));
    if (kind == "call.outcome") call->untrusted_then = recorded.reads.untrusted();
    for (const Event& event : EventsOf(entry, *call, Compensable(*call))) {
      step_(recorded.core, event);
    }
    if (kind == "result.released") {
      NamedResult named = FoldRead(*call, recorded);
      step_(recorded.core, event::CallReleased{call->id.call, std::move(named.observation),
                                               std::move(named.handle)});
    }
  }
  // The core may be a step ahead of the log (it says what should follow); the log is what happened.
  recorded.core.state = recorded.log_state;
  recorded.core.planning = recorded.log_planning;
  return core::OkStatus();
}

core::StatusOr<RecordedRun> History::Run(const std::string& run, const AgentOf& agent_of) const {
  RecordedRun recorded;
  recorded.core.run = run;
  recorded.base.run = run;
  for (std::int64_t next = 0;;) {
    INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryPage page, log_.ReadRun(run, next, kPageEntries));
    if (page.entries.empty() && next == 0) return core::NotFound("no such run");
    for (const audit::Entry& entry : page.entries) {
      INTERLOCK_RETURN_IF_ERROR(FoldEntry(entry, agent_of, recorded));
      recorded.last_seq = entry.run_seq;
      next = entry.run_seq + 1;
    }
    if (!page.more) return recorded;
  }
}

}  // namespace interlock::runtime
