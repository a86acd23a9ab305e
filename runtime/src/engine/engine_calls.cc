// Calls: the gate for callers with their own loop, and what became of every call.
#include "engine/engine.h"
#include "engine/select.h"

namespace interlock::runtime {

struct EngineImpl::Direct {
  std::unique_ptr<Ticket> ticket;
  std::shared_ptr<Patience> patience = std::make_shared<Patience>();  // of all who wait
  std::string request;
  std::vector<Reply<CallInfo>> waiting;  // under direct_mutex_
};

namespace {

// `session`: the spec's, as canonical text.
core::Status CheckSpec(const ToolCallSpec& spec, std::string_view session) {
  if (spec.tool.empty()) return core::InvalidArgument("`tool` is required");
  if (!spec.session.is_null() && !spec.session.is_object()) {
    return core::InvalidArgument("`session` must be an object");
  }
  if (session.size() > kSessionBytesMax) {
    return core::InvalidArgument("`session` is longer than 64 KiB");
  }
  return core::OkStatus();
}

// Until when its caller waits.
std::int64_t UntilOf(const ToolCallSpec& spec, const core::Clock& clock) {
  return spec.wait_us < 0 ? Patience::kForEver : clock.MonotonicMicros() + spec.wait_us;
}

// What a request_id stands for, as canonical text.
std::string ContentOf(const ToolCallSpec& spec, std::string_view session) {
  std::string text;
  text.reserve(64 + spec.args.size() + session.size() + spec.subject.size() + spec.user.size());
  core::JsonObjectWriter writer(text);
  writer.String("args", spec.args);
  writer.Raw("session", session);
  writer.String("subject", spec.subject);
  writer.String("user", spec.user);
  writer.Close();
  return text;
}

std::string ResultOf(const core::Json& result) {
  return result.is_null() ? "" : core::CanonicalJson(result);
}

// What a caller is told: a box that there was.
std::string ShownLevel(CallState state, std::string_view level) {
  const bool boxed = state != CallState::kNotStarted && sandbox::ParseLevel(level).ok();
  return boxed ? std::string(level) : "";
}

std::vector<policies::FiredRule> RulesOf(const core::Json& decision) {
  std::vector<policies::FiredRule> rules;
  if (!decision.is_object() || !decision.contains("rules")) return rules;
  for (const core::Json& rule : decision["rules"]) {
    if (!rule.is_object()) continue;
    rules.push_back({.id = rule.value("id", ""),
                     .verdict = rule.value("verdict", ""),
                     .code = rule.value("code", ""),
                     .say = rule.value("say", ""),
                     .because = rule.value("because", ""),
                     .line = rule.value("line", 0)});
  }
  return rules;
}

}  // namespace

std::vector<std::shared_ptr<const tools::Tool>> EngineImpl::ListTools(const core::Principal&) {
  return hub_.parts.registry->tools();
}

std::unique_ptr<Ticket> EngineImpl::TicketFor(const core::Principal& who, ToolCallSpec& spec,
                                              const RequestMark& request) const {
  auto ticket = std::make_unique<Ticket>();
  ticket->id.call = core::NewUuidV7(*hub_.parts.clock, *hub_.parts.random);
  ticket->id.principal = who.id;
  ticket->id.roles = who.roles;
  ticket->id.user = spec.user;
  ticket->id.subject = !spec.subject.empty() ? spec.subject
                       : !spec.user.empty()  ? spec.user
                                             : "principal:" + who.id;
  if (spec.session.is_null()) spec.session = core::Json::object();
  ticket->id.session = std::make_shared<core::Json>(std::move(spec.session));
  ticket->id.tool = std::move(spec.tool);
  ticket->id.args_text = std::move(spec.args);
  ticket->id.request = request.key;
  ticket->id.request_digest = request.digest;
  ticket->id.request_id = spec.request_id;
  return ticket;
}

CallInfo EngineImpl::InfoOf(const Ticket& ticket) const {
  CallInfo info;
  info.id = ticket.id.call;
  info.run = ticket.id.run;
  info.tool = ticket.id.tool;
  info.state = ticket.state;
  info.verdict = ticket.verdict == "refuse" ? "deny" : ticket.verdict;
  const bool went_wrong = ticket.state == CallState::kFailed ||
                          ticket.state == CallState::kNotStarted ||
                          ticket.state == CallState::kUnknown;
  info.code = went_wrong ? ticket.outcome.error_code : ticket.code;
  info.say = ticket.code == kApproved ? "" : ticket.say;
  info.rules = ticket.decision.rules;
  info.approvals = ticket.approvals;
  // Arguments that do not fit have no canonical text.
  info.args = ticket.args.text.empty() ? ticket.id.args_text : ticket.args.text;
  if (ticket.state == CallState::kOk) info.result = ResultOf(ticket.shown);
  info.outcome = ticket.outcome_kind;
  if (!ticket.outcome_kind.empty()) {
    info.sandbox_level = ShownLevel(ticket.state, ticket.outcome.sandboxed
                                                      ? sandbox::LevelName(ticket.outcome.box.level)
                                                      : std::string_view(ticket.level));
  }
  info.create_time_us = ticket.create_us;
  info.update_time_us = ticket.update_us;
  info.newest = ticket.newest;
  return info;
}

void EngineImpl::CheckToolCall(const core::Principal& who, ToolCallSpec spec,
                               Reply<CallInfo> reply) {
  if (core::Status may = Need(who, core::kRoleIntegrator); !may.ok()) return reply(may);
  const std::string session = core::CanonicalJson(spec.session);
  if (core::Status bad = CheckSpec(spec, session); !bad.ok()) return reply(bad);
  std::shared_ptr<Ticket> ticket = TicketFor(who, spec, {});
  auto patience = std::make_shared<Patience>();
  patience->Join(UntilOf(spec, *hub_.parts.clock), spec.hangup);
  ticket->patience = std::move(patience);
  auto key = hub_.parts.keys->KeyFor(ticket->id.subject);
  if (!key.ok()) return reply(key.status());
  ticket->sealer = hub_.SealerFor(*key);
  Worker& worker = hub_.WorkerOf(ticket->id.call);
  auto check = [](EngineImpl* self, Worker& on, std::shared_ptr<Ticket> t,
                  Reply<CallInfo> answer) -> asio::awaitable<void> {
    core::Status checked = co_await self->hub_.gate.CheckWhole(on, *t);
    if (!checked.ok()) {
      answer(checked);
      co_return;
    }
    CallInfo info = self->InfoOf(*t);
    info.id.clear();  // there is no such call: nothing may look for it
    info.state = t->verdict == "allow" ? CallState::kProposed
                 : t->verdict == "ask" ? CallState::kParked
                                       : CallState::kDenied;
    if (t->verdict == "refuse") info.state = CallState::kRefused;
    answer(std::move(info));
  };
  hub_.Spawn(worker, check(this, worker, std::move(ticket), std::move(reply)));
}

// Rule 12. One call a request_id: a duplicate in flight attaches to the first, a later one reads
// its record.
void EngineImpl::ExecuteToolCall(const core::Principal& who, ToolCallSpec spec,
                                 Reply<CallInfo> reply) {
  if (core::Status may = Need(who, core::kRoleIntegrator); !may.ok()) return reply(may);
  const std::string session = core::CanonicalJson(spec.session);
  if (core::Status bad = CheckSpec(spec, session); !bad.ok()) return reply(bad);
  if (!core::IsUuid(spec.request_id))
    return reply(core::InvalidArgument("`request_id` must be a UUID in lower case"));
  if (hub_.stopping()) return reply(core::Unavailable("the daemon is stopping; try again"));
  const RequestMark request =
      MarkOfText(who, spec.request_id, "ExecuteToolCall", spec.tool, ContentOf(spec, session));
  auto direct = std::make_shared<Direct>();
  direct->request = request.key;
  direct->ticket = TicketFor(who, spec, request);
  direct->ticket->patience = direct->patience;
  const std::int64_t until_us = UntilOf(spec, *hub_.parts.clock);
  if (spec.hangup != nullptr) spec.hangup->Watch([this] { hub_.gate.HaltLeft(); });
  {
    const std::lock_guard lock(direct_mutex_);
    const auto [at, fresh] = direct_.try_emplace(request.key, direct);
    if (!fresh) {
      const CallIdentity& first = at->second->ticket->id;
      if (first.request_digest != direct->ticket->id.request_digest) return reply(RequestReused());
      at->second->patience->Join(until_us, spec.hangup);
      at->second->waiting.push_back(std::move(reply));
      return;
    }
    direct->patience->Join(until_us, spec.hangup);
    direct->waiting.push_back(std::move(reply));
  }
  auto key = hub_.parts.keys->KeyFor(direct->ticket->id.subject);
  if (!key.ok()) return AnswerDirect(direct, key.status());
  direct->ticket->sealer = hub_.SealerFor(*key);
  hub_.Spawn(hub_.WorkerOf(direct->ticket->id.call), RunDirect(direct));
}

void EngineImpl::AnswerDirect(const std::shared_ptr<Direct>& direct,
                              core::StatusOr<CallInfo> info) {
  std::vector<Reply<CallInfo>> waiting;
  {
    const std::lock_guard lock(direct_mutex_);
    waiting.swap(direct->waiting);
    direct_.erase(direct->request);
  }
  for (std::size_t i = 0; i + 1 < waiting.size(); ++i) waiting[i](info);
  if (!waiting.empty()) waiting.back()(std::move(info));
}

asio::awaitable<void> EngineImpl::RunDirect(std::shared_ptr<Direct> direct) {
  Ticket& ticket = *direct->ticket;
  Worker& worker = hub_.WorkerOf(ticket.id.call);
  // Known already? Then nothing is run that was not asked for anew.
  const auto request = hub_.parts.state->PeekRequest(direct->request);
  std::string earlier = request.row ? request.row->name : "";
  core::Status status = core::OkStatus();
  if (request.row) status = SameRequest(*request.row, ticket.id.request_digest);
  if (!status.ok()) {
    AnswerDirect(direct, status);
    co_return;
  }
  if (earlier.empty()) {
    status = co_await hub_.gate.Pass(worker, ticket);
    if (status.code() == core::StatusCode::kAlreadyExists) {
      earlier = core::Message(status);
    } else if (!status.ok()) {
      AnswerDirect(direct, status);
      co_return;
    }
  }
  if (!earlier.empty()) {
    const auto row = hub_.CallRowOf(earlier);
    if (row.status().code() == core::StatusCode::kNotFound) {
      AnswerDirect(direct, ArchivedCall(earlier));
      co_return;
    }
    if (!row.ok()) {
      AnswerDirect(direct, row.status());
      co_return;
    }
    core::StatusOr<CallInfo> info = co_await GoOnDirect(direct, *row);
    AnswerDirect(direct, std::move(info));
    co_return;
  }
  if (ticket.state == CallState::kIntended) {
    status = co_await hub_.gate.RunIntended(worker, ticket);
    // Nobody else would settle it before the next start.
    if (!status.ok()) hub_.NoteStalledCall(ticket.id.call);
  }
  if (!status.ok()) {
    AnswerDirect(direct, status);
    co_return;
  }
  AnswerDirect(direct, InfoOf(ticket));
}

// The caller asks again: a parked call whose approvals are complete goes through the gate, others
// are told as they stand.
asio::awaitable<core::StatusOr<CallInfo>> EngineImpl::GoOnDirect(std::shared_ptr<Direct> direct,
                                                                 CallRow row) {
  auto recorded = RecordedOf(row);
  if (!recorded.ok()) co_return recorded.status();
  const CallIdentity& asked = direct->ticket->id;
  if (row.state != CallState::kParked) co_return InfoOf(row, /*content=*/true);
  auto grants = hub_.GrantsOf(*recorded);
  if (!grants.ok()) co_return grants.status();
  if (!grants->complete) co_return InfoOf(row, /*content=*/true);
  auto ticket = hub_.TicketOf(*recorded, nullptr);
  if (!ticket.ok()) co_return ticket.status();
  (*ticket)->id.roles = asked.roles;  // what the asker may do now, as authenticated now
  (*ticket)->patience = direct->patience;
  (*ticket)->granted = std::move(grants->granted);
  (*ticket)->outdated = std::move(grants->outdated);
  (*ticket)->decided_index = row.decided_index;
  (*ticket)->edited_index = row.edited_index;
  Worker& worker = hub_.WorkerOf(asked.call);  // where RunDirect runs
  core::Status status = co_await hub_.gate.Pass(worker, **ticket);
  if (status.code() == core::StatusCode::kAborted) {  // an edit was decided on just now
    const auto now = hub_.CallRowOf(row.call);
    if (!now.ok()) co_return now.status();
    co_return InfoOf(*now, /*content=*/true);
  }
  if (status.ok() && (*ticket)->state == CallState::kIntended) {
    status = co_await hub_.gate.RunIntended(worker, **ticket);
    if (!status.ok()) hub_.NoteStalledCall(row.call);
  }
  if (!status.ok()) co_return status;
  const auto now = hub_.CallRowOf(row.call);
  if (!now.ok()) co_return now.status();
  co_return InfoOf(*now, /*content=*/true);
}

// ---------------------------------------------------------------- records

core::StatusOr<RecordedCall> EngineImpl::RecordedOf(const CallRow& row) const {
  INTERLOCK_ASSIGN_OR_RETURN(RecordedCall call, hub_.history.Call(Hub::IndexesOf(row)));
  call.id.run = row.run;
  call.attempt = static_cast<int>(row.attempt);
  if (row.run.empty()) return call;
  INTERLOCK_ASSIGN_OR_RETURN(const RunRow run, hub_.RunRowOf(row.run));
  INTERLOCK_ASSIGN_OR_RETURN(const CallIdentity context, hub_.ContextOf(run));
  call.id.agent = context.agent;
  call.id.subject = context.subject;
  call.id.user = context.user;
  call.id.principal = context.principal;
  call.id.lineage = context.lineage;
  return call;
}

namespace {

// A decision's words are of what it asked; what became of that has words of its own.
std::string SayNow(const CallRow& row, std::string said) {
  if (row.code == kApproved) return "";
  if (row.code == "APPROVAL_REJECTED") return std::string(SayOfEnded(row.code));
  if (row.code == "APPROVAL_EXPIRED") return "The approval was not given, or not used, in time.";
  return said;
}

}  // namespace

core::StatusOr<CallInfo> EngineImpl::InfoOf(const CallRow& row, bool content,
                                            const Place& place) const {
  CallInfo info;
  info.id = row.call;
  info.run = row.run;
  info.tool = row.tool;
  info.state = row.state;
  info.verdict = row.verdict == "refuse" ? "deny" : row.verdict;
  info.code = row.state == CallState::kUnknown ? "" : row.code;  // the outcome's is no decision's
  info.outcome = row.outcome;
  info.sandbox_level = ShownLevel(row.state, row.level);
  info.create_time_us = row.create_us;
  info.update_time_us = row.update_us;
  info.newest.index = static_cast<std::uint64_t>(row.newest_index);
  info.newest.leaf_hash = core::DigestFromHex(row.newest_hash).value_or(core::Digest{});
  if (!content) return info;
  INTERLOCK_ASSIGN_OR_RETURN(
      const std::vector<ApprovalRow> approvals,
      Select<ApprovalRow>(*place.log, "WHERE call = ? ORDER BY entry_index", {row.call}));
  for (const ApprovalRow& approval : approvals) info.approvals.push_back(approval.approval);
  auto call = place.history->Call(Hub::IndexesOf(row));
  if (!call.ok()) return info;  // erased content: the rest is still true
  if (row.state == CallState::kUnknown) info.code = call->error_code;
  info.args = call->args.empty() ? call->id.args_text : call->args;
  if (row.edited_index > row.decided_index) info.args = call->edited;
  info.tool = call->id.tool;
  info.say = SayNow(row, std::move(call->say));
  info.rules = RulesOf(call->decision);
  // Not before it was released (rule 7).
  if (row.released_index >= 0) info.result = ResultOf(ShownOf(*call));
  return info;
}

core::Status EngineImpl::MaySeeCall(const core::Principal& who, const CallRow& row) const {
  const bool may = row.principal == who.id || who.Has(core::kRoleOperator) ||
                   who.Has(core::kRoleAuditor) || who.Has(core::kRoleApprover);
  if (may) return core::OkStatus();
  return WithReason(core::NotFound("there is no call `" + row.call + "`"), "CALL_NOT_FOUND");
}

// A call of a closed log; the caller has been seen to be allowed, or it is his own request.
core::StatusOr<CallInfo> EngineImpl::ArchivedCall(const std::string& call) {
  INTERLOCK_ASSIGN_OR_RETURN(const auto found, hub_.archives.Call(call));
  INTERLOCK_ASSIGN_OR_RETURN(CallInfo info, InfoOf(found.row, /*content=*/true, found.place));
  info.newest = {};  // not of the log that signs receipts now
  return info;
}

core::StatusOr<CallInfo> EngineImpl::GetCall(const core::Principal& who, std::string_view call) {
  const auto row = hub_.CallRowOf(std::string(call));
  if (row.ok()) {
    INTERLOCK_RETURN_IF_ERROR(MaySeeCall(who, *row));
    INTERLOCK_ASSIGN_OR_RETURN(CallInfo info, InfoOf(*row, /*content=*/true));
    if (!info.args.empty() || !info.say.empty() || !info.result.empty()) {
      INTERLOCK_RETURN_IF_ERROR(RecordLook(who, {.principal = row->principal,
                                                 .run = row->run,
                                                 .first = row->proposed_index,
                                                 .last = row->newest_index}));
    }
    return info;
  }
  if (row.status().code() != core::StatusCode::kNotFound) return row.status();
  const auto old = hub_.archives.Call(std::string(call));
  if (old.status().code() == core::StatusCode::kNotFound) return row.status();
  if (!old.ok()) return old.status();
  INTERLOCK_RETURN_IF_ERROR(MaySeeCall(who, old->row));
  INTERLOCK_ASSIGN_OR_RETURN(CallInfo info, ArchivedCall(std::string(call)));
  if (!info.args.empty() || !info.say.empty() || !info.result.empty()) {
    INTERLOCK_RETURN_IF_ERROR(RecordLook(who, {.principal = old->row.principal,
                                               .run = old->row.run,
                                               .first = old->row.proposed_index,
                                               .last = old->row.newest_index,
                                               .log = old->origin}));
  }
  return info;
}

core::StatusOr<Page<CallInfo>> EngineImpl::ListCalls(const core::Principal& who,
                                                     const PageSpec& page,
                                                     std::optional<CallState> state,
                                                     std::string_view run) {
  std::string where = "WHERE (? = '' OR call < ?)";
  std::vector<std::string> bound{page.cursor, page.cursor};
  const bool all =
      who.Has(core::kRoleOperator) || who.Has(core::kRoleAuditor) || who.Has(core::kRoleApprover);
  if (!all) where += " AND principal = ?", bound.push_back(who.id);
  if (state)
    where += " AND state = CAST(? AS INTEGER)",
        bound.push_back(std::to_string(static_cast<int>(*state)));
  if (!run.empty()) where += " AND run = ?", bound.emplace_back(run);
  INTERLOCK_ASSIGN_OR_RETURN(
      auto rows,
      Select<CallRow>(*hub_.parts.log,
                      where + " ORDER BY call DESC LIMIT " + std::to_string(page.size + 1), bound));
  Page<CallInfo> result;
  if (static_cast<int>(rows.size()) > page.size) {
    rows.pop_back();
    result.next_cursor = rows.back().call;
  }
  for (const CallRow& row : rows) {
    INTERLOCK_ASSIGN_OR_RETURN(CallInfo info, InfoOf(row, /*content=*/false));
    result.items.push_back(std::move(info));
  }
  return result;
}

// ---------------------------------------------------------------- rule 10: a person says what
// happened

namespace {

// A call whose content cannot be read any more.
RecordedCall NamedOnly(const CallRow& row) {
  RecordedCall call;
  call.id.run = row.run;
  call.id.call = row.call;
  return call;
}

}  // namespace

void EngineImpl::ResolveCall(const core::Principal& who, ResolveSpec spec, Reply<CallInfo> reply) {
  if (core::Status may = Need(who, core::kRoleOperator); !may.ok()) return reply(may);
  if (spec.reason.empty() || spec.reason.size() > kReasonBytesMax ||
      spec.evidence.size() > kEvidenceBytesMax) {
    return reply(
        core::InvalidArgument("`reason` is required and has at most 4096 bytes, evidence 16384"));
  }
  asio::post(hub_.WorkerOf(spec.call).io, [this, who, spec, reply = std::move(reply)] {
    const auto row = hub_.CallRowOf(spec.call);
    if (!row.ok()) return reply(row.status());
    auto call = RecordedOf(*row);
    if (!call.ok() && IsLost(call.status())) call = NamedOnly(*row);  // it may be resolved, too
    if (!call.ok()) return reply(call.status());
    const auto key = hub_.parts.keys->KeyFor(call->id.subject);
    if (!key.ok()) return reply(key.status());
    const Sealer sealer = hub_.SealerFor(*key);
    auto draft = std::make_shared<Draft>();
    draft->kind = "call.resolved";
    draft->run = row->run;
    draft->actor = "principal:" + who.id;
    const std::string evidence = spec.evidence.empty() ? "" : sealer.Text(*draft, spec.evidence);
    const std::string reason = sealer.Text(*draft, spec.reason);
    const RequestMark request =
        MarkOf(who, spec.request_id, "ResolveCall", spec.call,
               {{"evidence", spec.evidence}, {"happened", spec.happened}, {"reason", spec.reason}});
    struct Resolved {
      bool repeated = false;
      bool complete = false;
      std::uint64_t index = 0;
    };
    auto resolved = std::make_shared<Resolved>();
    const std::string by = "principal:" + who.id;
    hub_.journal.Submit(
        [this, spec, draft, evidence, reason, request, by, resolved,
         id = call->id](Serial& serial) -> core::Status {
          State& state = serial.state();
          INTERLOCK_ASSIGN_OR_RETURN(resolved->repeated, WasMade(state, request));
          if (resolved->repeated)
            return core::Error(core::StatusCode::kAlreadyExists, "resolved already");
          const CallRow* now = state.FindCall(spec.call);
          if (now == nullptr || now->state != CallState::kUnknown) {
            return WithReason(
                core::FailedPrecondition("the outcome of call `" + spec.call + "` is not unknown"),
                "OUTCOME_KNOWN");
          }
          const std::string as = spec.happened ? "happened" : "not_happened";
          const std::vector<std::string> said = SplitWords(now->resolved_by);
          const bool agrees = said.empty() || now->resolved_as == as;
          const bool own = std::find(said.begin(), said.end(), by) != said.end();
          if (!agrees && !own) {
            return WithReason(
                core::FailedPrecondition("`" + said.front() + "` said `" + now->resolved_as +
                                         "`; say the same, or let them resolve it the other way "
                                         "first, which takes their word back"),
                "RESOLVERS_DISAGREE");
          }
          if (agrees && own) {
            return WithReason(
                core::FailedPrecondition("you said so already, and another operator must confirm "
                                         "it; to take your word back, resolve it the other way"),
                "SECOND_PERSON_NEEDED");
          }
          // Two persons for money; who says otherwise now is still one.
          resolved->complete = now->effect != "money" || (agrees && !said.empty());
          BodyWriter body(*draft);
          body.String("by", by).String("call", spec.call).Bool("complete", resolved->complete);
          if (!evidence.empty()) body.Raw("evidence", evidence);
          body.Bool("happened", spec.happened).Raw("reason", reason);
          request.Write(body).Close();
          INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryRef written, serial.Append(*draft));
          resolved->index = written.index;
          return resolved->complete ? hub_.gate.SettleHolds(serial, id, spec.happened)
                                    : core::OkStatus();
        },
        audit::Urgency::kOutcome,
        [this, spec, resolved, run = row->run, reply](const core::Status& status) {
          if (!status.ok() && !resolved->repeated) return reply(status);
          if (resolved->complete) hub_.gate.LetGo(spec.call);
          asio::post(hub_.WorkerOf(spec.call).io, [this, spec, resolved, run, reply] {
            const auto now = hub_.CallRowOf(spec.call);
            if (!now.ok()) return reply(now.status());
            if (resolved->complete && !run.empty()) {
              auto after = RecordedOf(*now);
              if (after.ok()) {
                hub_.Post(run,
                          event::CallDone{.call = spec.call,
                                          .observation = ObservationOf(*after),
                                          .took_effect = TookEffect(*after),
                                          .index = resolved->index},
                          Hub::kAlways);
              }
            }
            reply(InfoOf(*now, /*content=*/false));  // GetCall shows it, and records the look
          });
        });
  });
}

}  // namespace interlock::runtime
