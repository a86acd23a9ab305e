#include "runtime/witnesses.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "audit/cosignature.h"
#include "audit/proof.h"

namespace interlock::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Answer = audit::WitnessAnswer;

constexpr int kBackoffDoublings = 6;  // at most 64 intervals between failures
constexpr std::size_t kReplyBytesMax = 16 * 1024;

Answer Away(std::string why) {
  Answer answer;
  answer.why = std::move(why);
  return answer;
}

// Stores one line, for a caller that waits. An entry is not needed for it.
class KeepCommand final : public audit::Command {
 public:
  struct Wait {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<core::Status> result;
  };
  KeepCommand(std::uint64_t size, std::string name, std::string line, Wait& wait)
      : size_(size), name_(std::move(name)), line_(std::move(line)), wait_(wait) {}

  core::Status Apply(audit::Transaction& transaction) override {
    transaction.PutCosignature(size_, name_, line_);
    return core::OkStatus();
  }
  void Done(const core::Status& status) override {
    const std::lock_guard lock(wait_.mutex);
    wait_.result = status;
    wait_.changed.notify_one();  // under the lock: the waiter's frame goes away with it
  }

 private:
  const std::uint64_t size_;
  const std::string name_;
  const std::string line_;
  Wait& wait_;
};

core::Status Keep(audit::Log& log, std::uint64_t size, const std::string& name,
                  const std::string& line) {
  KeepCommand::Wait wait;
  log.Submit(std::make_unique<KeepCommand>(size, name, line, wait), audit::Urgency::kNormal);
  std::unique_lock lock(wait.mutex);
  wait.changed.wait(lock, [&] { return wait.result.has_value(); });
  return *wait.result;
}

class WitnessesImpl final : public Witnesses {
 public:
  explicit WitnessesImpl(WitnessesOptions options) : options_(std::move(options)) {}
  ~WitnessesImpl() override;

  core::Status Start();
  std::vector<std::string> warnings() const override;
  void AwaitCosigned(std::uint64_t index, steady_clock::time_point deadline,
                     std::function<void(core::Status)> done) override;

 private:
  struct One {
    WitnessConfig config;
    std::string name;
    // Its thread only.
    std::uint64_t known_size = 0;     // what it goes on from, as far as known
    std::uint64_t cosigned_size = 0;  // of this process's time
    int failures = 0;                 // in a row
    // Under mutex_.
    Answer::Kind last = Answer::Kind::kCosigned;
    std::string why;
    std::int64_t good_us = 0;  // monotonic: when it last cosigned, or was first asked
    // The kind of the warning that was reported last; kCosigned: none.
    Answer::Kind told = Answer::Kind::kCosigned;
    std::thread thread;
  };
  struct Waiter {
    std::uint64_t index;
    steady_clock::time_point deadline;
    std::function<void(core::Status)> done;
  };

  void Loop(One& one);
  // Brings the newest head, if it is new to the witness. False: ask again, later.
  bool Round(One& one, std::int64_t timeout_ms);
  Answer Ask(One& one, const audit::Checkpoint& head, std::int64_t timeout_ms);
  Answer AskOnce(One& one, const audit::Checkpoint& head, std::int64_t timeout_ms);
  core::StatusOr<tools::FetchResponse> Post(const One& one, std::string body,
                                            std::int64_t timeout_ms);
  void Note(One& one, const Answer& answer);
  std::string WarningOf(const One& one) const;  // mutex_ held
  void AnswerWaiters();
  steady_clock::time_point NextDeadline() const;  // mutex_ held

  const WitnessesOptions options_;
  std::vector<std::unique_ptr<One>> all_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Waiter> waiters_;
  std::uint64_t stored_size_ = 0;  // the newest head with a stored cosignature
  bool stopping_ = false;
};

core::Status WitnessesImpl::Start() {
  if (const auto before = options_.log->CosignedCheckpoint(); before.ok()) {
    stored_size_ = before->size;
  }
  for (const WitnessConfig& config : options_.witnesses) {
    auto one = std::make_unique<One>();
    one->config = config;
    INTERLOCK_ASSIGN_OR_RETURN(one->name, audit::WitnessName(config.vkey));
    one->good_us = options_.clock->MonotonicMicros();
    all_.push_back(std::move(one));
  }
  for (const auto& one : all_) {
    one->thread = std::thread([this, it = one.get()] { Loop(*it); });
  }
  return core::OkStatus();
}

WitnessesImpl::~WitnessesImpl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (const auto& one : all_) {
    if (one->thread.joinable()) one->thread.join();
  }
  AnswerWaiters();
}

void WitnessesImpl::Loop(One& one) {
  ::pthread_setname_np(::pthread_self(), "witness");
  const milliseconds interval(options_.interval_ms);
  auto next = steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    if (steady_clock::now() >= next) {
      const bool good = Round(one, options_.timeout_ms);
      one.failures = good ? 0 : std::min(one.failures + 1, kBackoffDoublings);
      next = steady_clock::now() + interval * (1 << one.failures);
    }
    AnswerWaiters();
    lock.lock();
    if (!stopping_) changed_.wait_until(lock, std::min(next, NextDeadline()));
  }
  lock.unlock();
  // What was done up to the end is witnessed as well, if the signer and the witness are there.
  static_cast<void>(options_.log->CheckpointNow());
  Round(one, options_.last_round_ms);
}

bool WitnessesImpl::Round(One& one, std::int64_t timeout_ms) {
  const auto head = options_.log->newest_checkpoint();
  if (!head || head->size == one.cosigned_size) return true;
  Answer answer = Ask(one, *head, timeout_ms);
  if (answer.kind == Answer::Kind::kCosigned) {
    const core::Status kept = Keep(*options_.log, head->size, one.name, answer.line);
    if (!kept.ok()) {
      answer = Away("its cosignature was not stored: " + std::string(core::Message(kept)));
    } else {
      one.known_size = one.cosigned_size = head->size;
    }
  }
  Note(one, answer);
  return answer.kind == Answer::Kind::kCosigned;
}

// A witness that is not where we thought says where it is, and is then asked again from there.
Answer WitnessesImpl::Ask(One& one, const audit::Checkpoint& head, std::int64_t timeout_ms) {
  Answer answer = AskOnce(one, head, timeout_ms);
  if (answer.kind != Answer::Kind::kOtherSize) return answer;
  one.known_size = answer.size;
  if (answer.size <= head.size) return AskOnce(one, head, timeout_ms);
  const std::uint64_t have = options_.log->size();
  if (answer.size <= have) return Away("it is ahead of the heads that are signed here");
  answer.kind = Answer::Kind::kConflict;
  answer.why = "it cosigned " + std::to_string(answer.size) + " entries, the log has " +
               std::to_string(have) + ": it was cut or rolled back";
  return answer;
}

Answer WitnessesImpl::AskOnce(One& one, const audit::Checkpoint& head, std::int64_t timeout_ms) {
  const std::uint64_t old_size = std::min(one.known_size, head.size);
  audit::ConsistencyText text{old_size, {}, head.note};
  if (old_size > 0 && old_size < head.size) {
    auto hashes = options_.log->ConsistencyProof(old_size, head.size);
    if (!hashes.ok()) return Away(std::string(core::Message(hashes.status())));
    text.hashes = *std::move(hashes);
  }
  const auto response = Post(one, audit::ConsistencyBody(text), timeout_ms);
  if (!response.ok()) return Away(std::string(core::Message(response.status())));
  return audit::ReadWitnessAnswer(
      {response->status, std::string(response->Header("content-type")), response->body},
      {head.note, head.size, old_size, one.config.vkey});
}

// Waits for the answer; the end of the daemon cuts it short, but for the last round.
core::StatusOr<tools::FetchResponse> WitnessesImpl::Post(const One& one, std::string body,
                                                         std::int64_t timeout_ms) {
  tools::FetchRequest request;
  request.method = "POST";
  request.url = one.config.url + "/add-checkpoint";
  request.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
  request.body = std::move(body);
  request.connect_timeout_ms = timeout_ms;
  request.timeout_ms = timeout_ms;
  request.body_bytes_max = kReplyBytesMax;
  std::optional<core::StatusOr<tools::FetchResponse>> result;
  std::unique_lock lock(mutex_);
  const bool last_round = stopping_;
  lock.unlock();
  const std::uint64_t handle = options_.fetcher->Fetch(
      std::move(request), [&](core::StatusOr<tools::FetchResponse> response) {
        const std::lock_guard held(mutex_);
        result = std::move(response);
        changed_.notify_all();  // under the lock: the waiter's frame goes away with it
      });
  lock.lock();
  changed_.wait(lock, [&] { return result || (stopping_ && !last_round); });
  if (!result) {
    lock.unlock();
    options_.fetcher->Cancel(handle);
    lock.lock();
    changed_.wait(lock, [&] { return result.has_value(); });
  }
  return *std::move(result);
}

void WitnessesImpl::Note(One& one, const Answer& answer) {
  std::string line;
  {
    const std::lock_guard lock(mutex_);
    one.last = answer.kind;
    one.why = answer.why;
    if (answer.kind == Answer::Kind::kCosigned) {
      one.good_us = options_.clock->MonotonicMicros();
      stored_size_ = std::max(stored_size_, one.cosigned_size);
    }
    line = WarningOf(one);
    const Answer::Kind kind = line.empty() ? Answer::Kind::kCosigned : answer.kind;
    if (kind == one.told) return;
    one.told = kind;
    if (line.empty()) line = "witness `" + one.name + "` is well again";
  }
  if (options_.report) options_.report(line);
}

std::string WitnessesImpl::WarningOf(const One& one) const {
  const std::string who = "witness `" + one.name + "` ";
  switch (one.last) {
    case Answer::Kind::kCosigned:
      return "";
    case Answer::Kind::kConflict:
      return who + "CONTRADICTS THIS LOG: " + one.why +
             "; keep both and compare them before you trust either";
    case Answer::Kind::kRefused:
      return who + "refuses heads: " + one.why;
    case Answer::Kind::kOtherSize:
    case Answer::Kind::kAway:
      break;
  }
  const std::int64_t away_ms = (options_.clock->MonotonicMicros() - one.good_us) / 1000;
  if (away_ms <= options_.patience_ms) return "";
  return who + "has not cosigned for " + std::to_string(away_ms / 1000) + " s: " + one.why;
}

std::vector<std::string> WitnessesImpl::warnings() const {
  std::vector<std::string> lines;
  const std::lock_guard lock(mutex_);
  for (const auto& one : all_) {
    if (std::string line = WarningOf(*one); !line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

void WitnessesImpl::AwaitCosigned(std::uint64_t index, steady_clock::time_point deadline,
                                  std::function<void(core::Status)> done) {
  std::optional<core::Status> now;
  {
    const std::lock_guard lock(mutex_);
    if (stored_size_ > index) {
      now = core::OkStatus();
    } else if (all_.empty()) {
      now = core::FailedPrecondition("no witnesses are configured; add `audit.witnesses`");
    } else if (stopping_) {
      now = core::Unavailable("the daemon is ending");
    } else {
      waiters_.push_back({index, deadline, std::move(done)});
    }
  }
  if (now) return done(*now);
  changed_.notify_all();
}

void WitnessesImpl::AnswerWaiters() {
  std::vector<std::pair<Waiter, core::Status>> ready;
  {
    const std::lock_guard lock(mutex_);
    const auto now = steady_clock::now();
    for (auto at = waiters_.begin(); at != waiters_.end();) {
      if (stored_size_ > at->index) {
        ready.emplace_back(std::move(*at), core::OkStatus());
      } else if (stopping_) {
        ready.emplace_back(std::move(*at), core::Unavailable("the daemon is ending"));
      } else if (now >= at->deadline) {
        ready.emplace_back(std::move(*at),
                           core::Error(core::StatusCode::kDeadlineExceeded,
                                       "no witness has cosigned the entry yet; ask again later"));
      } else {
        ++at;
        continue;
      }
      at = waiters_.erase(at);
    }
  }
  for (auto& [waiter, status] : ready) waiter.done(status);
}

steady_clock::time_point WitnessesImpl::NextDeadline() const {
  auto next = steady_clock::time_point::max();
  for (const Waiter& waiter : waiters_) next = std::min(next, waiter.deadline);
  return next;
}

}  // namespace

core::StatusOr<std::unique_ptr<Witnesses>> StartWitnesses(WitnessesOptions options) {
  auto witnesses = std::make_unique<WitnessesImpl>(std::move(options));
  INTERLOCK_RETURN_IF_ERROR(witnesses->Start());
  return std::unique_ptr<Witnesses>(std::move(witnesses));
}

}  // namespace interlock::runtime
