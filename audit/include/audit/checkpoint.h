// C2SP tlog-checkpoint and signed-note text (Ed25519, type 0x01), and who signs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/status.h"

namespace interlock::audit {

struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  core::Digest root{};
  std::string note;  // the whole signed note, verbatim
};

// "origin\nsize\nbase64(root)\n", the signed text.
std::string CheckpointText(std::string_view origin, std::uint64_t size, const core::Digest& root);

// Parses and verifies a note against one verifier key ("name+keyid+base64(0x01||pubkey)").
// Errors: kInvalidArgument for malformed text or key; kPermissionDenied when no signature of this
// key holds.
core::StatusOr<Checkpoint> OpenCheckpoint(std::string_view note, std::string_view verifier_key);

// RFC 6962 §2.1.2 proof between two sizes of the log that asks for a signature.
using ConsistencyProver = std::function<core::StatusOr<std::vector<core::Digest>>(
    std::uint64_t old_size, std::uint64_t size)>;

struct SignRequest {
  std::string_view origin;
  std::uint64_t size = 0;
  core::Digest root{};
  ConsistencyProver prove;  // asked when the signer signed a smaller head before
};

// What an entry `signer.rotated` says: both keys sign RotationText (docs/audit_format.md).
struct KeyRotation {
  std::string old_key;  // verifier keys
  std::string new_key;
  std::string old_signature;  // Ed25519, 64 bytes
  std::string new_signature;
};
// "interlock signer rotation v1\nold key\nnew key\n", the text that both keys sign.
std::string RotationText(std::string_view old_key, std::string_view new_key);
// Errors: kInvalidArgument for keys that are none, kPermissionDenied unless both signatures hold.
core::Status CheckRotation(const KeyRotation& rotation);

// What a signer must see before it takes the next key in use or begins the next log.
struct RotationProof {
  std::string_view entry;  // bytes of `signer.rotated`, or of `log.closed`, the head's last entry
  std::uint64_t index = 0;
  std::vector<core::Digest> inclusion;  // RFC 6962 audit path of the entry in the tree of `head`
  SignRequest head;                     // signed with the next key
};

// Thread-safe.
class Signer {
 public:
  virtual ~Signer() = default;
  // Signs a head. Persists its own last (size, root) first, and refuses (kFailedPrecondition) a
  // smaller size, another root for the same size, and a larger tree that is not proven to continue
  // the last one (rule 23); kInvalidArgument for size 0 with a root that is not the empty tree's.
  // kUnavailable: the signer is away; ask again later.
  virtual core::StatusOr<Checkpoint> Sign(const SignRequest& request) = 0;
  // Size and root of the last head that it signed for this origin; nullopt when there is none. The
  // note stays empty.
  virtual core::StatusOr<std::optional<Checkpoint>> LastHead(std::string_view origin) = 0;
  // The key that signs now.
  virtual std::string verifier_key() const = 0;
  // Every key that it ever signed with, oldest first; the last is verifier_key().
  virtual std::vector<std::string> verifier_keys() const = 0;
  // True when it runs as another uid than the daemon; otherwise health says `signer: not
  // independent`.
  virtual bool independent() const = 0;
  // Makes the next key and keeps it, without using it. The same again until FinishRotation.
  virtual core::StatusOr<KeyRotation> BeginRotation() = 0;
  // Takes the key or log in use that the entry names, and signs the head. Idempotent. Errors:
  // those of Sign; kPermissionDenied when the entry is not shown to stand in that tree, is none
  // that both keys signed, or stands in a tree of which nothing was signed before;
  // kFailedPrecondition when it names neither the next nor the present key.
  virtual core::StatusOr<Checkpoint> FinishRotation(const RotationProof& proof) = 0;
};

// A signer in this process: key and last head in files of `folder` (mode 0600, refused when wider),
// made on first use. `name` is the key name of the note (the origin).
core::StatusOr<std::unique_ptr<Signer>> OpenFileSigner(const std::string& folder,
                                                       std::string_view name);

// A signer in a process of its own (signer_service.h), reached over a Unix socket. It must answer
// now (kUnavailable), as a log is not opened unchecked; later it may come and go.
core::StatusOr<std::unique_ptr<Signer>> ConnectSigner(const std::string& socket,
                                                      std::string_view name);

}  // namespace interlock::audit
