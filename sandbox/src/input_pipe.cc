#include "sandbox/input_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

namespace interlock::sandbox {

core::StatusOr<std::shared_ptr<InputPipe>> InputPipe::Make() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return core::ResourceExhausted(std::string("make a pipe: ") + std::strerror(errno));
  }
  // Of our end alone: the program's reads wait, as programs expect.
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  return std::shared_ptr<InputPipe>(new InputPipe(ends[0], ends[1]));
}

InputPipe::~InputPipe() {
  Close();
  ::close(read_end_);
}

core::Status InputPipe::Write(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (write_end_ < 0) return core::FailedPrecondition("the input is closed");
  if (waiting_.size() + bytes.size() > kInputWaitingBytesMax) {
    return core::ResourceExhausted("the program does not read its input");
  }
  waiting_ += bytes;
  (void)FlushLocked();
  return core::OkStatus();
}

bool InputPipe::Flush() {
  const std::lock_guard lock(mutex_);
  return FlushLocked();
}

bool InputPipe::FlushLocked() {
  while (!waiting_.empty() && write_end_ >= 0) {
    const ssize_t size = ::write(write_end_, waiting_.data(), waiting_.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    waiting_.erase(0, static_cast<std::size_t>(size));
  }
  return waiting_.empty();
}

void InputPipe::Close() {
  const std::lock_guard lock(mutex_);
  if (write_end_ >= 0) ::close(write_end_);
  write_end_ = -1;
  waiting_.clear();
}

}  // namespace interlock::sandbox
