#include "sandbox/address_guard.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/un.h>

namespace interlock::sandbox {
namespace {

core::Status Judge(const char* text, const AddressPolicy& policy, std::uint16_t port = 443) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    return CheckAddress(reinterpret_cast<sockaddr*>(&v4), sizeof v4, policy);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
  return CheckAddress(reinterpret_cast<sockaddr*>(&v6), sizeof v6, policy);
}

constexpr const char* kPublic[] = {
    "1.1.1.1",         "9.255.255.255",  "11.0.0.0",       "100.63.255.255",  "100.128.0.0",
    "126.255.255.255", "128.0.0.0",      "172.15.255.255", "172.32.0.0",      "192.167.255.255",
    "192.169.0.0",     "198.17.255.255", "198.20.0.0",     "223.255.255.255", "168.63.129.15",
    "2606:4700::1",    "2001:200::1",    "2003::1",        "3ffe::1"};
constexpr const char* kLoopback[] = {"127.0.0.1", "127.255.255.254", "::1"};
constexpr const char* kPrivate[] = {"10.0.0.1",    "172.16.0.1", "172.31.255.255",
                                    "192.168.1.1", "fc00::1",    "fdff::1"};
constexpr const char* kNever[] = {"0.0.0.0",
                                  "0.1.2.3",
                                  "100.64.0.1",
                                  "169.254.169.254",
                                  "168.63.129.16",
                                  "192.0.0.1",
                                  "192.0.2.1",
                                  "192.88.99.1",
                                  "198.18.0.1",
                                  "198.19.255.255",
                                  "198.51.100.1",
                                  "203.0.113.1",
                                  "224.0.0.1",
                                  "240.0.0.1",
                                  "255.255.255.255",
                                  "::",
                                  "::2",
                                  "::ffff:1.1.1.1",
                                  "::ffff:127.0.0.1",
                                  "::127.0.0.1",
                                  "64:ff9b::7f00:1",
                                  "64:ff9b:1::1",
                                  "100::1",
                                  "2001::1",
                                  "2001:db8::1",
                                  "2002:7f00:1::1",
                                  "fe80::1",
                                  "fec0::1",
                                  "ff02::1",
                                  "3fff::1",
                                  "4000::1"};

TEST(AddressGuard, PassesPublicAddressesOnly) {
  for (const char* address : kPublic) EXPECT_TRUE(Judge(address, {}).ok()) << address;
  for (const char* address : kLoopback) EXPECT_FALSE(Judge(address, {}).ok()) << address;
  for (const char* address : kPrivate) EXPECT_FALSE(Judge(address, {}).ok()) << address;
}

TEST(AddressGuard, EachFlagOpensItsOwnRangeOnly) {
  const AddressPolicy loopback{.allow_loopback = true, .allow_private = false, .ports = {}};
  const AddressPolicy local{.allow_loopback = false, .allow_private = true, .ports = {}};
  for (const char* address : kLoopback) {
    EXPECT_TRUE(Judge(address, loopback).ok()) << address;
    EXPECT_FALSE(Judge(address, local).ok()) << address;
  }
  for (const char* address : kPrivate) {
    EXPECT_TRUE(Judge(address, local).ok()) << address;
    EXPECT_FALSE(Judge(address, loopback).ok()) << address;
  }
}

TEST(AddressGuard, NeverPassesReservedAddresses) {
  const AddressPolicy all{.allow_loopback = true, .allow_private = true, .ports = {}};
  for (const char* address : kNever) {
    EXPECT_EQ(Judge(address, all).code(), core::StatusCode::kPermissionDenied) << address;
  }
}

TEST(AddressGuard, OpensExactlyTheNetworksThatAreNamed) {
  AddressPolicy policy;
  for (const char* text : {"10.1.0.0/16", "127.0.0.1", "100.64.0.0/10", "fd00:1::/64", "::1"}) {
    const auto network = Network::Parse(text);
    ASSERT_TRUE(network.ok()) << network.status();
    policy.networks.push_back(*network);
  }
  for (const char* inside :
       {"10.1.2.3", "10.1.255.255", "127.0.0.1", "100.100.100.200", "fd00:1::7", "::1"}) {
    EXPECT_TRUE(Judge(inside, policy).ok()) << inside;
  }
  for (const char* outside : {"10.2.0.1", "10.0.255.255", "127.0.0.2", "fd00:2::7", "fd00:1:0:1::7",
                              "169.254.169.254", "::2", "::ffff:127.0.0.1", "192.168.0.1"}) {
    EXPECT_FALSE(Judge(outside, policy).ok()) << outside;
  }
}

TEST(AddressGuard, RefusesNetworksThatNameTooMuch) {
  for (const char* text : {"0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3", "10.1.0.0/8", "10.1.2",
                           "localhost", "", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "fd00::/129",
                           "10.0.0.0/8 ", "0177.0.0.1", "fe80::1%eth0"}) {
    EXPECT_EQ(Network::Parse(text).status().code(), core::StatusCode::kInvalidArgument) << text;
  }
}

TEST(AddressGuard, KeepsToItsPorts) {
  const AddressPolicy policy{.allow_loopback = false, .allow_private = false, .ports = {443, 8443}};
  EXPECT_TRUE(Judge("1.1.1.1", policy, 8443).ok());
  EXPECT_EQ(core::Message(Judge("1.1.1.1", policy, 80)),
            "address `1.1.1.1` is refused: port 80 is not on the list");
}

TEST(AddressGuard, RefusesOtherFamiliesAndShortAddresses) {
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  EXPECT_FALSE(CheckAddress(reinterpret_cast<sockaddr*>(&local), sizeof local, {}).ok());
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  EXPECT_FALSE(CheckAddress(reinterpret_cast<sockaddr*>(&v4), 4, {}).ok());
}

}  // namespace
}  // namespace interlock::sandbox
