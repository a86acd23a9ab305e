// A tiny HTTP server on loopback for tests: it reads one request a connection and answers with
// bytes that the test gives, well-formed or not.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace interlock::testing {

// What to send for one request; `hold` keeps the connection open without another byte until Stop.
struct Scripted {
  std::string bytes;
  bool hold = false;
};

// `HTTP/1.1 <status> X`, the headers, a Content-Length and the body.
std::string HttpReply(int status, std::string_view body, std::string_view headers = "");

// Thread-safe.
class LoopbackServer {
 public:
  // `answer` gets the number of the request (from 0) and its bytes; called on the server's thread.
  using Answer = std::function<Scripted(int number, const std::string& request)>;
  explicit LoopbackServer(Answer answer);
  ~LoopbackServer();

  int port() const { return port_; }
  std::string url(std::string_view path = "") const;
  std::vector<std::string> requests() const;

 private:
  void Loop();
  void Serve(int connection);

  Answer answer_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::vector<int> held_;
  std::thread thread_;
};

}  // namespace interlock::testing
