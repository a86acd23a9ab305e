// The daemon as the commands see it: one channel, the stubs, names and errors.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "core/status.h"
#include "interlock/v1/approval_service.grpc.pb.h"
#include "interlock/v1/audit_service.grpc.pb.h"
#include "interlock/v1/budget_service.grpc.pb.h"
#include "interlock/v1/call_service.grpc.pb.h"
#include "interlock/v1/policy_service.grpc.pb.h"
#include "interlock/v1/rollout_service.grpc.pb.h"
#include "interlock/v1/run_service.grpc.pb.h"
#include "interlock/v1/switch_service.grpc.pb.h"
#include "interlock/v1/tool_service.grpc.pb.h"

namespace interlock::runtime::cli {

namespace wire = ::interlock::v1;

struct Endpoint {
  std::string address = "127.0.0.1:7443";
  std::string token;
  std::string tenant = "main";
  std::chrono::milliseconds call_limit{30'000};
};

// Thread-safe.
class Client {
 public:
  // Never fails: a daemon that is not there shows in the first call.
  explicit Client(Endpoint endpoint);

  template <typename Stub, typename Request, typename Response>
  core::StatusOr<Response> Call(const std::unique_ptr<Stub>& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) const {
    grpc::ClientContext context;
    Prepare(context);
    context.set_deadline(std::chrono::system_clock::now() + endpoint_.call_limit);
    Response response;
    const grpc::Status status = (stub.get()->*method)(&context, request, &response);
    if (!status.ok()) return Explain(status);
    return response;
  }

  // Adds the caller's token. For streams, which have no deadline of their own.
  void Prepare(grpc::ClientContext& context) const;
  // The server's error in our form, with what to do where the message itself cannot know.
  core::Status Explain(const grpc::Status& status) const;

  // grpc.health.v1.Health/Check of the whole server: whether it is serving.
  core::StatusOr<bool> Healthy() const;

  // "tenants/main".
  std::string parent() const;
  // "tenants/main/runs/<id>"; a whole name stays as it is.
  std::string Name(std::string_view collection, std::string_view id) const;

  const Endpoint& endpoint() const { return endpoint_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  Endpoint endpoint_;
  std::shared_ptr<grpc::Channel> channel_;

 public:
  const std::unique_ptr<wire::RunService::Stub> runs;
  const std::unique_ptr<wire::ToolService::Stub> tools;
  const std::unique_ptr<wire::CallService::Stub> calls;
  const std::unique_ptr<wire::ApprovalService::Stub> approvals;
  const std::unique_ptr<wire::BudgetService::Stub> budgets;
  const std::unique_ptr<wire::AuditService::Stub> audit;
  const std::unique_ptr<wire::SwitchService::Stub> switches;
  const std::unique_ptr<wire::RolloutService::Stub> rollouts;
  const std::unique_ptr<wire::PolicyService::Stub> policies;
};

// The last part of a name: "tenants/main/runs/x" -> "x".
std::string IdOf(std::string_view name);

// A fresh request id.
std::string NewRequestId();

// Microseconds of a protobuf timestamp.
std::int64_t MicrosOf(const google::protobuf::Timestamp& time);

}  // namespace interlock::runtime::cli
