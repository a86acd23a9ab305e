// One Propose at a model endpoint, over all its attempts; and what of it is pure.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/digest.h"
#include "core/status.h"
#include "runtime/planner.h"
#include "stream_reader.h"
#include "tools/fetcher.h"

namespace interlock::runtime {

struct ModelCall {
  PlanRequest request;  // without its messages once `body` is written
  std::string model;
  std::string path;
  std::string body;
  core::Digest cache_key{};
  std::function<void(core::StatusOr<Plan>)> done;
  std::uint64_t epoch = 0;    // of the cache when it was asked
  std::int64_t retries = 0;   // so far
  std::uint64_t fetch = 0;    // the attempt that runs or waits; 0: it waits for a place
  std::uint64_t attempt = 0;  // its number at the breaker
  bool cancelled = false;
  bool told = false;                          // text was forwarded
  std::shared_ptr<StreamReader> stream;       // of the attempt; null: not streamed
  std::shared_ptr<std::atomic<bool>> sent{};  // whether anything of the attempt went out
  policies::ModelUse one{};                   // that an attempt may use at most
};

// Whether an HTTP status may pass when one asks again.
bool MayRetry(int http_status);
// Whether an attempt that ended so says that the endpoint is not well (429 is its right).
bool IsFailure(const core::StatusOr<tools::FetchResponse>& fetched);
// Whether an attempt that ended so, and told of no use, may be billed: not where nothing of it went
// out, nor where the provider turned it away (4xx, a redirect). `sent`: whether a byte went out.
bool MayBeBilled(const core::StatusOr<tools::FetchResponse>& fetched, bool sent);
// What a reply other than 200 means: one line, never the provider's prose.
core::Status StatusOfHttp(const tools::FetchResponse& response);

}  // namespace interlock::runtime
