// Entries `signer.rotated`: a key hands over to the next one, and both sign that.
#include <sodium.h>

#include "audit/checkpoint.h"
#include "note_key.h"

namespace interlock::audit {
namespace {

core::Status CheckSignature(std::string_view text, const std::string& key,
                            std::string_view signature) {
  INTERLOCK_ASSIGN_OR_RETURN(const NoteKey parsed, ParseVerifierKey(key));
  if (signature.size() == crypto_sign_BYTES &&
      crypto_sign_verify_detached(
          reinterpret_cast<const unsigned char*>(signature.data()),
          reinterpret_cast<const unsigned char*>(text.data()), text.size(),
          reinterpret_cast<const unsigned char*>(parsed.public_key.data())) == 0) {
    return core::OkStatus();
  }
  return core::PermissionDenied("the key rotation is not signed by `" + key + "`");
}

}  // namespace

std::string RotationText(std::string_view old_key, std::string_view new_key) {
  std::string text = "interlock signer rotation v1\n";
  text.append(old_key).append("\n").append(new_key).append("\n");
  return text;
}

core::Status CheckRotation(const KeyRotation& rotation) {
  if (rotation.old_key == rotation.new_key) {
    return core::InvalidArgument("a key rotation names one key twice");
  }
  const std::string text = RotationText(rotation.old_key, rotation.new_key);
  INTERLOCK_RETURN_IF_ERROR(CheckSignature(text, rotation.old_key, rotation.old_signature));
  return CheckSignature(text, rotation.new_key, rotation.new_signature);
}

}  // namespace interlock::audit
