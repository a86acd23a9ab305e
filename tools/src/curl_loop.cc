#include "curl_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace interlock::tools {
namespace {

constexpr int kEventsMax = 256;  // of one look
constexpr std::int64_t kHoldUs = 10'000;

std::uint32_t EventsOf(int what) {
  if (what == CURL_POLL_IN) return EPOLLIN;
  if (what == CURL_POLL_OUT) return EPOLLOUT;
  return what == CURL_POLL_INOUT ? EPOLLIN | EPOLLOUT : 0u;
}

// What libcurl need not ask the kernel again. 0: it looks itself, as an error may have many causes.
int ReadyOf(std::uint32_t events) {
  if ((events & ~static_cast<std::uint32_t>(EPOLLIN | EPOLLOUT)) != 0) return 0;
  return ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
         ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0);
}

}  // namespace

core::StatusOr<std::unique_ptr<CurlLoop>> CurlLoop::Make() {
  std::unique_ptr<CurlLoop> loop(new CurlLoop);
  INTERLOCK_RETURN_IF_ERROR(loop->Init());
  return loop;
}

core::Status CurlLoop::Init() {
  multi_ = curl_multi_init();
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (multi_ == nullptr || epoll_ < 0 || wake_ < 0) return core::Internal("libcurl does not start");
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake_}};
  const bool ok = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0 &&
                  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &OnSocket) == CURLM_OK &&
                  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this) == CURLM_OK &&
                  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &OnTimer) == CURLM_OK &&
                  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this) == CURLM_OK;
  return ok ? core::OkStatus() : core::Internal("libcurl does not start");
}

CurlLoop::~CurlLoop() {
  if (multi_ != nullptr) curl_multi_cleanup(multi_);  // closes sockets: they are watched to the end
  if (wake_ >= 0) ::close(wake_);
  if (epoll_ >= 0) ::close(epoll_);
}

void CurlLoop::Wake() const {
  const std::uint64_t one = 1;
  // It fails only where so many are waiting that it wakes anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
}

void CurlLoop::RunDue() {
  while (due_us_ >= 0 && due_us_ <= clock_.MonotonicMicros()) {
    due_us_ = -1;  // libcurl says anew when the next one is
    int running = 0;
    curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
  }
}

int CurlLoop::WaitMs(int most_ms) const {
  if (!held_.empty()) most_ms = std::min(most_ms, static_cast<int>(kHoldUs / 1000));
  if (due_us_ < 0) return most_ms;
  const std::int64_t left_us = std::max<std::int64_t>(0, due_us_ - clock_.MonotonicMicros());
  return static_cast<int>(std::min<std::int64_t>(most_ms, (left_us + 999) / 1000));
}

void CurlLoop::Wait(int most_ms) {
  if (!held_.empty()) LetGo();
  std::array<epoll_event, kEventsMax> events{};
  const int ready = ::epoll_wait(epoll_, events.data(), kEventsMax, WaitMs(most_ms));
  for (int i = 0; i < ready; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd != wake_) {
      Act(event.data.fd, event.events);
      continue;
    }
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof count);
  }
  RunDue();
}

void CurlLoop::Act(curl_socket_t socket, std::uint32_t events) {
  Watch& watch = WatchOf(socket);
  if (watch.wanted == 0) return Arm(socket, watch);  // a kept connection that its server has ended
  int running = 0;
  wrote_ = false;
  curl_multi_socket_action(multi_, socket, ReadyOf(events), &running);
  Hold(socket, events);
}

// libcurl 7.88 wants to write to a shared connection as long as a request's body is not out, also
// where the server's window is full: a socket that takes what nobody may write is ready all the
// time. It is looked at again with the next input, in which a larger window comes, or soon.
void CurlLoop::Hold(curl_socket_t socket, std::uint32_t events) {
  Watch& watch = WatchOf(socket);
  if (watch.lane == 0 || (watch.wanted & EPOLLOUT) == 0) return;
  const bool idle = events == EPOLLOUT && !wrote_;
  if (idle) held_.push_back(socket);
  watch.held_until_us = idle ? clock_.MonotonicMicros() + kHoldUs : 0;
  Arm(socket, watch);
}

void CurlLoop::LetGo() {
  const std::int64_t now = clock_.MonotonicMicros();
  std::erase_if(held_, [&](curl_socket_t socket) {
    Watch& watch = WatchOf(socket);
    if (watch.held_until_us > now) return false;
    watch.held_until_us = 0;
    Arm(socket, watch);
    return true;
  });
}

CurlLoop::Watch& CurlLoop::WatchOf(curl_socket_t socket) {
  const auto at = static_cast<std::size_t>(socket);
  if (at >= watches_.size()) watches_.resize(at + 1);
  return watches_[at];
}

void CurlLoop::Arm(curl_socket_t socket, Watch& watch) const {
  const std::uint32_t held = watch.held_until_us == 0 ? 0u : EPOLLOUT;
  const std::uint32_t wanted = watch.wanted & ~held;
  if (wanted == watch.armed) return;
  epoll_event event{.events = wanted, .data = {.fd = socket}};
  const int change = wanted == 0 ? EPOLL_CTL_DEL : watch.armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  ::epoll_ctl(epoll_, change, socket, &event);
  watch.armed = wanted;
}

int CurlLoop::OnSocket(CURL*, curl_socket_t socket, int what, void* loop, void*) {
  auto& self = *static_cast<CurlLoop*>(loop);
  Watch& watch = self.WatchOf(socket);
  watch.wanted = EventsOf(what);
  watch.held_until_us = 0;
  // The next request on a kept connection mostly wants the same: the kernel is told when it does
  // not, or when something comes that nobody wants.
  if (watch.wanted != 0 || !watch.ours) self.Arm(socket, watch);
  return 0;
}

int CurlLoop::OnTimer(CURLM*, long timeout_ms, void* loop) {
  auto& self = *static_cast<CurlLoop*>(loop);
  self.due_us_ =
      timeout_ms < 0 ? -1 : self.clock_.MonotonicMicros() + std::int64_t{timeout_ms} * 1000;
  return 0;
}

curl_socket_t CurlLoop::Open(int family, int type, int protocol, Lane lane) {
  const curl_socket_t opened = ::socket(family, type | SOCK_CLOEXEC, protocol);
  if (opened >= 0) WatchOf(opened) = {.wanted = 0, .armed = 0, .ours = true, .lane = lane};
  return opened < 0 ? CURL_SOCKET_BAD : opened;
}

int CurlLoop::Close(void* loop, curl_socket_t socket) {
  static_cast<CurlLoop*>(loop)->WatchOf(socket) = {};
  return ::close(socket);
}

void CurlLoop::Look(Lane lane) {
  for (std::size_t i = 0; i < watches_.size(); ++i) {  // which may grow
    int running = 0;
    if (watches_[i].lane != lane) continue;
    curl_multi_socket_action(multi_, static_cast<curl_socket_t>(i), CURL_CSELECT_IN, &running);
  }
}

void CurlLoop::End(Lane lane) const {
  for (std::size_t i = 0; i < watches_.size(); ++i) {
    if (watches_[i].lane == lane) ::shutdown(static_cast<int>(i), SHUT_RDWR);
  }
}

}  // namespace interlock::tools
