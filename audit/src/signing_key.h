// Ed25519 signing keys in files, and signatures over texts.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"
#include "note_key.h"

namespace interlock::audit {

// A key pair; the secret half is wiped at the end. Moves only.
class SigningKey {
 public:
  SigningKey(NoteKey key, std::string secret_key)
      : key_(std::move(key)), secret_key_(std::move(secret_key)) {}
  SigningKey(SigningKey&& other) noexcept = default;
  SigningKey& operator=(SigningKey&& other) noexcept;
  ~SigningKey();

  const NoteKey& key() const { return key_; }
  std::string verifier_key() const { return VerifierKeyText(key_); }
  std::string Note(std::string_view text) const { return SignNote(text, key_, secret_key_); }
  std::string Sign(std::string_view text) const;  // 64 bytes

  // The key of `path` ("PRIVATE+KEY+name+id+base64(0x01 || seed)\n", as Go's note package writes
  // it). Errors: kNotFound; kPermissionDenied when others have rights on it; kInvalidArgument when
  // it is no key of `name`.
  static core::StatusOr<SigningKey> Read(const std::string& path, std::string_view name);
  // The same; a new one, mode 0600, when there is none.
  static core::StatusOr<SigningKey> ReadOrMake(const std::string& path, std::string_view name);

 private:
  NoteKey key_;
  std::string secret_key_;
};

}  // namespace interlock::audit
