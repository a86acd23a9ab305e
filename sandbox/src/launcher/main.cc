// interlock-launcher: the one process that makes boxes. Started by the daemon before its threads;
// speaks only over the socket that it inherits; ends, with every box, when the daemon does.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/open_files.h"
#include "message.h"
#include "probe.h"
#include "self_check.h"
#include "server.h"

namespace interlock::sandbox {
namespace {
struct Arguments {
  ProbeOptions probe;
  pid_t parent = 0;
};

bool Parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const int value = std::atoi(argv[i + 1]);
    ServerOptions& server = arguments.probe.server;
    if (name == "--socket") {
      server.socket = value;
    } else if (name == "--state") {
      server.state_file = value;
    } else if (name == "--boxes-max") {
      server.boxes_max = static_cast<unsigned>(value);
    } else if (name == "--pool") {
      server.pool_per_profile = static_cast<unsigned>(value);
    } else if (name == "--level-cap") {
      arguments.probe.level_cap = static_cast<Level>(value);
    } else if (name == "--allow-none") {
      arguments.probe.allow_none = value != 0;
    } else if (name == "--name-refused") {
      arguments.probe.name_refused = value != 0;
    } else if (name == "--landlock-abi-max") {
      arguments.probe.landlock_abi_max = value;
    } else if (name == "--parent") {
      arguments.parent = value;
    } else {
      return false;
    }
  }
  return arguments.probe.server.socket > 2 && arguments.probe.server.state_file > 2;
}

std::string OwnPath() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  return size <= 0 ? "" : std::string(path, static_cast<std::size_t>(size));
}

Hello MakeHello(const Probe& probe, const CgroupRoot& groups) {
  Hello hello;
  hello.capabilities = probe.capabilities;
  hello.cgroups = groups.folders();
  for (const Filter& filter : probe.filters) {
    hello.filter_bytes.emplace_back(reinterpret_cast<const char*>(filter.notify.data()),
                                    filter.notify.size() * sizeof(sock_filter));
  }
  return hello;
}

int Run(Arguments arguments) {
  // The daemon's end shows as end of file too; this one also when it hangs on to the socket.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  if (::getppid() != arguments.parent) return 1;
  ::signal(SIGPIPE, SIG_IGN);
  core::RaiseOpenFiles();
  arguments.probe.self = OwnPath();
  CgroupRoot groups;
  Probe probe;
  std::string problem;
  if (!ProbeMachine(arguments.probe, groups, probe, problem)) {
    std::fprintf(stderr, "interlock-launcher: %s\n", problem.c_str());
    return 1;
  }
  Server server(arguments.probe.server, probe.filters, probe.ground);
  ::malloc_trim(0);  // each box is a fork of this process, and takes down what it maps at its end
  if (!SendMessage(arguments.probe.server.socket, EncodeHello(MakeHello(probe, groups)), {}, 0))
    return 1;
  server.Run();
  return 0;
}
}  // namespace
}  // namespace interlock::sandbox

int main(int argc, char** argv) {
  using namespace interlock::sandbox;
  if (argc == 3 && std::strcmp(argv[1], "--self-check") == 0) {
    const int status = SelfCheck(std::strcmp(argv[2], "namespaces") == 0);
    std::fflush(stdout);
    ::_exit(status);  // no exit handlers: a sanitizer's would trace the process, which ends a box
  }
  Arguments arguments;
  if (!Parse(argc, argv, arguments)) {
    std::fprintf(stderr, "interlock-launcher is started by interlockd; see docs/sandbox.md\n");
    return 2;
  }
  return Run(std::move(arguments));
}
