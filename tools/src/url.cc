#include "tools/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/check.h"

namespace interlock::tools {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};
using Handle = std::unique_ptr<CURLU, FreeUrl>;

bool IsPrintableAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  const std::unique_ptr<char, FreeText> owned(text);
  return text;
}

core::Status Set(CURLU* url, const std::string& text) {
  if (text.size() > kUrlBytesMax || !IsPrintableAscii(text)) {
    return core::InvalidArgument("url must be at most 8192 bytes of ascii without spaces");
  }
  if (curl_url_set(url, CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) {
    return core::InvalidArgument("not a url that is taken (http or https, no user name)");
  }
  return core::OkStatus();
}

core::StatusOr<Url> Take(CURLU* url) {
  curl_url_set(url, CURLUPART_FRAGMENT, nullptr, 0);
  Url parsed;
  parsed.scheme = Part(url, CURLUPART_SCHEME);
  parsed.text = Part(url, CURLUPART_URL);
  parsed.host = Part(url, CURLUPART_HOST);
  if (parsed.scheme != "http" && parsed.scheme != "https") {
    return core::InvalidArgument("url scheme must be http or https");
  }
  // A backslash is a slash to browsers and part of the host to others: nobody means it.
  const bool odd = parsed.host.find_first_of("%\\") != std::string::npos;
  if (parsed.host.empty() || odd || !IsPrintableAscii(parsed.host) ||
      !Part(url, CURLUPART_ZONEID).empty()) {
    return core::InvalidArgument("url needs a plain ascii host");
  }
  for (char& c : parsed.host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const unsigned long port =
      std::strtoul(Part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT).c_str(), nullptr, 10);
  if (port == 0 || port > 65535) return core::InvalidArgument("url port must be 1 to 65535");
  parsed.port = static_cast<std::uint16_t>(port);
  return parsed;
}

Handle NewHandle() {
  Handle url(curl_url());
  INTERLOCK_CHECK(url != nullptr);
  return url;
}

}  // namespace

std::string Url::Origin() const { return scheme + "://" + host + ":" + std::to_string(port); }

core::StatusOr<Url> Url::Parse(const std::string& text) {
  const Handle url = NewHandle();
  INTERLOCK_RETURN_IF_ERROR(Set(url.get(), text));
  return Take(url.get());
}

core::StatusOr<Url> Url::Resolve(const std::string& location) const {
  const Handle url = NewHandle();
  INTERLOCK_RETURN_IF_ERROR(Set(url.get(), text));
  INTERLOCK_RETURN_IF_ERROR(Set(url.get(), location));  // relative to what is there
  return Take(url.get());
}

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace interlock::tools
