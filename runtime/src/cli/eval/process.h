// Programs that `interlock eval` starts: the daemon, and the suite's import and export commands.
// Only these are ever stopped, by their own pid.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"

namespace interlock::runtime::cli {

// Runs argv (absolute path first, no shell) to its end; its standard error goes to the end of
// `log`. Returns what it wrote on standard output. Errors: kInternal with its last words for a
// non-zero exit; kDeadlineExceeded (and it is killed) after `limit`. Thread-safe.
core::StatusOr<std::string> RunProgram(const std::vector<std::string>& argv, const std::string& log,
                                       std::chrono::milliseconds limit);

// A child that is stopped when this ends: SIGTERM, and SIGKILL when it does not end in kStopGrace.
// It also gets SIGTERM when this process dies. Neither copies nor moves. Start before other threads
// exist.
class Child {
 public:
  static core::StatusOr<std::unique_ptr<Child>> Start(const std::vector<std::string>& argv,
                                                      const std::string& log);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  void Stop();

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  bool ended_ = false;
};

inline constexpr std::chrono::seconds kStopGrace{20};

// The last line of a log file that is not empty, for error messages; empty when there is none.
std::string LastLine(const std::string& path);

}  // namespace interlock::runtime::cli
