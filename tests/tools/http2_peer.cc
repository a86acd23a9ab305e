#include "http2_peer.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "core/check.h"
#include "harness/own_certificate.h"

extern char** environ;

namespace interlock::testing {
namespace {

std::string NodePath() {
  for (const char* const path : {"/usr/bin/node", "/usr/local/bin/node"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return "";
}

// Its own end does not reach the child.
std::array<int, 2> Pipe() {
  std::array<int, 2> ends{};
  INTERLOCK_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
  return ends;
}

}  // namespace

bool Http2Peer::Installed() { return !NodePath().empty(); }

Http2Peer::Http2Peer(Speaks speaks) {
  certificate_ = folder_.File("certificate.pem");
  std::string key = folder_.File("key.pem");
  test::WriteOwnCertificate(certificate_, key);
  const std::array<int, 2> in = Pipe();
  const std::array<int, 2> out = Pipe();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::string node = NodePath();
  std::string script = INTERLOCK_HTTP2_PEER;
  std::string how = speaks == Speaks::kHttp1 ? "http1" : "http2";
  char* argv[] = {node.data(), script.data(), certificate_.data(), key.data(), how.data(), nullptr};
  INTERLOCK_CHECK(::posix_spawn(&child_, node.c_str(), &actions, nullptr, argv, environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  to_ = ::fdopen(in[1], "w");
  from_ = ::fdopen(out[0], "r");
  port_ = ReadLine();
}

Http2Peer::~Http2Peer() {
  std::fclose(to_);
  ::waitpid(child_, nullptr, 0);
  std::fclose(from_);
}

std::string Http2Peer::Tell(const std::string& line) {
  INTERLOCK_CHECK(std::fputs((line + "\n").c_str(), to_) >= 0 && std::fflush(to_) == 0);
  return ReadLine();
}

std::string Http2Peer::url(const std::string& path) const {
  return "https://127.0.0.1:" + port_ + path;
}

std::string Http2Peer::ReadLine() {
  std::array<char, 256> line{};
  INTERLOCK_CHECK(std::fgets(line.data(), line.size(), from_) != nullptr);
  std::string text = line.data();
  text.pop_back();
  return text;
}

}  // namespace interlock::testing
