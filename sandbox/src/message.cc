#include "message.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace interlock::sandbox {
namespace {
constexpr int kSocketBufferBytes = 512 << 10;
using FdSpace = std::array<char, CMSG_SPACE(sizeof(int) * kMessageFdsMax)>;

void TakeFds(msghdr& header, std::vector<Fd>& fds) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
}
}  // namespace

bool MessagePair(Fd& a, Fd& b) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
  a.reset(ends[0]);
  b.reset(ends[1]);
  for (const int end : ends) {
    // Best effort: the kernel caps it, and the default holds one message.
    ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  }
  return true;
}

bool SendMessage(int socket, std::string_view bytes, std::span<const int> fds, int flags) {
  if (bytes.size() > kMessageBytesMax || fds.size() > kMessageFdsMax) {
    errno = EMSGSIZE;
    return false;
  }
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) FdSpace space{};
  if (!fds.empty()) {
    header.msg_control = space.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &header, MSG_NOSIGNAL | flags);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes.size());
}

ssize_t ReceiveInto(int socket, msghdr& header, int flags) {
  // The kernel looks for a message, and then whether the other end is shut (af_unix.c,
  // unix_dgram_recvmsg). What was sent and followed by a close in between is there at the next
  // look.
  const msghdr asked = header;
  ssize_t got = 0;
  for (int looks = 0; got == 0 && looks < 2; ++looks) {
    do {
      header = asked;
      got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | flags);
    } while (got < 0 && errno == EINTR);
  }
  return got;
}

Received ReceiveMessage(int socket, std::span<char> room, std::string_view& bytes,
                        std::vector<Fd>& fds, int flags) {
  fds.clear();
  bytes = {};
  iovec part{room.data(), room.size()};
  alignas(cmsghdr) FdSpace space;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space.data();
  header.msg_controllen = space.size();
  const ssize_t got = ReceiveInto(socket, header, flags);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Received::kNothing;
  if (got > 0) TakeFds(header, fds);
  const bool stripped = (header.msg_flags & MSG_CTRUNC) != 0;
  const bool closed = got <= 0 || (header.msg_flags & MSG_TRUNC) != 0;
  if (stripped || closed) fds.clear();
  if (closed) return Received::kClosed;
  bytes = {room.data(), static_cast<std::size_t>(got)};
  return stripped ? Received::kStripped : Received::kMessage;
}

}  // namespace interlock::sandbox
