// Entries `signer.rotated`: one key hands over to the next, and both sign that.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "core/status.h"

struct sqlite3;

namespace interlock::audit {

inline constexpr std::string_view kRotatedKind = "signer.rotated";

// The new verifier key when the entry's body is a rotation away from `old_key` that both keys
// signed; nullopt otherwise. The text they sign: "interlock signer rotation v1\nOLD\nNEW\n".
std::optional<std::string> RotatedKey(std::string_view body, std::string_view old_key);

// The keys that were in force before `key`, newest first, by these bodies of rotations (oldest
// first).
std::vector<std::string> KeysBefore(const std::vector<std::string>& bodies, std::string key);

// Has the signer take the key that entry `rotated_at` of `db` hands over to, and sign `head`, which
// holds that entry, with it. Errors: those of Signer::FinishRotation and of reading.
core::StatusOr<Checkpoint> SignWithNextKey(Signer& signer, const SignRequest& head, sqlite3* db,
                                           std::uint64_t rotated_at);

}  // namespace interlock::audit
