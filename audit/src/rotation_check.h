// Entries `signer.rotated`: one key hands over to the next, and both sign that.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::audit {

inline constexpr std::string_view kRotatedKind = "signer.rotated";

// The new verifier key when the entry's body is a rotation away from `old_key` that both keys
// signed; nullopt otherwise. The text they sign: "interlock signer rotation v1\nOLD\nNEW\n".
std::optional<std::string> RotatedKey(std::string_view body, std::string_view old_key);

}  // namespace interlock::audit
