#include "runtime/webhooks.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "config/files.h"
#include "core/digest.h"
#include "core/json.h"
#include "webhooks/notice.h"

namespace interlock::runtime {
namespace {

constexpr int kPage = 256;
constexpr std::size_t kPlaceBytesMax = 1024;
constexpr std::size_t kSecretFileBytesMax = 1024;
constexpr std::size_t kReplyBytesMax = 16 * 1024;
constexpr std::int64_t kRetryAfterMaxMs = 3'600'000;
constexpr int kRefusedTries = 5;

// How far a hook has been told: the next entry, and the leaf hash of the one before it.
struct Told {
  std::uint64_t next = 0;
  std::string before;  // hex; empty at 0
};

struct One {
  WebhookConfig config;
  std::string secret;
  std::string place;  // file
  Told told;          // its thread only
  std::string why;    // under the mutex; empty: well
  std::thread thread;
};

class WebhooksImpl final : public Webhooks {
 public:
  explicit WebhooksImpl(WebhooksOptions options) : options_(std::move(options)) {}
  ~WebhooksImpl() override;

  core::Status Start();
  std::vector<std::string> warnings() const override;

 private:
  core::Status Open(One& one) const;
  core::StatusOr<Told> PlaceOf(const One& one) const;
  core::Status Keep(One& one, const audit::Entry& entry) const;
  void Loop(One& one);
  // Tells what is new. False: the daemon ends.
  bool Round(One& one);
  bool Deliver(One& one, const Notice& notice);
  core::StatusOr<tools::FetchResponse> Post(const One& one, const Notice& notice);
  void Note(One& one, const std::string& why);
  // False: the daemon ends.
  bool Wait(std::int64_t ms);
  std::uint32_t Random() const;

  const WebhooksOptions options_;
  std::vector<std::unique_ptr<One>> all_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
};

std::string PlaceText(const Told& told) {
  return core::CanonicalJson({{"before", told.before}, {"next", told.next}}) + "\n";
}

// The seconds that a reply asks to wait, if it does.
std::int64_t RetryAfterMs(const tools::FetchResponse& response) {
  const std::string_view text = response.Header("retry-after");
  std::int64_t seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || read.ptr != text.data() + text.size() || seconds < 0) return 0;
  return std::min(seconds, kRetryAfterMaxMs / 1000) * 1000;
}

core::Status WebhooksImpl::Start() {
  for (const WebhookConfig& config : options_.hooks) {
    auto one = std::make_unique<One>();
    one->config = config;
    INTERLOCK_RETURN_IF_ERROR(Open(*one));
    all_.push_back(std::move(one));
  }
  for (const auto& one : all_) {
    one->thread = std::thread([this, it = one.get()] { Loop(*it); });
  }
  return core::OkStatus();
}

core::StatusOr<std::string> SecretOf(const WebhookConfig& config) {
  auto secret = ReadWholeFile(config.secret_file, kSecretFileBytesMax);
  if (secret.ok()) secret = SecretBytes(*secret);
  if (secret.ok()) return secret;
  return core::Error(secret.status().code(), "webhook `" + config.name + "`: " +
                                                 std::string(core::Message(secret.status())));
}

core::Status WebhooksImpl::Open(One& one) const {
  INTERLOCK_ASSIGN_OR_RETURN(one.secret, SecretOf(one.config));
  one.place = options_.folder + "/webhook-" + one.config.name;
  INTERLOCK_ASSIGN_OR_RETURN(one.told, PlaceOf(one));
  return WriteFileAtomically(one.place, PlaceText(one.told));
}

// A log that was rotated begins anew: then all of it is new to the hook.
core::StatusOr<Told> WebhooksImpl::PlaceOf(const One& one) const {
  std::error_code error;
  if (!std::filesystem::exists(one.place, error)) {
    Told told{.next = options_.log->size(), .before = ""};
    if (told.next == 0) return told;
    INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry last, options_.log->Read(told.next - 1));
    told.before = core::Hex(last.leaf_hash);
    return told;
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(one.place, kPlaceBytesMax));
  const auto json = core::ParseJson(text, core::kArgsLimits);
  if (!json.ok() || !json->is_object() || !json->contains("next") ||
      !(*json)["next"].is_number_unsigned() || !json->contains("before") ||
      !(*json)["before"].is_string()) {
    return core::DataLoss(
        "`" + one.place +
        "` cannot be read; remove it, and the hook is told what happens from now");
  }
  Told told{.next = (*json)["next"].get<std::uint64_t>(),
            .before = (*json)["before"].get<std::string>()};
  if (told.next == 0) return told;
  if (told.next > options_.log->size()) return Told{};
  INTERLOCK_ASSIGN_OR_RETURN(const audit::Entry last, options_.log->Read(told.next - 1));
  return core::Hex(last.leaf_hash) == told.before ? told : Told{};
}

core::Status WebhooksImpl::Keep(One& one, const audit::Entry& entry) const {
  one.told = {.next = entry.index + 1, .before = core::Hex(entry.leaf_hash)};
  return WriteFileAtomically(one.place, PlaceText(one.told));
}

WebhooksImpl::~WebhooksImpl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (const auto& one : all_) {
    if (one->thread.joinable()) one->thread.join();
  }
}

std::vector<std::string> WebhooksImpl::warnings() const {
  std::vector<std::string> lines;
  const std::lock_guard lock(mutex_);
  for (const auto& one : all_) {
    if (!one->why.empty()) lines.push_back("webhook `" + one->config.name + "`: " + one->why);
  }
  return lines;
}

bool WebhooksImpl::Wait(std::int64_t ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
  return !stopping_;
}

std::uint32_t WebhooksImpl::Random() const {
  std::array<std::uint8_t, 4> bytes{};
  options_.random->Fill(bytes);
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}

void WebhooksImpl::Loop(One& one) {
  ::pthread_setname_np(::pthread_self(), "webhook");
  while (Wait(options_.interval_ms)) {
    if (!Round(one)) return;
  }
}

// The place is kept for each notice that was sent and at the end of what was passed over, which
// need not be looked at again.
bool WebhooksImpl::Round(One& one) {
  while (one.told.next < options_.log->size()) {
    const auto page = options_.log->ReadRange(one.told.next, kPage);
    if (!page.ok() || page->entries.empty()) return true;  // the log says so itself
    for (const audit::Entry& entry : page->entries) {
      const auto notice = NoticeOf(one.config, options_.tenant, entry);
      if (notice && !Deliver(one, *notice)) return false;
      const bool last = &entry == &page->entries.back();
      if (!notice && !last) continue;
      if (core::Status kept = Keep(one, entry); !kept.ok())
        Note(one, std::string(core::Message(kept)));
    }
  }
  return true;
}

// That no other answer comes to this body. 404 and its kin are of the address, where every notice
// would be refused: they wait until somebody mends it.
bool IsOfTheNotice(int status) {
  return status == 400 || status == 410 || status == 413 || status == 415 || status == 422;
}

// Until it is taken, refused for good, or has been tried for too long: one notice must not hold up
// all others for ever.
bool WebhooksImpl::Deliver(One& one, const Notice& notice) {
  const std::int64_t first_us = options_.clock->MonotonicMicros();
  int refused = 0;
  for (int failures = 1;; ++failures) {
    if (!Wait(0)) return false;  // what is not told yet is told after the restart
    const auto response = Post(one, notice);
    if (response.ok() && response->status / 100 == 2) {
      Note(one, "");
      return true;
    }
    const std::string why = response.ok()
                                ? "it answered with status " + std::to_string(response->status)
                                : std::string(core::Message(response.status()));
    const std::int64_t tried_ms = (options_.clock->MonotonicMicros() - first_us) / 1000;
    refused = response.ok() && IsOfTheNotice(response->status) ? refused + 1 : 0;
    if (refused == kRefusedTries || tried_ms >= one.config.give_up_ms) {
      Note(one, "gave up on notice " + notice.id + " after " + std::to_string(failures) +
                    " tries: " + why);
      return true;
    }
    Note(one, why);
    const std::int64_t pause =
        std::max(BackoffMs(options_.backoff_ms, options_.backoff_max_ms, failures, Random()),
                 response.ok() ? RetryAfterMs(*response) : 0);
    if (!Wait(pause)) return false;
  }
}

core::StatusOr<tools::FetchResponse> WebhooksImpl::Post(const One& one, const Notice& notice) {
  struct Reply {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<core::StatusOr<tools::FetchResponse>> response;
  };
  const auto reply = std::make_shared<Reply>();
  tools::FetchRequest request;
  request.method = "POST";
  request.url = one.config.url;
  request.headers = SignedHeaders(one.secret, options_.clock->WallMicros() / 1'000'000, notice);
  request.body = notice.body;
  request.timeout_ms = options_.timeout_ms;
  request.body_bytes_max = kReplyBytesMax;
  // A hook that took it may say what it likes, and as slowly as it likes: that is no reason to tell
  // it again.
  request.on_body = [](int status, std::string_view) -> core::StatusOr<tools::Wanted> {
    return status / 100 == 2 ? tools::Wanted::kNoMore : tools::Wanted::kMore;
  };
  request.addresses = tools::AddressPolicy{.allow_loopback = one.config.allow_private,
                                           .allow_private = one.config.allow_private,
                                           .ports = {}};
  const std::uint64_t handle = options_.fetcher->Fetch(
      std::move(request), [reply](core::StatusOr<tools::FetchResponse> response) {
        const std::lock_guard lock(reply->mutex);
        reply->response = std::move(response);
        reply->changed.notify_one();
      });
  std::unique_lock lock(reply->mutex);
  while (!reply->response) {
    reply->changed.wait_for(lock, std::chrono::milliseconds(options_.interval_ms));
    if (reply->response) break;
    const bool ending = [this] {
      const std::lock_guard stop(mutex_);
      return stopping_;
    }();
    if (!ending) continue;
    lock.unlock();
    options_.fetcher->Cancel(handle);
    lock.lock();
    reply->changed.wait(lock, [&] { return reply->response.has_value(); });
  }
  return *std::move(reply->response);
}

void WebhooksImpl::Note(One& one, const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (one.why == why || stopping_) return;
    one.why = why;
  }
  if (!options_.report) return;
  options_.report("webhook `" + one.config.name + "`: " + (why.empty() ? "is well again" : why));
}

}  // namespace

core::Status CheckWebhook(const WebhookConfig& config) { return SecretOf(config).status(); }

core::StatusOr<std::unique_ptr<Webhooks>> StartWebhooks(WebhooksOptions options) {
  auto webhooks = std::make_unique<WebhooksImpl>(std::move(options));
  INTERLOCK_RETURN_IF_ERROR(webhooks->Start());
  return core::StatusOr<std::unique_ptr<Webhooks>>(std::move(webhooks));
}

}  // namespace interlock::runtime
