#include "model_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "core/check.h"
#include "harness/own_certificate.h"

namespace interlock::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kBacklog = 4'096;
constexpr std::size_t kReadBytes = 64 * 1024;

// What stands between `before` and the next quote; empty: not there.
std::string_view Quoted(std::string_view text, std::string_view before) {
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  return text.substr(0, text.find('"'));
}

int NumberAfter(std::string_view text, std::string_view mark, int otherwise) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return otherwise;
  int number = otherwise;
  std::from_chars(text.data() + at + mark.size(), text.data() + text.size(), number);
  return number;
}

int CountOf(std::string_view text, std::string_view part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

struct Reply {
  std::string http;
  int hold_ms = 0;
};

// `number` makes its id: clients put messages of the same id in each other's place.
Reply ReplyTo(std::string_view body, std::uint64_t number) {
  const std::string_view model = Quoted(body, R"("model":")");
  const int replies = NumberAfter(model, "-n", 10);
  const int step = CountOf(body, R"("role":"assistant")");
  std::string message = R"({"role":"assistant","content":"The answer is 3."})";
  const bool last = step + 1 >= replies;
  if (!last) {
    const std::size_t tools = std::min(body.find(R"("tools":)"), body.size());
    message = R"({"role":"assistant","content":null,"tool_calls":[{"id":"call_)" +
              std::to_string(step) + R"(","type":"function","function":{"name":")" +
              std::string(Quoted(body.substr(tools), R"("name":")")) +
              R"(","arguments":"{\"a\":1,\"b\":2}"}}]})";
  }
  const std::string json =
      R"({"id":"chatcmpl-)" + std::to_string(number) +
      R"(","object":"chat.completion","created":1,"model":")" + std::string(model) +
      R"(","choices":[{"index":0,"message":)" + message + R"(,"finish_reason":")" +
      (last ? "stop" : "tool_calls") +
      R"("}],"usage":{"prompt_tokens":50,"completion_tokens":10,"total_tokens":60}})";
  return {.http = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                  std::to_string(json.size()) + "\r\n\r\n" + json,
          .hold_ms = NumberAfter(model, "-d", 0)};
}

// One client's connection.
class Peer {
 public:
  // `tls`: null: none.
  Peer(int fd, SSL_CTX* tls) : fd_(fd), tls_(tls == nullptr ? nullptr : SSL_new(tls)) {
    if (tls_ == nullptr) return;
    INTERLOCK_CHECK(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    SSL_set_fd(tls_.get(), fd);
    SSL_set_accept_state(tls_.get());
  }

  // What there is of requests, as yet; false: the connection has ended.
  bool Receive() {
    ssize_t got = 0;
    do {
      const std::size_t had = in.size();
      in.resize(had + kReadBytes);
      got = Read(in.data() + had);
      in.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    } while (got > 0 && tls_ != nullptr);
    return got > 0 || (tls_ != nullptr &&
                       SSL_get_error(tls_.get(), static_cast<int>(got)) == SSL_ERROR_WANT_READ);
  }
  // Small: fits the socket's buffer.
  void Send(std::string_view text) {
    if (tls_ != nullptr) {
      (void)SSL_write(tls_.get(), text.data(), static_cast<int>(text.size()));
    } else {
      (void)::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
    }
  }

  std::string in;

 private:
  ssize_t Read(char* to) {
    if (tls_ == nullptr) return ::recv(fd_, to, kReadBytes, MSG_DONTWAIT);
    return SSL_read(tls_.get(), to, static_cast<int>(kReadBytes));
  }

  const int fd_;
  const std::unique_ptr<SSL, decltype([](SSL* tls) { SSL_free(tls); })> tls_;
};

class Loop {
 public:
  // `tls`: null: plain HTTP.
  Loop(int listener, SSL_CTX* tls)
      : listener_(listener), tls_(tls), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    Watch(listener_);
  }

  [[noreturn]] void Run() {
    std::array<epoll_event, 256> events{};
    while (true) {
      const int ready = ::epoll_wait(epoll_, events.data(), events.size(), SendDue());
      for (int i = 0; i < ready; ++i) Take(events[static_cast<std::size_t>(i)].data.fd);
    }
  }

 private:
  void Watch(int fd) const {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    INTERLOCK_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
  }

  void Take(int fd) {
    if (fd == listener_) return Accept();
    Peer& peer = peers_.at(fd);
    if (!peer.Receive()) return Drop(fd);
    while (TakeRequest(fd, peer)) {
    }
  }

  void Accept() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peers_.try_emplace(fd, fd, tls_);
    Watch(fd);
  }

  void Drop(int fd) {
    peers_.erase(fd);
    std::erase_if(due_, [fd](const auto& item) { return item.second.first == fd; });
    ::close(fd);
  }

  // False: no whole request is there yet.
  bool TakeRequest(int fd, Peer& peer) {
    std::string& in = peer.in;
    const std::size_t head = in.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    std::size_t length = 0;
    if (const char* at = ::strcasestr(in.c_str(), "\r\ncontent-length:")) {
      length = std::strtoul(at + 17, nullptr, 10);
    }
    const std::size_t whole = head + 4 + length;
    if (in.size() < whole) return false;
    Reply reply = ReplyTo(std::string_view(in).substr(head + 4, length), ++replies_);
    in.erase(0, whole);
    if (reply.hold_ms == 0) {
      peer.Send(reply.http);
    } else {
      due_.emplace(SteadyClock::now() + std::chrono::milliseconds(reply.hold_ms),
                   std::pair(fd, std::move(reply.http)));
    }
    return true;
  }

  // Milliseconds until the next held reply is due; -1: none is held.
  int SendDue() {
    const auto now = SteadyClock::now();
    while (!due_.empty() && due_.begin()->first <= now) {
      peers_.at(due_.begin()->second.first).Send(due_.begin()->second.second);
      due_.erase(due_.begin());
    }
    if (due_.empty()) return -1;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(due_.begin()->first - now);
    return static_cast<int>(left.count()) + 1;
  }

  const int listener_;
  SSL_CTX* const tls_;
  const int epoll_;
  std::uint64_t replies_ = 0;
  std::unordered_map<int, Peer> peers_;
  std::multimap<SteadyClock::time_point, std::pair<int, std::string>> due_;
};

}  // namespace

ModelServer::ModelServer(const std::string& certificate) : tls_(!certificate.empty()) {
  SSL_CTX* const tls = tls_ ? test::ServerWithOwnCertificate(certificate) : nullptr;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  INTERLOCK_CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  INTERLOCK_CHECK(::listen(listener, kBacklog) == 0);
  INTERLOCK_CHECK(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  child_ = ::fork();
  INTERLOCK_CHECK(child_ >= 0);
  if (child_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Loop(listener, tls).Run();
  }
  SSL_CTX_free(tls);
  ::close(listener);
}

ModelServer::~ModelServer() {
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

}  // namespace interlock::bench
