#include "cli/client.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/generic/generic_stub.h>

#include "cli/io.h"
#include "core/clock.h"
#include "core/random.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace interlock::runtime::cli {
namespace {

constexpr int kMessageBytesMax = 64 << 20;

std::string ReasonIn(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return "";
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    if (detail.Is<google::rpc::ErrorInfo>() && detail.UnpackTo(&info)) return info.reason();
  }
  return "";
}

std::shared_ptr<grpc::Channel> Open(const Endpoint& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(endpoint.address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Client::Client(Endpoint endpoint)
    : endpoint_(std::move(endpoint)),
      channel_(Open(endpoint_)),
      runs(wire::RunService::NewStub(channel_)),
      tools(wire::ToolService::NewStub(channel_)),
      calls(wire::CallService::NewStub(channel_)),
      approvals(wire::ApprovalService::NewStub(channel_)),
      budgets(wire::BudgetService::NewStub(channel_)),
      audit(wire::AuditService::NewStub(channel_)),
      switches(wire::SwitchService::NewStub(channel_)),
      rollouts(wire::RolloutService::NewStub(channel_)),
      policies(wire::PolicyService::NewStub(channel_)) {}

void Client::Prepare(grpc::ClientContext& context) const {
  if (!endpoint_.token.empty()) context.AddMetadata("authorization", "Bearer " + endpoint_.token);
}

core::Status Client::Explain(const grpc::Status& status) const {
  std::string message = status.error_message();
  const std::string reason = ReasonIn(status);
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && reason.empty()) {
    message = "no answer from `" + endpoint_.address +
              "`; start interlockd, or name its address with --address or INTERLOCK_ADDRESS";
  } else if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
    message += "; give a token with --token-file or INTERLOCK_TOKEN";
  } else if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && reason.empty()) {
    message =
        "`" + endpoint_.address + "` did not answer in time; try again, or raise --timeout-ms";
  }
  if (!reason.empty()) message += " (" + reason + ")";
  return WithErrorReason(core::Error(static_cast<core::StatusCode>(status.error_code()), message),
                         reason);
}

// The two messages are one field each, so they are read here by hand: `status` is field 1, a
// varint.
core::StatusOr<bool> Client::Healthy() const {
  constexpr std::string_view kServing("\x08\x01", 2);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + endpoint_.call_limit);
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  const grpc::Slice whole_server;  // no field set: the server as a whole
  const grpc::ByteBuffer request(&whole_server, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  const auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return Explain(status);
  grpc::Slice bytes;
  if (!response.DumpToSingleSlice(&bytes).ok())
    return core::Internal("the health answer makes no sense");
  return std::string_view(reinterpret_cast<const char*>(bytes.begin()), bytes.size()) == kServing;
}

std::string Client::parent() const { return "tenants/" + endpoint_.tenant; }

std::string Client::Name(std::string_view collection, std::string_view id) const {
  if (id.starts_with("tenants/")) return std::string(id);
  return parent() + "/" + std::string(collection) + "/" + std::string(id);
}

std::string IdOf(std::string_view name) { return std::string(name.substr(name.rfind('/') + 1)); }

std::string NewRequestId() {
  const core::SystemClock clock;
  core::SystemRandom random;
  return core::NewUuidV7(clock, random);
}

std::int64_t MicrosOf(const google::protobuf::Timestamp& time) {
  return google::protobuf::util::TimeUtil::TimestampToMicroseconds(time);
}

}  // namespace interlock::runtime::cli
