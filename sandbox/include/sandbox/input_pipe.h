// A program's standard input that stays open, for a dialogue.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::sandbox {

inline constexpr std::size_t kInputWaitingBytesMax = 1 << 20;  // that the program has not taken

// Never blocks, whatever the program does. Thread-safe.
class InputPipe {
 public:
  // Errors: kResourceExhausted without descriptors.
  static core::StatusOr<std::shared_ptr<InputPipe>> Make();
  ~InputPipe();
  InputPipe(const InputPipe&) = delete;
  InputPipe& operator=(const InputPipe&) = delete;

  // What the pipe does not take now goes with the next Flush. Errors: kResourceExhausted when the
  // program leaves too much unread, kFailedPrecondition when closed.
  core::Status Write(std::string_view bytes);
  // True: nothing waits any more.
  bool Flush();
  // The program reads the end of its input. What waits is lost.
  void Close();
  int read_end() const { return read_end_; }  // the pipe's own

 private:
  InputPipe(int read_end, int write_end) : read_end_(read_end), write_end_(write_end) {}
  bool FlushLocked();

  // Kept open here, so that a write after the program's end is no signal.
  const int read_end_;
  std::mutex mutex_;
  int write_end_;  // -1: closed
  std::string waiting_;
};

}  // namespace interlock::sandbox
