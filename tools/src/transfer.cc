#include "transfer.h"

#include <utility>

#include "core/clock.h"

namespace interlock::tools {
namespace {

using core::Status;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos) {
    text.remove_suffix(1);
  }
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

Status StatusOfCurl(CURLcode code, const std::string& host) {
  const std::string what = "`" + host + "`: " + curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return StatusOfTimeout(host);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return core::InvalidArgument(what);
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_OUT_OF_MEMORY:
      return core::ResourceExhausted(what);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
      return core::FailedPrecondition(what);
    default:
      return core::Unavailable(what);
  }
}

Status TooManyHeaders(const Transfer& transfer) {
  return core::ResourceExhausted("headers of `" + transfer.host + "` are larger than allowed");
}

// libcurl would send a request again where a connection that it shared dies, or the server turns it
// away. Who asks decides that: the first one may be billed.
bool WasConnected(Transfer& transfer) {
  if (transfer.stage != Lanes::Stage::kConnected) return false;
  transfer.refusal = core::Unavailable("`" + transfer.host + "`: the shared connection was lost");
  return true;
}

}  // namespace

std::size_t OnBody(char* data, std::size_t, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (transfer.response.body.size() + size > transfer.request.body_bytes_max) {
    if (transfer.lingers_until_us != 0) return 0;  // nobody wants it
    transfer.refusal =
        core::ResourceExhausted("reply of `" + transfer.host + "` is larger than " +
                                std::to_string(transfer.request.body_bytes_max) + " bytes");
    return 0;
  }
  transfer.response.body.append(data, size);
  if (transfer.request.on_body == nullptr) return size;
  long status = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  const auto wanted = transfer.request.on_body(static_cast<int>(status), {data, size});
  transfer.refusal = wanted.status();
  if (!wanted.ok()) return 0;
  if (*wanted == Wanted::kNoMore && transfer.lingers_until_us == 0) {
    transfer.lingers_until_us = core::SystemClock().MonotonicMicros() + kLingerMs * 1000;
    transfer.lingering->insert(transfer.handle);
  }
  return size;
}

std::size_t OnHeader(char* data, std::size_t, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::string_view line(data, size);
  transfer.header_bytes += size;
  if (transfer.header_bytes > transfer.request.header_bytes_max ||
      transfer.response.headers.size() >= kFetchHeadersMax) {
    transfer.refusal = TooManyHeaders(transfer);
    return 0;
  }
  if (line.substr(0, 5) == "HTTP/") {
    transfer.response.headers.clear();  // of an interim (1xx) response
    return size;
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    transfer.response.headers.emplace_back(Lower(Trim(line.substr(0, colon))),
                                           std::string(Trim(line.substr(colon + 1))));
  }
  return size;
}

// What came over the wire may be far more than what it decompresses to.
int OnProgress(void* context, curl_off_t, curl_off_t received, curl_off_t, curl_off_t written) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (std::exchange(transfer.written, written) != written) transfer.loop->Wrote();
  const std::size_t most = transfer.request.body_bytes_max + kReceiveBufferBytes;
  if (received < 0 || static_cast<std::size_t>(received) <= most) return 0;
  if (transfer.lingers_until_us != 0) return 1;  // nobody wants it
  transfer.refusal = core::ResourceExhausted("reply of `" + transfer.host + "` is too large");
  return 1;
}

// The point that no rebinding name gets past: the address checked here is the one connected to.
curl_socket_t OnOpenSocket(void* context, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (WasConnected(transfer)) return CURL_SOCKET_BAD;
  const Status status =
      sandbox::CheckAddress(&address->addr, address->addrlen, *transfer.addresses);
  if (!status.ok()) {
    transfer.refusal = status;
    return CURL_SOCKET_BAD;
  }
  return transfer.loop->Open(address->family, address->socktype, address->protocol, transfer.lane);
}

int OnConnected(void* context, char*, char*, int, int) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (WasConnected(transfer)) return CURL_PREREQFUNC_ABORT;
  transfer.stage = Lanes::Stage::kConnected;
  transfer.lanes->Connected(transfer.lane);
  return CURL_PREREQFUNC_OK;
}

Status StatusOfTimeout(const std::string& host) {
  return core::Error(core::StatusCode::kDeadlineExceeded, "`" + host + "` did not answer in time");
}

Status StatusOfEnd(const Transfer& transfer, CURLcode code) {
  if (code == CURLE_OK) {
    // Of a shared connection that broke off libcurl 7.88 says this too.
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status != 0) return core::OkStatus();
    return core::Unavailable("`" + transfer.host + "` ended without a reply");
  }
  // A refused address counts only if no other address of the name was reached.
  if (!transfer.refusal.ok()) return transfer.refusal;
  if (transfer.lingers_until_us != 0) return core::OkStatus();  // all that is wanted has come
  if (code == CURLE_UNSUPPORTED_PROTOCOL && transfer.stage == Lanes::Stage::kConnected) {
    return TooManyHeaders(transfer);  // kSharedBufferBytes
  }
  return StatusOfCurl(code, transfer.host);
}

}  // namespace interlock::tools
