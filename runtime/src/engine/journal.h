// The journal: the one place where decisions meet state. Commands run serially on the log's writer
// thread, append entries, and are acknowledged when their batch is durable.
#pragma once

#include <asio/awaitable.hpp>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "audit/log.h"
#include "engine/entries.h"
#include "engine/state.h"
#include "policies/bundle.h"

namespace interlock::runtime {

// What a command sees, on the writer thread, while it runs.
class Serial {
 public:
  Serial(audit::Transaction& transaction, State& state, policies::Engine* engine)
      : transaction_(transaction), state_(state), engine_(engine) {}

  std::int64_t now_us() const { return transaction_.now_us(); }
  State& state() { return state_; }
  // Null when no bundle is active.
  policies::Engine* engine() { return engine_; }
  core::StatusOr<audit::EntryRef> Append(Draft& draft);
  void PutBlob(std::string_view bytes) { transaction_.PutBlob(bytes); }
  void ErasePayloads(std::span<const std::int64_t> ids) { transaction_.ErasePayloads(ids); }
  const audit::EntryRef& newest() const { return newest_; }

 private:
  audit::Transaction& transaction_;
  State& state_;
  policies::Engine* engine_;
  audit::EntryRef newest_;
};

// Thread-safe.
class Journal {
 public:
  using Body = std::function<core::Status(Serial&)>;

  Journal(audit::Log& log, State& state, std::shared_ptr<const policies::Bundle> bundle)
      : log_(log), state_(state), bundle_(std::move(bundle)) {}

  // Runs `body` serially; `done` on the writer thread when it is durable, or with the reason why
  // not.
  void Submit(Body body, audit::Urgency urgency, std::function<void(core::Status)> done);
  // The same, awaited on the caller's executor. What `body` borrows stays alive: the coroutine
  // waits.
  asio::awaitable<core::Status> Commit(Body body, audit::Urgency urgency = audit::Urgency::kNormal);

  // Until every `done` has returned. Not on the writer thread.
  void AwaitIdle();

  audit::Log& log() { return log_; }
  State& state() { return state_; }
  // --- writer thread only
  policies::Engine* SerialEngine();
  // Another bundle from here on; gives back the engine of the one before.
  void Swap(std::unique_ptr<policies::Engine>& engine) { engine_.swap(engine); }
  // No bundle is in force.
  void Forget() {
    bundle_ = nullptr;
    engine_ = nullptr;
  }

 private:
  friend class BodyCommand;
  void NoteDone();

  std::mutex mutex_;
  std::condition_variable idle_;
  std::int64_t pending_ = 0;  // commands whose `done` has not returned

  audit::Log& log_;
  State& state_;
  std::shared_ptr<const policies::Bundle> bundle_;
  std::unique_ptr<policies::Engine> engine_;
};

}  // namespace interlock::runtime
