// The engine's plain values as wire messages, and filters back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "interlock/v1/approval_service.pb.h"
#include "interlock/v1/audit_service.pb.h"
#include "interlock/v1/budget_service.pb.h"
#include "interlock/v1/call_service.pb.h"
#include "interlock/v1/policy_service.pb.h"
#include "interlock/v1/rollout_service.pb.h"
#include "interlock/v1/run_service.pb.h"
#include "interlock/v1/switch_service.pb.h"
#include "interlock/v1/tool_service.pb.h"
#include "runtime/engine.h"

namespace interlock::runtime {

namespace wire = ::interlock::v1;

wire::Run ToWire(std::string_view tenant, const RunInfo& info);
wire::Call ToWire(std::string_view tenant, const CallInfo& info);
wire::Approval ToWire(std::string_view tenant, const ApprovalInfo& info);
wire::Delegation ToWire(std::string_view tenant, const policies::Delegation& given);
wire::Tool ToWire(std::string_view tenant, const tools::Tool& tool);
wire::Entry ToWire(std::string_view tenant, const audit::Entry& entry);
wire::Checkpoint ToWire(const audit::Checkpoint& checkpoint);
wire::Budget ToWire(const BudgetInfo& info);
wire::ModelDay ToWire(const ModelDay& day);
wire::Switch ToWire(std::string_view tenant, const SwitchInfo& info);
wire::Rollout ToWire(std::string_view tenant, const RolloutInfo& info);
wire::Policy ToWire(std::string_view tenant, const PolicyInfo& info);
wire::AuditedCall ToWire(std::string_view tenant, const AuditedCall& call);
wire::SearchHit ToWire(std::string_view tenant, const FoundText& hit);

inline constexpr std::size_t kContentFieldBytesMax = 1 << 20;
wire::RunEvent ToWire(const RunEvent& event);

// nullopt for UNSPECIFIED; kInvalidArgument for a number that is no state.
core::StatusOr<std::optional<RunState>> RunStateFilter(wire::Run::State state);
core::StatusOr<std::optional<CallState>> CallStateFilter(wire::Call::State state);
core::StatusOr<std::optional<policies::ApprovalPhase>> ApprovalFilter(wire::Approval::State state);

}  // namespace interlock::runtime
