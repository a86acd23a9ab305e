#include "engine/journal.h"

#include "engine/async.h"

namespace interlock::runtime {

class BodyCommand final : public audit::Command {
 public:
  BodyCommand(Journal& journal, Journal::Body body, std::function<void(core::Status)> done)
      : journal_(journal), body_(std::move(body)), done_(std::move(done)) {}

  core::Status Apply(audit::Transaction& transaction) override {
    Serial serial(transaction, journal_.state(), journal_.SerialEngine());
    core::Status status = body_(serial);
    if (journal_.state().TakeReadError())
      return core::DataLoss("the state cannot be read; try again");
    return status;
  }
  void Done(const core::Status& status) override {
    done_(status);
    done_ = nullptr;  // what they hold is gone before the journal is idle
    body_ = nullptr;
    journal_.NoteDone();
  }

 private:
  Journal& journal_;
  Journal::Body body_;
  std::function<void(core::Status)> done_;
};

namespace {

// The head of a run that has ended is signed at once.
bool EndsRun(std::string_view kind) {
  return kind == "run.completed" || kind == "run.failed" || kind == "run.cancelled" ||
         kind == "run.escalated";
}

}  // namespace

core::StatusOr<audit::EntryRef> Serial::Append(Draft& draft) {
  for (const audit::SealedPayload& payload : draft.payloads) {
    if (state_.MaySeal(payload.key_id, draft.kind)) continue;
    return core::FailedPrecondition(
        "the subject was erased meanwhile, or is being erased; ask again when that is done");
  }
  const audit::NewEntry entry{.kind = draft.kind,
                              .run = draft.run,
                              .actor = draft.actor,
                              .body = draft.body,
                              .cites = draft.cites,
                              .ends_run = EndsRun(draft.kind)};
  INTERLOCK_ASSIGN_OR_RETURN(newest_, transaction_.Append(entry, draft.payloads));
  return newest_;
}

policies::Engine* Journal::SerialEngine() {
  if (engine_ == nullptr && bundle_ != nullptr) {
    auto made = policies::Engine::Make(bundle_);
    if (made.ok()) engine_ = std::move(*made);
  }
  return engine_.get();
}

void Journal::Submit(Body body, audit::Urgency urgency, std::function<void(core::Status)> done) {
  {
    const std::lock_guard lock(mutex_);
    ++pending_;
  }
  log_.Submit(std::make_unique<BodyCommand>(*this, std::move(body), std::move(done)), urgency);
}

void Journal::NoteDone() {
  const std::lock_guard lock(mutex_);  // held while it tells: who waits may end the journal
  if (--pending_ == 0) idle_.notify_all();
}

void Journal::AwaitIdle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return pending_ == 0; });
}

asio::awaitable<core::Status> Journal::Commit(Body body, audit::Urgency urgency) {
  return Await<core::Status>(
      [this, body = std::move(body), urgency](std::function<void(core::Status)> done) mutable {
        Submit(std::move(body), urgency, std::move(done));
      });
}

}  // namespace interlock::runtime
