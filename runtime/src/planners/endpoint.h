// One Propose at a model endpoint, over all its attempts; and what of it is pure.
#pragma once

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
  std::uint64_t epoch = 0;   // of the cache when it was asked
  std::int64_t retries = 0;  // so far
  std::uint64_t fetch = 0;   // the attempt that runs or waits; 0: it waits for a place
  bool cancelled = false;
  bool told = false;                     // text was forwarded
  std::shared_ptr<StreamReader> stream;  // of the attempt; null: not streamed
};

// Whether an HTTP status may pass when one asks again.
bool MayRetry(int http_status);
// Whether an attempt that ended so says that the endpoint is not well (429 is its right).
bool IsFailure(const core::StatusOr<tools::FetchResponse>& fetched);
// What a reply other than 200 means: one line, never the provider's prose.
core::Status StatusOfHttp(const tools::FetchResponse& response);

}  // namespace interlock::runtime
