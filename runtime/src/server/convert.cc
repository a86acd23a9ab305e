#include "server/convert.h"

#include <google/protobuf/util/time_util.h>

#include "config/utf8.h"
#include "core/digest.h"
#include "server/errors.h"
#include "server/names.h"

namespace interlock::runtime {
namespace {

using google::protobuf::util::TimeUtil;

// The wire's states are ours plus one: 0 is UNSPECIFIED there. Order is checked here.
constexpr int Shift(auto state) { return static_cast<int>(state) + 1; }
static_assert(Shift(OpenCall::WaitsFor::kOutcome) == wire::OpenCall::WAITS_FOR_OUTCOME);
static_assert(Shift(OpenCall::WaitsFor::kPerson) == wire::OpenCall::WAITS_FOR_PERSON);
static_assert(Shift(OpenCall::WaitsFor::kTurn) == wire::OpenCall::WAITS_FOR_TURN);
static_assert(Shift(RunState::kRunning) == wire::Run::STATE_RUNNING);
static_assert(Shift(RunState::kWaitingForPerson) == wire::Run::STATE_WAITING_FOR_PERSON);
static_assert(Shift(RunState::kCancelling) == wire::Run::STATE_CANCELLING);
static_assert(Shift(RunState::kCompleted) == wire::Run::STATE_COMPLETED);
static_assert(Shift(RunState::kEscalated) == wire::Run::STATE_ESCALATED);
static_assert(Shift(RunState::kCompensating) == wire::Run::STATE_COMPENSATING);
static_assert(Shift(RunState::kUncompensated) == wire::Run::STATE_UNCOMPENSATED);
static_assert(Shift(kRunStateLast) == wire::Run::STATE_WAITING_FOR_PLANNER);
static_assert(wire::Run::State_MAX == wire::Run::STATE_WAITING_FOR_PLANNER);
static_assert(Shift(CallState::kProposed) == wire::Call::STATE_PROPOSED);
static_assert(Shift(CallState::kParked) == wire::Call::STATE_PARKED);
static_assert(Shift(CallState::kOk) == wire::Call::STATE_OK);
static_assert(Shift(CallState::kUnknown) == wire::Call::STATE_UNKNOWN);
static_assert(Shift(CallState::kRefused) == wire::Call::STATE_REFUSED);
static_assert(wire::Call::State_MAX == wire::Call::STATE_REFUSED);
static_assert(Shift(policies::ApprovalPhase::kPending) == wire::Approval::STATE_PENDING);
static_assert(Shift(policies::ApprovalPhase::kExpired) == wire::Approval::STATE_EXPIRED);
static_assert(Shift(policies::ApprovalPhase::kVoided) == wire::Approval::STATE_VOIDED);
static_assert(wire::Approval::State_MAX == wire::Approval::STATE_VOIDED);
static_assert(Shift(tools::Effect::kRead) == wire::Tool::EFFECT_READ);
static_assert(Shift(tools::Effect::kEgress) == wire::Tool::EFFECT_EGRESS);

template <typename Ours, typename Wire>
core::StatusOr<std::optional<Ours>> Filter(Wire state, int max) {
  const int number = static_cast<int>(state);
  if (number < 0 || number > max) return BadField("state", "is not a state that this server knows");
  if (number == 0) return std::optional<Ours>();
  return std::optional<Ours>(static_cast<Ours>(number - 1));
}

void SetReceipt(const audit::EntryRef& ref, wire::Receipt* out) {
  out->set_index(static_cast<std::int64_t>(ref.index));
  out->set_leaf_hash(std::string(core::AsBytes(ref.leaf_hash)));
}

// What a closed log tells of has no receipt: its entries are not of the log that is signed now.
bool IsOfClosedLog(const audit::EntryRef& newest) { return newest.leaf_hash == core::Digest{}; }

void SetTime(std::int64_t micros, google::protobuf::Timestamp* out) {
  *out = TimeUtil::MicrosecondsToTimestamp(micros);
}

void AddRules(const std::vector<policies::FiredRule>& rules,
              google::protobuf::RepeatedPtrField<wire::FiredRule>* out) {
  for (const policies::FiredRule& rule : rules) {
    wire::FiredRule* added = out->Add();
    added->set_id(rule.id);
    added->set_verdict(rule.verdict);
    added->set_code(rule.code);
    added->set_say(AsUtf8(rule.say));
    added->set_because(AsUtf8(rule.because));
    added->set_line(rule.line);
  }
}

wire::Call::Verdict VerdictOf(std::string_view verdict) {
  if (verdict == "allow" || verdict == "modify") return wire::Call::VERDICT_ALLOW;
  if (verdict == "deny") return wire::Call::VERDICT_DENY;
  if (verdict == "ask") return wire::Call::VERDICT_ASK;
  return wire::Call::VERDICT_UNSPECIFIED;
}

std::string JsonText(const core::Json& value) {
  return value.is_null() ? std::string() : core::CanonicalJson(value);
}

void SetCost(const ModelCost& cost, wire::ModelCost& told) {
  told.set_prompt_tokens(cost.tokens_in);
  told.set_completion_tokens(cost.tokens_out);
  for (const auto& [currency, micros] : cost.micros) {
    (*told.mutable_cost_micros())[currency] = micros;
  }
  for (const auto& [currency, micros] : cost.saved_micros) {
    (*told.mutable_saved_micros())[currency] = micros;
  }
  told.set_cache_hits(cost.cache_hits);
  told.set_provider_replies(cost.asked);
  told.set_cached_tokens(cost.tokens_cached);
  told.set_reasoning_tokens(cost.tokens_reasoning);
}

}  // namespace

wire::Run ToWire(std::string_view tenant, const RunInfo& info) {
  wire::Run run;
  run.set_name(MakeName(tenant, collection::kRuns, info.id));
  run.set_agent(info.agent);
  run.set_state(static_cast<wire::Run::State>(Shift(info.state)));
  run.set_agent_digest(info.agent_digest);
  run.set_principal(info.principal);
  SetTime(info.create_time_us, run.mutable_create_time());
  SetTime(info.update_time_us, run.mutable_update_time());
  run.set_steps(info.steps);
  run.set_answer(AsUtf8(info.answer));
  run.set_code(info.code);
  run.set_reason(AsUtf8(info.reason));
  run.set_entry_count(info.entries);
  if (info.entries > 0 && !IsOfClosedLog(info.newest))
    SetReceipt(info.newest, run.mutable_newest_entry());
  for (const std::string& started : info.waits_for) {
    run.add_waits_for(MakeName(tenant, collection::kRuns, started));
  }
  SetCost(info.models, *run.mutable_models());
  if (info.models_below.asked + info.models_below.cache_hits + info.models_below.tokens_in > 0) {
    SetCost(info.models_below, *run.mutable_models_below());
  }
  for (const OpenCall& open : info.open_calls) {
    wire::OpenCall& told = *run.add_open_calls();
    told.set_call(MakeName(tenant, collection::kCalls, open.call));
    told.set_tool(open.tool);
    told.set_waits_for(static_cast<wire::OpenCall::WaitsFor>(Shift(open.waits_for)));
    if (!open.approval.empty()) {
      told.set_approval(MakeName(tenant, collection::kApprovals, open.approval));
    }
  }
  if (info.parent.empty()) return run;
  run.set_parent_run(MakeName(tenant, collection::kRuns, info.parent));
  run.set_root_run(MakeName(tenant, collection::kRuns, info.root));
  run.set_parent_call(MakeName(tenant, collection::kCalls, info.call));
  run.set_depth(info.depth);
  return run;
}

wire::Call ToWire(std::string_view tenant, const CallInfo& info) {
  wire::Call call;
  if (!info.id.empty()) call.set_name(MakeName(tenant, collection::kCalls, info.id));
  if (!info.run.empty()) call.set_run(MakeName(tenant, collection::kRuns, info.run));
  call.set_tool(AsUtf8(info.tool));
  call.set_state(static_cast<wire::Call::State>(Shift(info.state)));
  call.set_verdict(VerdictOf(info.verdict));
  call.set_code(info.code);
  call.set_say(AsUtf8(info.say));
  AddRules(info.rules, call.mutable_rules());
  for (const std::string& id : info.approvals) {
    call.add_approvals(MakeName(tenant, collection::kApprovals, id));
  }
  call.set_args_json(AsUtf8(info.args));
  call.set_result_json(AsUtf8(info.result));
  call.set_outcome(info.outcome);
  call.set_sandbox_level(info.sandbox_level);
  if (info.create_time_us > 0) SetTime(info.create_time_us, call.mutable_create_time());
  if (info.update_time_us > 0) SetTime(info.update_time_us, call.mutable_update_time());
  if (!info.id.empty() && !IsOfClosedLog(info.newest))
    SetReceipt(info.newest, call.mutable_newest_entry());
  return call;
}

namespace {

void AddStages(const policies::ApprovalState& state, wire::Approval& approval) {
  const std::size_t stages = policies::StageCount(state.demand);
  if (stages == 1) return;
  for (std::size_t i = 0; i < stages; ++i) {
    const policies::ApprovalStage stage = policies::StageAt(state.demand, i);
    wire::ApprovalStage& out = *approval.add_stages();
    for (const std::string& approver : stage.approvers) out.add_approvers(approver);
    out.set_quorum(stage.quorum);
  }
  approval.set_stage(state.stage + 1);
}

}  // namespace

wire::Delegation ToWire(std::string_view tenant, const policies::Delegation& given) {
  wire::Delegation out;
  if (!given.approval.empty())
    out.set_approval(MakeName(tenant, collection::kApprovals, given.approval));
  out.set_by(given.by);
  out.set_to(given.to);
  if (given.until_us > 0) SetTime(given.until_us, out.mutable_until_time());
  return out;
}

wire::Approval ToWire(std::string_view tenant, const ApprovalInfo& info) {
  const policies::ApprovalState& state = info.state;
  wire::Approval approval;
  approval.set_name(MakeName(tenant, collection::kApprovals, state.id));
  if (!info.run.empty()) approval.set_run(MakeName(tenant, collection::kRuns, info.run));
  approval.set_call(MakeName(tenant, collection::kCalls, state.call));
  approval.set_tool(info.tool);
  approval.set_state(static_cast<wire::Approval::State>(Shift(state.phase)));
  approval.set_args_json(AsUtf8(info.args));
  approval.set_facts_json(JsonText(info.facts));
  approval.set_show_json(JsonText(state.demand.show));
  approval.set_rule(state.demand.rule);
  approval.set_say(AsUtf8(state.demand.say));
  for (const std::string& approver : state.demand.approvers) approval.add_approvers(approver);
  approval.set_quorum(state.demand.quorum);
  for (const std::string& name : state.granted_by) approval.add_granted_by(name);
  AddRules(info.rules, approval.mutable_rules());
  approval.set_etag(info.etag);
  SetTime(info.create_time_us, approval.mutable_create_time());
  SetTime(state.expires_us, approval.mutable_expire_time());
  approval.set_new_message_since(info.new_message_since);
  for (const std::string& name : state.editors) approval.add_edited_by(name);
  AddStages(state, approval);
  for (const std::string& name : state.granted_for) approval.add_granted_for(name);
  for (const std::string& one : state.demand.escalate_to) approval.add_escalate_to(one);
  if (info.escalate_us > 0) SetTime(info.escalate_us, approval.mutable_escalate_time());
  approval.set_escalated(state.escalated);
  approval.set_reminders(static_cast<int>(info.reminders));
  approval.set_warning(info.warning);
  for (const std::string& name : state.told_by) approval.add_told_by(name);
  approval.set_unanswerable(info.unanswerable);
  for (const std::string& name : info.agents) approval.add_agents(name);
  if (!info.root.empty()) approval.set_root_run(MakeName(tenant, collection::kRuns, info.root));
  return approval;
}

wire::Tool ToWire(std::string_view tenant, const tools::Tool& tool) {
  const tools::Manifest& manifest = tool.manifest();
  wire::Tool out;
  out.set_name(MakeName(tenant, collection::kTools, manifest.name));
  out.set_tool(manifest.name);
  out.set_description(manifest.description);
  out.set_input_schema_json(JsonText(manifest.input_schema));
  out.set_result_schema_json(JsonText(manifest.result_schema));
  out.set_effect(static_cast<wire::Tool::Effect>(Shift(manifest.effect)));
  out.set_digest(core::Hex(tool.digest()));
  return out;
}

wire::Entry ToWire(std::string_view tenant, const audit::Entry& entry) {
  wire::Entry out;
  out.set_name(MakeName(tenant, collection::kEntries, std::to_string(entry.index)));
  out.set_index(static_cast<std::int64_t>(entry.index));
  SetTime(entry.time_us, out.mutable_create_time());
  out.set_kind(entry.kind);
  if (!entry.run.empty()) out.set_run(MakeName(tenant, collection::kRuns, entry.run));
  out.set_run_seq(entry.run_seq);
  out.set_entry_json(entry.bytes);
  out.set_leaf_hash(std::string(core::AsBytes(entry.leaf_hash)));
  return out;
}

wire::AuditedCall ToWire(std::string_view tenant, const AuditedCall& call) {
  wire::AuditedCall out;
  out.set_name(MakeName(tenant, collection::kCalls, call.call));
  if (!call.run.empty()) out.set_run(MakeName(tenant, collection::kRuns, call.run));
  out.set_tool(call.tool);
  out.set_agent(call.agent);
  out.set_principal(call.principal);
  out.set_subject(call.subject);
  out.set_verdict(call.verdict);
  out.set_code(call.code);
  out.set_outcome(call.outcome);
  out.set_effect(call.effect);
  for (const std::string& rule : call.rules) out.add_rules(rule);
  for (const std::string& approver : call.approvers) out.add_approvers(approver);
  out.set_amount_minor(call.amount_minor);
  out.set_currency(call.currency);
  SetTime(call.create_time_us, out.mutable_create_time());
  SetTime(call.update_time_us, out.mutable_update_time());
  out.set_proposed_index(call.proposed_index);
  out.set_decided_index(call.decided_index);
  out.set_outcome_index(call.outcome_index);
  return out;
}

wire::SearchHit ToWire(std::string_view tenant, const FoundText& hit) {
  wire::SearchHit out;
  if (!hit.call.empty()) out.set_call(MakeName(tenant, collection::kCalls, hit.call));
  out.set_index(static_cast<std::int64_t>(hit.index));
  out.set_field(hit.field);
  out.set_snippet(hit.snippet);
  out.set_log(hit.log);
  out.set_log_file(hit.log_file);
  return out;
}

wire::Checkpoint ToWire(const audit::Checkpoint& checkpoint) {
  wire::Checkpoint out;
  out.set_origin(checkpoint.origin);
  out.set_tree_size(static_cast<std::int64_t>(checkpoint.size));
  out.set_root_hash(std::string(core::AsBytes(checkpoint.root)));
  out.set_note(checkpoint.note);
  return out;
}

wire::Switch ToWire(std::string_view tenant, const SwitchInfo& info) {
  wire::Switch out;
  out.set_name(MakeName(tenant, collection::kSwitches, info.name));
  out.set_switch_(info.name);
  out.set_principal(info.by);
  out.set_reason(info.reason);
  SetTime(info.time_us, out.mutable_create_time());
  out.set_etag(info.etag);
  return out;
}

wire::Rollout ToWire(std::string_view tenant, const RolloutInfo& info) {
  wire::Rollout out;
  out.set_name(MakeName(tenant, collection::kRollouts, info.agent));
  out.set_agent(info.agent);
  out.set_version(info.version);
  out.set_percent(static_cast<std::int32_t>(info.percent));
  out.set_available(info.available);
  out.set_principal(info.by);
  out.set_reason(info.reason);
  SetTime(info.time_us, out.mutable_create_time());
  out.set_etag(info.etag);
  return out;
}

wire::Policy ToWire(std::string_view tenant, const PolicyInfo& info) {
  wire::Policy out;
  out.set_name("tenants/" + std::string(tenant) + "/policy");
  out.set_bundle(info.bundle);
  out.set_rules(info.rules);
  out.set_revision(info.revision);
  out.set_signed_by(info.signed_by);
  out.set_seal_required(info.seal_required);
  out.set_problem(info.problem);
  for (const policies::BudgetChange& change : info.anew) {
    wire::BudgetAnew& anew = *out.add_budgets_anew();
    anew.set_budget(change.budget);
    anew.set_before(change.before);
    anew.set_after(change.after);
  }
  if (info.candidate.empty()) return out;
  wire::Candidate& candidate = *out.mutable_candidate();
  candidate.set_bundle(info.candidate);
  candidate.set_decisions(static_cast<std::int64_t>(info.diverged.decisions));
  candidate.set_parted(static_cast<std::int64_t>(info.diverged.parted));
  const auto add = [](const std::map<std::string, std::uint64_t>& counts, auto& list) {
    for (const auto& [name, count] : counts) {
      wire::PartedCount& one = *list.Add();
      one.set_name(name);
      one.set_count(static_cast<std::int64_t>(count));
    }
  };
  add(info.diverged.by_change, *candidate.mutable_by_change());
  add(info.diverged.by_rule, *candidate.mutable_by_rule());
  return out;
}

wire::Budget ToWire(const BudgetInfo& info) {
  wire::Budget out;
  out.set_budget(info.name);
  out.set_scope(info.scope);
  out.set_unit(info.unit);
  out.set_limit_amount(info.limit);
  out.set_held_amount(info.held);
  out.set_settled_amount(info.settled);
  SetTime(info.window_start_us, out.mutable_window_start_time());
  if (info.window_end_us > 0) SetTime(info.window_end_us, out.mutable_window_end_time());
  out.set_past(info.past);
  return out;
}

wire::ModelDay ToWire(const ModelDay& day) {
  wire::ModelDay out;
  out.set_day(day.day);
  out.set_planner(day.planner);
  out.set_provider(day.provider);
  out.set_model(day.model);
  out.set_requests(day.requests);
  out.set_failed(day.failed);
  SetCost(day.cost, *out.mutable_cost());
  return out;
}

wire::RunEvent ToWire(const RunEvent& event) {
  wire::RunEvent out;
  out.set_run_seq(event.entry.run_seq);
  out.set_index(static_cast<std::int64_t>(event.entry.index));
  SetTime(event.entry.time_us, out.mutable_create_time());
  out.set_kind(event.entry.kind);
  out.set_entry_json(event.entry.bytes);
  out.set_leaf_hash(std::string(core::AsBytes(event.entry.leaf_hash)));
  for (const auto& [field, plaintext] : event.content) {
    if (plaintext.size() <= kContentFieldBytesMax) {
      (*out.mutable_content())[field] = AsUtf8(plaintext);  // a planner's bytes may be anything
    } else {
      out.add_content_omitted(field);
    }
  }
  return out;
}

core::StatusOr<std::optional<RunState>> RunStateFilter(wire::Run::State state) {
  return Filter<RunState>(state, wire::Run::State_MAX);
}
core::StatusOr<std::optional<CallState>> CallStateFilter(wire::Call::State state) {
  return Filter<CallState>(state, wire::Call::State_MAX);
}
core::StatusOr<std::optional<policies::ApprovalPhase>> ApprovalFilter(wire::Approval::State state) {
  return Filter<policies::ApprovalPhase>(state, wire::Approval::State_MAX);
}

}  // namespace interlock::runtime
