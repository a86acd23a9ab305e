// Whoever may connect to the signer may say anything: it neither crashes nor hangs, it goes on to
// serve, and what it answers is one frame.
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "audit/signer_service.h"
#include "core/check.h"

namespace {

using namespace interlock::audit;

struct Service {
  Service() {
    char folder[] = "/tmp/interlock-signer-fuzz-XXXXXX";
    INTERLOCK_CHECK(::mkdtemp(folder) != nullptr);
    socket = std::string(folder) + "/socket";
    auto started = SignerService::Start({.folder = std::string(folder) + "/keys",
                                         .socket = socket,
                                         .origins = {"log.example/main"},
                                         .peer_uid = std::nullopt});
    INTERLOCK_CHECK(started.ok());
    service = std::move(*started);
  }
  std::string socket;
  std::unique_ptr<SignerService> service;
};

// What the signer answers to `bytes`, after which the peer says nothing more.
std::string Answer(const std::string& path, const std::uint8_t* bytes, std::size_t size) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  INTERLOCK_CHECK(fd >= 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  INTERLOCK_CHECK(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  static_cast<void>(::send(fd, bytes, size, MSG_NOSIGNAL));  // it may hang up on too much
  ::shutdown(fd, SHUT_WR);
  std::string answer;
  std::array<char, 4096> part{};
  for (ssize_t n = 0; (n = ::recv(fd, part.data(), part.size(), 0)) > 0;) {
    answer.append(part.data(), static_cast<std::size_t>(n));
  }
  ::close(fd);
  return answer;
}

// Frames one after the other: what it asks for, then what it says.
bool AreFrames(std::string_view bytes) {
  while (!bytes.empty()) {
    if (bytes.size() < 5) return false;
    std::size_t size = 0;
    for (const char c : bytes.substr(0, 4)) size = size << 8 | static_cast<unsigned char>(c);
    if (size == 0 || size > kSignerFrameBytesMax || bytes.size() < 4 + size) return false;
    if (bytes[3 + size] != '\n') return false;
    bytes.remove_prefix(4 + size);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Service served;
  INTERLOCK_CHECK(AreFrames(Answer(served.socket, data, size)));
  return 0;
}
