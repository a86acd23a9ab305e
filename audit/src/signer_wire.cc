#include "signer_wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>

#include "audit/signer_service.h"

namespace interlock::audit {
namespace {

core::Status PeerGone() { return core::Unavailable("the signer's connection broke or timed out"); }

core::Status SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return PeerGone();
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return core::OkStatus();
}

// The limit is on the whole, or a peer that sends a byte now and then holds a thread for ever.
core::Status ReceiveAll(int fd, char* out, std::size_t size) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kSignerTimeoutSeconds);
  while (size > 0) {
    if (std::chrono::steady_clock::now() > end) return PeerGone();
    const ssize_t n = ::recv(fd, out, size, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return PeerGone();
    out += n;
    size -= static_cast<std::size_t>(n);
  }
  return core::OkStatus();
}

}  // namespace

core::Status LimitWaiting(int fd) {
  const timeval limit{kSignerTimeoutSeconds, 0};
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    return core::Internal("cannot limit how long the signer's socket waits");
  }
  return core::OkStatus();
}

core::StatusOr<WireSocket> WireSocket::Connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return core::InvalidArgument("the signer's socket `" + path + "` is not a usable path");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return core::Unavailable("no socket for the signer");
  INTERLOCK_RETURN_IF_ERROR(LimitWaiting(fd.get()));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return core::Unavailable("no signer answers at `" + path + "` (" + std::strerror(errno) +
                             "); start `interlock audit signer`");
  }
  return WireSocket(std::move(fd));
}

core::Status WireSocket::Send(const WireLines& lines) {
  std::string bytes(4, '\0');
  for (const std::string& line : lines) {
    if (line.find('\n') != std::string::npos) {
      return core::InvalidArgument("a line for the signer holds a newline");
    }
    bytes += line;
    bytes += '\n';
  }
  const std::size_t size = bytes.size() - 4;
  if (size == 0 || size > kSignerFrameBytesMax) {
    return core::InvalidArgument("a message to the signer is empty or too long");
  }
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<char>(size >> (24 - 8 * i) & 0xFF);
  return SendAll(fd_.get(), bytes);
}

core::StatusOr<WireLines> WireSocket::Receive() {
  std::array<char, 4> head{};
  INTERLOCK_RETURN_IF_ERROR(ReceiveAll(fd_.get(), head.data(), head.size()));
  std::size_t size = 0;
  for (const char c : head) size = size << 8 | static_cast<unsigned char>(c);
  if (size == 0 || size > kSignerFrameBytesMax) {
    return core::InvalidArgument("a message of the signer's protocol has a bad length");
  }
  std::string bytes(size, '\0');
  INTERLOCK_RETURN_IF_ERROR(ReceiveAll(fd_.get(), bytes.data(), bytes.size()));
  if (bytes.back() != '\n') {
    return core::InvalidArgument("a message of the signer's protocol does not end its last line");
  }
  WireLines lines;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = bytes.find('\n', at);
    lines.push_back(bytes.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

bool WireSocket::Readable(int timeout_ms) const {
  pollfd wait{fd_.get(), POLLIN, 0};
  return ::poll(&wait, 1, timeout_ms) == 1;
}

core::StatusOr<unsigned> WireSocket::PeerUid() const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return PeerGone();
  return static_cast<unsigned>(peer.uid);
}

std::optional<std::uint64_t> ParseWireNumber(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace interlock::audit
