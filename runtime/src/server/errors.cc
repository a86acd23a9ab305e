#include "server/errors.h"

#include <absl/strings/cord.h>

#include "config/utf8.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "runtime/engine.h"

namespace interlock::runtime {
namespace {

// Codes are the same numbers on both sides
// (https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
constexpr bool Same(core::StatusCode ours, grpc::StatusCode theirs) {
  return static_cast<int>(ours) == static_cast<int>(theirs);
}
static_assert(Same(core::StatusCode::kOk, grpc::StatusCode::OK));
static_assert(Same(core::StatusCode::kCancelled, grpc::StatusCode::CANCELLED));
static_assert(Same(core::StatusCode::kUnknown, grpc::StatusCode::UNKNOWN));
static_assert(Same(core::StatusCode::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT));
static_assert(Same(core::StatusCode::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED));
static_assert(Same(core::StatusCode::kNotFound, grpc::StatusCode::NOT_FOUND));
static_assert(Same(core::StatusCode::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS));
static_assert(Same(core::StatusCode::kPermissionDenied, grpc::StatusCode::PERMISSION_DENIED));
static_assert(Same(core::StatusCode::kResourceExhausted, grpc::StatusCode::RESOURCE_EXHAUSTED));
static_assert(Same(core::StatusCode::kFailedPrecondition, grpc::StatusCode::FAILED_PRECONDITION));
static_assert(Same(core::StatusCode::kAborted, grpc::StatusCode::ABORTED));
static_assert(Same(core::StatusCode::kOutOfRange, grpc::StatusCode::OUT_OF_RANGE));
static_assert(Same(core::StatusCode::kUnimplemented, grpc::StatusCode::UNIMPLEMENTED));
static_assert(Same(core::StatusCode::kInternal, grpc::StatusCode::INTERNAL));
static_assert(Same(core::StatusCode::kUnavailable, grpc::StatusCode::UNAVAILABLE));
static_assert(Same(core::StatusCode::kDataLoss, grpc::StatusCode::DATA_LOSS));
static_assert(Same(core::StatusCode::kUnauthenticated, grpc::StatusCode::UNAUTHENTICATED));

constexpr char kFieldUrl[] = "interlock.v1/field";  // payload of BadField: the field's path

void AddErrorInfo(const core::Status& status, const ErrorSubject& subject,
                  google::rpc::Status& out) {
  google::rpc::ErrorInfo info;
  info.set_reason(ReasonOf(status));
  info.set_domain(std::string(kErrorDomain));
  (*info.mutable_metadata())["method"] = subject.method;
  if (!subject.name.empty()) (*info.mutable_metadata())["resource"] = subject.name;
  out.add_details()->PackFrom(info);
}

void AddBadRequest(const core::Status& status, google::rpc::Status& out) {
  const auto field = status.GetPayload(kFieldUrl);
  if (!field.has_value()) return;
  google::rpc::BadRequest bad;
  auto* violation = bad.add_field_violations();
  violation->set_field(std::string(*field));
  violation->set_description(AsUtf8(core::Message(status)));
  out.add_details()->PackFrom(bad);
}

void AddResource(const core::Status& status, const ErrorSubject& subject,
                 google::rpc::Status& out) {
  google::rpc::ResourceInfo info;
  info.set_resource_type(subject.type);
  info.set_resource_name(subject.name);
  info.set_description(AsUtf8(core::Message(status)));
  out.add_details()->PackFrom(info);
}

void AddQuota(const core::Status& status, const ErrorSubject& subject, google::rpc::Status& out) {
  google::rpc::QuotaFailure quota;
  auto* violation = quota.add_violations();
  violation->set_subject(subject.name.empty() ? subject.method : subject.name);
  violation->set_description(AsUtf8(core::Message(status)));
  out.add_details()->PackFrom(quota);
}

void AddPrecondition(const core::Status& status, const ErrorSubject& subject,
                     google::rpc::Status& out) {
  google::rpc::PreconditionFailure failure;
  auto* violation = failure.add_violations();
  violation->set_type(status.code() == core::StatusCode::kAborted ? "ETAG" : "STATE");
  violation->set_subject(subject.name);
  violation->set_description(AsUtf8(core::Message(status)));
  out.add_details()->PackFrom(failure);
}

void AddRetry(google::rpc::Status& out) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(1);
  out.add_details()->PackFrom(retry);
}

}  // namespace

core::Status BadField(std::string_view field, std::string_view description) {
  core::Status status =
      WithReason(core::InvalidArgument("`" + std::string(field) + "` " + std::string(description)),
                 "BAD_REQUEST");
  status.SetPayload(kFieldUrl, absl::Cord(absl::string_view(field.data(), field.size())));
  return status;
}

grpc::Status ToGrpc(const core::Status& status, const ErrorSubject& subject) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status out;
  out.set_code(static_cast<int>(status.code()));
  out.set_message(AsUtf8(core::Message(status)));  // it may quote the request
  AddErrorInfo(status, subject, out);
  AddBadRequest(status, out);
  const bool named = !subject.type.empty() && !subject.name.empty();
  switch (status.code()) {
    case core::StatusCode::kNotFound:
      if (named) AddResource(status, subject, out);
      break;
    case core::StatusCode::kResourceExhausted:
      AddQuota(status, subject, out);
      break;
    case core::StatusCode::kAborted:
    case core::StatusCode::kFailedPrecondition:
      AddPrecondition(status, subject, out);
      break;
    case core::StatusCode::kUnavailable:
      AddRetry(out);
      break;
    default:
      break;
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), out.message(),
                      out.SerializeAsString());
}

}  // namespace interlock::runtime
