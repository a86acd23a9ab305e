// Which socket addresses may be reached. Judged at the moment the socket is made, for the very
// address that is then connected, so that a name that resolves differently the second time changes
// nothing.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace interlock::sandbox {

// A block of addresses, as people write it: `10.1.0.0/16`, `127.0.0.1`, `fd00:1::/64`. Value.
struct Network {
  int family = 0;  // AF_INET or AF_INET6
  std::array<std::uint8_t, 16> base{};
  int bits = 0;

  // Errors: kInvalidArgument: not an address or block, bits set behind the prefix, or a block so
  // wide (below /8, for IPv6 below /32) that naming it names the internet.
  static core::StatusOr<Network> Parse(std::string_view text);
};

// Without anything else only public unicast addresses pass. Link-local, multicast, reserved,
// documentation, carrier (CGNAT), translation (NAT64, 6to4, Teredo, mapped IPv4) and cloud metadata
// addresses pass only if a network names them.
struct AddressPolicy {
  bool allow_loopback = false;         // 127/8, ::1
  bool allow_private = false;          // RFC 1918, fc00::/7
  std::vector<std::uint16_t> ports;    // allowed ones; empty: any
  std::vector<Network> networks = {};  // allowed whatever they are, on the same ports
};

// Errors: kPermissionDenied naming the address and why.
core::Status CheckAddress(const sockaddr* address, socklen_t size, const AddressPolicy& policy);

}  // namespace interlock::sandbox
