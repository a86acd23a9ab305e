// request_id (rule 12): one id stands for one request, whatever method it was sent to.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"
#include "engine/entries.h"
#include "engine/state.h"

namespace interlock::runtime {

// How a request is known in the log. Empty: the caller gave no id.
struct RequestMark {
  std::string key;     // HMAC of principal and request_id, behind the time in a UUIDv7
  std::string digest;  // HMAC of method, target and content

  // Adds `request` and `request_digest`, when there are any.
  BodyWriter& Write(BodyWriter& body) const {
    return body.Optional("request", key).Optional("request_digest", digest);
  }
};

inline core::Status RequestReused() {
  return WithReason(
      core::InvalidArgument("`request_id` was used for another request; take a new one"),
      "REQUEST_ID_REUSED");
}

// REQUEST_ID_REUSED unless the earlier request asked for the very same.
inline core::Status SameRequest(const RequestRow& earlier, std::string_view digest) {
  return earlier.digest == digest ? core::OkStatus() : RequestReused();
}

// Writer thread: whether this very request was made before. Errors: REQUEST_ID_REUSED.
inline core::StatusOr<bool> WasMade(State& state, const RequestMark& request) {
  if (request.key.empty()) return false;
  const RequestRow* earlier = state.FindRequest(request.key);
  if (earlier == nullptr) return false;
  INTERLOCK_RETURN_IF_ERROR(SameRequest(*earlier, request.digest));
  return true;
}

}  // namespace interlock::runtime
