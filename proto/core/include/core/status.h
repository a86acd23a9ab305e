// Errors are values. `Status` says that we could not find out; an answer (deny, ask, timeout,
// violation, a non-zero exit) is never a Status. Codes are those of gRPC (absl::StatusCode).
// Messages: one line, lower case, no full stop, input in backticks, what to do next, no secret.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <utility>

namespace interlock::core {

using Status = absl::Status;
template <typename T>
using StatusOr = absl::StatusOr<T>;
using StatusCode = absl::StatusCode;

// Debian 12's absl::string_view is not std::string_view; these hide that.
[[nodiscard]] inline Status Error(StatusCode code, std::string_view message) {
  return Status(code, absl::string_view(message.data(), message.size()));
}
[[nodiscard]] inline Status OkStatus() { return absl::OkStatus(); }
[[nodiscard]] inline Status InvalidArgument(std::string_view m) {
  return Error(StatusCode::kInvalidArgument, m);
}
[[nodiscard]] inline Status NotFound(std::string_view m) { return Error(StatusCode::kNotFound, m); }
[[nodiscard]] inline Status FailedPrecondition(std::string_view m) {
  return Error(StatusCode::kFailedPrecondition, m);
}
[[nodiscard]] inline Status Internal(std::string_view m) { return Error(StatusCode::kInternal, m); }
[[nodiscard]] inline Status DataLoss(std::string_view m) { return Error(StatusCode::kDataLoss, m); }
[[nodiscard]] inline Status ResourceExhausted(std::string_view m) {
  return Error(StatusCode::kResourceExhausted, m);
}
[[nodiscard]] inline Status Unavailable(std::string_view m) {
  return Error(StatusCode::kUnavailable, m);
}
[[nodiscard]] inline Status PermissionDenied(std::string_view m) {
  return Error(StatusCode::kPermissionDenied, m);
}

[[nodiscard]] inline std::string_view Message(const Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace interlock::core

#define INTERLOCK_CONCAT_INNER_(a, b) a##b
#define INTERLOCK_CONCAT_(a, b) INTERLOCK_CONCAT_INNER_(a, b)

// Returns from the calling function with the error, if `expr` (a Status) is one.
#define INTERLOCK_RETURN_IF_ERROR(expr)                             \
  do {                                                              \
    if (auto interlock_status_ = (expr); !interlock_status_.ok()) { \
      return interlock_status_;                                     \
    }                                                               \
  } while (false)

// `lhs = value of expr`, or returns from the calling function with its error.
#define INTERLOCK_ASSIGN_OR_RETURN(lhs, expr) \
  INTERLOCK_ASSIGN_OR_RETURN_IMPL_(INTERLOCK_CONCAT_(interlock_or_, __LINE__), lhs, expr)
#define INTERLOCK_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                     \
  if (!tmp.ok()) return tmp.status();                    \
  lhs = std::move(tmp).value()
