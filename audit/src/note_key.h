// Keys of C2SP signed notes (Ed25519): of logs, and of witnesses.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace interlock::audit {

enum class SignatureType : unsigned char {
  kNote = 0x01,         // a log's own
  kCosignature = 0x04,  // a witness's, with a time (c2sp.org/tlog-cosignature)
};

struct NoteKey {
  std::string name;
  std::string id;          // SHA-256(name || 0x0A || type || public key)[:4]
  std::string public_key;  // 32 bytes
};

// Printable ASCII without space and plus, 1 to 255 bytes.
bool IsKeyName(std::string_view name);
NoteKey MakeNoteKey(std::string_view name, std::string_view public_key);
// "name+<8 hex>+base64(0x01 || public key)". Errors: kInvalidArgument, also when the id is not the
// key's.
core::StatusOr<NoteKey> ParseVerifierKey(std::string_view text);
std::string VerifierKeyText(const NoteKey& key);

// The same for a signature type; those above are of type kNote.
NoteKey MakeNoteKey(std::string_view name, std::string_view public_key, SignatureType type);
core::StatusOr<NoteKey> ParseVerifierKey(std::string_view text, SignatureType type);
std::string VerifierKeyText(const NoteKey& key, SignatureType type);

bool SignatureHolds(std::string_view signature, std::string_view message, const NoteKey& key);

// The note: `text`, a blank line, one signature line. `secret_key` is libsodium's 64 bytes.
std::string SignNote(std::string_view text, const NoteKey& key, std::string_view secret_key);

}  // namespace interlock::audit
