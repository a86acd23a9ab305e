#include "loopback_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "core/check.h"

namespace interlock::testing {
namespace {

// Whether `request` holds its headers and as many body bytes as they announce.
bool IsWhole(const std::string& request) {
  const std::size_t end = request.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::size_t at = request.find("Content-Length: ");
  if (at == std::string::npos || at > end) return true;
  return request.size() >= end + 4 + std::strtoul(request.c_str() + at + 16, nullptr, 10);
}

}  // namespace

std::string HttpReply(int status, std::string_view body, std::string_view headers) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nConnection: close\r\n" +
         std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

LoopbackServer::LoopbackServer(Answer answer) : answer_(std::move(answer)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  INTERLOCK_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  INTERLOCK_CHECK(listen(listener_, 64) == 0);
  INTERLOCK_CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  INTERLOCK_CHECK(pipe(wake_) == 0);
  thread_ = std::thread([this] { Loop(); });
}

LoopbackServer::~LoopbackServer() {
  INTERLOCK_CHECK(write(wake_[1], "x", 1) == 1);
  thread_.join();
  for (const int connection : held_) close(connection);
  for (const int fd : {listener_, wake_[0], wake_[1]}) close(fd);
}

std::string LoopbackServer::url(std::string_view path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
}

std::vector<std::string> LoopbackServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void LoopbackServer::Loop() {
  for (;;) {
    pollfd fds[] = {{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) Serve(connection);
  }
}

void LoopbackServer::Serve(int connection) {
  std::string request;
  char buffer[65536];
  while (!IsWhole(request)) {
    const ssize_t got = read(connection, buffer, sizeof buffer);
    if (got <= 0) {
      close(connection);
      return;
    }
    request.append(buffer, static_cast<std::size_t>(got));
  }
  int number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = static_cast<int>(requests_.size());
    requests_.push_back(request);
  }
  const Scripted reply = answer_(number, request);
  for (std::size_t sent = 0; sent < reply.bytes.size();) {
    const ssize_t put =
        send(connection, reply.bytes.data() + sent, reply.bytes.size() - sent, MSG_NOSIGNAL);
    if (put <= 0) break;
    sent += static_cast<std::size_t>(put);
  }
  if (reply.hold) {
    held_.push_back(connection);
  } else {
    close(connection);
  }
}

}  // namespace interlock::testing
