// Keys of C2SP signed notes (Ed25519, signature type 0x01).
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::audit {

struct NoteKey {
  std::string name;
  std::string id;          // SHA-256(name || 0x0A || 0x01 || public key)[:4]
  std::string public_key;  // 32 bytes
};

// Printable ASCII without space and plus, 1 to 255 bytes.
bool IsKeyName(std::string_view name);
NoteKey MakeNoteKey(std::string_view name, std::string_view public_key);
// "name+<8 hex>+base64(0x01 || public key)". Errors: kInvalidArgument, also when the id is not the
// key's.
core::StatusOr<NoteKey> ParseVerifierKey(std::string_view text);
std::string VerifierKeyText(const NoteKey& key);

// The note: `text`, a blank line, one signature line. `secret_key` is libsodium's 64 bytes.
std::string SignNote(std::string_view text, const NoteKey& key, std::string_view secret_key);

}  // namespace interlock::audit
