// Threads for requests that wait for something slow, by what they wait for (ADR 82): none of them
// waits behind another, and the threads of the queue wait behind none.
#pragma once

#include <array>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "core/status.h"
#include "runtime/engine.h"

namespace interlock::runtime {

enum class Lane {
  kSwitches,  // a commit that stops or frees calls: never behind anything else
  kLog,       // a commit, or a long read
  kPolicies,  // a bundle to be loaded; one change at a time
  kSigner,    // a signature, from a process that may not answer
};
inline constexpr int kLanes = 4;
inline constexpr int kLaneRequestsMax = 256;  // at work and waiting, of one lane

// Thread-safe. Neither copies nor moves.
class Lanes {
 public:
  Lanes();
  ~Lanes();

  // Replies with what `work` gives, on a thread of the lane; RESOURCE_EXHAUSTED (TOO_MANY_WAIT),
  // from here, when the lane is full. Whoever's deadline is over when his turn comes is told so,
  // and nothing is done.
  template <typename T>
  void Run(Lane lane, std::chrono::system_clock::time_point deadline, Reply<T> reply,
           std::function<core::StatusOr<T>()> work) {
    auto task = [deadline, reply, work = std::move(work)] {
      if (deadline <= std::chrono::system_clock::now()) return reply(TooLate());
      try {
        reply(work());
      } catch (const std::exception&) {  // the border, as in UnaryCall
        reply(core::Internal("the request could not be handled; see the daemon's log"));
      }
    };
    if (!Post(lane, std::move(task))) reply(TooMany());
  }

  // Waits for what is at work; the rest is dropped without a reply. Idempotent.
  void Close();

 private:
  struct One;
  // False: the lane is full.
  bool Post(Lane lane, std::function<void()> task);
  static core::Status TooLate();
  static core::Status TooMany();

  std::array<std::unique_ptr<One>, kLanes> lanes_;
};

}  // namespace interlock::runtime
