#include "engine/hub.h"

#include <pthread.h>

#include <chrono>

#include "engine/answers.h"
#include "engine/lineage.h"
#include "engine/run_actor.h"
#include "engine/select.h"

namespace interlock::runtime {
namespace {

constexpr std::int64_t kStallPauseMicros = 250'000;  // doubled each time
constexpr std::int64_t kStallPauseMaxMicros = 60'000'000;
constexpr auto kMaintenancePause = std::chrono::milliseconds(250);
constexpr auto kDrainMax = std::chrono::seconds(30);

GateParts GatePartsOf(Hub& hub) {
  EngineParts& parts = hub.parts;
  return {.tenant = parts.tenant,
          .journal = &hub.journal,
          .timers = hub.timers.get(),
          .keys = parts.keys,
          .clock = parts.clock,
          .random = parts.random,
          .mint = parts.mint,
          .executor = parts.executor,
          .registry = parts.registry,
          .limits = parts.limits,
          .outputs = hub.outputs,
          .archives = &hub.archives,
          .new_run = [&hub](Worker& worker,
                            const Ticket& ticket) { return hub.NewRun(worker, ticket); },
          .run_of = [&hub](const std::string& run) { return hub.RunRowOf(run); },
          .stopping = [&hub] { return hub.stopping(); },
          .parked = [&hub](const Ticket& ticket) { hub.unanswered->Look(ticket); },
          .waits_changed = [&hub](const std::string& run) { hub.NoteWaits(run); }};
}

// Only ever shown to a planner: it is in no registry, and the gate knows no such tool.
std::shared_ptr<const tools::Tool> MakeEscalateTool() {
  tools::Manifest manifest;
  manifest.name = kEscalateTool;
  manifest.description =
      "Hands this conversation over to a person and ends it. Say in `summary` what was asked, "
      "what was done and what is left to do.";
  manifest.input_schema = {{"type", "object"},
                           {"properties", {{"summary", {{"type", "string"}, {"minLength", 1}}}}},
                           {"required", {"summary"}},
                           {"additionalProperties", false}};
  manifest.effect = tools::Effect::kRead;
  manifest.builtin = "escalate";
  auto tool = tools::Tool::FromManifest(std::move(manifest));
  INTERLOCK_CHECK(tool.ok());
  return *std::move(tool);
}

template <typename Row>
core::StatusOr<Row> RowOf(const audit::Log& log, typename State::Peeked<Row> peeked,
                          const std::string& key, const char* key_column, std::string_view what) {
  if (peeked.row) return std::move(*peeked.row);
  if (!peeked.known) {
    INTERLOCK_ASSIGN_OR_RETURN(
        auto rows, Select<Row>(log, std::string("WHERE ") + key_column + " = ?", {key}));
    if (!rows.empty()) return std::move(rows.front());
  }
  return WithReason(core::NotFound("there is no " + std::string(what) + " `" + key + "`"),
                    "NOT_FOUND");
}

}  // namespace

std::string EndedObservation(std::string_view code) {
  return ObservationDenied(code, SayOfEnded(code), nullptr);
}

Hub::Hub(EngineParts p)
    : parts(std::move(p)),
      journal(*parts.log, *parts.state, parts.bundle),
      gate(GatePartsOf(*this)),
      history(*parts.log, *parts.keys, parts.registry.get()),
      archives(parts.folder, *parts.keys),
      escalate_tool(MakeEscalateTool()) {}

Hub::~Hub() { Stop(); }

core::Status Hub::Start() {
  for (int i = 0; i < std::max(1, parts.limits.workers); ++i) {
    auto worker = std::make_unique<Worker>();
    guards_.push_back(asio::make_work_guard(worker->io));
    workers_.push_back(std::move(worker));
  }
  INTERLOCK_RETURN_IF_ERROR(WatchClock());
  INTERLOCK_RETURN_IF_ERROR(ActivateBundle());
  for (const auto& worker : workers_) {
    if (parts.bundle == nullptr) break;
    INTERLOCK_ASSIGN_OR_RETURN(worker->engine, policies::Engine::Make(parts.bundle));
  }
  const auto& decides = workers_.front()->engine;
  texts->Allow(decides != nullptr && !JudgesAnswers(*decides));
  for (const auto& worker : workers_) {
    threads_.emplace_back([io = &worker->io] {
      ::pthread_setname_np(::pthread_self(), "engine-worker");
      io->run();
    });
  }
  HearOfServers();
  INTERLOCK_RETURN_IF_ERROR(Recover());
  maintenance_ = std::thread([this] { Maintain(); });
  return core::OkStatus();
}

void Hub::Stop() {
  if (stopping_.exchange(true)) return;
  parts.executor->OnSessionEnd(nullptr);
  changed_.notify_all();
  parts.state->OnClockStep({});
  if (maintenance_.joinable()) maintenance_.join();
  // Started calls get their outcomes; what is merely planned is picked up at the next start. What
  // was asked before is answered: on a worker, by the journal, and on a worker again.
  const auto until = std::chrono::steady_clock::now() + kDrainMax;
  AwaitIdle(until);
  PassWorkers();
  journal.AwaitIdle();
  PassWorkers();
  AwaitIdle(until);  // what those began
  journal.AwaitIdle();
  PassWorkers();
  for (auto& guard : guards_) guard.reset();
  for (const auto& worker : workers_) worker->io.stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  timers->Stop();  // it posts to the workers
  actors_.clear();
  const std::lock_guard lock(mutex_);
  // A call that is still open will yet tell of its end, to a worker that runs nothing any more.
  if (busy_ > 0) {
    for (auto& worker : workers_) static_cast<void>(worker.release());
    static_cast<void>(timers.release());
  }
  workers_.clear();
}

void Hub::AwaitIdle(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [this] { return busy_ == 0; });
}

void Hub::PassWorkers() {
  if (threads_.empty()) return;  // the start failed before they ran
  for (const auto& worker : workers_) {
    auto reached = std::make_shared<std::promise<void>>();
    asio::post(worker->io, [reached] { reached->set_value(); });
    reached->get_future().wait();
  }
}

// ---------------------------------------------------------------- start

core::Status Hub::CommitNow(Journal::Body body) {
  // Shared: the writer may still be inside set_value when we have the value.
  auto durable = std::make_shared<std::promise<core::Status>>();
  journal.Submit(std::move(body), audit::Urgency::kNormal,
                 [durable](core::Status status) { durable->set_value(std::move(status)); });
  return durable->get_future().get();
}

namespace {

// Rule 27. `by_us`: how far the wall clock went; when found at start, how far it is from the log.
Draft DraftClockStepped(std::int64_t by_us, std::string_view found, bool in_doubt) {
  Draft draft;
  draft.kind = "clock.stepped";
  draft.actor = "engine";
  BodyWriter(draft)
      .String("by_us", std::to_string(by_us))
      .String("found", found)
      .Bool("in_doubt", in_doubt)
      .Close();
  return draft;
}

}  // namespace

core::Status Hub::WatchClock() {
  const std::int64_t ahead_us = parts.log->ahead_of_wall_us();
  const bool silent = parts.log->size() > 0 && -ahead_us > kClockSilenceMicros;
  if (ahead_us > kClockDoubtMicros || silent) {
    parts.state->DoubtClock();
    INTERLOCK_RETURN_IF_ERROR(CommitNow([ahead_us](Serial& serial) {
      Draft draft = DraftClockStepped(-ahead_us, "start", true);
      return serial.Append(draft).status();
    }));
  }
  parts.state->OnClockStep([this](std::int64_t by_us) {
    journal.Submit(
        [by_us](Serial& serial) {
          Draft draft = DraftClockStepped(by_us, "running", by_us > kClockDoubtMicros);
          return serial.Append(draft).status();
        },
        audit::Urgency::kOutcome, [](const core::Status&) {});
  });
  return core::OkStatus();
}

core::StatusOr<audit::EntryRef> Hub::ConfirmClock(const std::string& actor,
                                                  const std::string& reason) {
  auto ref = std::make_shared<audit::EntryRef>();
  INTERLOCK_RETURN_IF_ERROR(CommitNow([this, ref, actor, reason](Serial& serial) -> core::Status {
    if (!serial.state().clock_in_doubt()) {
      return WithReason(core::FailedPrecondition("the clock is not in doubt"),
                        "CLOCK_NOT_IN_DOUBT");
    }
    Draft draft;
    draft.kind = "clock.confirmed";
    draft.actor = actor;
    BodyWriter(draft)
        .String("reason", reason)
        .String("wall_us", std::to_string(parts.clock->WallMicros()))
        .Close();
    INTERLOCK_ASSIGN_OR_RETURN(*ref, serial.Append(draft));
    return core::OkStatus();
  }));
  return *ref;
}

// The bundle, the tools and the agents that entries cite are kept by digest (rule 22).
std::vector<std::uint64_t> Hub::IndexesOf(const CallRow& row) {
  std::vector<std::uint64_t> indexes;
  for (const std::int64_t index : {row.proposed_index, row.edited_index, row.decided_index,
                                   row.intended_index, row.outcome_index, row.released_index}) {
    if (index >= 0) indexes.push_back(static_cast<std::uint64_t>(index));
  }
  std::sort(indexes.begin(), indexes.end());  // as they stand in the log
  return indexes;
}

// ---------------------------------------------------------------- runs in memory

Worker& Hub::WorkerOf(const std::string& id) {
  return *workers_[std::hash<std::string>{}(id) % workers_.size()];
}

void Hub::Spawn(Worker& worker, asio::awaitable<void> work) {
  {
    const std::lock_guard lock(mutex_);
    ++busy_;
  }
  asio::co_spawn(worker.io, std::move(work), [this](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);  // nothing of ours throws: a broken invariant
    const std::lock_guard lock(mutex_);
    if (--busy_ == 0) changed_.notify_all();
  });
}

void Hub::Post(const std::string& run, Event event, std::int64_t seq) {
  Deliver(run, [event = std::move(event), seq](RunActor& actor) { actor.Accept(event, seq); });
}

void Hub::GoOnWith(const std::string& run, const std::string& call,
                   const std::function<void()>& passed) {
  if (!Deliver(run, [call, passed](RunActor& actor) { actor.GoOnWith(call, passed); })) passed();
}

bool Hub::Deliver(const std::string& run, std::function<void(RunActor&)> act) {
  if (stopping()) return false;  // the log has it; the next start goes on
  std::shared_ptr<RunActor> actor;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<RunActor>& slot = actors_[run];
    if (slot == nullptr) slot = std::make_shared<RunActor>(*this, run);
    actor = slot;
    ++actor->queued;
  }
  asio::post(actor->worker().io, [this, actor, act = std::move(act)] {
    {
      const std::lock_guard lock(mutex_);
      --actor->queued;
    }
    act(*actor);
  });
  return true;
}

bool Hub::Evict(const std::string& run, const RunActor* actor) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (actor->queued > 0) return false;
    const auto at = actors_.find(run);
    if (at != actors_.end() && at->second.get() == actor) actors_.erase(at);
    const auto stalled = stalled_.find(run);
    if (stalled != stalled_.end() && !stalled->second.waits) {
      stalled_.erase(stalled);  // it went on
    } else if (stalled != stalled_.end() && stalled->second.at_once) {
      stalled->second.waits = false;
      wake = true;
    }
  }
  if (wake) Wake(run);
  return true;
}

void Hub::NoteStalled(const std::string& id, Stalled::Kind kind, bool news) {
  const std::lock_guard lock(mutex_);
  Stalled& stalled = stalled_[id];
  const bool at_once = news && stalled.tries == 0;
  const std::int64_t pause_us =
      std::min(kStallPauseMicros << std::min(stalled.tries, 16), kStallPauseMaxMicros);
  stalled = {.kind = kind,
             .tries = stalled.tries + 1,
             .unread = stalled.unread,
             .waits = true,
             .at_once = at_once,
             .next_us = parts.clock->MonotonicMicros() + pause_us};
}

void Hub::NoteNews(const std::string& run, std::optional<Moment> ends) {
  NoteStalled(run, Stalled::Kind::kRun, true);
  const std::lock_guard lock(mutex_);
  Stalled& stalled = stalled_[run];
  if (stalled.at_once) stalled.ends = ends;
}

std::optional<Hub::Moment> Hub::EndOf(const std::string& run) {
  const std::lock_guard lock(mutex_);
  const auto stalled = stalled_.find(run);
  if (stalled == stalled_.end()) return std::nullopt;
  return std::exchange(stalled->second.ends, std::nullopt);
}

bool Hub::GivesUpReading(const std::string& run) {
  const std::lock_guard lock(mutex_);
  return ++stalled_[run].unread > parts.limits.unread_tries_max;
}

const AgentFile* Hub::FindAgent(const std::string& name) const {
  for (const AgentFile& agent : parts.agents) {
    if (agent.name == name && !agent.by_rollout) return &agent;
  }
  return nullptr;
}

std::vector<std::shared_ptr<const tools::Tool>> Hub::ToolsOf(const AgentFile& agent) const {
  std::vector<std::shared_ptr<const tools::Tool>> mine;
  for (const auto& tool : parts.registry->tools()) {
    if (AgentMayUse(agent, tool->manifest().name)) mine.push_back(tool);
  }
  if (agent.escalates) mine.push_back(escalate_tool);
  return mine;
}

const AgentFile* Hub::PinnedAgent(const std::string& name, const std::string& digest) const {
  const AgentFile* current = FindAgent(name);
  if (current != nullptr && current->digest == digest) return current;
  const std::lock_guard lock(mutex_);
  const auto known = pinned_.find(digest);
  if (known != pinned_.end()) return known->second.get();
  // An older version of the file: kept by digest when it was first used.
  const auto hash = core::DigestFromHex(digest.starts_with("sha256:") ? digest.substr(7) : "");
  if (!hash.ok()) return nullptr;
  const auto canonical = parts.log->ReadBlob(*hash);
  if (!canonical.ok()) return nullptr;
  auto parsed = ParseAgent(name + ".yaml", *canonical);
  if (!parsed.ok()) return nullptr;
  return (pinned_[digest] = std::make_unique<AgentFile>(std::move(*parsed))).get();
}

// ---------------------------------------------------------------- rows

core::StatusOr<RecordedRun> Hub::ReadBack(const std::string& run) const {
  return history.Run(run, [this](const std::string& name, const std::string& digest) {
    return PinnedAgent(name, digest);
  });
}

core::StatusOr<RunRow> Hub::RunRowOf(const std::string& run) const {
  return RowOf<RunRow>(*parts.log, parts.state->PeekRun(run), run, "run", "run");
}

std::vector<std::string> Hub::TellersOf(const std::string& run) const {
  if (run.empty()) return {};
  const auto row = RunRowOf(run);
  return row.ok() ? SplitWords(row->told_by) : std::vector<std::string>{};
}

core::StatusOr<CallRow> Hub::CallRowOf(const std::string& call) const {
  return RowOf<CallRow>(*parts.log, parts.state->PeekCall(call), call, "call", "call");
}

core::StatusOr<ApprovalRow> Hub::ApprovalRowOf(const std::string& id) const {
  return RowOf<ApprovalRow>(*parts.log, parts.state->PeekApproval(id), id, "approval", "approval");
}

// In the order in which they were asked for, which a replay goes by.
core::StatusOr<std::vector<ApprovalRow>> Hub::ApprovalsOfCall(const std::string& call) const {
  return Select<ApprovalRow>(*parts.log, "WHERE call = ? ORDER BY entry_index", {call});
}

core::StatusOr<CallIdentity> Hub::ContextOf(const RunRow& row) const {
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry,
                             parts.log->Read(static_cast<std::uint64_t>(row.first_index)));
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                             core::JsonObjectView::Of(entry.bytes));
  const auto body = view.Object("body");
  if (!body) return core::DataLoss("entry " + std::to_string(entry.index) + " has no body");
  INTERLOCK_ASSIGN_OR_RETURN(const std::string who, history.Content(entry.index, *body, "who"));
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json json, core::ParseJson(who, core::kPayloadLimits));
  CallIdentity id;
  id.run = row.run;
  id.agent = row.agent;
  id.principal = row.principal;
  id.user = json.value("user", "");
  id.subject = json.value("subject", "");
  id.roles = json.value("roles", std::vector<std::string>{});
  if (const auto lineage = body->Object("lineage")) {
    id.lineage = std::make_shared<const Lineage>(LineageFrom(*lineage));
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::string session,
                             history.Content(entry.index, *body, "session"));
  INTERLOCK_ASSIGN_OR_RETURN(core::Json values, core::ParseJson(session, core::kPayloadLimits));
  id.session = std::make_shared<core::Json>(std::move(values));
  return id;
}

core::StatusOr<policies::ApprovalState> Hub::ApprovalStateOf(const ApprovalRow& row) const {
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry entry,
                             parts.log->Read(static_cast<std::uint64_t>(row.entry_index)));
  INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                             core::JsonObjectView::Of(entry.bytes));
  const auto body = view.Object("body");
  if (!body) return core::DataLoss("entry " + std::to_string(entry.index) + " has no body");
  INTERLOCK_ASSIGN_OR_RETURN(const std::string demand,
                             history.Content(entry.index, *body, "demand"));
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json json, core::ParseJson(demand, core::kPayloadLimits));
  policies::ApprovalState state;
  state.id = row.approval;
  state.call = row.call;
  state.demand = DemandFromJson(json);
  state.editors = SplitWords(row.editors);
  state.told_by = SplitWords(row.told_by);
  return AsNow(std::move(state), row);
}

bool IsFreedByEdit(const CallRow& call, const std::vector<ApprovalRow>& approvals) {
  return call.edited_index >= 0 && call.state == CallState::kParked &&
         std::none_of(approvals.begin(), approvals.end(), [](const ApprovalRow& row) {
           return row.phase == policies::ApprovalPhase::kPending ||
                  row.phase == policies::ApprovalPhase::kGranted;
         });
}

core::StatusOr<Hub::Grants> Hub::GrantsOf(const RecordedCall& call) const {
  Grants grants;
  INTERLOCK_ASSIGN_OR_RETURN(const auto rows, ApprovalsOfCall(call.id.call));
  INTERLOCK_ASSIGN_OR_RETURN(const CallRow row, CallRowOf(call.id.call));
  if (IsFreedByEdit(row, rows)) {
    grants.complete = grants.freed = true;
    return grants;
  }
  const auto tool = parts.registry->Find(call.id.tool);
  bool pending = false;
  for (const ApprovalRow& approval : rows) {
    pending = pending || approval.phase == policies::ApprovalPhase::kPending;
    if (approval.phase != policies::ApprovalPhase::kGranted) continue;
    if (tool == nullptr) {
      grants.outdated.push_back(approval.approval);
      continue;
    }
    INTERLOCK_ASSIGN_OR_RETURN(policies::ApprovalState state, ApprovalStateOf(approval));
    // The binding in the log is an HMAC: it must be that of the arguments, the tool and the values
    // shown then.
    state.binding =
        policies::BindingDigest(core::Sha256(call.args), tool->digest(), state.demand.show);
    if (parts.keys->Hmac("binding", core::AsBytes(state.binding)) == approval.binding) {
      grants.granted.push_back({.state = std::move(state), .binding_hmac = approval.binding});
    } else {
      grants.outdated.push_back(approval.approval);
    }
  }
  grants.complete = !pending && (!grants.granted.empty() || !grants.outdated.empty());
  return grants;
}

core::StatusOr<std::unique_ptr<Ticket>> Hub::TicketOf(const RecordedCall& call,
                                                      const AgentFile* agent) {
  auto ticket = std::make_unique<Ticket>();
  ticket->id = call.id;
  INTERLOCK_ASSIGN_OR_RETURN(auto key, parts.keys->KeyFor(call.id.subject));
  ticket->sealer = SealerFor(std::move(key));
  ticket->agent = agent;
  ticket->proposed = true;
  ticket->attempt = std::max(1, call.attempt);
  ticket->intended_effect = call.effect;
  ticket->level = call.level;
  ticket->labels = call.labels;  // rules about its result ask what it was called with
  ticket->flow_untrusted = call.flow_untrusted;
  const bool started = call.attempt > 0;
  if (!started) {
    ticket->edited = call.edited;
    ticket->editors = call.editors;
    ticket->edit_until_us = call.edit_until_us;
  } else {
    // What is settled is what was intended: the decided arguments, by the very tool. Where that is
    // gone, there is no tool: only a person can tell.
    const std::string proposed = std::exchange(ticket->id.args_text, call.args);
    const bool fits = gate.Prepare(*ticket);
    ticket->id.args_text = proposed;
    if (!fits || core::DigestName(ticket->tool->digest()) != call.intended_tool_digest) {
      ticket->tool = nullptr;
    }
    if (!call.starts.empty()) KeepAgentTool(*ticket, call);
    ticket->ended = call.ended;
  }
  return ticket;
}

// ---------------------------------------------------------------- maintenance

void Hub::Maintain() {
  while (!stopping()) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kMaintenancePause, [this] { return stopping(); });
    }
    if (stopping()) return;
    if (MayHaveDueApprovals()) {
      ExpireApprovals();
      TendApprovals();
      WithdrawEdited();
    }
    WakeStalled();
  }
}

void Hub::WakeStalled() {
  if (parts.log->health() != audit::Health::kOk) return;
  std::vector<std::string> runs;
  std::vector<std::string> calls;
  {
    const std::int64_t now_us = parts.clock->MonotonicMicros();
    const std::lock_guard lock(mutex_);
    for (auto& [id, stalled] : stalled_) {
      if (!stalled.waits || stalled.next_us > now_us || actors_.contains(id)) continue;
      stalled.waits = false;
      (stalled.kind == Stalled::Kind::kRun ? runs : calls).push_back(id);
    }
  }
  for (const std::string& run : runs) Wake(run);
  for (const std::string& call : calls) {
    const auto row = CallRowOf(call);
    if (!row.ok() || gate.IsSettling(call)) {
      NoteStalledCall(call);
      continue;
    }
    if (row->state == CallState::kIntended || row->state == CallState::kUnknown) {
      Spawn(WorkerOf(call), SettleDirect(*row));
      continue;
    }
    const std::lock_guard lock(mutex_);
    stalled_.erase(call);  // somebody has resolved it
  }
}

}  // namespace interlock::runtime
