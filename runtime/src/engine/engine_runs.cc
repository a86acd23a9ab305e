// Runs: create, read, watch, cancel.
#include "engine/engine.h"
#include "engine/model_cost.h"
#include "engine/open_approvals.h"
#include "engine/run_ended.h"
#include "engine/run_start.h"
#include "engine/run_state.h"
#include "engine/select.h"
#include "engine/state_fields.h"
#include "engine/switches.h"

namespace interlock::runtime {
namespace {

// A batch of events ends with the one that brings their content to this; the reader asks on.
constexpr std::size_t kEventsContentBytes = 256 << 10;

std::string PageTail(const PageSpec& page) { return " LIMIT " + std::to_string(page.size + 1); }

// What a tool gave and what a planner wants to say, beside its calls too, are for the caller once
// rules have passed them: he reads them at result.released, run.waiting and run.completed.
bool IsForRulesFirst(std::string_view kind, std::string_view field) {
  if (kind == "call.outcome") {
    return field == "result" || field == "detail" || field == "artifacts";
  }
  return kind == "plan.received" && field == "plan";
}

// Content fields of an entry's body, by name.
std::vector<std::string> ContentFields(const core::JsonObjectView& body) {
  std::vector<std::string> fields;
  for (const char* name :
       {"answer",   "args",  "artifacts", "context", "decision", "demand", "detail",
        "evidence", "facts", "name",      "note",    "plan",     "read",   "reason",
        "result",   "say",   "session",   "summary", "text",     "who"}) {
    const auto object = body.Object(name);
    if (object && object->Raw("commit")) fields.emplace_back(name);
  }
  return fields;
}

}  // namespace

core::Status EngineImpl::MaySeeRun(const core::Principal& who, const RunRow& row) const {
  const bool may = row.principal == who.id || who.Has(core::kRoleOperator) ||
                   who.Has(core::kRoleAuditor) || who.Has(core::kRoleApprover);
  if (may) return core::OkStatus();
  // Whether somebody else's run exists is none of the caller's business.
  return WithReason(core::NotFound("there is no run `" + row.run + "`"), "RUN_NOT_FOUND");
}

core::Status EngineImpl::MayChangeRun(const core::Principal& who, const RunRow& row,
                                      std::string_view what) const {
  INTERLOCK_RETURN_IF_ERROR(MaySeeRun(who, row));
  if (row.principal == who.id || who.Has(core::kRoleOperator)) return core::OkStatus();
  return WithReason(core::PermissionDenied("only the run's own principal or an operator may " +
                                           std::string(what)),
                    "PERMISSION_DENIED");
}

void EngineImpl::CreateRun(const core::Principal& who, CreateRunSpec spec, Reply<RunInfo> reply) {
  if (core::Status may = Need(who, core::kRoleIntegrator); !may.ok()) return reply(may);
  const AgentFile* agent = hub_.FindAgent(spec.agent);
  if (agent == nullptr) {
    return reply(WithReason(core::NotFound("there is no agent `" + spec.agent.substr(0, 64) + "`"),
                            "AGENT_NOT_FOUND"));
  }
  if (spec.session.is_null()) spec.session = core::Json::object();
  const std::string session = core::CanonicalJson(spec.session);
  if (!spec.session.is_object() || session.size() > kSessionBytesMax) {
    return reply(core::InvalidArgument("`session` must be an object of at most 64 KiB"));
  }
  if (spec.message.empty() || spec.message.size() > kMessageBytesMax) {
    return reply(core::InvalidArgument("`message` must have 1 to 65536 bytes"));
  }
  if (hub_.parts.planners.count(agent->planner) == 0) {
    return reply(
        WithReason(core::FailedPrecondition("planner `" + agent->planner + "` is not configured"),
                   "PLANNER_NOT_FOUND"));
  }
  const std::string run = hub_.NewId();
  // On the run's worker: rules speak of its first message.
  asio::post(hub_.WorkerOf(run).io, [this, who, run, session,
                                     spec = std::make_shared<const CreateRunSpec>(std::move(spec)),
                                     reply = std::move(reply)]() mutable {
    StartRun(who, run, session, std::move(spec), std::move(reply));
  });
}

void EngineImpl::StartRun(const core::Principal& who, const std::string& run,
                          const std::string& session, std::shared_ptr<const CreateRunSpec> spec,
                          Reply<RunInfo> reply) {
  const RequestMark request = MarkOf(who, spec->request_id, "CreateRun", spec->agent,
                                     {{"message", spec->message},
                                      {"session", spec->session},
                                      {"subject", spec->subject},
                                      {"user", spec->user}});
  CallIdentity base;
  base.run = run;
  base.agent = spec->agent;
  base.principal = who.id;
  base.roles = who.roles;
  base.user = spec->user;
  base.subject = !spec->subject.empty() ? spec->subject
                 : !spec->user.empty()  ? spec->user
                                        : "run:" + run;
  base.session = std::make_shared<core::Json>(spec->session);
  const AgentChoice choice = hub_.ChooseAgent(spec->agent, base.subject);
  auto key =
      hub_.parts.keys->KeyFor(base.subject);  // durable before the entry that needs it (rule 20)
  if (!key.ok()) return reply(key.status());
  const Sealer sealer = hub_.SealerFor(*key);
  auto started = std::make_shared<Draft>(DraftStarted(hub_,
                                                      {.base = base,
                                                       .choice = choice,
                                                       .limits = choice.agent->limits,
                                                       .session = session,
                                                       .request = request},
                                                      sealer));
  auto message = std::make_shared<Incoming>(Incoming{.base = std::move(base),
                                                     .sealer = sealer,
                                                     .actor = "principal:" + who.id,
                                                     .from = "user",
                                                     .text = spec->message});
  Judge(*message);
  auto existing = std::make_shared<std::string>();
  auto stale = std::make_shared<bool>(false);
  hub_.journal.Submit(
      [this, request, existing, started, message, choice, stale](Serial& serial) -> core::Status {
        INTERLOCK_ASSIGN_OR_RETURN(const bool known, WasMade(serial.state(), request));
        if (known) {
          *existing = serial.state().FindRequest(request.key)->name;
          return core::Error(core::StatusCode::kAlreadyExists, "duplicate request");
        }
        if (const auto stop = serial.state().StoppedBy("", message->base.agent)) {
          return WithReason(core::FailedPrecondition(KilledSay(*stop)), kKilled);
        }
        if (*stale = Hub::IsStale(choice, serial.state()); *stale) {
          return core::Error(core::StatusCode::kAborted, "another roll-out came into force");
        }
        INTERLOCK_RETURN_IF_ERROR(serial.Append(*started).status());
        return Take(serial, *message);
      },
      audit::Urgency::kNormal,
      [this, who, run, session, spec, existing, stale,
       reply = std::move(reply)](const core::Status& status) {
        std::string name = run;
        if (*stale) {  // it is chosen anew, by what stands in the log now
          return asio::post(hub_.WorkerOf(run).io, [this, who, run, session, spec, reply] {
            StartRun(who, run, session, spec, reply);
          });
        }
        if (status.code() == core::StatusCode::kAlreadyExists && !existing->empty()) {
          name = *existing;
        } else if (!status.ok()) {
          return reply(status);
        } else {
          hub_.Wake(run);
        }
        // The reply reads rows: on a worker, the writer must not wait.
        asio::post(hub_.WorkerOf(name).io, [this, name, reply] {
          auto row = hub_.RunRowOf(name);
          if (row.status().code() == core::StatusCode::kNotFound) return reply(ArchivedRun(name));
          reply(row.ok() ? InfoOf(*row) : core::StatusOr<RunInfo>(row.status()));
        });
      });
}

// A run of a closed log; the caller has been seen to be allowed, or it is his own request.
core::StatusOr<RunInfo> EngineImpl::ArchivedRun(const std::string& run) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto found, hub_.archives.Run(run));
  INTERLOCK_ASSIGN_OR_RETURN(RunInfo info, InfoOf(found.row, found.place));
  info.newest = {};  // not of the log that signs receipts now
  return info;
}

void EngineImpl::AnswerOfClosed(const core::Principal& who, const std::string& run,
                                std::string_view what, const RequestMark& request,
                                const core::Status& absent, Reply<RunInfo> reply) {
  const auto old = hub_.archives.Run(run);
  if (old.status().code() == core::StatusCode::kNotFound) return reply(absent);
  const core::Status may = old.ok() ? MayChangeRun(who, old->row, what) : old.status();
  if (!may.ok()) return reply(may);
  auto known = std::make_shared<bool>(false);
  hub_.journal.Submit(
      [run, request, known](Serial& serial) -> core::Status {
        INTERLOCK_ASSIGN_OR_RETURN(*known, WasMade(serial.state(), request));
        return RunEnded(run, nullptr, "");
      },
      audit::Urgency::kNormal,
      [this, who, run, known, reply = std::move(reply)](const core::Status& status) {
        if (!*known) return reply(status);
        asio::post(hub_.WorkerOf(run).io, [this, who, run, reply] {
          auto info = ArchivedRun(run);
          reply(info.ok() ? AnswerFor(who, *std::move(info)) : std::move(info));
        });
      });
}

core::StatusOr<RunInfo> EngineImpl::InfoOf(const RunRow& row, const Place& place) const {
  RunInfo info;
  info.id = row.run;
  info.agent = row.agent;
  info.agent_digest = row.agent_digest;
  info.state = row.state;
  info.principal = row.principal;
  info.create_time_us = row.create_us;
  info.update_time_us = row.update_us;
  info.steps = row.steps;
  info.code = row.code;
  info.entries = row.entries;
  info.parent = row.parent;
  info.root = row.root;
  info.call = row.parent_call;
  info.depth = static_cast<std::int64_t>(SplitWords(row.above).size());
  info.waits_for = SplitWords(row.waits_for);
  info.models = ModelCostOf(row);
  info.newest.index = static_cast<std::uint64_t>(row.newest_index);
  info.newest.leaf_hash = core::DigestFromHex(row.newest_hash).value_or(core::Digest{});
  const bool told_why = row.state == RunState::kFailed || row.state == RunState::kCompensating ||
                        row.state == RunState::kUncompensated;
  if (told_why) info.reason = TextAt(place, row.text_index, "reason");
  if (row.state == RunState::kWaitingForPlanner) info.reason = PlannerLacking(row);
  if (row.state == RunState::kCompleted) info.answer = TextAt(place, row.text_index, "answer");
  if (row.state == RunState::kWaitingForUser) info.answer = TextAt(place, row.text_index, "text");
  if (row.state == RunState::kEscalated) info.answer = TextAt(place, row.text_index, "summary");
  return info;
}

std::string EngineImpl::PlannerLacking(const RunRow& row) const {
  const AgentFile* agent = hub_.PinnedAgent(row.agent, row.agent_digest);
  return agent == nullptr ? ""
                          : "its planner `" + agent->planner +
                                "` is not configured; it goes on at a start that has one of that "
                                "name";
}

std::string EngineImpl::TextAt(const Place& place, std::int64_t index,
                               std::string_view field) const {
  if (index < 0) return "";
  const auto entry = place.log->Read(static_cast<std::uint64_t>(index));
  if (!entry.ok()) return "";
  const auto view = core::JsonObjectView::Of(entry->bytes);
  const auto body = view.ok() ? view->Object("body") : std::nullopt;
  return body ? place.history->Content(entry->index, *body, field).value_or("") : "";
}

core::StatusOr<RunInfo> EngineImpl::GetRun(const core::Principal& who, std::string_view run) {
  const auto row = hub_.RunRowOf(std::string(run));
  if (row.ok()) {
    INTERLOCK_RETURN_IF_ERROR(MaySeeRun(who, *row));
    INTERLOCK_ASSIGN_OR_RETURN(RunInfo info, InfoOf(*row));
    INTERLOCK_ASSIGN_OR_RETURN(info.open_calls, OpenCallsOf(*row));
    // A run that is read while it works costs no look at others.
    if (IsFinal(row->state) && (row->started > 0 || !row->parent.empty())) {
      INTERLOCK_ASSIGN_OR_RETURN(info.models_below, ModelCostBelow(*hub_.parts.log, row->run));
    }
    if (IsOutsider(who, row->principal)) info.answer.clear();  // ReadEvents shows and records it
    return info;
  }
  if (row.status().code() != core::StatusCode::kNotFound) return row.status();
  const auto old = hub_.archives.Run(std::string(run));
  if (old.status().code() == core::StatusCode::kNotFound) return row.status();
  if (!old.ok()) return old.status();
  INTERLOCK_RETURN_IF_ERROR(MaySeeRun(who, old->row));
  INTERLOCK_ASSIGN_OR_RETURN(RunInfo info, ArchivedRun(std::string(run)));
  // Nobody watches a closed run: this is where its answer is read.
  if (!info.answer.empty()) {
    INTERLOCK_RETURN_IF_ERROR(RecordLook(who, {.principal = old->row.principal,
                                               .run = run,
                                               .first = old->row.text_index,
                                               .last = old->row.text_index,
                                               .log = old->origin}));
  }
  return info;
}

core::StatusOr<Page<RunInfo>> EngineImpl::ListRuns(const core::Principal& who, const PageSpec& page,
                                                   std::optional<RunState> state) {
  const bool all =
      who.Has(core::kRoleOperator) || who.Has(core::kRoleAuditor) || who.Has(core::kRoleApprover);
  std::string where = "WHERE (? = '' OR run < ?)";
  std::vector<std::string> bound{page.cursor, page.cursor};
  if (!all) where += " AND principal = ?", bound.push_back(who.id);
  if (state) {
    where += " AND state = CAST(? AS INTEGER)";
    bound.push_back(std::to_string(static_cast<int>(*state)));
  }
  INTERLOCK_ASSIGN_OR_RETURN(
      auto rows,
      Select<RunRow>(*hub_.parts.log, where + " ORDER BY run DESC" + PageTail(page), bound));
  Page<RunInfo> result;
  if (static_cast<int>(rows.size()) > page.size) {
    rows.pop_back();
    result.next_cursor = rows.back().run;
  }
  for (const RunRow& row : rows) {
    INTERLOCK_ASSIGN_OR_RETURN(RunInfo info, InfoOf(row));
    if (IsOutsider(who, row.principal)) info.answer.clear();
    result.items.push_back(std::move(info));
  }
  return result;
}

void EngineImpl::CancelRun(const core::Principal& who, std::string run, std::string reason,
                           std::string request_id, Reply<RunInfo> reply) {
  asio::post(hub_.WorkerOf(run).io, [this, who, run, reason = std::move(reason),
                                     request_id = std::move(request_id), reply = std::move(reply)] {
    const RequestMark request = MarkOf(who, request_id, "CancelRun", run, {{"reason", reason}});
    const auto row = hub_.RunRowOf(run);
    if (row.status().code() == core::StatusCode::kNotFound) {
      return AnswerOfClosed(who, run, "cancel it", request, row.status(), reply);
    }
    core::Status may = row.ok() ? MayChangeRun(who, *row, "cancel it") : row.status();
    if (may.ok() && reason.size() > kReasonBytesMax)
      may = core::InvalidArgument("`reason` is longer than 4096 bytes");
    if (!may.ok()) return reply(may);
    const auto context = hub_.ContextOf(*row);
    const auto key =
        context.ok() ? hub_.parts.keys->KeyFor(context->subject)
                     : core::StatusOr<std::shared_ptr<const audit::SubjectKey>>(context.status());
    if (!key.ok()) return reply(key.status());
    auto cancelling = std::make_shared<Draft>();
    cancelling->kind = "run.cancelling";
    cancelling->run = run;
    cancelling->actor = "principal:" + who.id;
    const std::string sealed = reason.empty() ? "" : hub_.SealerFor(*key).Text(*cancelling, reason);
    BodyWriter body(*cancelling);
    body.String("by", "principal:" + who.id);
    if (!sealed.empty()) body.Raw("reason", sealed);
    request.Write(body).Close();
    auto repeated = std::make_shared<bool>(false);
    hub_.journal.Submit(
        [run, request, cancelling, repeated](Serial& serial) -> core::Status {
          const RunRow* now = serial.state().FindRun(run);
          INTERLOCK_ASSIGN_OR_RETURN(const bool known, WasMade(serial.state(), request));
          if (known || (now != nullptr && now->state == RunState::kCancelling)) {
            *repeated = true;
            return core::Error(core::StatusCode::kAlreadyExists, "cancelled already");
          }
          // What a run takes back is not stopped half-way.
          if (now == nullptr || IsEnding(now->state)) {
            return RunEnded(run, now, "it cannot be cancelled");
          }
          return serial.Append(*cancelling).status();
        },
        audit::Urgency::kNormal,
        [this, run, who_id = who.id, repeated, reply](const core::Status& status) {
          if (!status.ok() && !*repeated) return reply(status);
          if (!*repeated) hub_.Post(run, event::Cancel{"principal:" + who_id}, Hub::kAlways);
          asio::post(hub_.WorkerOf(run).io, [this, run, reply] {
            const auto now = hub_.RunRowOf(run);
            auto info = now.ok() ? InfoOf(*now) : core::StatusOr<RunInfo>(now.status());
            if (info.ok()) info->answer.clear();  // who cancels need not be whose run it is
            reply(std::move(info));
          });
        });
  });
}

core::StatusOr<std::uint64_t> EngineImpl::SubscribeOutput(
    const core::Principal& who, std::string_view run,
    std::function<void(const ToolOutput&)> watcher) {
  INTERLOCK_RETURN_IF_ERROR(OpenRun(who, run).status());
  // A caller reads results once rules have passed them, an auditor in entries that record his look.
  if (!who.Has(core::kRoleOperator) && !who.Has(core::kRoleApprover)) {
    return WithReason(
        core::PermissionDenied("what tools write is shown before any rule has judged it: it needs "
                               "the role `operator` or `approver`; watch without `tool_output`"),
        "PERMISSION_DENIED");
  }
  return hub_.outputs->Add(run, std::move(watcher));
}

core::StatusOr<std::uint64_t> EngineImpl::SubscribeText(
    const core::Principal& who, std::string_view run,
    std::function<void(const PlannerText&)> watcher) {
  INTERLOCK_ASSIGN_OR_RETURN(const RunRow row, OpenRun(who, run));
  const bool may =
      row.principal == who.id || who.Has(core::kRoleOperator) || who.Has(core::kRoleApprover);
  if (!may) {
    return WithReason(
        core::PermissionDenied("what a planner writes is shown to the run's caller, and to the "
                               "roles `operator` and `approver`; watch without `planner_text`"),
        "PERMISSION_DENIED");
  }
  return hub_.texts->Add(run, std::move(watcher));
}

// The result that is released as it came; empty: it was changed, withheld, or there is none.
std::string EngineImpl::ReleasedAsItIs(const core::JsonObjectView& body) const {
  const bool elsewhere = body.Raw("result").has_value() || body.Bool("withheld").value_or(true);
  const auto row = elsewhere ? core::StatusOr<CallRow>(core::NotFound(""))
                             : hub_.CallRowOf(body.String("call").value_or(""));
  return row.ok() ? TextAt(hub_.here(), row->outcome_index, "result") : "";
}

// A run of this log, which alone has more to tell.
core::StatusOr<RunRow> EngineImpl::OpenRun(const core::Principal& who, std::string_view run) {
  const std::string id(run);
  auto row = hub_.RunRowOf(id);
  if (row.ok()) INTERLOCK_RETURN_IF_ERROR(MaySeeRun(who, *row));
  if (row.status().code() != core::StatusCode::kNotFound) return row;
  const auto old = hub_.archives.Run(id);
  if (old.status().code() == core::StatusCode::kNotFound) return row;
  if (!old.ok()) return old.status();
  INTERLOCK_RETURN_IF_ERROR(MaySeeRun(who, old->row));
  return WithReason(core::FailedPrecondition(
                        "run `" + id +
                        "` stands in a closed log, which gets no more entries; see "
                        "`interlock runs show " +
                        id + "`, or its entries by `interlock audit entries --log FILE --run " +
                        id + "` with the file of that log"),
                    "LOG_CLOSED");
}

core::StatusOr<std::vector<RunEvent>> EngineImpl::ReadEvents(const core::Principal& who,
                                                             std::string_view run,
                                                             std::int64_t after_seq, int max,
                                                             bool content) {
  INTERLOCK_ASSIGN_OR_RETURN(const RunRow row, OpenRun(who, run));
  INTERLOCK_ASSIGN_OR_RETURN(audit::EntryPage page,
                             hub_.parts.log->ReadRun(run, after_seq + 1, max));
  if (page.entries.empty()) {
    if (hub_.parts.log->health() != audit::Health::kStopped || IsFinal(row.state)) {
      return std::vector<RunEvent>();
    }
    return core::DataLoss("the log has stopped: " + hub_.parts.log->health_reason());
  }
  const bool caller = !who.Has(core::kRoleOperator) && !who.Has(core::kRoleAuditor) &&
                      !who.Has(core::kRoleApprover);
  std::vector<RunEvent> events;
  std::size_t content_bytes = 0;
  for (audit::Entry& entry : page.entries) {
    if (content_bytes >= kEventsContentBytes) break;
    RunEvent event;
    const auto view = core::JsonObjectView::Of(entry.bytes);
    const auto body = view.ok() ? view->Object("body") : std::nullopt;
    if (content && body) {
      for (const std::string& field : ContentFields(*body)) {
        if (caller && IsForRulesFirst(entry.kind, field)) continue;
        auto opened = hub_.history.Content(entry.index, *body, field);
        if (opened.ok()) event.content.emplace_back(field, std::move(*opened));
      }
      std::string result =
          caller && entry.kind == "result.released" ? ReleasedAsItIs(*body) : std::string();
      if (!result.empty()) event.content.emplace_back("result", std::move(result));
    }
    for (const auto& [field, text] : event.content) content_bytes += text.size();
    event.entry = std::move(entry);
    events.push_back(std::move(event));
  }
  if (content) {
    INTERLOCK_RETURN_IF_ERROR(
        RecordLook(who, {.principal = row.principal,
                         .run = run,
                         .first = static_cast<std::int64_t>(events.front().entry.index),
                         .last = static_cast<std::int64_t>(events.back().entry.index)}));
  }
  return events;
}

}  // namespace interlock::runtime
