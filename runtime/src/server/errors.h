// The one crossing from core::Status to grpc::Status, and the details that travel with an error.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::runtime {

inline constexpr std::string_view kErrorDomain = "interlock.v1";

// kInvalidArgument with a BadRequest for `field` ("run.agent"), reason BAD_REQUEST.
core::Status BadField(std::string_view field, std::string_view description);

// What an error is about; names the resource in its details.
struct ErrorSubject {
  std::string method;  // "RunService.GetRun"
  std::string type;    // "interlock.v1/Run"; empty: none
  std::string name;    // as the caller gave it
};

// Every error gets google.rpc.Status in `grpc-status-details-bin`: an ErrorInfo always, and where
// it fits one each of BadRequest, ResourceInfo, QuotaFailure, PreconditionFailure and RetryInfo.
// Internal errors keep their message; no message holds a secret or content.
grpc::Status ToGrpc(const core::Status& status, const ErrorSubject& subject);

}  // namespace interlock::runtime
