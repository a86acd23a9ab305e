// A scripted model server for benchmarks: OpenAI-compatible chat completions on loopback, in a
// process of its own, so that its work is not counted as ours.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace interlock::bench {

// The model's name is the script: "mock-n10-d200" is ten replies a conversation, the last one a
// text and the others a call of the request's first tool with {"a":1,"b":2}, each held for 200 ms.
// Stateless: the step is the number of the assistant's messages in the request.
class ModelServer {
 public:
  // `certificate`: where the one that it makes for itself is written, to be trusted (PEM); empty:
  // it speaks plain HTTP. Forks: before any thread is started. Ends the program when it cannot.
  explicit ModelServer(const std::string& certificate = "");
  ~ModelServer();  // ends it
  ModelServer(const ModelServer&) = delete;
  ModelServer& operator=(const ModelServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string base_url() const {
    return (tls_ ? "https" : "http") + std::string("://127.0.0.1:") + std::to_string(port_) + "/v1";
  }

 private:
  const bool tls_;
  pid_t child_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace interlock::bench
