#include "codec.h"
#include "endpoint.h"

namespace interlock::runtime {
namespace {

// Only a number is shown of what a provider says.
std::string Asked(const tools::FetchResponse& response) {
  const std::string_view wait = response.Header("retry-after");
  const bool seconds = !wait.empty() && wait.size() <= 6 &&
                       wait.find_first_not_of("0123456789") == std::string_view::npos;
  return seconds ? "; it asks to wait " + std::string(wait) + " s" : "";
}

}  // namespace

bool MayRetry(int http_status) {
  return http_status == 408 || http_status == 409 || http_status == 425 || http_status == 429 ||
         http_status >= 500;
}

bool IsFailure(const core::StatusOr<tools::FetchResponse>& fetched) {
  return fetched.ok() ? fetched->status >= 500
                      : fetched.status().code() != core::StatusCode::kCancelled;
}

// 408 may come from a gateway that the model behind it has not heard of.
bool MayBeBilled(const core::StatusOr<tools::FetchResponse>& fetched, bool sent) {
  if (!fetched.ok()) return sent;
  return fetched->status < 300 || fetched->status == 408 || fetched->status >= 500;
}

core::Status StatusOfHttp(const tools::FetchResponse& response) {
  const std::string word = ErrorWord(response.body);
  const std::string what = "model endpoint answered " + std::to_string(response.status) +
                           (word.empty() ? "" : " (" + word + ")");
  if (MayRetry(response.status)) return core::Unavailable(what + Asked(response));
  if (response.status == 401 || response.status == 403) {
    return core::FailedPrecondition(what + "; check the planner's api key");
  }
  if (response.status >= 300 && response.status < 400) {
    return core::InvalidArgument(what + ", a redirect; set `base_url` to where it leads");
  }
  return core::InvalidArgument(what);
}

}  // namespace interlock::runtime
