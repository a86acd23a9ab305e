#include "engine/run_start.h"

#include <algorithm>

#include "engine/lineage.h"
#include "engine/run_actor.h"
#include "engine/run_entries.h"
#include "engine/run_state.h"
#include "engine/version.h"
#include "runtime/own_tools.h"

namespace interlock::runtime {
namespace {

constexpr std::string_view kFromAgent = "agent";

std::string LimitsJson(const AgentLimits& limits) {
  std::string text;
  core::JsonObjectWriter writer(text);
  writer.Int("calls", limits.calls_max);
  writer.Int("steps", limits.steps_max);
  if (limits.tokens_max > 0) writer.Int("tokens", limits.tokens_max);
  writer.Int("wall_ms", limits.wall_ms);
  writer.Close();
  return text;
}

// No run that an agent starts outlives what is left of the one that starts it.
AgentLimits LimitsWithin(const Ticket& caller, AgentLimits own) {
  const auto within = [](std::int64_t left, std::int64_t limit) {
    return left < 0 ? limit : std::min(left, limit);
  };
  own.calls_max = within(caller.calls_left, own.calls_max);
  own.steps_max = within(caller.steps_left, own.steps_max);
  own.wall_ms = within(caller.wall_left_ms, own.wall_ms);
  own.tokens_max = own.tokens_max == 0 ? std::max<std::int64_t>(0, caller.tokens_left)
                                       : within(caller.tokens_left, own.tokens_max);
  return own;
}

std::shared_ptr<const Lineage> LineageBelow(const Ticket& caller,
                                            std::vector<std::string> told_by) {
  const CallIdentity& id = caller.id;
  auto lineage = std::make_shared<Lineage>();
  if (id.lineage != nullptr) *lineage = *id.lineage;
  lineage->parent = id.run;
  lineage->call = id.call;
  lineage->root = id.Root();
  lineage->agents.push_back(id.agent);
  AddMissing(lineage->editors, caller.editors);
  lineage->told_by = std::move(told_by);
  if (id.lineage == nullptr) lineage->runs_max = caller.agent->limits.runs_max;
  return lineage;
}

// Of what an agent tells another: as its arguments are and as rules say now, and untrusted where
// the choice to say it was made with untrusted content read.
policies::Label LabelOfTold(const Ticket& caller) {
  policies::Label label = WithSaid(caller.labels.Under("args"), caller.decision.labels);
  label.trusted = label.trusted && caller.reads != nullptr && !caller.reads->untrusted();
  AddSource(label, "agent:" + caller.id.agent);
  return label;
}

}  // namespace

Draft DraftStarted(const Hub& hub, const StartedFields& fields, const Sealer& sealer) {
  const CallIdentity& base = fields.base;
  const AgentFile& agent = *fields.choice.agent;
  Draft started;
  started.kind = "run.started";
  started.run = base.run;
  started.actor = base.lineage == nullptr ? "principal:" + base.principal
                                          : "agent:" + std::string(base.Caller());
  started.cites = {agent.digest};
  const std::string bundle = hub.BundleId();
  if (!bundle.empty()) started.cites.push_back(bundle);
  std::sort(started.cites.begin(), started.cites.end());
  const std::string sealed_session = sealer.JsonText(started, fields.session);
  const std::string sealed_who = sealer.JsonText(
      started,
      core::CanonicalJson({{"roles", base.roles}, {"subject", base.subject}, {"user", base.user}}));
  const audit::KeyStore& keys = *hub.parts.keys;
  const ModelContext model = hub.parts.context_of ? hub.parts.context_of(agent.planner, agent.model)
                                                  : ModelContext{.model = agent.model};
  const std::string context = ContextJson(model, agent, hub.ToolsOf(agent));
  BodyWriter body(started);
  body.String("agent", agent.name).String("agent_digest", agent.digest).Optional("bundle", bundle);
  if (!context.empty()) body.Raw("context", context);
  body.String("engine", kEngineVersion).Raw("limits", LimitsJson(fields.limits));
  if (base.lineage != nullptr) body.Raw("lineage", LineageJson(*base.lineage));
  body.String("principal", base.principal);
  fields.request.Write(body);
  if (!fields.choice.rollout.empty()) body.Raw("rollout", fields.choice.rollout);
  body.Raw("session", sealed_session)
      .String("subject", keys.Hmac("subject", base.subject))
      .Optional("user", base.user.empty() ? "" : keys.Hmac("user", base.user))
      .Raw("who", sealed_who)
      .Close();
  return started;
}

Gate::TextCase CaseOf(const RunStart& start) {
  return {.phase = policies::RulePhase::kMessage,
          .id = &start.base,
          .text = start.text,
          .label = start.label,
          .flow_untrusted = !start.label.trusted};
}

Draft MessageOf(const RunStart& start) {
  return DraftMessage(start.base.run, *start.sealer,
                      {.actor = "agent:" + std::string(start.base.Caller()),
                       .from = kFromAgent,
                       .text = start.text,
                       .request = "",
                       .request_digest = "",
                       .judged = &start.judged,
                       .label = &start.label});
}

core::StatusOr<std::shared_ptr<RunStart>> Hub::NewRun(Worker& worker, const Ticket& ticket) {
  const std::string name = AgentOfTool(ticket.id.tool);
  const AgentChoice choice = ChooseAgent(name, ticket.id.subject);
  const AgentFile* agent = choice.agent;
  if (agent == nullptr || !parts.planners.contains(agent->planner)) {
    return core::FailedPrecondition("The agent `" + name + "` or its planner is not configured.");
  }
  INTERLOCK_ASSIGN_OR_RETURN(auto key, parts.keys->KeyFor(ticket.id.subject));
  auto start = std::make_shared<RunStart>();
  start->choice = choice;
  CallIdentity& base = start->base;
  base.run = core::NewUuidV7(*parts.clock, *parts.random);
  base.agent = name;
  base.principal = ticket.id.principal;
  base.roles = ticket.id.roles;
  base.user = ticket.id.user;
  base.subject = ticket.id.subject;
  base.session = ticket.id.session;
  // Who writes to it from now on has not led to this call.
  INTERLOCK_ASSIGN_OR_RETURN(const RunRow above, RunRowOf(ticket.id.run));
  base.lineage = LineageBelow(ticket, SplitWords(above.told_by));
  start->sealer = SealerFor(std::move(key));
  const AgentLimits limits = LimitsWithin(ticket, agent->limits);
  start->tokens = limits.tokens_max;
  start->started = DraftStarted(*this,
                                {.base = base,
                                 .choice = choice,
                                 .limits = limits,
                                 .session = core::CanonicalJson(*base.session),
                                 .request = {}},
                                *start->sealer);
  start->text = ticket.args.value.value("message", "");
  start->label = LabelOfTold(ticket);
  start->judged = gate.JudgeText(worker.engine.get(), CaseOf(*start));
  start->message = MessageOf(*start);
  return start;
}

void Hub::TellEnd(const std::string& parent) {
  Deliver(parent, [](RunActor& actor) { actor.LookForEnds(); });
}

void Hub::StopRun(const std::string& run, const std::string& parent) {
  Draft cancelling = MakeDraft("run.cancelling", run, "engine");
  BodyWriter(cancelling).String("by", "run:" + parent).Close();
  auto draft = std::make_shared<Draft>(std::move(cancelling));
  journal.Submit(
      [draft](Serial& serial) -> core::Status {
        const RunRow* row = serial.state().FindRun(draft->run);
        if (row == nullptr || IsEnding(row->state)) return core::FailedPrecondition("it is ending");
        return serial.Append(*draft).status();
      },
      audit::Urgency::kNormal,
      [this, run, parent](const core::Status& status) {
        if (status.ok()) return Post(run, event::Cancel{"run:" + parent}, kAlways);
        if (status.code() == core::StatusCode::kFailedPrecondition) return;
        Deliver(parent, [](RunActor& actor) { actor.ReadBack(); });  // which stops it again
      });
}

// What an agent answered is its answer whatever became of its file meanwhile.
void Hub::KeepAgentTool(Ticket& ticket, const RecordedCall& call) const {
  if (ticket.tool == nullptr) ticket.tool = parts.registry->Find(call.id.tool);
  if (ticket.tool == nullptr) ticket.tool = MakeAgentTool(AgentOfTool(call.id.tool), "");
  auto args = ticket.tool->ValidateArgs(std::string_view(call.args));
  if (args.ok()) ticket.args = *std::move(args);
}

}  // namespace interlock::runtime
