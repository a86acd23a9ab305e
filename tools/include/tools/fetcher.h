// The one HTTP client (rule 25): planners, tools, webhooks and remote MCP go through it.
//
// libcurl's multi interface on one thread of its own; a transfer that waits costs a socket and a
// few KiB. Never: proxies from the environment, cookies, netrc, redirects (a 3xx is an answer; who
// wants to follow asks anew, so that policy sees the hop), HTTP/0.9, other schemes, hosts that are
// not ASCII, user names in URLs; decompression only where the request asks for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "sandbox/address_guard.h"

namespace interlock::tools {

using sandbox::AddressPolicy;

inline constexpr std::size_t kFetchHeadersMax = 256;

enum class Wanted { kMore, kNoMore };

// How long a body of which no more is wanted may take to end.
inline constexpr std::int64_t kLingerMs = 250;

struct FetchRequest {
  std::string method = "GET";  // [A-Z]+
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::int64_t delay_ms = 0;  // before it starts; for retries
  std::int64_t connect_timeout_ms = 10'000;
  std::int64_t timeout_ms = 60'000;      // whole transfer, from when it may start
  std::size_t body_bytes_max = 1 << 20;  // of the response
  std::size_t header_bytes_max = 64 << 10;
  bool decompress = false;  // gzip and deflate; `body_bytes_max` holds before and after
  // Instead of the fetcher's own; then the connection is used for this request alone.
  std::optional<AddressPolicy> addresses = std::nullopt;
  // Over TLS, with a server that speaks HTTP/2, it shares its connection with other requests that
  // may; else each has one of its own, by HTTP/1.1. Not with `addresses`. A shared reply without a
  // Content-Length that breaks off may seem to be whole: who asks must see that it is. One with
  // more than 8 KiB of headers may be refused (ADR 75).
  bool may_share = false;
  // Set to true, before `done`, once a byte of the request went out. May be null.
  std::shared_ptr<std::atomic<bool>> sent = nullptr;
  // Told of each piece of the body as it comes, with the response's status, on the fetcher's
  // thread; must not block. The body is collected all the same. An error ends the transfer with it.
  // After kNoMore the body has kLingerMs to end, so that its connection can be used again; if it
  // does not, the transfer ends well with what came, and the connection is closed if it is its own.
  std::function<core::StatusOr<Wanted>(int status, std::string_view piece)> on_body = nullptr;
};

struct FetchResponse {
  int status = 0;                                            // 100..599, whatever it means
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string address;  // that was connected to
  std::int64_t wall_us = 0;

  // The first header of that (lower case) name; empty when absent.
  std::string_view Header(std::string_view name) const;
};

// Thread-safe.
class Fetcher {
 public:
  virtual ~Fetcher() = default;  // open transfers end with kCancelled

  // `done` is called exactly once, from the fetcher's thread, must not block, and may call the
  // fetcher. Errors: kInvalidArgument (URL, method, header; a reply that is not HTTP),
  // kPermissionDenied (address), kUnavailable (resolve, connect, connection lost),
  // kDeadlineExceeded, kResourceExhausted (a cap, or too many transfers), kCancelled,
  // kFailedPrecondition (TLS). Messages name the host, never the path or headers.
  virtual std::uint64_t Fetch(FetchRequest request,
                              std::function<void(core::StatusOr<FetchResponse>)> done) = 0;
  virtual void Cancel(std::uint64_t handle) = 0;  // unknown or done: no-op
};

struct FetcherOptions {
  AddressPolicy addresses;  // of all its transfers: connections are reused between them
  std::size_t transfers_max = 16'384;
  std::string ca_file;  // PEM; empty: the system's
  // Addresses of a name, instead of the system's resolver. Asked anew for each request, on the
  // fetcher's thread; must not block. Its answers are judged like any other.
  std::function<std::vector<std::string>(const std::string& host)> resolver = nullptr;
};

// Errors: kInternal when libcurl does not start.
core::StatusOr<std::unique_ptr<Fetcher>> MakeFetcher(FetcherOptions options);

}  // namespace interlock::tools
