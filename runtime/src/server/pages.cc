#include "server/pages.h"

#include <algorithm>

#include "core/digest.h"
#include "runtime/engine.h"
#include "server/errors.h"

namespace interlock::runtime {
namespace {

constexpr std::size_t kMacBytes = 16;

std::string UrlSafe(std::string text) {  // RFC 4648 §5, without padding
  text.erase(text.find_last_not_of('=') + 1);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

core::StatusOr<std::string> FromUrlSafe(std::string_view token) {
  if (token.find_first_of("+/=") != std::string_view::npos) {
    return core::InvalidArgument("not base64url");
  }
  std::string text(token);
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return core::BytesFromBase64(text);
}

}  // namespace

core::StatusOr<int> PageSize(std::int32_t asked) {
  if (asked < 0) return BadField("page_size", "must not be negative");
  return asked == 0 ? kPageSizeDefault : std::min(asked, kPageSizeMax);
}

std::string PageTokens::Mac(std::string_view scope, std::string_view cursor) const {
  const core::Digest of_scope =
      core::Sha256(scope);  // fixed length: scope and cursor cannot run together
  std::string message(core::AsBytes(of_scope));
  message += cursor;
  const core::Digest mac = core::HmacSha256(key_, message);
  return std::string(core::AsBytes(mac).substr(0, kMacBytes));
}

std::string PageTokens::Seal(std::string_view scope, std::string_view cursor) const {
  if (cursor.empty()) return "";
  return UrlSafe(core::Base64(Mac(scope, cursor) + std::string(cursor)));
}

core::StatusOr<std::string> PageTokens::Open(std::string_view scope, std::string_view token) const {
  if (token.empty()) return std::string();
  if (token.size() <= kPageTokenBytesMax) {
    const core::StatusOr<std::string> bytes = FromUrlSafe(token);
    if (bytes.ok() && bytes->size() > kMacBytes) {
      const std::string_view all = *bytes;
      const std::string_view cursor = all.substr(kMacBytes);
      if (core::ConstantTimeEqual(all.substr(0, kMacBytes), Mac(scope, cursor))) {
        return std::string(cursor);
      }
    }
  }
  return WithReason(
      BadField("page_token",
               "is not one of this list; send it unchanged, with the same parameters"),
      "PAGE_TOKEN");
}

}  // namespace interlock::runtime
