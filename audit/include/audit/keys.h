// Sealing of personal content under per-subject keys (`keys.db`), salted commitments, and the
// tenant's HMAC.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

// One top-level member of a sealed JSON object: its name (printable ASCII, at most 128 bytes) and
// the canonical text of its value.
struct PayloadField {
  std::string_view name;
  std::string_view value;
};
inline constexpr std::size_t kPayloadFieldsMax = 256;

// Each field has a salt of its own, derived from the payload's, so that one can be shown without
// the others: field salt = HMAC-SHA-256(salt, "interlock/field" || 0x00 || name); field commitment
// = SHA-256(0x03 || field salt || name || 0x00 || value).
core::Digest FieldSalt(std::string_view salt, std::string_view name);
core::Digest FieldCommitment(std::string_view field_salt, const PayloadField& field);

struct OpenedPayload {
  std::string media;
  std::string plaintext;
  std::string salt;  // 32 bytes, to disclose with the plaintext
};

// Thread-safe. `keys.db`: journal_mode=DELETE, secure_delete, synchronous=EXTRA (its folder is
// synced after each commit); data keys are wrapped by a master key outside the file (`master.key`
// beside it by default, mode 0600, refused when wider).
class KeyStore {
 public:
  static core::StatusOr<std::unique_ptr<KeyStore>> Open(const std::string& folder,
                                                        core::Random* random);
  // For verification: makes and writes nothing. Errors: kNotFound without `keys.db` or
  // `master.key`.
  static core::StatusOr<std::unique_ptr<KeyStore>> OpenForReading(const std::string& folder,
                                                                  core::Random* random);
  virtual ~KeyStore() = default;

  // The key of a subject; made, and durable, before it returns (rule 20). `subject` is the
  // subject's plain name; only its HMAC is stored. A subject that was erased gets a new key; what
  // the old one sealed stays erased. Errors: kFailedPrecondition while the erasure is unfinished.
  virtual core::StatusOr<std::shared_ptr<const SubjectKey>> KeyFor(std::string_view subject) = 0;

  // Seals off the writer thread: XChaCha20-Poly1305, random nonce and salt; about 2 us for 1 KiB.
  virtual SealedPayload Seal(const SubjectKey& key, std::string_view media,
                             std::string_view plaintext) = 0;
  // The same, and the commitments of the object's fields, in their order.
  virtual SealedPayload SealFields(const SubjectKey& key, std::string_view media,
                                   std::string_view plaintext, std::span<const PayloadField> fields,
                                   std::vector<core::Digest>& commitments) = 0;
  // Errors: kNotFound when the key was destroyed (`erased`), kDataLoss when bytes or commitment do
  // not match.
  virtual core::StatusOr<OpenedPayload> Open(const SealedPayload& payload) = 0;

  // Hex HMAC-SHA-256 under the tenant's key, domain-separated by `purpose` ("lock", "effect",
  // "subject", "counter", "user", "request").
  virtual std::string Hmac(std::string_view purpose, std::string_view text) const = 0;

  // The id of the subject's newest key. Errors: kNotFound when there is none; kFailedPrecondition
  // when it was destroyed.
  virtual core::StatusOr<std::string> KeyIdOf(std::string_view subject) = 0;

  // --- erasure (rule 21; the whole of it is in audit/erase.h)
  // From here on KeyFor refuses the subject, until the process ends, Allow is called, or the
  // erasure of its key is finished.
  virtual void Refuse(std::string_view subject) = 0;
  virtual void Allow(std::string_view subject) = 0;
  // Destroys a key by id and notes, in the same commit, that its ciphertext is still to be erased.
  // Idempotent; a key that was destroyed before and finished is not noted again.
  virtual core::Status DestroyKey(std::string_view key_id) = 0;
  // Notes other work of erasure (a name that is no key id) that a restart must finish.
  virtual core::Status NoteErasure(std::string_view name) = 0;
  virtual core::StatusOr<std::vector<std::string>> UnfinishedErasures() = 0;
  virtual core::Status FinishErasure(std::string_view name) = 0;
  // Counts up whenever full text must be made anew; a search.db of an earlier generation may hold
  // erased words (search.h). Durable when NextTextGeneration returns.
  virtual core::StatusOr<std::int64_t> TextGeneration() = 0;
  virtual core::StatusOr<std::int64_t> NextTextGeneration() = 0;
};

}  // namespace interlock::audit
