// Which socket addresses an HTTP request may reach. Judged at the moment the socket is made, for
// the very address that is then connected, so that a name that resolves differently the second time
// changes nothing.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <vector>

#include "core/status.h"

namespace interlock::tools {

// Without any flag only public unicast addresses pass. Link-local, multicast, reserved,
// documentation, translation (NAT64, 6to4, Teredo, mapped IPv4) and cloud metadata addresses never
// do.
struct AddressPolicy {
  bool allow_loopback = false;       // 127/8, ::1
  bool allow_private = false;        // RFC 1918, fc00::/7
  std::vector<std::uint16_t> ports;  // allowed ones; empty: any
};

// Errors: kPermissionDenied naming the address and why.
core::Status CheckAddress(const sockaddr* address, socklen_t size, const AddressPolicy& policy);

}  // namespace interlock::tools
