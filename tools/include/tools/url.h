// A URL, parsed once: everything else works on its parts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::tools {

inline constexpr std::size_t kUrlBytesMax = 8192;

// Value.
struct Url {
  std::string text;    // as libcurl writes it, without fragment
  std::string scheme;  // "http", "https"
  std::string host;    // lower case ASCII; IPv6 in brackets
  std::uint16_t port = 0;

  // "https://api.example.com:443": what redirects and credentials are held to.
  std::string Origin() const;

  // Errors: kInvalidArgument: not absolute, another scheme, a user name, a host that is not plain
  // ASCII, bytes that are not printable ASCII, longer than kUrlBytesMax.
  static core::StatusOr<Url> Parse(const std::string& text);
  // What a `Location` of a reply from here means. Errors: as Parse.
  core::StatusOr<Url> Resolve(const std::string& location) const;
};

// A path component or query value: all but unreserved characters as %XX (RFC 3986 §2.3).
std::string PercentEncode(std::string_view text);

}  // namespace interlock::tools
