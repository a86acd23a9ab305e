// libcurl's multi interface on an epoll of its own: a transfer costs when its socket is ready, not
// while it waits beside others.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "lanes.h"

namespace interlock::tools {

// One thread, but for Wake.
class CurlLoop {
 public:
  // Errors: kInternal when libcurl or the kernel has none left.
  static core::StatusOr<std::unique_ptr<CurlLoop>> Make();
  ~CurlLoop();  // every handle was removed before
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;

  CURLM* multi() const { return multi_; }

  // Lets libcurl do what its own timers ask for: new handles begin here.
  void RunDue();
  // Waits for sockets, timers and Wake, at most so long, and lets libcurl do what is ready.
  void Wait(int most_ms);
  // From any thread: the Wait that runs, or else the next one, returns.
  void Wake() const;

  // For CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION: of such sockets it is known
  // when their number means another one.
  curl_socket_t Open(int family, int type, int protocol, Lane lane);
  static int Close(void* loop, curl_socket_t socket);

  // A part of a request's body was written.
  void Wrote() { wrote_ = true; }

  // Of the sockets of a lane that is not 0: lets libcurl look for input, as if there were some, and
  // ends them for both sides. Not from within libcurl.
  void Look(Lane lane);
  void End(Lane lane) const;

 private:
  struct Watch {
    std::uint32_t wanted = 0;  // by libcurl, as for epoll
    std::uint32_t armed = 0;   // with the kernel
    bool ours = false;
    Lane lane = 0;
    std::int64_t held_until_us = 0;  // monotonic; till then nobody waits to write to it
  };

  CurlLoop() = default;
  core::Status Init();
  static int OnSocket(CURL*, curl_socket_t socket, int what, void* loop, void*);
  static int OnTimer(CURLM*, long timeout_ms, void* loop);
  Watch& WatchOf(curl_socket_t socket);
  void Arm(curl_socket_t socket, Watch& watch) const;
  void Act(curl_socket_t socket, std::uint32_t events);
  void Hold(curl_socket_t socket, std::uint32_t events);
  void LetGo();
  int WaitMs(int most_ms) const;

  const core::SystemClock clock_{};
  CURLM* multi_ = nullptr;
  int epoll_ = -1;
  int wake_ = -1;
  std::int64_t due_us_ = -1;    // monotonic, of libcurl's next timer; -1: there is none
  std::vector<Watch> watches_;  // by socket
  std::vector<curl_socket_t> held_;
  bool wrote_ = false;
};

}  // namespace interlock::tools
