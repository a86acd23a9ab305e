#include "http_check.h"

#include <set>
#include <string>

#include "core/template.h"
#include "sandbox/address_guard.h"
#include "text.h"
#include "tools/url.h"

namespace interlock::tools {
namespace {

using core::InvalidArgument;
using core::Status;

constexpr std::size_t kHttpHeadersMax = 32;
constexpr std::size_t kRedirectTargetsMax = 16;
constexpr std::size_t kNetworksMax = 16;

// Scheme, host and port, nothing behind them.
Status CheckOrigin(const std::string& text) {
  const auto url = Url::Parse(text);
  if (!url.ok()) {
    return InvalidArgument("redirect `" + OneLine(text, 120) +
                           "`: " + std::string(core::Message(url.status())));
  }
  if (text.find('/', text.find("://") + 3) != std::string::npos ||
      text.find_first_of("?#") != std::string::npos) {
    return InvalidArgument("redirect `" + OneLine(text, 120) +
                           "` must be scheme, host and port, without a path");
  }
  return core::OkStatus();
}

Status CheckUrl(const std::string& text) {
  const std::size_t host = text.find("://");
  const std::size_t path = host == std::string::npos ? host : text.find_first_of("/?#", host + 3);
  if (text.substr(0, path).find_first_of("{}") != std::string::npos) {
    return InvalidArgument("`url` may hold placeholders behind the host only");
  }
  auto parsed = core::Template::Parse(text, {"args", "session", "call"});
  if (!parsed.ok()) {
    return InvalidArgument("`url`: " + std::string(core::Message(parsed.status())));
  }
  const auto url = Url::Parse(text.substr(0, path));
  if (!url.ok()) return InvalidArgument("`url`: " + std::string(core::Message(url.status())));
  return core::OkStatus();
}

Status CheckHeaders(const HttpSpec& http) {
  std::set<std::string> names;
  for (const auto* list : {&http.headers, &http.header_files}) {
    for (const auto& [name, value] : *list) {
      std::string lower = name;
      for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      for (const char* ours :
           {"host", "content-length", "transfer-encoding", "connection", "accept-encoding",
            "idempotency-key", "expect", "upgrade", "mcp-session-id", "mcp-protocol-version"}) {
        if (lower == ours) return InvalidArgument("header `" + name + "` is set by us");
      }
      if (!names.insert(lower).second) {
        return InvalidArgument("header `" + OneLine(name, 80) + "` is given twice");
      }
    }
  }
  if (names.size() > kHttpHeadersMax) return InvalidArgument("too many `headers`");
  for (const auto& [name, path] : http.header_files) {
    if (path.empty() || path[0] != '/') {
      return InvalidArgument("header file `" + OneLine(path, 120) + "` must be an absolute path");
    }
  }
  return core::OkStatus();
}

}  // namespace

Status CheckHttp(const HttpSpec& http) {
  INTERLOCK_RETURN_IF_ERROR(CheckUrl(http.url));
  INTERLOCK_RETURN_IF_ERROR(CheckHeaders(http));
  if (http.redirects.size() > kRedirectTargetsMax) return InvalidArgument("too many `redirects`");
  for (const std::string& origin : http.redirects) {
    INTERLOCK_RETURN_IF_ERROR(CheckOrigin(origin));
  }
  if (http.networks.size() > kNetworksMax) return InvalidArgument("too many `networks`");
  for (const std::string& network : http.networks) {
    INTERLOCK_RETURN_IF_ERROR(sandbox::Network::Parse(network).status());
  }
  return core::OkStatus();
}

std::vector<std::string> HttpTargets(const HttpSpec& http) {
  std::vector<std::string> origins;
  const std::size_t path = http.url.find_first_of("/?#", http.url.find("://") + 3);
  if (const auto url = Url::Parse(http.url.substr(0, path)); url.ok()) {
    origins.push_back(url->Origin());
  }
  for (const std::string& text : http.redirects) {
    if (const auto url = Url::Parse(text); url.ok()) origins.push_back(url->Origin());
  }
  return origins;
}

}  // namespace interlock::tools
