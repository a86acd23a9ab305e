#include "follow.h"

#include <algorithm>

#include "text.h"

namespace interlock::tools {
namespace {

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// RFC 9110 §15.4: what browsers do with 301 and 302 to a POST, and everybody with 303.
bool BecomesGet(int status, const std::string& method) {
  return (status == 303 && method != "HEAD") ||
         ((status == 301 || status == 302) && method == "POST");
}

}  // namespace

Follow::Follow(Fetcher& fetcher, FetchRequest request, std::vector<std::string> origins,
               std::function<void(Followed)> done)
    : fetcher_(fetcher),
      request_(std::move(request)),
      origins_(std::move(origins)),
      done_(std::move(done)),
      left_ms_(request_.timeout_ms) {}

void Follow::Start() {
  auto url = Url::Parse(request_.url);
  if (!url.ok()) return End(url.status());
  url_ = *std::move(url);
  Ask();
}

void Follow::Cancel() {
  std::uint64_t handle = 0;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    handle = handle_;
  }
  if (handle != 0) fetcher_.Cancel(handle);
}

void Follow::Ask() {
  followed_.hops.push_back(url_.Origin());
  request_.url = url_.text;
  request_.timeout_ms = left_ms_;
  request_.sent = std::make_shared<std::atomic<bool>>(false);
  bool cancelled = false;
  std::uint64_t handle = 0;
  {
    // Held over Fetch: its `done` comes from another thread and must find the handle.
    const std::lock_guard lock(mutex_);
    handle_ = handle =
        fetcher_.Fetch(request_, [self = shared_from_this()](core::StatusOr<FetchResponse> reply) {
          self->OnReply(std::move(reply));
        });
    cancelled = cancelled_;
  }
  if (cancelled) fetcher_.Cancel(handle);
}

void Follow::OnReply(core::StatusOr<FetchResponse> reply) {
  bool cancelled = false;
  {
    const std::lock_guard lock(mutex_);
    cancelled = cancelled_;
  }
  followed_.sent = followed_.sent || *request_.sent;
  if (!reply.ok() || !IsRedirect(reply->status) || reply->Header("location").empty()) {
    return End(std::move(reply));
  }
  if (cancelled) return End(core::Error(core::StatusCode::kCancelled, "cancelled"));
  left_ms_ -= reply->wall_us / 1000;
  if (const core::Status status = TakeRedirect(*reply); !status.ok()) {
    followed_.refused_redirect = true;
    return End(status);
  }
  if (left_ms_ < 1) {
    return End(core::Error(core::StatusCode::kDeadlineExceeded, "redirects took all the time"));
  }
  Ask();
}

core::Status Follow::TakeRedirect(const FetchResponse& reply) {
  auto target = url_.Resolve(std::string(reply.Header("location")));
  if (!target.ok()) {
    return core::PermissionDenied("redirect is refused: " +
                                  std::string(core::Message(target.status())));
  }
  const std::string origin = target->Origin();
  const bool listed = origin == followed_.hops.front() ||
                      std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
  if (!listed) {
    return core::PermissionDenied("redirect to `" + OneLine(origin, 200) +
                                  "` is refused: not among the tool's `redirects`");
  }
  if (followed_.hops.size() > static_cast<std::size_t>(kRedirectsMax)) {
    return core::PermissionDenied("redirect is refused: more than 5 of them");
  }
  // Whatever was meant for one place (tokens above all) stays there.
  if (origin != url_.Origin()) request_.headers.clear();
  if (BecomesGet(reply.status, request_.method)) {
    request_.method = "GET";
    request_.body.clear();
  }
  url_ = *std::move(target);
  return core::OkStatus();
}

void Follow::End(core::StatusOr<FetchResponse> reply) {
  followed_.reply = std::move(reply);
  done_(std::move(followed_));
}

}  // namespace interlock::tools
