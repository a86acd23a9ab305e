// Page tokens (AIP-158): opaque, URL-safe, bound to the method, tenant and all other parameters of
// the list. They carry a cursor, never authority: every page is authorised anew.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::runtime {

inline constexpr int kPageSizeDefault = 50;
inline constexpr int kPageSizeMax = 1000;
inline constexpr std::size_t kPageTokenBytesMax = 2048;

// 0 becomes the default, above the maximum the maximum. Errors: kInvalidArgument when negative.
core::StatusOr<int> PageSize(std::int32_t asked);

// Immutable; thread-safe.
class PageTokens {
 public:
  explicit PageTokens(std::string key) : key_(std::move(key)) {}

  // `scope`: the method and its other parameters, in one text. An empty cursor gives an empty
  // token.
  std::string Seal(std::string_view scope, std::string_view cursor) const;
  // An empty token gives an empty cursor. Errors: kInvalidArgument for a token that was changed, is
  // not ours, or belongs to another scope; reason PAGE_TOKEN.
  core::StatusOr<std::string> Open(std::string_view scope, std::string_view token) const;

 private:
  std::string Mac(std::string_view scope, std::string_view cursor) const;
  std::string key_;
};

}  // namespace interlock::runtime
