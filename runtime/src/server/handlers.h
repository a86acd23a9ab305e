// What each unary method does once the caller is admitted: check the request, ask the engine,
// translate. Plain functions; they know nothing of queues or streams. Thread-safe.
#pragma once

#include "server/caller.h"
#include "server/convert.h"

namespace interlock::runtime::handlers {

// --- RunService (run_handlers.cc)
void CreateRun(const Caller& caller, const wire::CreateRunRequest& request, Reply<wire::Run> reply);
core::StatusOr<wire::Run> GetRun(const Caller& caller, const wire::GetRunRequest& request);
core::StatusOr<wire::ListRunsResponse> ListRuns(const Caller& caller,
                                                const wire::ListRunsRequest& request);
void SendMessage(const Caller& caller, const wire::SendMessageRequest& request,
                 Reply<wire::Run> reply);
void CancelRun(const Caller& caller, const wire::CancelRunRequest& request, Reply<wire::Run> reply);

// --- ToolService and CallService (call_handlers.cc)
core::StatusOr<wire::ListToolsResponse> ListTools(const Caller& caller,
                                                  const wire::ListToolsRequest& request);
void CheckToolCall(const Caller& caller, const wire::CheckToolCallRequest& request,
                   Reply<wire::Call> reply);
void ExecuteToolCall(const Caller& caller, const wire::ExecuteToolCallRequest& request,
                     Reply<wire::Call> reply);
core::StatusOr<wire::Call> GetCall(const Caller& caller, const wire::GetCallRequest& request);
core::StatusOr<wire::ListCallsResponse> ListCalls(const Caller& caller,
                                                  const wire::ListCallsRequest& request);
void ResolveCall(const Caller& caller, const wire::ResolveCallRequest& request,
                 Reply<wire::Call> reply);

// --- ApprovalService (approval_handlers.cc)
core::StatusOr<wire::ListApprovalsResponse> ListApprovals(
    const Caller& caller, const wire::ListApprovalsRequest& request);
core::StatusOr<wire::Approval> GetApproval(const Caller& caller,
                                           const wire::GetApprovalRequest& request);
void Approve(const Caller& caller, const wire::ApproveRequest& request,
             Reply<wire::Approval> reply);
void Reject(const Caller& caller, const wire::RejectRequest& request, Reply<wire::Approval> reply);
void EditArguments(const Caller& caller, const wire::EditArgumentsRequest& request,
                   Reply<wire::Call> reply);
void Delegate(const Caller& caller, const wire::DelegateRequest& request,
              Reply<wire::Delegation> reply);
core::StatusOr<wire::ListDelegationsResponse> ListDelegations(
    const Caller& caller, const wire::ListDelegationsRequest& request);

// --- AuditService and BudgetService (audit_handlers.cc)
core::StatusOr<wire::ListEntriesResponse> ListEntries(const Caller& caller,
                                                      const wire::ListEntriesRequest& request);
core::StatusOr<wire::Entry> GetEntry(const Caller& caller, const wire::GetEntryRequest& request);
void GetCheckpoint(const Caller& caller, const wire::GetCheckpointRequest& request,
                   Reply<wire::Checkpoint> reply);
void GetInclusionProof(const Caller& caller, const wire::GetInclusionProofRequest& request,
                       Reply<wire::InclusionProof> reply);
void GetConsistencyProof(const Caller& caller, const wire::GetConsistencyProofRequest& request,
                         Reply<wire::ConsistencyProof> reply);
core::StatusOr<wire::Blob> GetBlob(const Caller& caller, const wire::GetBlobRequest& request);
core::StatusOr<wire::DisclosePayloadsResponse> DisclosePayloads(
    const Caller& caller, const wire::DisclosePayloadsRequest& request);
core::StatusOr<wire::LogStatus> GetLogStatus(const Caller& caller,
                                             const wire::GetLogStatusRequest& request);
core::StatusOr<wire::LogChange> ConfirmClock(const Caller& caller,
                                             const wire::ConfirmClockRequest& request);
core::StatusOr<wire::LogChange> RotateSignerKey(const Caller& caller,
                                                const wire::RotateSignerKeyRequest& request);
// --- AuditService (query_handlers.cc)
core::StatusOr<wire::QueryCallsResponse> QueryCalls(const Caller& caller,
                                                    const wire::QueryCallsRequest& request);
void SearchCalls(const Caller& caller, const wire::SearchCallsRequest& request,
                 Reply<wire::SearchCallsResponse> reply);
void EraseSubject(const Caller& caller, const wire::EraseSubjectRequest& request,
                  Reply<wire::EraseSubjectResponse> reply);
void ApplyRetention(const Caller& caller, const wire::ApplyRetentionRequest& request,
                    Reply<wire::ApplyRetentionResponse> reply);
core::StatusOr<wire::ListBudgetsResponse> ListBudgets(const Caller& caller,
                                                      const wire::ListBudgetsRequest& request);
core::StatusOr<wire::ListModelDaysResponse> ListModelDays(
    const Caller& caller, const wire::ListModelDaysRequest& request);

// --- RolloutService (rollout_handlers.cc)
core::StatusOr<wire::ListRolloutsResponse> ListRollouts(const Caller& caller,
                                                        const wire::ListRolloutsRequest& request);
core::StatusOr<wire::Rollout> SetRollout(const Caller& caller,
                                         const wire::SetRolloutRequest& request);

// --- SwitchService (switch_handlers.cc)
core::StatusOr<wire::ListSwitchesResponse> ListSwitches(const Caller& caller,
                                                        const wire::ListSwitchesRequest& request);
core::StatusOr<wire::Switch> SetSwitch(const Caller& caller, const wire::SetSwitchRequest& request);
core::StatusOr<wire::LiftSwitchResponse> LiftSwitch(const Caller& caller,
                                                    const wire::LiftSwitchRequest& request);

// --- PolicyService (policy_handlers.cc)
core::StatusOr<wire::Policy> GetPolicy(const Caller& caller, const wire::GetPolicyRequest& request);
core::StatusOr<wire::Policy> ActivatePolicy(const Caller& caller,
                                            const wire::ActivatePolicyRequest& request);
core::StatusOr<wire::Policy> WatchCandidate(const Caller& caller,
                                            const wire::WatchCandidateRequest& request);
core::StatusOr<wire::Policy> StopCandidate(const Caller& caller,
                                           const wire::StopCandidateRequest& request);

}  // namespace interlock::runtime::handlers
