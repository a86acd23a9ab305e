// One request and its redirects, each followed by hand and only to a place that was named before
// (rule 25).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tools/fetcher.h"
#include "tools/url.h"

namespace interlock::tools {

inline constexpr int kRedirectsMax = 5;

struct Followed {
  core::StatusOr<FetchResponse> reply = core::Internal("no reply yet");
  bool sent = false;              // some byte of some request went out
  bool refused_redirect = false;  // `reply` says to where
  std::vector<std::string> hops;  // origins asked, in order
};

// Started once; keeps itself alive until `done` was called. Thread-safe.
class Follow : public std::enable_shared_from_this<Follow> {
 public:
  // `origins` are where redirects may lead, as Url::Origin() writes them; the first request's own
  // origin is always among them. `done` comes from the fetcher's thread, or from Start when the URL
  // is none.
  Follow(Fetcher& fetcher, FetchRequest request, std::vector<std::string> origins,
         std::function<void(Followed)> done);
  void Start();
  // `done` still comes.
  void Cancel();

 private:
  void Ask();
  void OnReply(core::StatusOr<FetchResponse> reply);
  // Empty: go on with the changed request; else why not.
  core::Status TakeRedirect(const FetchResponse& reply);
  void End(core::StatusOr<FetchResponse> reply);

  Fetcher& fetcher_;
  FetchRequest request_;
  const std::vector<std::string> origins_;
  const std::function<void(Followed)> done_;
  Url url_;
  Followed followed_;
  std::int64_t left_ms_;
  std::mutex mutex_;  // guards the next two
  std::uint64_t handle_ = 0;
  bool cancelled_ = false;
};

}  // namespace interlock::tools
