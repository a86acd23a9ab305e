// One transfer of the fetcher: what it holds, and what libcurl calls of it.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "curl_loop.h"
#include "lanes.h"
#include "tools/fetcher.h"

namespace interlock::tools {

using FetchDone = std::function<void(core::StatusOr<FetchResponse>)>;

// While it waits, a transfer holds this. libcurl asks for a byte more, and allocators hand out 3072
// whole; most replies of models fit.
inline constexpr long kReceiveBufferBytes = 3071;
// The same of one that shares a connection: libcurl 7.88 loses the first line of headers that do
// not fit.
inline constexpr long kSharedBufferBytes = 8191;

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// One request from its start to its end. Lives on the fetcher's thread; libcurl holds its address.
struct Transfer {
  std::uint64_t handle = 0;
  FetchRequest request;
  FetchDone done;
  std::string host;
  std::int64_t due_us = 0;      // monotonic; when it may start
  std::int64_t started_us = 0;  // or joined a lane
  Lane lane = 0;
  Lanes::Stage stage = Lanes::Stage::kWaits;  // in its lane
  Lanes* lanes = nullptr;
  const AddressPolicy* addresses = nullptr;
  CurlLoop* loop = nullptr;
  std::unique_ptr<curl_slist, FreeList> resolved;
  Easy easy;
  std::unique_ptr<curl_slist, FreeList> headers;
  FetchResponse response;
  std::size_t header_bytes = 0;
  curl_off_t written = 0;  // of the request's body
  core::Status refusal;    // what one of our own callbacks found
  std::set<std::uint64_t>* lingering = nullptr;
  std::int64_t lingers_until_us = 0;  // monotonic; 0: more of the body is wanted
  bool cut = false;                   // it ended before the body's end
};

// For CURLOPT_WRITEFUNCTION, _HEADERFUNCTION, _XFERINFOFUNCTION, _OPENSOCKETFUNCTION and
// _PREREQFUNCTION; their context is the transfer.
std::size_t OnBody(char* data, std::size_t, std::size_t size, void* context);
std::size_t OnHeader(char* data, std::size_t, std::size_t size, void* context);
int OnProgress(void* context, curl_off_t, curl_off_t received, curl_off_t, curl_off_t written);
curl_socket_t OnOpenSocket(void* context, curlsocktype, curl_sockaddr* address);
int OnConnected(void* context, char*, char*, int, int);

core::Status StatusOfTimeout(const std::string& host);
// How a transfer ended for libcurl.
core::Status StatusOfEnd(const Transfer& transfer, CURLcode code);

}  // namespace interlock::tools
