// A server on loopback that others wrote and that speaks HTTP/2: node's, where node is installed.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>

#include "harness/temp_folder.h"

namespace interlock::testing {

// One per thread.
class Http2Peer {
 public:
  static bool Installed();

  enum class Speaks { kHttp2, kHttp1 };
  // Ends the program when it cannot start. `Installed`.
  explicit Http2Peer(Speaks speaks);
  ~Http2Peer();
  Http2Peer(const Http2Peer&) = delete;
  Http2Peer& operator=(const Http2Peer&) = delete;

  // What it is told and answers: http2_peer.mjs.
  std::string Tell(const std::string& line);
  std::string url(const std::string& path) const;
  const std::string& certificate() const { return certificate_; }  // of its own; PEM

 private:
  std::string ReadLine();

  const test::TempFolder folder_;
  std::string certificate_;
  pid_t child_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  std::string port_;
};

}  // namespace interlock::testing
