// Sealing of personal content under per-subject keys (`keys.db`), salted commitments, and the
// tenant's HMAC.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "audit/log.h"
#include "core/digest.h"
#include "core/random.h"
#include "core/status.h"

namespace interlock::audit {

// A subject's data key, in memory (wiped on destruction). Immutable; thread-safe.
class SubjectKey {
 public:
  virtual ~SubjectKey() = default;
  virtual const std::string& key_id() const = 0;
};

// commitment = SHA-256(0x02 || salt(32) || media || 0x00 || plaintext)
core::Digest Commitment(std::string_view salt, std::string_view media, std::string_view plaintext);

struct OpenedPayload {
  std::string media;
  std::string plaintext;
  std::string salt;  // 32 bytes, to disclose with the plaintext
};

// Thread-safe. `keys.db`: journal_mode=DELETE, secure_delete, synchronous=FULL; data keys are
// wrapped by a master key outside the file (`master.key` beside it by default, mode 0600, refused
// when wider).
class KeyStore {
 public:
  static core::StatusOr<std::unique_ptr<KeyStore>> Open(const std::string& folder,
                                                        core::Random* random);
  virtual ~KeyStore() = default;

  // The key of a subject; made, and durable, before it returns (rule 20). `subject` is the
  // subject's plain name; only its HMAC is stored. Errors: kFailedPrecondition when the subject was
  // erased.
  virtual core::StatusOr<std::shared_ptr<const SubjectKey>> KeyFor(std::string_view subject) = 0;

  // Seals off the writer thread: XChaCha20-Poly1305, random nonce and salt; about 2 us for 1 KiB.
  virtual SealedPayload Seal(const SubjectKey& key, std::string_view media,
                             std::string_view plaintext) = 0;
  // Errors: kNotFound when the key was destroyed (`erased`), kDataLoss when bytes or commitment do
  // not match.
  virtual core::StatusOr<OpenedPayload> Open(const SealedPayload& payload) = 0;

  // Hex HMAC-SHA-256 under the tenant's key, domain-separated by `purpose` ("lock", "effect",
  // "subject", "counter", "user", "request").
  virtual std::string Hmac(std::string_view purpose, std::string_view text) const = 0;

  // Destroys the subject's key. Idempotent. (Erasure as a whole: rule 21.)
  virtual core::Status Destroy(std::string_view subject) = 0;
};

}  // namespace interlock::audit
