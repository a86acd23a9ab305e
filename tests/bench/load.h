// Governed calls of a caller with his own loop, many at once, and how long each took.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "stack.h"
#include "syncs.h"

namespace interlock::bench {

// One Run or Paced each.
class Load {
 public:
  // `calls_max`: of one Run; 0: as many as its time allows.
  Load(Stack& stack, int in_flight, std::size_t calls_max);

  struct Figures {
    double calls = 0;
    double seconds = 0;
    double cpu_us = 0;  // a call
    double p50_us = 0;
    double p99_us = 0;
    double calls_per_commit = 0;
    double sync_share = 0;          // of the time, that the log's writer waited for the disk
    Syncs syncs;                    // while it ran
    std::vector<SyncSpan> slowest;  // the calls that took p99_us or longer
  };

  // Keeps `in_flight` calls going for a while; each answer starts the next call.
  Figures Run(double seconds);
  // Starts so many calls a second, `in_flight` of them at once at most; a call's time is counted
  // from when it was due.
  Figures Paced(int per_second, double seconds);

 private:
  void Begin(double seconds);
  Figures End();
  void Start(SteadyClock::time_point due);
  void Answered(SteadyClock::time_point due);

  Stack& stack_;
  const int in_flight_;
  const std::size_t calls_max_;
  core::Principal who_;
  bool paced_ = false;
  SteadyClock::time_point start_;
  SteadyClock::time_point end_;
  double cpu_before_ = 0;
  Syncs before_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int open_ = 0;
  std::vector<SyncSpan> calls_;
};

// What the slowest calls waited for, as far as the disk is what they waited for. One line.
std::string Explained(const Load::Figures& figures);

}  // namespace interlock::bench
