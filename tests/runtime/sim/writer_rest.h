// Holds the log's writer for a moment, so that what is asked for meanwhile comes to it at once, in
// an order that nobody saw coming. The log may have stopped: then there is no moment.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "fixture.h"

namespace interlock::runtime::sim {

class WriterRest {
 public:
  explicit WriterRest(audit::Log& log) {
    auto command = std::make_unique<audit::TestCommand>(
        [parts = parts_](audit::Transaction&) {
          const auto nothing = [] {
            return core::Error(core::StatusCode::kAborted, "nothing to add");
          };
          if (std::exchange(parts->began, true)) return nothing();  // applied once more
          parts->entered.set_value();
          parts->go.get_future().wait_for(kLongest);
          return nothing();
        },
        [parts = parts_](const core::Status&) {
          if (!parts->began) parts->entered.set_value();
        });
    log.Submit(std::move(command), audit::Urgency::kOutcome);
    parts_->entered.get_future().wait();
  }
  ~WriterRest() { parts_->go.set_value(); }
  WriterRest(const WriterRest&) = delete;
  WriterRest& operator=(const WriterRest&) = delete;

 private:
  static constexpr std::chrono::milliseconds kLongest{20};
  struct Parts {
    std::promise<void> entered;
    std::promise<void> go;
    bool began = false;  // the writer's alone
  };
  const std::shared_ptr<Parts> parts_ = std::make_shared<Parts>();
};

}  // namespace interlock::runtime::sim
