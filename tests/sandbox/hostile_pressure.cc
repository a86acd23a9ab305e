#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "hostile.h"

namespace {

// Memory that no process maps: pages of a file in /tmp, which is memory too.
std::string EatTmp(const Args&) {
  const int fd = ::open(TemporaryFile("hog").c_str(), O_CREAT | O_WRONLY, 0600);
  static char block[1 << 16];
  std::memset(block, 'm', sizeof block);
  while (::write(fd, block, sizeof block) > 0) {
  }
  return Outcome(-1);
}

// Lets go of whoever would end it with its parent, and hides in a session of its own.
std::string Unleash(const Args&) {
  if (::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) != 0) return Outcome(-1);
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return Outcome(-1);
  if (::fork() == 0) {
    ::setsid();
    for (;;) ::pause();
  }
  return "ok";
}

// One byte at a time, for as long as it may.
std::string Drip(const Args&) {
  const timespec moment{0, 1'000'000};
  for (;;) {
    if (::write(1, "d", 1) != 1) return Outcome(-1);
    ::nanosleep(&moment, nullptr);
  }
}

// A descriptor travels within a pair, which is all there is to talk to.
std::string PassDescriptor(const Args&) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) return Outcome(-1);
  char byte = 'x';
  iovec part{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(c), &ends[0], sizeof(int));
  if (::sendmsg(ends[0], &header, 0) != 1) return Outcome(-1);
  return Outcome(::recvmsg(ends[1], &header, 0));
}

// Somebody outside with descriptors to give is not even reachable.
std::string AskOutsideForDescriptor(const Args& args) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return Outcome(-1);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  args[0].copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Outcome(-1);
  }
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  if (::recvmsg(fd, &header, 0) <= 0) return Outcome(-1);
  const cmsghdr* c = CMSG_FIRSTHDR(&header);
  if (c == nullptr) return "no descriptor";
  int given = -1;
  std::memcpy(&given, CMSG_DATA(c), sizeof given);
  return Outcome(::read(given, &byte, 1));
}

// Asks the broker for a place, says one line there and repeats what comes back.
std::string AskBroker(const Args& args) {
  const char* number = std::getenv("INTERLOCK_NET_FD");
  if (number == nullptr) return "no channel";
  const int channel = std::atoi(number);
  const std::string request = "CONNECT " + args[0];
  if (::send(channel, request.data(), request.size(), 0) < 0) return Outcome(-1);
  char text[512];
  iovec part{text, sizeof text};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  const ssize_t size = ::recvmsg(channel, &header, 0);
  if (size <= 0) return Outcome(-1);
  const cmsghdr* c = CMSG_FIRSTHDR(&header);
  if (c == nullptr) return std::string(text, static_cast<std::size_t>(size));
  int stream = -1;
  std::memcpy(&stream, CMSG_DATA(c), sizeof(int));
  if (::send(stream, "hello\n", 6, 0) != 6) return Outcome(-1);
  ::shutdown(stream, SHUT_WR);
  std::string reply;
  for (ssize_t n; (n = ::read(stream, text, sizeof text)) > 0;) {
    reply.append(text, static_cast<std::size_t>(n));
  }
  return reply;
}

// The stream that the broker gave is no way to anywhere else.
std::string TurnBrokerStream(const Args& args) {
  const std::string first = AskBroker(args);
  if (first.starts_with("ERR")) return first;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(80);
  std::string all;
  for (int fd = 3; fd < 16; ++fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode)) continue;
    ::shutdown(fd, SHUT_RDWR);
    const long sent = ::sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const long connected =
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    all += sent >= 0 || connected >= 0 ? "open " : "shut ";
  }
  return all;
}

// Many runnable tasks: how much CPU time they got in a second is the launcher's to measure.
std::string SpinMany(const Args& args) {
  const int count = std::atoi(args[0].c_str());
  for (int i = 1; i < count; ++i) {
    if (::fork() == 0) {
      for (;;) __asm__ volatile("");
    }
  }
  for (;;) __asm__ volatile("");
}

// Names that do not exist fill the kernel's cache of names.
std::string StatMany(const Args& args) {
  const long count = std::atol(args[0].c_str());
  struct stat info {};
  for (long i = 0; i < count; ++i) {
    const std::string path = TemporaryFile(("no-" + std::to_string(i)).c_str());
    if (::stat(path.c_str(), &info) == 0 || errno != ENOENT) return Outcome(-1);
  }
  return "ok";
}

// The only socket a program could find is one that it was handed by mistake.
std::string FloodSockets(const Args&) {
  static char block[4096];
  int found = 0;
  for (int fd = 0; fd < 4096; ++fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode)) continue;
    ++found;
    for (int i = 0; i < 1000; ++i) ::send(fd, block, sizeof block, MSG_DONTWAIT);
  }
  return std::to_string(found) + " sockets";
}

std::string Watchers(const Args& args) {
  for (int i = 0; i < std::atoi(args[0].c_str()); ++i) {
    if (::inotify_init1(0) < 0) return Outcome(-1);
    if (Sys(SYS_inotify_init) < 0) return Outcome(-1);
  }
  return "ok";
}

// Each timer holds a queued signal ready.
// With a second number: whether it is refused by then. Others of the same user count too, so the
// harmless twin, which has no such number, waits for what they hold.
std::string Timers(const Args& args) {
  const int wanted = std::atoi(args[0].c_str());
  const int most = args.size() > 1 ? std::atoi(args[1].c_str()) : -1;
  for (int made = 0, patience = 2000; made < wanted;) {
    timer_t timer{};
    if (::timer_create(CLOCK_MONOTONIC, nullptr, &timer) == 0) {
      ++made;
    } else if (most >= 0) {
      return Outcome(-1) + (made <= most ? " within " : " beyond ") + std::to_string(most);
    } else if (--patience == 0) {
      return Outcome(-1) + " after " + std::to_string(made);
    } else {
      const timespec pause{0, 1'000'000};
      ::nanosleep(&pause, nullptr);
    }
  }
  return "ok";
}

}  // namespace

Payloads PressurePayloads() {
  return {{"eat-tmp", EatTmp},
          {"unleash", Unleash},
          {"drip", Drip},
          {"pass-descriptor", PassDescriptor},
          {"ask-outside", AskOutsideForDescriptor},
          {"ask-broker", AskBroker},
          {"turn-broker-stream", TurnBrokerStream},
          {"spin-many", SpinMany},
          {"stat-many", StatMany},
          {"watchers", Watchers},
          {"timers", Timers},
          {"flood-sockets", FloodSockets}};
}
