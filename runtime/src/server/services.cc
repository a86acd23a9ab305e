#include "server/services.h"

#include "interlock/v1/approval_service.grpc.pb.h"
#include "interlock/v1/audit_service.grpc.pb.h"
#include "interlock/v1/budget_service.grpc.pb.h"
#include "interlock/v1/call_service.grpc.pb.h"
#include "interlock/v1/policy_service.grpc.pb.h"
#include "interlock/v1/rollout_service.grpc.pb.h"
#include "interlock/v1/run_service.grpc.pb.h"
#include "interlock/v1/switch_service.grpc.pb.h"
#include "interlock/v1/tool_service.grpc.pb.h"
#include "server/handlers.h"
#include "server/unary_call.h"
#include "server/watch_call.h"

namespace interlock::runtime {

const std::vector<std::string> kServiceNames = {
    "interlock.v1.ApprovalService", "interlock.v1.AuditService",  "interlock.v1.BudgetService",
    "interlock.v1.CallService",     "interlock.v1.PolicyService", "interlock.v1.RolloutService",
    "interlock.v1.RunService",      "interlock.v1.SwitchService", "interlock.v1.ToolService"};

namespace {

using Roles = std::vector<std::string_view>;
constexpr std::string_view kIntegrator = core::kRoleIntegrator;
constexpr std::string_view kRelay = core::kRoleUserRelay;
constexpr std::string_view kApprover = core::kRoleApprover;
constexpr std::string_view kOperator = core::kRoleOperator;
constexpr std::string_view kAuditor = core::kRoleAuditor;

constexpr char kRunType[] = "interlock.v1/Run";
constexpr char kToolType[] = "interlock.v1/Tool";
constexpr char kCallType[] = "interlock.v1/Call";
constexpr char kApprovalType[] = "interlock.v1/Approval";
constexpr char kEntryType[] = "interlock.v1/Entry";
constexpr char kBudgetType[] = "interlock.v1/Budget";
constexpr char kSwitchType[] = "interlock.v1/Switch";
constexpr char kRolloutType[] = "interlock.v1/Rollout";
constexpr char kPolicyType[] = "interlock.v1/Policy";

class ServicesImpl final : public Services {
 public:
  explicit ServicesImpl(const Admission& admission) : admission_(admission) {}

  void Register(grpc::ServerBuilder& builder) override {
    builder.RegisterService(&runs_);
    builder.RegisterService(&tools_);
    builder.RegisterService(&calls_);
    builder.RegisterService(&approvals_);
    builder.RegisterService(&audit_);
    builder.RegisterService(&budgets_);
    builder.RegisterService(&switches_);
    builder.RegisterService(&rollouts_);
    builder.RegisterService(&policies_);
  }

  void Arm(Dispatcher& dispatcher, Lanes& lanes) override {
    dispatcher_ = &dispatcher;
    lanes_ = &lanes;
    ArmRuns();
    ArmCalls();
    ArmApprovals();
    ArmAudit();
    ArmSwitches();
    ArmRollouts();
    ArmPolicies();
  }

 private:
  using Run = wire::RunService::AsyncService;
  using Tool = wire::ToolService::AsyncService;
  using Call = wire::CallService::AsyncService;
  using Approval = wire::ApprovalService::AsyncService;
  using Audit = wire::AuditService::AsyncService;
  using Budget = wire::BudgetService::AsyncService;
  using Switch = wire::SwitchService::AsyncService;
  using Rollout = wire::RolloutService::AsyncService;
  using Policy = wire::PolicyService::AsyncService;

  void ArmRuns() {
    const Roles readers = {kIntegrator, kOperator, kAuditor, kApprover};
    Unary(runs_, &Run::RequestCreateRun, {"RunService.CreateRun", kRunType, {kIntegrator}},
          &handlers::CreateRun);
    Unary(runs_, &Run::RequestGetRun, {"RunService.GetRun", kRunType, readers}, &handlers::GetRun);
    Unary(runs_, &Run::RequestListRuns, {"RunService.ListRuns", kRunType, readers},
          &handlers::ListRuns);
    Watch({"RunService.WatchRun", kRunType, readers});
    Unary(runs_, &Run::RequestSendMessage,
          {"RunService.SendMessage", kRunType, {kIntegrator, kRelay}}, &handlers::SendMessage);
    Unary(runs_, &Run::RequestCancelRun,
          {"RunService.CancelRun", kRunType, {kIntegrator, kOperator}}, &handlers::CancelRun);
  }

  void ArmCalls() {
    Unary(tools_, &Tool::RequestListTools,
          {"ToolService.ListTools", kToolType, {kIntegrator, kOperator, kAuditor}},
          &handlers::ListTools);
    Unary(tools_, &Tool::RequestCheckToolCall,
          {"ToolService.CheckToolCall", kCallType, {kIntegrator}}, &handlers::CheckToolCall);
    Unary(tools_, &Tool::RequestExecuteToolCall,
          {"ToolService.ExecuteToolCall", kCallType, {kIntegrator}, /*hears_hangups=*/true},
          &handlers::ExecuteToolCall);
    const Roles readers = {kIntegrator, kApprover, kOperator, kAuditor};
    Unary(calls_, &Call::RequestGetCall, {"CallService.GetCall", kCallType, readers},
          &handlers::GetCall);
    Unary(calls_, &Call::RequestListCalls, {"CallService.ListCalls", kCallType, readers},
          &handlers::ListCalls);
    Unary(calls_, &Call::RequestResolveCall, {"CallService.ResolveCall", kCallType, {kOperator}},
          &handlers::ResolveCall);
  }

  void ArmApprovals() {
    const Roles readers = {kApprover, kIntegrator, kRelay, kOperator, kAuditor};
    const Roles answerers = {kApprover, kRelay};
    Unary(approvals_, &Approval::RequestListApprovals,
          {"ApprovalService.ListApprovals", kApprovalType, readers}, &handlers::ListApprovals);
    Unary(approvals_, &Approval::RequestGetApproval,
          {"ApprovalService.GetApproval", kApprovalType, readers}, &handlers::GetApproval);
    Unary(approvals_, &Approval::RequestApprove,
          {"ApprovalService.Approve", kApprovalType, answerers}, &handlers::Approve);
    Unary(approvals_, &Approval::RequestReject,
          {"ApprovalService.Reject", kApprovalType, answerers}, &handlers::Reject);
    Unary(approvals_, &Approval::RequestEditArguments,
          {"ApprovalService.EditArguments", kApprovalType, answerers}, &handlers::EditArguments);
    Unary(approvals_, &Approval::RequestDelegate,
          {"ApprovalService.Delegate", kApprovalType, {kApprover, kOperator}}, &handlers::Delegate);
    Unary(approvals_, &Approval::RequestListDelegations,
          {"ApprovalService.ListDelegations", kApprovalType, {kApprover, kOperator, kAuditor}},
          &handlers::ListDelegations);
  }

  void ArmAudit() {
    const Roles readers = {kAuditor, kOperator};
    Unary(audit_, &Audit::RequestListEntries, {"AuditService.ListEntries", kEntryType, readers},
          &handlers::ListEntries);
    Unary(audit_, &Audit::RequestGetEntry, {"AuditService.GetEntry", kEntryType, readers},
          &handlers::GetEntry);
    Unary(audit_, &Audit::RequestGetCheckpoint, {"AuditService.GetCheckpoint", kEntryType, readers},
          &handlers::GetCheckpoint);
    Unary(audit_, &Audit::RequestGetInclusionProof,
          {"AuditService.GetInclusionProof", kEntryType, readers}, &handlers::GetInclusionProof);
    Unary(audit_, &Audit::RequestGetConsistencyProof,
          {"AuditService.GetConsistencyProof", kEntryType, readers},
          &handlers::GetConsistencyProof);
    Unary(audit_, &Audit::RequestGetBlob, {"AuditService.GetBlob", kEntryType, readers},
          &handlers::GetBlob);
    Unary(audit_, &Audit::RequestDisclosePayloads,
          {"AuditService.DisclosePayloads", kEntryType, {kAuditor}}, Lane::kLog,
          &handlers::DisclosePayloads);
    Unary(audit_, &Audit::RequestGetLogStatus, {"AuditService.GetLogStatus", kEntryType, readers},
          &handlers::GetLogStatus);
    Unary(audit_, &Audit::RequestConfirmClock,
          {"AuditService.ConfirmClock", kEntryType, {kOperator}}, Lane::kLog,
          &handlers::ConfirmClock);
    Unary(audit_, &Audit::RequestRotateSignerKey,
          {"AuditService.RotateSignerKey", kEntryType, {kOperator}}, Lane::kSigner,
          &handlers::RotateSignerKey);
    ArmQueries(readers);
    Unary(budgets_, &Budget::RequestListBudgets,
          {"BudgetService.ListBudgets", kBudgetType, {kIntegrator, kOperator, kAuditor}},
          &handlers::ListBudgets);
    Unary(budgets_, &Budget::RequestListModelDays,
          {"BudgetService.ListModelDays", kBudgetType, {kOperator, kAuditor}},
          &handlers::ListModelDays);
  }

  void ArmQueries(const Roles& readers) {
    Unary(audit_, &Audit::RequestQueryCalls, {"AuditService.QueryCalls", kCallType, readers},
          Lane::kLog, &handlers::QueryCalls);
    Unary(audit_, &Audit::RequestSearchCalls,
          {"AuditService.SearchCalls", kCallType, {kAuditor}, /*hears_hangups=*/true},
          &handlers::SearchCalls);
    Unary(audit_, &Audit::RequestEraseSubject,
          {"AuditService.EraseSubject", kEntryType, {kOperator}}, &handlers::EraseSubject);
    Unary(audit_, &Audit::RequestApplyRetention,
          {"AuditService.ApplyRetention", kEntryType, {kOperator}}, &handlers::ApplyRetention);
  }

  void ArmRollouts() {
    Unary(rollouts_, &Rollout::RequestListRollouts,
          {"RolloutService.ListRollouts",
           kRolloutType,
           {kOperator, kAuditor, kApprover, kIntegrator}},
          &handlers::ListRollouts);
    Unary(rollouts_, &Rollout::RequestSetRollout,
          {"RolloutService.SetRollout", kRolloutType, {kOperator}}, Lane::kLog,
          &handlers::SetRollout);
  }

  void ArmSwitches() {
    Unary(
        switches_, &Switch::RequestListSwitches,
        {"SwitchService.ListSwitches", kSwitchType, {kOperator, kAuditor, kApprover, kIntegrator}},
        &handlers::ListSwitches);
    Unary(switches_, &Switch::RequestSetSwitch,
          {"SwitchService.SetSwitch", kSwitchType, {kOperator}}, Lane::kSwitches,
          &handlers::SetSwitch);
    Unary(switches_, &Switch::RequestLiftSwitch,
          {"SwitchService.LiftSwitch", kSwitchType, {kOperator}}, Lane::kSwitches,
          &handlers::LiftSwitch);
  }

  void ArmPolicies() {
    const Roles readers = {kOperator, kAuditor, kApprover, kIntegrator};
    Unary(policies_, &Policy::RequestGetPolicy, {"PolicyService.GetPolicy", kPolicyType, readers},
          &handlers::GetPolicy);
    Unary(policies_, &Policy::RequestActivatePolicy,
          {"PolicyService.ActivatePolicy", kPolicyType, {kOperator}}, Lane::kPolicies,
          &handlers::ActivatePolicy);
    Unary(policies_, &Policy::RequestWatchCandidate,
          {"PolicyService.WatchCandidate", kPolicyType, {kOperator}}, Lane::kPolicies,
          &handlers::WatchCandidate);
    Unary(policies_, &Policy::RequestStopCandidate,
          {"PolicyService.StopCandidate", kPolicyType, {kOperator}}, Lane::kPolicies,
          &handlers::StopCandidate);
  }

  // How gRPC is asked for the next client of a method.
  template <typename Base, typename Request, typename Response>
  using Ask = void (Base::*)(grpc::ServerContext*, Request*,
                             grpc::ServerAsyncResponseWriter<Response>*, grpc::CompletionQueue*,
                             grpc::ServerCompletionQueue*, void*);

  // A method whose handler answers later, through its reply.
  template <typename Service, typename Base, typename Request, typename Response>
  void Unary(Service& service, Ask<Base, Request, Response> request, MethodInfo info,
             void (*handler)(const Caller&, const Request&, Reply<Response>)) {
    using Method = UnaryMethod<Base, Request, Response>;
    Serve<Method>(service, request, std::move(info), handler);
  }

  // A method whose handler answers at once.
  template <typename Service, typename Base, typename Request, typename Response>
  void Unary(Service& service, Ask<Base, Request, Response> request, MethodInfo info,
             core::StatusOr<Response> (*handler)(const Caller&, const Request&)) {
    using Method = UnaryMethod<Base, Request, Response>;
    Serve<Method>(service, request, std::move(info),
                  [handler](const Caller& caller, const Request& asked, Reply<Response> reply) {
                    reply(handler(caller, asked));
                  });
  }

  // A method whose handler waits: on a thread of `lane`.
  template <typename Service, typename Base, typename Request, typename Response>
  void Unary(Service& service, Ask<Base, Request, Response> request, MethodInfo info, Lane lane,
             core::StatusOr<Response> (*handler)(const Caller&, const Request&)) {
    using Method = UnaryMethod<Base, Request, Response>;
    Serve<Method>(
        service, request, std::move(info),
        [lane, handler](const Caller& caller, const Request& asked, Reply<Response> reply) {
          caller.lanes->Run<Response>(lane, caller.deadline, std::move(reply),
                                      [handler, caller, asked] { return handler(caller, asked); });
        });
  }

  template <typename Method, typename Service>
  void Serve(Service& service, typename Method::RequestFunction request, MethodInfo info,
             typename Method::Handler handler) {
    auto method = std::make_shared<Method>(Method{
        &service, request, std::move(info), std::move(handler), &admission_, dispatcher_, lanes_});
    methods_.push_back(method);
    Method::Call::Arm(*method);
  }

  void Watch(MethodInfo info) {
    auto method = std::make_shared<WatchMethod>();
    method->request = [this](grpc::ServerContext* context, wire::WatchRunRequest* request,
                             WatchMethod::Writer* writer, grpc::ServerCompletionQueue* queue,
                             void* tag) {
      runs_.RequestWatchRun(context, request, writer, queue, queue, tag);
    };
    method->info = std::move(info);
    method->admission = &admission_;
    method->dispatcher = dispatcher_;
    methods_.push_back(method);
    WatchCall::Arm(*method);
  }

  const Admission& admission_;
  Dispatcher* dispatcher_ = nullptr;
  Lanes* lanes_ = nullptr;
  Run runs_;
  Tool tools_;
  Call calls_;
  Approval approvals_;
  Audit audit_;
  Budget budgets_;
  Switch switches_;
  Rollout rollouts_;
  Policy policies_;
  std::vector<std::shared_ptr<const void>> methods_;  // as the calls borrow them
};

}  // namespace

std::unique_ptr<Services> MakeServices(const Admission& admission) {
  return std::make_unique<ServicesImpl>(admission);
}

}  // namespace interlock::runtime
