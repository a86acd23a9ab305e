// Holds the log's writer, so that what is asked for meanwhile comes to it all at once.
#pragma once

#include <future>
#include <memory>

#include "audit/log.h"

namespace interlock::runtime::test {

// Keeps the log's writer busy, so that what is submitted meanwhile lands in one batch.
class WriterPause {
 public:
  explicit WriterPause(audit::Log& log) {
    log.Submit(std::make_unique<Hold>(*this), audit::Urgency::kNormal);
    entered_.get_future().wait();
  }
  void End() { go_.set_value(); }

 private:
  class Hold final : public audit::Command {
   public:
    explicit Hold(WriterPause& pause) : pause_(pause) {}
    core::Status Apply(audit::Transaction&) override {
      pause_.entered_.set_value();
      pause_.go_.get_future().wait();
      return core::OkStatus();
    }
    void Done(const core::Status&) override {}

   private:
    WriterPause& pause_;
  };
  std::promise<void> entered_;
  std::promise<void> go_;
};

}  // namespace interlock::runtime::test
