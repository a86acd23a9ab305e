#include "tools/fetcher.h"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include "core/check.h"
#include "core/clock.h"
#include "curl_loop.h"
#include "text.h"
#include "url.h"

namespace interlock::tools {
namespace {

using core::Status;
using FetchDone = std::function<void(core::StatusOr<FetchResponse>)>;

// While it waits, a transfer holds this. libcurl asks for a byte more, and allocators hand out 3072
// whole; most replies of models fit.
constexpr long kReceiveBufferBytes = 3071;
// Idle ones count with those in use: with fewer than are in use at once each would be closed after
// one request.
constexpr long kConnectionsKept = 1024;
constexpr std::size_t kEasyKept = 64;  // handles that wait for their next transfer
constexpr int kPollMaxMs = 1000;

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

bool IsToken(std::string_view text) {  // RFC 9110 §5.6.2
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool IsHeaderValue(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
  });
}

Status CheckRequest(const FetchRequest& request) {
  const bool method_ok = !request.method.empty() && request.method.size() <= 16 &&
                         std::all_of(request.method.begin(), request.method.end(),
                                     [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!method_ok) return core::InvalidArgument("not an http method");
  if (request.headers.size() > kFetchHeadersMax) return core::InvalidArgument("too many headers");
  for (const auto& [name, value] : request.headers) {
    if (!IsToken(name) || !IsHeaderValue(value)) {
      return core::InvalidArgument("header `" + OneLine(name, 80) +
                                   "` is not one that http allows");
    }
  }
  if (request.timeout_ms < 1 || request.connect_timeout_ms < 1 || request.delay_ms < 0) {
    return core::InvalidArgument("timeouts must be above 0");
  }
  return core::OkStatus();
}

// One request from its start to its end. Lives on the fetcher's thread; libcurl holds its address.
struct Transfer {
  std::uint64_t handle = 0;
  FetchRequest request;
  FetchDone done;
  std::string host;
  std::int64_t due_us = 0;  // monotonic; when it may start
  std::int64_t started_us = 0;
  const AddressPolicy* addresses = nullptr;
  CurlLoop* loop = nullptr;
  std::unique_ptr<curl_slist, FreeList> resolved;
  Easy easy;
  std::unique_ptr<curl_slist, FreeList> headers;
  FetchResponse response;
  std::size_t header_bytes = 0;
  Status refusal;  // what one of our own callbacks found
  std::set<std::uint64_t>* lingering = nullptr;
  std::int64_t lingers_until_us = 0;  // monotonic; 0: more of the body is wanted
  bool cut = false;                   // by us, before the body's end
};

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

std::size_t OnBody(char* data, std::size_t, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (transfer.response.body.size() + size > transfer.request.body_bytes_max) {
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
    transfer.refusal =
        core::ResourceExhausted("headers of `" + transfer.host + "` are larger than allowed");
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
int OnProgress(void* context, curl_off_t, curl_off_t received, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::size_t most = transfer.request.body_bytes_max + kReceiveBufferBytes;
  if (received < 0 || static_cast<std::size_t>(received) <= most) return 0;
  transfer.refusal = core::ResourceExhausted("reply of `" + transfer.host + "` is too large");
  return 1;
}

// The point that no rebinding name gets past: the address checked here is the one connected to.
curl_socket_t OnOpenSocket(void* context, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(context);
  const Status status =
      sandbox::CheckAddress(&address->addr, address->addrlen, *transfer.addresses);
  if (!status.ok()) {
    transfer.refusal = status;
    return CURL_SOCKET_BAD;
  }
  return transfer.loop->Open(address->family, address->socktype, address->protocol);
}

Status StatusOfCurl(CURLcode code, const std::string& host) {
  const std::string what = "`" + host + "`: " + curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return core::Error(core::StatusCode::kDeadlineExceeded,
                         "`" + host + "` did not answer in time");
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

class CurlFetcher final : public Fetcher {
 public:
  CurlFetcher(FetcherOptions options, std::unique_ptr<CurlLoop> loop)
      : options_(std::move(options)), loop_(std::move(loop)), multi_(loop_->multi()) {
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kConnectionsKept);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    thread_ = std::thread([this] { Loop(); });
  }

  ~CurlFetcher() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    loop_->Wake();
    thread_.join();
  }

  std::uint64_t Fetch(FetchRequest request, FetchDone done) override {
    auto transfer = std::make_unique<Transfer>();
    transfer->request = std::move(request);
    transfer->done = std::move(done);
    std::uint64_t handle = 0;
    bool sleeps = false;
    {
      const std::lock_guard lock(mutex_);
      handle = ++last_handle_;
      transfer->handle = handle;
      transfer->due_us = clock_.MonotonicMicros() + transfer->request.delay_ms * 1000;
      incoming_.push_back(std::move(transfer));
      sleeps = std::exchange(sleeps_, false);
    }
    if (sleeps) loop_->Wake();
    return handle;
  }

  void Cancel(std::uint64_t handle) override {
    bool sleeps = false;
    {
      const std::lock_guard lock(mutex_);
      cancels_.push_back(handle);
      sleeps = std::exchange(sleeps_, false);
    }
    if (sleeps) loop_->Wake();
  }

 private:
  using Transfers = std::unordered_map<std::uint64_t, std::unique_ptr<Transfer>>;

  void Loop() {
    while (TakeIncoming()) {
      StartDue();
      loop_->RunDue();
      FinishEnded();
      loop_->Wait(SleepMs());
      FinishEnded();
      FinishLingering();
    }
    // A callback may ask for more while it is told of the end: that ends the same way.
    do {
      EndAll(core::Error(core::StatusCode::kCancelled, "the fetcher is shutting down"));
      TakeIncoming();
    } while (!waiting_.empty());
  }

  void EndAll(const Status& status) {
    while (!active_.empty()) End(active_.begin()->first, status);
    while (!waiting_.empty()) EndWaiting(waiting_.begin()->first, status);
  }

  // False: the fetcher is going away (and everything that came in is among the waiting).
  bool TakeIncoming() {
    std::vector<std::unique_ptr<Transfer>> incoming;
    std::vector<std::uint64_t> cancels;
    bool stopping = false;
    {
      const std::lock_guard lock(mutex_);
      incoming.swap(incoming_);
      cancels.swap(cancels_);
      stopping = stopping_;
      sleeps_ = false;
    }
    for (auto& transfer : incoming) {
      const std::uint64_t handle = transfer->handle;
      waiting_.emplace(handle, std::move(transfer));
    }
    for (const std::uint64_t handle : cancels) {
      const Status cancelled = core::Error(core::StatusCode::kCancelled, "cancelled");
      if (active_.count(handle) > 0) End(handle, cancelled);
      if (waiting_.count(handle) > 0) EndWaiting(handle, cancelled);
    }
    return !stopping;
  }

  void StartDue() {
    const std::int64_t now = clock_.MonotonicMicros();
    std::vector<std::uint64_t> due;
    for (const auto& [handle, transfer] : waiting_) {
      if (transfer->due_us <= now) due.push_back(handle);
    }
    std::sort(due.begin(), due.end());
    for (const std::uint64_t handle : due) {
      const Status status = Start(*waiting_.at(handle), now);
      if (!status.ok()) {
        EndWaiting(handle, status);
        continue;
      }
      active_.emplace(handle, std::move(waiting_.at(handle)));
      waiting_.erase(handle);
    }
  }

  Status Start(Transfer& transfer, std::int64_t now) {
    INTERLOCK_RETURN_IF_ERROR(CheckRequest(transfer.request));
    if (transfer.request.url != last_url_) {
      INTERLOCK_ASSIGN_OR_RETURN(last_parsed_, Url::Parse(transfer.request.url));
      last_url_ = transfer.request.url;
    }
    const Url& url = last_parsed_;
    if (active_.size() >= options_.transfers_max) {
      return core::ResourceExhausted("too many transfers at once");
    }
    transfer.host = url.host;
    transfer.started_us = now;
    transfer.addresses =
        transfer.request.addresses ? &*transfer.request.addresses : &options_.addresses;
    transfer.loop = loop_.get();
    transfer.lingering = &lingering_;
    transfer.easy = TakeEasy();
    if (transfer.easy == nullptr) return core::ResourceExhausted("libcurl has no handle left");
    for (const auto& [name, value] : transfer.request.headers) {
      // `name;` is how libcurl sends a header without a value.
      const std::string line = value.empty() ? name + ";" : name + ": " + value;
      curl_slist* const longer = curl_slist_append(transfer.headers.get(), line.c_str());
      if (longer == nullptr) return core::ResourceExhausted("out of memory for headers");
      (void)transfer.headers.release();
      transfer.headers.reset(longer);
    }
    INTERLOCK_RETURN_IF_ERROR(Resolve(transfer, url));
    INTERLOCK_RETURN_IF_ERROR(Configure(transfer, url.text));
    if (curl_multi_add_handle(multi_, transfer.easy.get()) != CURLM_OK) {
      return core::ResourceExhausted("libcurl takes no more transfers");
    }
    return core::OkStatus();
  }

  // One that has ended well keeps its memory, and nothing of what it was used for. Of one that has
  // not, libcurl may keep a buffer, and refuses another size.
  Easy TakeEasy() {
    if (spare_.empty()) return Easy(curl_easy_init());
    Easy easy = std::move(spare_.back());
    spare_.pop_back();
    return easy;
  }

  void GiveEasy(Easy easy) {
    if (spare_.size() >= kEasyKept) return;
    curl_easy_reset(easy.get());
    spare_.push_back(std::move(easy));
  }

  Status Resolve(Transfer& transfer, const Url& url) const {
    if (!options_.resolver || url.host.find_first_not_of("0123456789.") == std::string::npos ||
        url.host[0] == '[') {
      return core::OkStatus();
    }
    std::string line = url.host + ":" + std::to_string(url.port) + ":";
    const std::vector<std::string> addresses = options_.resolver(url.host);
    if (addresses.empty()) return core::Unavailable("`" + url.host + "` has no address");
    for (const std::string& address : addresses) line += address + ",";
    line.pop_back();
    transfer.resolved.reset(curl_slist_append(nullptr, line.c_str()));
    const bool ok =
        transfer.resolved != nullptr &&
        curl_easy_setopt(transfer.easy.get(), CURLOPT_RESOLVE, transfer.resolved.get()) == CURLE_OK;
    return ok ? core::OkStatus() : core::ResourceExhausted("out of memory for addresses");
  }

  Status Configure(Transfer& transfer, const std::string& url) {
    CURL* const easy = transfer.easy.get();
    const FetchRequest& request = transfer.request;
    bool ok = true;
    const auto set = [&](CURLoption option, auto value) {
      ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK;
    };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_HTTP09_ALLOWED, 0L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
    set(CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
    set(CURLOPT_OPENSOCKETFUNCTION, &OnOpenSocket);
    set(CURLOPT_OPENSOCKETDATA, &transfer);
    set(CURLOPT_CLOSESOCKETFUNCTION, &CurlLoop::Close);
    set(CURLOPT_CLOSESOCKETDATA, loop_.get());
    set(CURLOPT_WRITEFUNCTION, &OnBody);
    set(CURLOPT_WRITEDATA, &transfer);
    set(CURLOPT_HEADERFUNCTION, &OnHeader);
    set(CURLOPT_HEADERDATA, &transfer);
    set(CURLOPT_HTTPHEADER, transfer.headers.get());
    set(CURLOPT_PRIVATE, &transfer);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &OnProgress);
    set(CURLOPT_XFERINFODATA, &transfer);
    if (request.decompress) set(CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
    if (request.addresses) {
      set(CURLOPT_FRESH_CONNECT, 1L);
      set(CURLOPT_FORBID_REUSE, 1L);
    }
    if (request.method == "HEAD") set(CURLOPT_NOBODY, 1L);
    if (!request.body.empty() || request.method == "POST") {
      set(CURLOPT_POSTFIELDS, request.body.data());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    return ok ? core::OkStatus() : core::Internal("libcurl refused an option");
  }

  void FinishEnded() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      char* context = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &context);
      auto& transfer = *reinterpret_cast<Transfer*>(context);
      End(transfer.handle, Ending(transfer, code));
    }
  }

  // What nobody wants the rest of, and does not end by itself.
  void FinishLingering() {
    const std::int64_t now = clock_.MonotonicMicros();
    for (auto it = lingering_.begin(); it != lingering_.end();) {
      const std::uint64_t handle = *it++;  // End takes it out
      Transfer& transfer = *active_.at(handle);
      if (transfer.lingers_until_us > now) continue;
      transfer.cut = true;
      End(handle, core::OkStatus());
    }
  }

  Status Ending(Transfer& transfer, CURLcode code) const {
    if (code == CURLE_OK) return core::OkStatus();
    // A refused address counts only if no other address of the name was reached.
    if (!transfer.refusal.ok()) return transfer.refusal;
    return StatusOfCurl(code, transfer.host);
  }

  // Calls `done` last, with nothing held: it may call us again.
  void End(std::uint64_t handle, const Status& status) {
    const auto it = active_.find(handle);
    INTERLOCK_CHECK(it != active_.end());
    const std::unique_ptr<Transfer> transfer = std::move(it->second);
    active_.erase(it);
    lingering_.erase(handle);
    if (status.ok()) FillResponse(*transfer);
    if (transfer->request.sent != nullptr) {
      long request_bytes = 0;
      curl_easy_getinfo(transfer->easy.get(), CURLINFO_REQUEST_SIZE, &request_bytes);
      *transfer->request.sent = request_bytes > 0;
    }
    curl_multi_remove_handle(multi_, transfer->easy.get());
    if (status.ok() && !transfer->cut) GiveEasy(std::move(transfer->easy));
    transfer->easy.reset();
    if (status.ok()) {
      transfer->done(std::move(transfer->response));
    } else {
      transfer->done(status);
    }
  }

  void FillResponse(Transfer& transfer) const {
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    char* address = nullptr;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_PRIMARY_IP, &address);
    transfer.response.status = static_cast<int>(status);
    transfer.response.address = address == nullptr ? "" : address;
    transfer.response.wall_us = clock_.MonotonicMicros() - transfer.started_us;
  }

  void EndWaiting(std::uint64_t handle, const Status& status) {
    const auto it = waiting_.find(handle);
    const std::unique_ptr<Transfer> transfer = std::move(it->second);
    waiting_.erase(it);
    transfer->done(status);
  }

  // How long to wait; 0 when something came in meanwhile. From here on who asks for something wakes
  // the loop.
  int SleepMs() {
    const std::lock_guard lock(mutex_);
    if (!incoming_.empty() || !cancels_.empty() || stopping_) return 0;
    sleeps_ = true;
    return PollMs();
  }

  int PollMs() const {
    std::int64_t wait_ms = kPollMaxMs;
    const std::int64_t now = clock_.MonotonicMicros();
    for (const auto& [handle, transfer] : waiting_) {
      wait_ms = std::min(wait_ms, std::max<std::int64_t>(0, (transfer->due_us - now) / 1000 + 1));
    }
    for (const std::uint64_t handle : lingering_) {
      const std::int64_t left_us = active_.at(handle)->lingers_until_us - now;
      wait_ms = std::min(wait_ms, std::max<std::int64_t>(0, left_us / 1000 + 1));
    }
    return static_cast<int>(wait_ms);
  }

  const FetcherOptions options_;
  const std::unique_ptr<CurlLoop> loop_;
  CURLM* const multi_;
  const core::SystemClock clock_;
  std::mutex mutex_;  // guards the next five
  std::vector<std::unique_ptr<Transfer>> incoming_;
  std::vector<std::uint64_t> cancels_;
  std::uint64_t last_handle_ = 0;
  bool stopping_ = false;
  bool sleeps_ = false;
  Transfers waiting_;  // this and what follows: the fetcher's thread only
  Transfers active_;
  std::set<std::uint64_t> lingering_;  // of those: no more of their bodies is wanted
  std::vector<Easy> spare_;
  std::string last_url_;
  Url last_parsed_;  // of that
  std::thread thread_;
};

}  // namespace

std::string_view FetchResponse::Header(std::string_view name) const {
  const auto it = std::find_if(headers.begin(), headers.end(),
                               [&](const auto& header) { return header.first == name; });
  return it == headers.end() ? std::string_view() : std::string_view(it->second);
}

core::StatusOr<std::unique_ptr<Fetcher>> MakeFetcher(FetcherOptions options) {
  // Thread-safe since 7.84; reference counted, and the process keeps it to its end.
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return core::Internal("libcurl does not start");
  INTERLOCK_ASSIGN_OR_RETURN(auto loop, CurlLoop::Make());
  return std::unique_ptr<Fetcher>(
      std::make_unique<CurlFetcher>(std::move(options), std::move(loop)));
}

}  // namespace interlock::tools
