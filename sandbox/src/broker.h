// The network of one box: connections to the places that its call may reach, made outside and
// carried over pairs of unix streams. The box never holds a socket of the host's network: one that
// was closed could be opened anew to anywhere by sendto(2) with MSG_FASTOPEN.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "fd.h"
#include "sandbox/address_guard.h"
#include "sandbox/launcher.h"

namespace interlock::sandbox {

// One thread, which ends when the box's end of the channel closes, or on destruction (which waits
// for a name that is being resolved). Not thread-safe but for `ended`.
class Broker {
 public:
  static constexpr std::size_t kConnectionsMax = 16;  // open at once
  static constexpr int kConnectTimeoutMs = 10'000;

  // `channel` is our end of a SEQPACKET pair.
  Broker(Fd channel, std::vector<Destination> destinations, AddressPolicy policy);
  ~Broker();
  bool ended() const { return ended_; }

 private:
  struct Relay;

  void Run();
  // False when the box's end is gone.
  bool TakeRequest();
  std::string Answer(const std::string& request, Fd& for_box);
  void Pump(Relay& relay) const;

  const Fd channel_;
  const std::vector<Destination> destinations_;
  const AddressPolicy policy_;
  Fd stop_;
  std::vector<Relay> relays_;
  std::atomic<bool> ended_{false};
  std::thread thread_;  // last: started when all else is there
};

}  // namespace interlock::sandbox
