// A server over a fake engine, clients with tokens, and what is in an error.
#pragma once

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "interlock/v1/approval_service.grpc.pb.h"
#include "interlock/v1/audit_service.grpc.pb.h"
#include "interlock/v1/budget_service.grpc.pb.h"
#include "interlock/v1/call_service.grpc.pb.h"
#include "interlock/v1/policy_service.grpc.pb.h"
#include "interlock/v1/rollout_service.grpc.pb.h"
#include "interlock/v1/run_service.grpc.pb.h"
#include "interlock/v1/switch_service.grpc.pb.h"
#include "interlock/v1/tool_service.grpc.pb.h"
#include "runtime/server.h"

namespace interlock::runtime {

namespace wire = ::interlock::v1;

inline constexpr char kRunId[] = "018f0000-0000-7000-8000-000000000001";  // made by ticketing
inline constexpr char kOtherRun[] =
    "018f0000-0000-7000-8000-000000000002";  // made by somebody else
inline constexpr char kCallId[] = "018f0000-0000-7000-8000-0000000000c1";
inline constexpr char kApprovalId[] = "018f0000-0000-7000-8000-0000000000a1";
inline constexpr char kRequestId[] = "5c7f0000-0000-4000-8000-000000000001";

// A log of given entries. Thread-safe as far as the server uses it.
class FakeLog final : public audit::Log {
 public:
  std::vector<audit::Entry> entries;
  std::map<std::uint64_t, std::vector<int>> erased;  // slots; an entry has those up to the last

  void Submit(std::unique_ptr<audit::Command>, audit::Urgency) override;
  core::StatusOr<audit::EntryRef> Append(const audit::NewEntry&,
                                         std::vector<audit::SealedPayload>) override;
  std::uint64_t size() const override { return entries.size(); }
  audit::Health health() const override { return audit::Health::kOk; }
  std::string health_reason() const override { return ""; }
  core::StatusOr<audit::Entry> Read(std::uint64_t index) const override;
  core::StatusOr<audit::EntryPage> ReadRange(std::uint64_t first, int max) const override;
  core::StatusOr<audit::EntryPage> ReadRun(std::string_view run, std::int64_t first_seq,
                                           int max) const override;
  core::StatusOr<audit::PayloadRow> ReadPayload(std::uint64_t, int) const override;
  core::Status Query(const std::function<core::Status(sqlite3*)>&) const override;
  core::StatusOr<std::string> ReadBlob(const core::Digest&) const override;
  core::StatusOr<audit::Checkpoint> CheckpointNow() override;
  std::optional<audit::Checkpoint> newest_checkpoint() const override { return newest; }
  std::optional<audit::Checkpoint> newest;
  // Signs at once what `entries` holds; never what it does not.
  void AwaitCheckpoint(std::uint64_t index, std::chrono::steady_clock::time_point,
                       std::function<void(core::StatusOr<audit::Checkpoint>)> done) const override;
  core::StatusOr<audit::Checkpoint> CosignedCheckpoint() const override;
  core::StatusOr<std::string> Cosignatures(std::uint64_t) const override { return std::string(); }
  const std::string& verifier_key() const override { return key; }
  std::string key = "log.example+key";
  std::optional<audit::Checkpoint> cosigned;
  mutable std::vector<std::chrono::steady_clock::duration> awaited;  // in vain: how long it could
  core::StatusOr<audit::EntryRef> RotateSignerKey(std::string_view) override {
    return core::FailedPrecondition("not here");
  }
  core::StatusOr<std::vector<core::Digest>> InclusionProof(std::uint64_t index,
                                                           std::uint64_t size) const override;
  core::StatusOr<std::vector<core::Digest>> ConsistencyProof(std::uint64_t,
                                                             std::uint64_t) const override;
  void SetListener(std::function<void(std::uint64_t, std::uint64_t)>) override {}
};

// Set before anybody asks.
class FakeWebhooks final : public Webhooks {
 public:
  std::vector<std::string> warnings() const override { return lines; }
  std::vector<std::string> lines;
};

// Answers from what a test has put in. Thread-safe.
class FakeEngine final : public Engine {
 public:
  RunInfo below;                           // GetRun finds it by its id
  std::vector<std::string> asking;         // agents of the approval
  std::optional<audit::EntryRef> written;  // by a change; none: it had been made before

  // --- what tests set and see
  void SetError(core::Status status);  // of every method that can fail, until set to OK
  void SetUnhealthy(std::string why);
  void SetState(RunState state);                      // of run kRunId; tells watchers
  void SetOpenCalls(std::vector<OpenCall> calls);     // of run kRunId; tells watchers
  bool WaitForOutputWatcher();                        // false after ten seconds
  void Write(const ToolOutput& output);               // tells who watches output
  bool WaitForTextWatcher();                          // false after ten seconds
  void Write(const PlannerText& text);                // tells who watches planners' texts
  void AddEvents(int count, std::size_t bytes = 16);  // to run kRunId; tells watchers
  void AddPlan(std::int64_t step);                    // a plan.received of that step
  void AddParked();                                   // a run.parked
  void HoldReplies();                                 // keep replies until ReleaseReplies
  // By the newest Check or ExecuteToolCall; `hangup` of SearchCalls, too.
  ToolCallSpec asked() const;
  void ReleaseReplies();
  void WaitForHeldReply();
  void HoldSigner();              // CheckpointNow has no answer until ReleaseSigner
  bool WaitForSigner(int asked);  // that many wait for it; false after ten seconds
  void ReleaseSigner();
  bool WaitForNoSubscription();      // false after ten seconds
  std::int64_t events_read() const;  // the highest run_seq given out, plus one
  int subscriptions() const;
  std::vector<std::string> seen() const;  // "method principal detail"
  FakeLog fake_log;

  // --- Engine
  void CreateRun(const core::Principal& who, CreateRunSpec spec, Reply<RunInfo> reply) override;
  core::StatusOr<RunInfo> GetRun(const core::Principal& who, std::string_view run) override;
  core::StatusOr<Page<RunInfo>> ListRuns(const core::Principal& who, const PageSpec& page,
                                         std::optional<RunState> state) override;
  void SendMessage(const core::Principal& who, std::string run, std::string text,
                   std::string request_id, Reply<RunInfo> reply) override;
  void CancelRun(const core::Principal& who, std::string run, std::string reason,
                 std::string request_id, Reply<RunInfo> reply) override;
  core::StatusOr<std::vector<RunEvent>> ReadEvents(const core::Principal& who, std::string_view run,
                                                   std::int64_t after_seq, int max,
                                                   bool content) override;
  std::uint64_t Subscribe(std::string_view run, std::function<void()> changed) override;
  void Unsubscribe(std::uint64_t subscription) override;
  core::StatusOr<std::uint64_t> SubscribeOutput(
      const core::Principal& who, std::string_view run,
      std::function<void(const ToolOutput&)> watcher) override;
  void UnsubscribeOutput(std::uint64_t subscription) override;
  core::StatusOr<std::uint64_t> SubscribeText(
      const core::Principal& who, std::string_view run,
      std::function<void(const PlannerText&)> watcher) override;
  void UnsubscribeText(std::uint64_t subscription) override;
  std::vector<std::shared_ptr<const tools::Tool>> ListTools(const core::Principal& who) override;
  void CheckToolCall(const core::Principal& who, ToolCallSpec spec, Reply<CallInfo> reply) override;
  void ExecuteToolCall(const core::Principal& who, ToolCallSpec spec,
                       Reply<CallInfo> reply) override;
  core::StatusOr<CallInfo> GetCall(const core::Principal& who, std::string_view call) override;
  core::StatusOr<Page<CallInfo>> ListCalls(const core::Principal& who, const PageSpec& page,
                                           std::optional<CallState> state,
                                           std::string_view run) override;
  void ResolveCall(const core::Principal& who, ResolveSpec spec, Reply<CallInfo> reply) override;
  core::StatusOr<ApprovalInfo> GetApproval(const core::Principal& who,
                                           std::string_view id) override;
  core::StatusOr<Page<ApprovalInfo>> ListApprovals(const core::Principal& who, const PageSpec& page,
                                                   std::optional<policies::ApprovalPhase> phase,
                                                   std::string_view run) override;
  void AnswerApproval(const core::Principal& who, Answer answer,
                      Reply<ApprovalInfo> reply) override;
  void EditArguments(const core::Principal& who, EditSpec spec, Reply<CallInfo> reply) override;
  void Delegate(const core::Principal& who, DelegateSpec spec, Reply<HandedOn> reply) override;
  core::StatusOr<std::vector<policies::Delegation>> ListDelegations(
      const core::Principal& who) override;
  core::StatusOr<std::vector<BudgetInfo>> ListBudgets(const core::Principal& who,
                                                      const BudgetQuery& query) override;
  core::StatusOr<Page<ModelDay>> ListModelDays(const core::Principal& who, const PageSpec& page,
                                               const DayRange& days) override;
  const audit::Log& log() const override { return fake_log; }
  core::StatusOr<const audit::Log*> LogOf(std::string_view origin) override {
    if (origin.empty() || origin == "fake/main") return &fake_log;
    return WithReason(core::NotFound("no such log"), "LOG_NOT_FOUND");
  }
  core::StatusOr<audit::Checkpoint> CheckpointNow(const core::Principal& who) override;
  core::StatusOr<audit::EntryRef> ConfirmClock(const core::Principal& who,
                                               const std::string& reason) override;
  bool clock_in_doubt() const override { return true; }
  core::StatusOr<audit::EntryRef> RotateSignerKey(const core::Principal& who) override;
  core::StatusOr<Disclosure> DisclosePayloads(const core::Principal& who,
                                              const DiscloseSpec& spec) override;
  core::StatusOr<Page<AuditedCall>> QueryCalls(const core::Principal& who, const PageSpec& page,
                                               std::string_view filter) override;
  void SearchCalls(const core::Principal& who, PageSpec page, std::string text,
                   Reply<FoundTexts> reply) override;
  void EraseSubject(const core::Principal& who, EraseSpec spec, Reply<Erasure> reply) override;
  void ApplyRetention(const core::Principal& who, bool validate_only,
                      Reply<RetentionReport> reply) override;
  core::StatusOr<std::vector<RolloutInfo>> ListRollouts(const core::Principal& who) override;
  core::StatusOr<RolloutInfo> SetRollout(const core::Principal& who,
                                         const RolloutSpec& spec) override;
  core::StatusOr<std::vector<SwitchInfo>> ListSwitches(const core::Principal& who) override;
  core::StatusOr<SwitchInfo> SetSwitch(const core::Principal& who, const std::string& name,
                                       const std::string& reason) override;
  core::StatusOr<audit::EntryRef> LiftSwitch(const core::Principal& who,
                                             const LiftSpec& spec) override;
  core::StatusOr<PolicyInfo> GetPolicy(const core::Principal& who) override;
  core::StatusOr<PolicyInfo> ActivatePolicy(const core::Principal& who,
                                            const std::string& reason) override;
  core::StatusOr<PolicyInfo> WatchCandidate(const core::Principal& who) override;
  core::StatusOr<PolicyInfo> StopCandidate(const core::Principal& who) override;
  std::string Unhealthy() const override;

 private:
  core::Status See(std::string_view method, const core::Principal& who, std::string_view detail);
  template <typename T>
  void Send(Reply<T> reply, T value);
  RunInfo Info() const;  // of kRunId; with the lock held
  // To run kRunId; tells watchers.
  void AddEntries(const std::string& kind, const std::string& bytes, int count);
  void Tell();
  void Keep(const ToolCallSpec& spec);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  core::Status error_;
  std::string unhealthy_;
  RunState state_ = RunState::kRunning;
  std::vector<OpenCall> open_calls_;
  std::vector<RunEvent> events_;
  std::int64_t events_read_ = 0;
  bool hold_ = false;
  bool hold_signer_ = false;
  int signer_asked_ = 0;  // and without an answer
  ToolCallSpec asked_;
  std::vector<std::function<void()>> held_;
  std::map<std::uint64_t, std::function<void()>> subscribers_;
  std::map<std::uint64_t, std::function<void(const ToolOutput&)>> output_watchers_;
  std::map<std::uint64_t, std::function<void(const PlannerText&)>> text_watchers_;
  std::uint64_t next_subscription_ = 1;
  std::vector<std::string> seen_;
};

template <typename T>
void FakeEngine::Send(Reply<T> reply, T value) {
  core::StatusOr<T> answer = std::move(value);
  {
    const std::scoped_lock lock(mutex_);
    if (!error_.ok()) answer = error_;
    if (hold_) {
      held_.push_back([reply = std::move(reply), answer] { reply(answer); });
      changed_.notify_all();
      return;
    }
  }
  reply(std::move(answer));
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest();
  ~ServerTest() override;

  // The token of a principal is "token-<id>". Principals: ticketing (integrator, user-relay),
  // second (integrator), dora (approver), op (operator), audi (auditor), all (every role), none (no
  // role), and stranger (every role, tenant other).
  std::unique_ptr<grpc::ClientContext> Context(const std::string& id) const;

  // One unary call by `id`; no principal for an empty id.
  template <typename Stub, typename Request, typename Response>
  grpc::Status Call(const std::string& id,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response = nullptr) {
    Response dropped;
    Stub stub(channel_);
    const auto context = Context(id);
    return (stub.*method)(context.get(), request, response == nullptr ? &dropped : response);
  }
  // Any method by its full name with serialised bytes; the answer's bytes come back in `response`.
  grpc::Status RawCall(grpc::ClientContext* context, const std::string& method,
                       const std::string& request, std::string* response = nullptr);

  FakeEngine engine_;
  FakeEngine other_;  // tenant other
  FakeWebhooks webhooks_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

// The detail of that type in `grpc-status-details-bin`.
template <typename Detail>
std::optional<Detail> DetailOf(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const auto& any : details.details()) {
    if (Detail detail; any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}
std::string ReasonIn(const grpc::Status& status);  // of its ErrorInfo; "" when there is none
std::string FieldIn(const grpc::Status& status);   // that its BadRequest names; likewise

std::string RunName(std::string_view id = kRunId);

}  // namespace interlock::runtime
