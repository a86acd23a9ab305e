#include "sandbox/address_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string>

namespace interlock::sandbox {
namespace {

enum class Kind { kPublic, kLoopback, kPrivate, kNever };

struct Range4 {
  std::uint32_t base;
  int bits;
  Kind kind;
};

constexpr std::uint32_t V4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

// IANA IPv4 special-purpose registry (RFC 6890), and one cloud's metadata address in public space.
constexpr Range4 kRanges4[] = {
    {V4(0, 0, 0, 0), 8, Kind::kNever},        {V4(10, 0, 0, 0), 8, Kind::kPrivate},
    {V4(100, 64, 0, 0), 10, Kind::kNever},    {V4(127, 0, 0, 0), 8, Kind::kLoopback},
    {V4(168, 63, 129, 16), 32, Kind::kNever}, {V4(169, 254, 0, 0), 16, Kind::kNever},
    {V4(172, 16, 0, 0), 12, Kind::kPrivate},  {V4(192, 0, 0, 0), 24, Kind::kNever},
    {V4(192, 0, 2, 0), 24, Kind::kNever},     {V4(192, 88, 99, 0), 24, Kind::kNever},
    {V4(192, 168, 0, 0), 16, Kind::kPrivate}, {V4(198, 18, 0, 0), 15, Kind::kNever},
    {V4(198, 51, 100, 0), 24, Kind::kNever},  {V4(203, 0, 113, 0), 24, Kind::kNever},
    {V4(224, 0, 0, 0), 4, Kind::kNever},      {V4(240, 0, 0, 0), 4, Kind::kNever}};

Kind KindOf4(std::uint32_t address) {
  for (const Range4& range : kRanges4) {
    if ((address ^ range.base) >> (32 - range.bits) == 0) return range.kind;
  }
  return Kind::kPublic;
}

using Bytes16 = std::array<std::uint8_t, 16>;

bool HasPrefix(const Bytes16& address, const Bytes16& base, int bits) {
  const int whole = bits / 8;
  if (!std::equal(base.begin(), base.begin() + whole, address.begin())) return false;
  const int rest = bits % 8;
  return rest == 0 || (address[whole] ^ base[whole]) >> (8 - rest) == 0;
}

// Only global unicast (2000::/3, RFC 4291 §2.4) passes, less what the registry takes out of it.
// That leaves out mapped and compatible IPv4, NAT64, link-local, site-local and multicast without a
// list of them.
Kind KindOf6(const Bytes16& address) {
  constexpr Bytes16 kLoopback = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  if (address == kLoopback) return Kind::kLoopback;
  if (HasPrefix(address, {0xfc}, 7)) return Kind::kPrivate;
  if (!HasPrefix(address, {0x20}, 3)) return Kind::kNever;
  if (HasPrefix(address, {0x20, 0x01, 0x00}, 23)) return Kind::kNever;        // Teredo, ORCHID
  if (HasPrefix(address, {0x20, 0x01, 0x0d, 0xb8}, 32)) return Kind::kNever;  // documentation
  if (HasPrefix(address, {0x20, 0x02}, 16)) return Kind::kNever;              // 6to4
  if (HasPrefix(address, {0x3f, 0xff, 0x00}, 20)) return Kind::kNever;        // documentation
  return Kind::kPublic;
}

bool Names(const AddressPolicy& policy, int family, const Bytes16& address) {
  return std::any_of(policy.networks.begin(), policy.networks.end(), [&](const Network& network) {
    return network.family == family && HasPrefix(address, network.base, network.bits);
  });
}

core::Status Refuse(const std::string& address, std::string_view why) {
  return core::PermissionDenied("address `" + address + "` is refused: " + std::string(why));
}

}  // namespace

core::StatusOr<Network> Network::Parse(std::string_view text) {
  const core::Status bad = core::InvalidArgument(
      "`" + std::string(text.substr(0, 64)) +
      "` is not a network such as `10.1.0.0/16` (at least /8, for ipv6 /32) or one address");
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  Network network;
  network.family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const int most = network.family == AF_INET ? 32 : 128;
  const int least = network.family == AF_INET ? 8 : 32;
  if (inet_pton(network.family, address.c_str(), network.base.data()) != 1) return bad;
  network.bits = most;
  if (slash != std::string_view::npos) {
    const std::string_view bits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), network.bits);
    if (error != std::errc() || end != bits.data() + bits.size()) return bad;
  }
  if (network.bits < least || network.bits > most) return bad;
  for (int bit = network.bits; bit < most; ++bit) {
    if ((network.base[static_cast<std::size_t>(bit / 8)] >> (7 - bit % 8) & 1) != 0) return bad;
  }
  return network;
}

core::Status CheckAddress(const sockaddr* address, socklen_t size, const AddressPolicy& policy) {
  char text[INET6_ADDRSTRLEN] = "";
  Kind kind = Kind::kNever;
  Bytes16 bytes{};
  std::uint16_t port = 0;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    std::memcpy(bytes.data(), &v4.sin_addr, sizeof v4.sin_addr);
    kind = KindOf4(ntohl(v4.sin_addr.s_addr));
    port = ntohs(v4.sin_port);
  } else if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    kind = KindOf6(bytes);
    port = ntohs(v6.sin6_port);
  } else {
    return core::PermissionDenied("only IPv4 and IPv6 addresses are reached");
  }
  if (Names(policy, address->sa_family, bytes)) kind = Kind::kPublic;
  if (kind == Kind::kNever) return Refuse(text, "reserved");
  if (kind == Kind::kLoopback && !policy.allow_loopback) return Refuse(text, "loopback");
  if (kind == Kind::kPrivate && !policy.allow_private) return Refuse(text, "private");
  if (!policy.ports.empty() &&
      std::find(policy.ports.begin(), policy.ports.end(), port) == policy.ports.end()) {
    return Refuse(text, "port " + std::to_string(port) + " is not on the list");
  }
  return core::OkStatus();
}

}  // namespace interlock::sandbox
