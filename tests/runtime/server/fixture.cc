#include "fixture.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>

#include "core/digest.h"

namespace interlock::runtime {

// --- FakeEngine

void FakeEngine::SetError(core::Status status) {
  const std::scoped_lock lock(mutex_);
  error_ = std::move(status);
}
void FakeEngine::SetUnhealthy(std::string why) {
  const std::scoped_lock lock(mutex_);
  unhealthy_ = std::move(why);
}
void FakeEngine::SetState(RunState state) {
  {
    const std::scoped_lock lock(mutex_);
    state_ = state;
  }
  Tell();
}
void FakeEngine::SetOpenCalls(std::vector<OpenCall> calls) {
  {
    const std::scoped_lock lock(mutex_);
    open_calls_ = std::move(calls);
  }
  Tell();
}
void FakeEngine::AddEvents(int count, std::size_t bytes) {
  AddEntries("plan.requested", std::string(bytes, 'x'), count);
}
void FakeEngine::AddPlan(std::int64_t step) {
  AddEntries("plan.received", R"({"body":{"step":)" + std::to_string(step) + "}}", 1);
}
void FakeEngine::AddParked() { AddEntries("run.parked", R"({"body":{}})", 1); }
void FakeEngine::AddEntries(const std::string& kind, const std::string& bytes, int count) {
  {
    const std::scoped_lock lock(mutex_);
    for (int i = 0; i < count; ++i) {
      RunEvent event;
      event.entry.run = kRunId;
      event.entry.run_seq = static_cast<std::int64_t>(events_.size());
      event.entry.index = 100 + events_.size();
      event.entry.kind = kind;
      event.entry.bytes = bytes;
      events_.push_back(std::move(event));
    }
  }
  Tell();
}
void FakeEngine::Tell() {
  std::vector<std::function<void()>> told;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [id, changed] : subscribers_) told.push_back(changed);
  }
  for (const auto& changed : told) changed();
}
ToolCallSpec FakeEngine::asked() const {
  const std::scoped_lock lock(mutex_);
  return asked_;
}
void FakeEngine::Keep(const ToolCallSpec& spec) {
  const std::scoped_lock lock(mutex_);
  asked_ = spec;
}
void FakeEngine::HoldReplies() {
  const std::scoped_lock lock(mutex_);
  hold_ = true;
}
void FakeEngine::ReleaseReplies() {
  std::vector<std::function<void()>> held;
  {
    const std::scoped_lock lock(mutex_);
    hold_ = false;
    held.swap(held_);
  }
  for (const auto& reply : held) reply();
}
void FakeEngine::WaitForHeldReply() {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(10), [this] { return !held_.empty(); }));
}
void FakeEngine::HoldSigner() {
  const std::scoped_lock lock(mutex_);
  hold_signer_ = true;
}
bool FakeEngine::WaitForSigner(int asked) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10),
                           [this, asked] { return signer_asked_ >= asked; });
}
void FakeEngine::ReleaseSigner() {
  const std::scoped_lock lock(mutex_);
  hold_signer_ = false;
  changed_.notify_all();
}
bool FakeEngine::WaitForNoSubscription() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [this] { return subscribers_.empty(); });
}
std::int64_t FakeEngine::events_read() const {
  const std::scoped_lock lock(mutex_);
  return events_read_;
}
int FakeEngine::subscriptions() const {
  const std::scoped_lock lock(mutex_);
  return static_cast<int>(subscribers_.size());
}
std::vector<std::string> FakeEngine::seen() const {
  const std::scoped_lock lock(mutex_);
  return seen_;
}

core::Status FakeEngine::See(std::string_view method, const core::Principal& who,
                             std::string_view detail) {
  const std::scoped_lock lock(mutex_);
  seen_.push_back(std::string(method) + " " + who.id + " " + std::string(detail));
  return error_;
}
RunInfo FakeEngine::Info() const {
  RunInfo info;
  info.id = kRunId;
  info.agent = "refund";
  info.principal = "ticketing";
  info.state = state_;
  info.open_calls = open_calls_;
  info.entries = static_cast<std::int64_t>(events_.size());
  return info;
}

void FakeEngine::CreateRun(const core::Principal& who, CreateRunSpec spec, Reply<RunInfo> reply) {
  (void)See("CreateRun", who, spec.agent + " " + spec.session.dump() + " " + spec.request_id);
  RunInfo info;
  info.id = kRunId;
  info.agent = spec.agent;
  info.principal = who.id;
  info.entries = 1;
  info.newest.leaf_hash = core::Sha256(kRunId);  // none: of a closed log
  Send<RunInfo>(std::move(reply), info);
}
core::StatusOr<RunInfo> FakeEngine::GetRun(const core::Principal& who, std::string_view run) {
  INTERLOCK_RETURN_IF_ERROR(See("GetRun", who, run));
  const std::scoped_lock lock(mutex_);
  RunInfo info = Info();
  if (run == kRunId) return info;
  if (run == below.id) return below;
  if (run != kOtherRun) return WithReason(core::NotFound("there is no such run"), "RUN_NOT_FOUND");
  info.id = kOtherRun;
  info.principal = "somebody";
  return info;
}
core::StatusOr<Page<RunInfo>> FakeEngine::ListRuns(const core::Principal& who, const PageSpec& page,
                                                   std::optional<RunState>) {
  INTERLOCK_RETURN_IF_ERROR(See("ListRuns", who, std::to_string(page.size) + " " + page.cursor));
  INTERLOCK_ASSIGN_OR_RETURN(RunInfo own, GetRun(who, kRunId));
  INTERLOCK_ASSIGN_OR_RETURN(RunInfo other, GetRun(who, kOtherRun));
  return Page<RunInfo>{.items = {own, other}, .next_cursor = page.cursor.empty() ? "second" : ""};
}
void FakeEngine::SendMessage(const core::Principal& who, std::string run, std::string text,
                             std::string request_id, Reply<RunInfo> reply) {
  (void)See("SendMessage", who, run + " " + text + " " + request_id);
  RunInfo info;
  info.id = run;
  Send<RunInfo>(std::move(reply), info);
}
void FakeEngine::CancelRun(const core::Principal& who, std::string run, std::string reason,
                           std::string request_id, Reply<RunInfo> reply) {
  (void)See("CancelRun", who, run + " " + reason + " " + request_id);
  RunInfo info;
  info.id = run;
  info.state = RunState::kCancelling;
  Send<RunInfo>(std::move(reply), info);
}
core::StatusOr<std::vector<RunEvent>> FakeEngine::ReadEvents(const core::Principal& who,
                                                             std::string_view,
                                                             std::int64_t after_seq, int max,
                                                             bool content) {
  INTERLOCK_RETURN_IF_ERROR(See("ReadEvents", who, content ? "content" : "entries"));
  const std::scoped_lock lock(mutex_);
  std::vector<RunEvent> found;
  for (auto i = static_cast<std::size_t>(after_seq + 1); i < events_.size(); ++i) {
    if (found.size() == static_cast<std::size_t>(max)) break;
    found.push_back(events_[i]);
    if (content)
      found.back().content = {
          {"text", "hello"}, {"args", "a\xff"}, {"plan", std::string(2 << 20, 'p')}};
    events_read_ = std::max(events_read_, static_cast<std::int64_t>(i) + 1);
  }
  return found;
}
std::uint64_t FakeEngine::Subscribe(std::string_view, std::function<void()> changed) {
  const std::scoped_lock lock(mutex_);
  subscribers_[next_subscription_] = std::move(changed);
  return next_subscription_++;
}
void FakeEngine::Unsubscribe(std::uint64_t subscription) {
  const std::scoped_lock lock(mutex_);
  subscribers_.erase(subscription);
  changed_.notify_all();
}
std::vector<std::shared_ptr<const tools::Tool>> FakeEngine::ListTools(const core::Principal& who) {
  (void)See("ListTools", who, "");
  return {};
}
void FakeEngine::CheckToolCall(const core::Principal& who, ToolCallSpec spec,
                               Reply<CallInfo> reply) {
  (void)See("CheckToolCall", who, spec.tool + " " + spec.args);
  Keep(spec);
  CallInfo info;
  info.tool = spec.tool;
  info.verdict = "allow";
  Send<CallInfo>(std::move(reply), info);
}
void FakeEngine::ExecuteToolCall(const core::Principal& who, ToolCallSpec spec,
                                 Reply<CallInfo> reply) {
  (void)See("ExecuteToolCall", who, spec.tool + " " + spec.args + " " + spec.request_id);
  Keep(spec);
  CallInfo info;
  info.id = kCallId;
  info.tool = spec.tool;
  info.state = CallState::kParked;
  info.verdict = "ask";
  info.approvals = {kApprovalId};
  Send<CallInfo>(std::move(reply), info);
}
core::StatusOr<CallInfo> FakeEngine::GetCall(const core::Principal& who, std::string_view call) {
  INTERLOCK_RETURN_IF_ERROR(See("GetCall", who, call));
  CallInfo info;
  info.id = call;
  info.run = kOtherRun;
  info.state = CallState::kUnknown;
  return info;
}
core::StatusOr<Page<CallInfo>> FakeEngine::ListCalls(const core::Principal& who,
                                                     const PageSpec& page, std::optional<CallState>,
                                                     std::string_view run) {
  INTERLOCK_RETURN_IF_ERROR(See("ListCalls", who, std::string(run) + " " + page.cursor));
  return Page<CallInfo>{};
}
void FakeEngine::ResolveCall(const core::Principal& who, ResolveSpec spec, Reply<CallInfo> reply) {
  (void)See("ResolveCall", who, spec.call + (spec.happened ? " happened " : " not ") + spec.reason);
  CallInfo info;
  info.id = spec.call;
  info.state = spec.happened ? CallState::kOk : CallState::kNotStarted;
  Send<CallInfo>(std::move(reply), info);
}
core::StatusOr<ApprovalInfo> FakeEngine::GetApproval(const core::Principal& who,
                                                     std::string_view id) {
  INTERLOCK_RETURN_IF_ERROR(See("GetApproval", who, id));
  ApprovalInfo info;
  info.state.id = id;
  info.state.call = kCallId;
  info.run = kRunId;
  info.args = R"({"amount":"1.00"})";
  info.state.editors = {"principal:maria"};
  info.agents = asking;
  info.root = kRunId;
  info.etag = "e1";
  return info;
}
core::StatusOr<Page<ApprovalInfo>> FakeEngine::ListApprovals(const core::Principal& who,
                                                             const PageSpec&,
                                                             std::optional<policies::ApprovalPhase>,
                                                             std::string_view run) {
  INTERLOCK_RETURN_IF_ERROR(See("ListApprovals", who, run));
  return Page<ApprovalInfo>{};
}
void FakeEngine::AnswerApproval(const core::Principal& who, Answer answer,
                                Reply<ApprovalInfo> reply) {
  (void)See("AnswerApproval", who,
            std::string(answer.grant ? "grant " : "reject ") + answer.etag + " [" +
                answer.on_behalf_of + "]");
  ApprovalInfo info;
  info.state.id = answer.approval;
  info.state.phase =
      answer.grant ? policies::ApprovalPhase::kGranted : policies::ApprovalPhase::kRejected;
  info.written = written;
  Send<ApprovalInfo>(std::move(reply), info);
}
void FakeEngine::EditArguments(const core::Principal& who, EditSpec spec, Reply<CallInfo> reply) {
  (void)See("EditArguments", who,
            spec.args + " " + spec.etag + " " + spec.reason + " [" + spec.on_behalf_of + "]");
  CallInfo info;
  info.id = kCallId;
  info.run = kRunId;
  info.state = CallState::kParked;
  info.verdict = "ask";
  info.approvals = {kApprovalId};
  info.args = spec.args;
  Send<CallInfo>(std::move(reply), info);
}
void FakeEngine::Delegate(const core::Principal& who, DelegateSpec spec, Reply<HandedOn> reply) {
  (void)See("Delegate", who,
            spec.approval + " " + spec.to + " " + std::to_string(spec.until_us) +
                (spec.end ? " end [" + spec.by + "]" : ""));
  Send<HandedOn>(
      std::move(reply),
      {{.approval = spec.approval, .by = who.id, .to = spec.to, .until_us = spec.until_us},
       written});
}
core::StatusOr<std::vector<policies::Delegation>> FakeEngine::ListDelegations(
    const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(See("ListDelegations", who, ""));
  return std::vector<policies::Delegation>{{.by = "maria", .to = "sam", .until_us = 1'000'000}};
}
core::StatusOr<audit::Checkpoint> FakeEngine::CheckpointNow(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(See("CheckpointNow", who, ""));
  std::unique_lock lock(mutex_);
  ++signer_asked_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !hold_signer_; });
  --signer_asked_;
  return fake_log.CheckpointNow();
}
core::StatusOr<audit::EntryRef> FakeEngine::ConfirmClock(const core::Principal& who,
                                                         const std::string& reason) {
  INTERLOCK_RETURN_IF_ERROR(See("ConfirmClock", who, reason));
  return audit::EntryRef{4, {}};
}
core::StatusOr<audit::EntryRef> FakeEngine::RotateSignerKey(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(See("RotateSignerKey", who, ""));
  return audit::EntryRef{5, {}};
}
core::StatusOr<Disclosure> FakeEngine::DisclosePayloads(const core::Principal& who,
                                                        const DiscloseSpec& spec) {
  INTERLOCK_RETURN_IF_ERROR(See("DisclosePayloads", who, spec.reason));
  Disclosure disclosure;
  disclosure.payloads.resize(2);
  disclosure.payloads[0].content = "hello";
  disclosure.payloads[1].slot = 1;
  disclosure.payloads[1].erased = true;
  disclosure.access_index = 7;
  return disclosure;
}
core::StatusOr<Page<AuditedCall>> FakeEngine::QueryCalls(const core::Principal& who,
                                                         const PageSpec& page,
                                                         std::string_view filter) {
  INTERLOCK_RETURN_IF_ERROR(See("QueryCalls", who, std::string(filter) + " " + page.cursor));
  Page<AuditedCall> found;
  AuditedCall& call = found.items.emplace_back();
  call.call = kCallId;
  call.run = kRunId;
  call.tool = "refunds.create";
  if (page.cursor.empty()) found.next_cursor = "7:" + std::string(kCallId);
  return found;
}
void FakeEngine::EraseSubject(const core::Principal& who, EraseSpec spec, Reply<Erasure> reply) {
  if (core::Status status = See("EraseSubject", who, spec.subject + " " + spec.reason);
      !status.ok()) {
    return reply(status);
  }
  reply(Erasure{.index = 11, .runs_ended = 2, .payloads = 30});
}
void FakeEngine::ApplyRetention(const core::Principal& who, bool validate_only,
                                Reply<RetentionReport> reply) {
  const core::Status status = See("ApplyRetention", who, validate_only ? "count" : "erase");
  if (!status.ok()) return reply(status);
  reply(RetentionReport{.payloads = 5, .entries = 1});
}
core::StatusOr<std::vector<RolloutInfo>> FakeEngine::ListRollouts(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(See("ListRollouts", who, ""));
  return std::vector<RolloutInfo>{
      {.agent = "support", .version = "2", .percent = 10, .by = "op", .etag = "7"}};
}
core::StatusOr<RolloutInfo> FakeEngine::SetRollout(const core::Principal& who,
                                                   const RolloutSpec& spec) {
  INTERLOCK_RETURN_IF_ERROR(See("SetRollout", who, spec.agent + " " + spec.etag));
  return RolloutInfo{.agent = spec.agent,
                     .version = spec.version,
                     .percent = spec.percent,
                     .by = who.id,
                     .reason = spec.reason,
                     .time_us = 5,
                     .etag = "8",
                     .available = true,
                     .written = written};
}
core::StatusOr<std::vector<SwitchInfo>> FakeEngine::ListSwitches(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(See("ListSwitches", who, ""));
  return std::vector<SwitchInfo>{
      {.name = "tool:pay", .by = "op", .reason = "odd sums", .time_us = 5, .etag = "3"}};
}
core::StatusOr<SwitchInfo> FakeEngine::SetSwitch(const core::Principal& who,
                                                 const std::string& name,
                                                 const std::string& reason) {
  INTERLOCK_RETURN_IF_ERROR(See("SetSwitch", who, name));
  return SwitchInfo{
      .name = name, .by = who.id, .reason = reason, .time_us = 5, .etag = "3", .written = written};
}
core::StatusOr<audit::EntryRef> FakeEngine::LiftSwitch(const core::Principal& who,
                                                       const LiftSpec& spec) {
  INTERLOCK_RETURN_IF_ERROR(See("LiftSwitch", who, spec.name + " " + spec.etag));
  return audit::EntryRef{6, {}};
}
namespace {
PolicyInfo FakePolicy() {
  PolicyInfo info;
  info.bundle = "sha256:ab";
  info.rules = 3;
  info.revision = 7;
  info.signed_by = "ci";
  info.seal_required = true;
  return info;
}
}  // namespace
core::StatusOr<PolicyInfo> FakeEngine::GetPolicy(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(See("GetPolicy", who, ""));
  return FakePolicy();
}
core::StatusOr<PolicyInfo> FakeEngine::ActivatePolicy(const core::Principal& who,
                                                      const std::string& reason) {
  INTERLOCK_RETURN_IF_ERROR(See("ActivatePolicy", who, reason));
  PolicyInfo info = FakePolicy();
  info.written = written;
  return info;
}
core::StatusOr<PolicyInfo> FakeEngine::WatchCandidate(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(See("WatchCandidate", who, ""));
  PolicyInfo info = FakePolicy();
  info.candidate = "sha256:cd";
  info.diverged = {.decisions = 5, .parted = 2, .by_change = {{"allow -> deny", 2}}, .by_rule = {}};
  return info;
}
core::StatusOr<PolicyInfo> FakeEngine::StopCandidate(const core::Principal& who) {
  INTERLOCK_RETURN_IF_ERROR(See("StopCandidate", who, ""));
  return FakePolicy();
}
std::string FakeEngine::Unhealthy() const {
  const std::scoped_lock lock(mutex_);
  return unhealthy_;
}

// --- ServerTest

ServerTest::ServerTest() {
  const std::vector<std::string> every = {"integrator", "user-relay", "approver", "operator",
                                          "auditor"};
  const std::map<std::string, std::vector<std::string>> roles = {
      {"ticketing", {"integrator", "user-relay"}},
      {"second", {"integrator"}},
      {"dora", {"approver"}},
      {"op", {"operator"}},
      {"audi", {"auditor"}},
      {"all", every},
      {"none", {}},
      {"stranger", every}};
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  for (const auto& [id, of] : roles) {
    PrincipalConfig entry;
    entry.principal = {.tenant = id == "stranger" ? "other" : "main", .id = id, .roles = of};
    entry.token_sha256 = core::Hex(core::Sha256("token-" + id));
    options.principals.push_back(std::move(entry));
  }
  options.tenants["main"] = {&engine_, "0123456789abcdef", nullptr, &webhooks_};
  options.tenants["other"] = {&other_, "fedcba9876543210"};
  options.shutdown_grace = std::chrono::milliseconds(50);
  options.health_interval = std::chrono::milliseconds(5);
  auto server = StartServer(std::move(options));
  if (!server.ok()) {
    ADD_FAILURE() << server.status();
    return;
  }
  server_ = *std::move(server);
  channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
}

ServerTest::~ServerTest() = default;

std::unique_ptr<grpc::ClientContext> ServerTest::Context(const std::string& id) const {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  if (!id.empty()) context->AddMetadata("authorization", "Bearer token-" + id);
  return context;
}

grpc::Status ServerTest::RawCall(grpc::ClientContext* context, const std::string& method,
                                 const std::string& request, std::string* response) {
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  grpc::Slice slice(request);
  const grpc::ByteBuffer bytes(&slice, 1);
  const auto call = stub.PrepareUnaryCall(context, method, bytes, &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, this);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  if (response != nullptr && status.ok()) {
    std::vector<grpc::Slice> slices;
    if (answer.Dump(&slices).ok()) {
      for (const grpc::Slice& part : slices) {
        response->append(reinterpret_cast<const char*>(part.begin()), part.size());
      }
    }
  }
  return status;
}

std::string ReasonIn(const grpc::Status& status) {
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  return info.has_value() && info->domain() == "interlock.v1" ? info->reason() : "";
}

std::string FieldIn(const grpc::Status& status) {
  const auto bad = DetailOf<google::rpc::BadRequest>(status);
  return bad.has_value() ? bad->field_violations(0).field() : "";
}

std::string RunName(std::string_view id) { return "tenants/main/runs/" + std::string(id); }

}  // namespace interlock::runtime
