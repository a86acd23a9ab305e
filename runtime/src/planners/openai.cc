#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>

#include "backoff.h"
#include "core/check.h"
#include "openai_wire.h"
#include "runtime/planners.h"

namespace interlock::runtime {
namespace {

using Done = std::function<void(core::StatusOr<Plan>)>;
using Fetched = core::StatusOr<tools::FetchResponse>;

constexpr std::size_t kApiKeyBytesMax = 4096;

bool MayRetry(const core::Status& status) {
  return status.code() == core::StatusCode::kUnavailable ||
         status.code() == core::StatusCode::kDeadlineExceeded;
}

bool MayRetry(int http_status) {
  return http_status == 408 || http_status == 409 || http_status == 425 || http_status == 429 ||
         http_status >= 500;
}

core::Status StatusOfHttp(const tools::FetchResponse& response) {
  const std::string word = ErrorWord(response.body);
  const std::string what = "model endpoint answered " + std::to_string(response.status) +
                           (word.empty() ? "" : " (" + word + ")");
  if (MayRetry(response.status)) return core::Unavailable(what);
  if (response.status == 401 || response.status == 403) {
    return core::FailedPrecondition(what + "; check the planner's api key");
  }
  if (response.status >= 300 && response.status < 400) {
    return core::InvalidArgument(what + ", a redirect; set `base_url` to where it leads");
  }
  return core::InvalidArgument(what);
}

// One Propose, over all its attempts.
struct Call {
  PlanRequest request;
  std::string body;
  Done done;
  std::int64_t retries = 0;  // so far
  std::uint64_t fetch = 0;   // the attempt that runs or waits
  bool cancelled = false;
};

// Shared with the fetcher's callbacks, which may come after the planner is gone. Thread-safe.
class Calls : public std::enable_shared_from_this<Calls> {
 public:
  Calls(OpenAiOptions options, std::string api_key)
      : options_(std::move(options)), api_key_(std::move(api_key)) {}

  std::uint64_t Begin(PlanRequest request, Done done) {
    Call call;
    call.body =
        ChatRequestBody(request, {.model = request.model.empty() ? options_.model : request.model,
                                  .temperature = options_.temperature,
                                  .send_temperature = options_.send_temperature});
    call.request = std::move(request);
    call.done = std::move(done);
    const std::lock_guard lock(mutex_);
    const std::uint64_t handle = ++last_;
    Call& kept = calls_.emplace(handle, std::move(call)).first->second;
    Attempt(handle, kept, 0);
    return handle;
  }

  void Cancel(std::uint64_t handle) {
    const std::lock_guard lock(mutex_);
    if (const auto it = calls_.find(handle); it != calls_.end()) CancelLocked(it->second);
  }

  void CancelAll() {
    const std::lock_guard lock(mutex_);
    for (auto& [handle, call] : calls_) CancelLocked(call);
  }

 private:
  void CancelLocked(Call& call) {
    call.cancelled = true;
    options_.fetcher->Cancel(call.fetch);  // its callback reports
  }

  // Milliseconds that the call has left; at most `most`.
  std::int64_t LeftMs(const Call& call, std::int64_t most) const {
    if (call.request.deadline_monotonic_us == 0) return most;
    const std::int64_t left =
        call.request.deadline_monotonic_us - options_.clock->MonotonicMicros();
    return std::min(most, left / 1000);
  }

  void Attempt(std::uint64_t handle, Call& call, std::int64_t delay_ms) {
    tools::FetchRequest request;
    request.method = "POST";
    request.url = options_.base_url + "/chat/completions";
    request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
    if (!api_key_.empty()) request.headers.emplace_back("Authorization", "Bearer " + api_key_);
    request.body = call.body;
    request.delay_ms = delay_ms;
    request.timeout_ms =
        std::max<std::int64_t>(1, LeftMs(call, options_.timeout_ms + delay_ms) - delay_ms);
    request.connect_timeout_ms = std::min(request.connect_timeout_ms, request.timeout_ms);
    request.body_bytes_max = kPlanBytesMax;
    call.fetch = options_.fetcher->Fetch(std::move(request),
                                         [self = shared_from_this(), handle](Fetched fetched) {
                                           self->OnFetched(handle, std::move(fetched));
                                         });
  }

  // On the fetcher's thread.
  void OnFetched(std::uint64_t handle, Fetched fetched) {
    core::StatusOr<Plan> answer = core::Internal("no answer yet");
    Done done;
    {
      const std::lock_guard lock(mutex_);
      const auto it = calls_.find(handle);
      INTERLOCK_CHECK(it != calls_.end());
      Call& call = it->second;
      answer = Judge(call, fetched);
      if (!answer.ok() && !call.cancelled) {
        if (const auto wait = RetryWait(call, fetched, answer.status()); wait.has_value()) {
          ++call.retries;
          Attempt(handle, call, *wait);
          return;
        }
      }
      done = std::move(call.done);
      calls_.erase(it);
    }
    done(std::move(answer));
  }

  core::StatusOr<Plan> Judge(const Call& call, const Fetched& fetched) const {
    if (call.cancelled) return core::Error(core::StatusCode::kCancelled, "cancelled");
    if (!fetched.ok()) return fetched.status();
    if (fetched->status != 200) return StatusOfHttp(*fetched);
    return PlanOfChatReply(fetched->body, call.request);
  }

  // How long to wait before the next attempt; nullopt: there is none.
  std::optional<std::int64_t> RetryWait(const Call& call, const Fetched& fetched,
                                        const core::Status& status) const {
    if (call.retries >= options_.retries_max) return std::nullopt;
    const bool worth =
        fetched.ok() ? fetched->status != 200 && MayRetry(fetched->status) : MayRetry(status);
    if (!worth) return std::nullopt;
    std::int64_t wait =
        BackoffMs({.first_ms = options_.backoff_ms, .max_ms = options_.backoff_max_ms},
                  call.retries, *options_.random);
    if (fetched.ok()) {
      const auto asked = RetryAfterMs(fetched->Header("retry-after"), options_.clock->WallMicros());
      if (asked && *asked > options_.retry_after_max_ms) return std::nullopt;
      wait = std::max(wait, asked.value_or(0));
    }
    if (LeftMs(call, wait + 1) <= wait) return std::nullopt;  // no time for another attempt
    return wait;
  }

  const OpenAiOptions options_;
  const std::string api_key_;
  std::mutex mutex_;  // guards what follows; never held while `done` runs
  std::map<std::uint64_t, Call> calls_;
  std::uint64_t last_ = 0;
};

class OpenAiPlanner final : public Planner {
 public:
  explicit OpenAiPlanner(std::shared_ptr<Calls> calls) : calls_(std::move(calls)) {}
  ~OpenAiPlanner() override { calls_->CancelAll(); }

  std::uint64_t Propose(PlanRequest request, Done done) override {
    return calls_->Begin(std::move(request), std::move(done));
  }
  void Cancel(std::uint64_t handle) override { calls_->Cancel(handle); }

 private:
  const std::shared_ptr<Calls> calls_;
};

std::string Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t start = text.find_first_not_of(kSpace);
  if (start == std::string_view::npos) return "";
  return std::string(text.substr(start, text.find_last_not_of(kSpace) - start + 1));
}

core::StatusOr<std::string> KeyFromFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text(kApiKeyBytesMax, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  text = Trimmed(text);
  if (text.empty()) return core::NotFound("no api key in file `" + path + "`");
  return text;
}

core::StatusOr<std::string> ReadKey(const OpenAiOptions& options) {
  if (!options.api_key_file.empty()) return KeyFromFile(options.api_key_file);
  if (options.api_key_env.empty()) return std::string();
  const char* const value = std::getenv(options.api_key_env.c_str());
  const std::string key = value == nullptr ? "" : Trimmed(value);
  if (key.empty()) {
    return core::NotFound("environment variable `" + options.api_key_env +
                          "` should hold the api key and is empty");
  }
  return key;
}

bool HasPrefix(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Plain http is for an endpoint on the same machine; elsewhere it would show the key to everyone
// between.
core::Status CheckUrl(std::string_view url, bool has_key) {
  if (HasPrefix(url, "https://")) return core::OkStatus();
  if (!HasPrefix(url, "http://"))
    return core::InvalidArgument("`base_url` must be http:// or https://");
  const std::string_view rest = url.substr(7);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const bool v6 = HasPrefix(authority, "[");
  const std::string_view host =
      v6 ? authority.substr(0, authority.find(']') + 1) : authority.substr(0, authority.find(':'));
  if (!has_key || host == "127.0.0.1" || host == "localhost" || host == "[::1]")
    return core::OkStatus();
  return core::InvalidArgument("an api key is not sent over plain http; use an https `base_url`");
}

}  // namespace

core::StatusOr<std::unique_ptr<Planner>> MakeOpenAiPlanner(OpenAiOptions options) {
  INTERLOCK_CHECK(options.fetcher != nullptr && options.clock != nullptr &&
                  options.random != nullptr);
  while (!options.base_url.empty() && options.base_url.back() == '/') options.base_url.pop_back();
  if (options.timeout_ms < 1 || options.retries_max < 0 || options.backoff_ms < 0) {
    return core::InvalidArgument("planner timeouts and retries must not be negative");
  }
  INTERLOCK_ASSIGN_OR_RETURN(std::string key, ReadKey(options));
  const bool printable =
      std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (!printable)
    return core::InvalidArgument("the api key holds characters that a header cannot carry");
  INTERLOCK_RETURN_IF_ERROR(CheckUrl(options.base_url, !key.empty()));
  return std::unique_ptr<Planner>(
      std::make_unique<OpenAiPlanner>(std::make_shared<Calls>(std::move(options), std::move(key))));
}

}  // namespace interlock::runtime
