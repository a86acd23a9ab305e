// What the server tells the daemon: results, and output while it comes.
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "server.h"

namespace interlock::sandbox {
namespace {
constexpr std::size_t kDetailBytesMax = 4096;

// A message has an end, and a path in a detail may be long; no half character is left.
void CutDetail(std::string& detail) {
  if (detail.size() <= kDetailBytesMax) return;
  std::size_t end = kDetailBytesMax;
  while (end > 0 && (static_cast<unsigned char>(detail[end]) & 0xC0) == 0x80) --end;
  detail.resize(end);
}

Fd OutputsFile(const BoxResult& result) {
  Fd file(::memfd_create("outputs", MFD_CLOEXEC));
  for (const std::string* part : {&result.stdout_bytes, &result.stderr_bytes}) {
    for (std::size_t at = 0; file.valid() && at < part->size();) {
      const ssize_t size = ::write(file.get(), part->data() + at, part->size() - at);
      if (size <= 0) {
        file.reset();
      } else {
        at += static_cast<std::size_t>(size);
      }
    }
  }
  return file;
}
}  // namespace

void Server::Send(std::uint64_t id, BoxResult result) {
  if (trial_ != nullptr) {
    *trial_ = std::move(result);
    return;
  }
  ResultMessage message;
  message.id = id;
  message.stdout_size = result.stdout_bytes.size();
  message.stderr_size = result.stderr_bytes.size();
  Outgoing outgoing;
  if (message.stdout_size + message.stderr_size > kInlineOutputBytesMax) {
    outgoing.outputs = OutputsFile(result);
    message.outputs_in_fd = 1;
  }
  message.result = std::move(result);
  CutDetail(message.result.detail);
  outgoing.bytes = EncodeResult(message);
  outgoing_.push_back(std::move(outgoing));
}

// What came since the last time. Nothing is kept back for a daemon that is slow: the queue grows to
// its cap, and what came later is told with the next part.
void Server::Tell(Box& box) {
  constexpr std::size_t kQueueMax = 256;
  for (Stream* stream : {&box.out, &box.err}) {
    while (stream->told < stream->kept.size() && outgoing_.size() < kQueueMax) {
      const std::string part = stream->kept.substr(stream->told, kInlineOutputBytesMax);
      stream->told += part.size();
      Outgoing outgoing;
      outgoing.bytes = EncodeOutput({box.call_id, stream == &box.err, part});
      outgoing_.push_back(std::move(outgoing));
    }
  }
}

void Server::Flush() {
  while (!outgoing_.empty()) {
    const Outgoing& next = outgoing_.front();
    const int fd = next.outputs.get();
    const std::span<const int> fds =
        next.outputs.valid() ? std::span(&fd, 1) : std::span<const int>();
    if (!SendMessage(options_.socket, next.bytes, fds, MSG_DONTWAIT)) {
      // The daemon is slow, or the kernel short of room: tried again within a millisecond.
      if (errno != EPIPE && errno != ECONNRESET && errno != EMSGSIZE) return;
      // The daemon is gone; its end of file follows.
    }
    outgoing_.pop_front();
  }
}

}  // namespace interlock::sandbox
