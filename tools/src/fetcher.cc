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
#include "lanes.h"
#include "text.h"
#include "tools/url.h"
#include "transfer.h"

namespace interlock::tools {
namespace {

using core::Status;

// Idle ones count with those in use: with fewer than are in use at once each would be closed after
// one request.
constexpr long kConnectionsKept = 1024;
constexpr std::size_t kEasyKept = 64;  // handles that wait for their next transfer
constexpr int kPollMaxMs = 1000;

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

class CurlFetcher final : public Fetcher {
 public:
  CurlFetcher(FetcherOptions options, std::unique_ptr<CurlLoop> loop)
      : options_(std::move(options)), loop_(std::move(loop)), multi_(loop_->multi()) {
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kConnectionsKept);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
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
      do {
        StartDue();
        loop_->RunDue();
        FinishEnded();
      } while (lanes_.TakeTurned());
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
      Transfer& transfer = *waiting_.at(handle);
      const Status status = Prepare(transfer, now);
      if (status.ok() && !IsItsTurn(transfer)) continue;
      const Status started = status.ok() ? Start(transfer, now) : status;
      if (!started.ok()) {
        EndWaiting(handle, started);
        continue;
      }
      active_.emplace(handle, std::move(waiting_.at(handle)));
      waiting_.erase(handle);
    }
  }

  // Before its first look at a connection; afterwards whether there is time left for one.
  Status Prepare(Transfer& transfer, std::int64_t now) {
    if (transfer.started_us != 0) {
      if (now < ConnectedBy(transfer)) return core::OkStatus();
      return StatusOfTimeout(transfer.host);
    }
    INTERLOCK_RETURN_IF_ERROR(CheckRequest(transfer.request));
    INTERLOCK_ASSIGN_OR_RETURN(const Url* const url, UrlOf(transfer));
    transfer.host = url->host;
    transfer.started_us = now;
    transfer.lanes = &lanes_;
    if (Shares(transfer, *url)) transfer.lane = lanes_.Join(url->Origin());
    return core::OkStatus();
  }

  // Monotonic; for one that waits in a lane.
  static std::int64_t ConnectedBy(const Transfer& transfer) {
    const FetchRequest& request = transfer.request;
    return transfer.started_us + std::min(request.connect_timeout_ms, request.timeout_ms) * 1000;
  }

  core::StatusOr<const Url*> UrlOf(const Transfer& transfer) {
    if (transfer.request.url != last_url_) {
      INTERLOCK_ASSIGN_OR_RETURN(last_parsed_, Url::Parse(transfer.request.url));
      last_url_ = transfer.request.url;
    }
    return &last_parsed_;
  }

  // The number of a lane would be the zone of a link-local address.
  static bool Shares(const Transfer& transfer, const Url& url) {
    return transfer.request.may_share && !transfer.request.addresses && url.scheme == "https" &&
           !url.host.starts_with("[fe");
  }

  bool IsItsTurn(Transfer& transfer) {
    if (transfer.lane == 0) return true;
    Lanes::Turn turn = lanes_.TurnOf(transfer.lane);
    if (turn == Lanes::Turn::kElsewhere) {
      LeaveLane(transfer, Lanes::Ended::kWell);
      transfer.lane = lanes_.Join((*UrlOf(transfer))->Origin());
      if (transfer.lane == 0) return true;
      turn = lanes_.TurnOf(transfer.lane);
    }
    return turn == Lanes::Turn::kStart;
  }

  // Not from within libcurl.
  void LeaveLane(Transfer& transfer, Lanes::Ended ended) {
    const Lane lane = std::exchange(transfer.lane, 0);
    if (lane == 0) return;
    const Lanes::After after = lanes_.Leave(lane, transfer.stage, ended);
    if (after == Lanes::After::kWake) loop_->Look(lane);
    if (after == Lanes::After::kClose) loop_->End(lane);
  }

  Status Start(Transfer& transfer, std::int64_t now) {
    if (active_.size() >= options_.transfers_max) {
      return core::ResourceExhausted("too many transfers at once");
    }
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
    INTERLOCK_ASSIGN_OR_RETURN(const Url* const url, UrlOf(transfer));
    INTERLOCK_RETURN_IF_ERROR(Resolve(transfer, *url));
    INTERLOCK_RETURN_IF_ERROR(Configure(transfer, url->text, now));
    if (curl_multi_add_handle(multi_, transfer.easy.get()) != CURLM_OK) {
      return core::ResourceExhausted("libcurl takes no more transfers");
    }
    if (transfer.lane != 0) {
      transfer.stage = Lanes::Stage::kConnects;
      lanes_.Connects(transfer.lane);
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

  Status Configure(Transfer& transfer, const std::string& url, std::int64_t now) {
    CURL* const easy = transfer.easy.get();
    const FetchRequest& request = transfer.request;
    const std::int64_t waited_ms =
        (now - transfer.started_us) / 1000;  // less than both time limits
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
    const bool shares = transfer.lane != 0;
    set(CURLOPT_HTTP_VERSION,
        static_cast<long>(shares ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    if (shares) {
      // A part of what libcurl looks for a connection by; of use for link-local addresses alone.
      set(CURLOPT_ADDRESS_SCOPE, static_cast<long>(transfer.lane));
      set(CURLOPT_PREREQFUNCTION, &OnConnected);
      set(CURLOPT_PREREQDATA, &transfer);
    }
    set(CURLOPT_NOSIGNAL, 1L);
    // A name that nobody resolves: its thread is left alone, where libcurl would wait for it, and
    // every other transfer with it.
    set(CURLOPT_QUICK_EXIT, 1L);
    set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
    set(CURLOPT_BUFFERSIZE, shares ? kSharedBufferBytes : kReceiveBufferBytes);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms - waited_ms));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms - waited_ms));
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
      transfer.cut = code != CURLE_OK;
      End(transfer.handle, StatusOfEnd(transfer, code));
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
    const bool alone = transfer->lane == 0;
    if (!alone && status.ok() && !IsHttp2(*transfer)) lanes_.SharesNothing(transfer->lane);
    curl_multi_remove_handle(multi_, transfer->easy.get());
    if (status.ok() && alone && !transfer->cut) GiveEasy(std::move(transfer->easy));
    transfer->easy.reset();
    LeaveLane(*transfer, status.ok() ? Lanes::Ended::kWell : Lanes::Ended::kBadly);
    if (status.ok()) {
      transfer->done(std::move(transfer->response));
    } else {
      transfer->done(status);
    }
  }

  static bool IsHttp2(const Transfer& transfer) {
    long version = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_HTTP_VERSION, &version);
    return version == CURL_HTTP_VERSION_2_0;
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
    LeaveLane(*transfer, Lanes::Ended::kWell);
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
      const std::int64_t until_us = transfer->lane == 0 ? transfer->due_us : ConnectedBy(*transfer);
      wait_ms = std::min(wait_ms, std::max<std::int64_t>(0, (until_us - now) / 1000 + 1));
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
  Lanes lanes_;
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
