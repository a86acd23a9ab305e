// The object by which an entry names a payload and commits to it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "audit/log.h"

namespace interlock::audit {

// What sealing adds to a plaintext: nonce (24 bytes), salt (32) and tag (16).
inline constexpr std::size_t kSealBytes = 72;

// {"bytes":n,"commit":"<hex>","key":"<key id>","slot":k}; with `fields`, the text of an object of
// field commitments, between "commit" and "key". `slot` is the payload's place beside its entry.
std::string CommitmentText(const SealedPayload& payload, int slot, std::string_view fields = {});

// The id of the key that sealed the payload in a slot of an entry, as its commitment says; empty:
// the entry names none there.
std::string SealingKeyOf(std::string_view entry_bytes, int slot);

}  // namespace interlock::audit
