// Ids of principals, planners, webhooks and roles: they stand in entries, keys of rows and names of
// files.
#pragma once

#include <algorithm>
#include <string_view>

namespace interlock::core {

inline constexpr std::size_t kPlainIdBytesMax = 64;

inline bool IsPlainId(std::string_view id) {
  return !id.empty() && id.size() <= kPlainIdBytesMax &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '@';
         });
}

}  // namespace interlock::core
