#include "broker.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "message.h"

namespace interlock::sandbox {
namespace {

constexpr std::size_t kBufferBytes = 64 << 10;
constexpr std::size_t kRequestBytesMax = 512;

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

// One direction of a connection.
struct Flow {
  std::string waiting;
  bool read_ended = false;
  bool write_ended = false;

  bool WantsRead() const { return !read_ended && waiting.size() < kBufferBytes; }
  bool WantsWrite() const { return !write_ended && !waiting.empty(); }
  bool over() const { return write_ended || (read_ended && waiting.empty()); }

  void Move(int from, int to) {
    char part[16 << 10];
    while (WantsRead()) {
      const ssize_t size = ::recv(from, part, sizeof part, MSG_DONTWAIT);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) break;
      read_ended = size <= 0;
      if (size > 0) waiting.append(part, static_cast<std::size_t>(size));
    }
    while (WantsWrite()) {
      const ssize_t size = ::send(to, waiting.data(), waiting.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) break;
      write_ended = size < 0;
      if (size > 0) waiting.erase(0, static_cast<std::size_t>(size));
    }
    if (read_ended && waiting.empty() && !write_ended) {
      ::shutdown(to, SHUT_WR);
      write_ended = true;
    }
  }
};

// poll(2) tells of a hang-up whether asked or not: a side of which nothing is wanted is left out,
// or it would wake us without end.
void AddEvent(std::vector<pollfd>& events, int fd, const Flow& reads, const Flow& writes) {
  const int wanted = (reads.WantsRead() ? POLLIN : 0) | (writes.WantsWrite() ? POLLOUT : 0);
  events.push_back({wanted == 0 ? -1 : fd, static_cast<short>(wanted), 0});
}

// A connected socket, or why not. The address that is judged is the one that is connected.
Fd ConnectTo(const addrinfo& address, const AddressPolicy& policy, std::string& why) {
  const core::Status judged = CheckAddress(address.ai_addr, address.ai_addrlen, policy);
  if (!judged.ok()) {
    why = std::string(core::Message(judged));
    return Fd();
  }
  Fd socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) {
    why = std::strerror(errno);
    return Fd();
  }
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return socket;
  pollfd ready{socket.get(), POLLOUT, 0};
  int error = errno;
  if (error == EINPROGRESS) {
    socklen_t size = sizeof error;
    const int seen = ::poll(&ready, 1, Broker::kConnectTimeoutMs);
    if (seen == 0) {
      error = ETIMEDOUT;
    } else if (seen < 0 || ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  if (error == 0) return socket;
  why = std::strerror(error);
  return Fd();
}

Fd Connect(const Destination& destination, const AddressPolicy& policy, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(destination.host.c_str(),
                                  std::to_string(destination.port).c_str(), &hints, &list);
  if (error != 0) {
    why = ::gai_strerror(error);
    return Fd();
  }
  const std::unique_ptr<addrinfo, FreeAddresses> owned(list);
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    if (Fd socket = ConnectTo(*at, policy, why); socket.valid()) return socket;
  }
  return Fd();
}
}  // namespace

struct Broker::Relay {
  Fd outside;
  Fd inside;
  Flow out;  // from the box
  Flow in;
};

Broker::Broker(Fd channel, std::vector<Destination> destinations, AddressPolicy policy)
    : channel_(std::move(channel)),
      destinations_(std::move(destinations)),
      policy_(std::move(policy)),
      stop_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {}

Broker::~Broker() {
  const std::uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void Broker::Run() {
  for (bool open = true; open;) {
    std::vector<pollfd> events = {{stop_.get(), POLLIN, 0}, {channel_.get(), POLLIN, 0}};
    for (const Relay& relay : relays_) {
      AddEvent(events, relay.inside.get(), relay.out, relay.in);
      AddEvent(events, relay.outside.get(), relay.in, relay.out);
    }
    if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR) break;
    if (events[0].revents != 0) break;
    for (Relay& relay : relays_) Pump(relay);
    std::erase_if(relays_, [](const Relay& relay) { return relay.out.over() && relay.in.over(); });
    if (events[1].revents != 0) open = TakeRequest();
  }
  relays_.clear();
  ended_ = true;
}

void Broker::Pump(Relay& relay) const {
  relay.out.Move(relay.inside.get(), relay.outside.get());
  relay.in.Move(relay.outside.get(), relay.inside.get());
}

bool Broker::TakeRequest() {
  // Room for text only: descriptors that a box sends along are closed by the kernel.
  char text[kRequestBytesMax];
  const ssize_t size = ::recv(channel_.get(), text, sizeof text, MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) return false;
  Fd for_box;
  const std::string answer = Answer(std::string(text, static_cast<std::size_t>(size)), for_box);
  const int fd = for_box.get();
  // A box that does not read its answers does not get them.
  SendMessage(channel_.get(), answer, for_box.valid() ? std::span(&fd, 1) : std::span<const int>(),
              MSG_DONTWAIT);
  return true;
}

std::string Broker::Answer(const std::string& request, Fd& for_box) {
  for (const Destination& destination : destinations_) {
    if (request != "CONNECT " + destination.host + ":" + std::to_string(destination.port)) continue;
    if (relays_.size() >= kConnectionsMax) return "ERR too many connections";
    std::string why = "no address";
    Relay relay;
    relay.outside = Connect(destination, policy_, why);
    if (!relay.outside.valid()) return "ERR " + why;
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return "ERR no memory";
    relay.inside.reset(ends[0]);
    for_box.reset(ends[1]);
    relays_.push_back(std::move(relay));
    return "OK";
  }
  return "ERR this destination is not among the call's";
}

}  // namespace interlock::sandbox
