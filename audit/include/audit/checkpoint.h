// C2SP tlog-checkpoint and signed-note text (Ed25519, type 0x01), and who signs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

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

// Thread-safe.
class Signer {
 public:
  virtual ~Signer() = default;
  // Signs a head. Persists its own last (size, root) first, and refuses (kFailedPrecondition) a
  // smaller size or another root for the same size (rule 23).
  virtual core::StatusOr<Checkpoint> Sign(std::string_view origin, std::uint64_t size,
                                          const core::Digest& root) = 0;
  virtual std::string verifier_key() const = 0;
  // True when it runs as another uid than the daemon; otherwise health says `signer: not
  // independent`.
  virtual bool independent() const = 0;
};

// A signer in this process: key and last head in files of `folder` (mode 0600, refused when wider),
// made on first use. `name` is the key name of the note (the origin).
core::StatusOr<std::unique_ptr<Signer>> OpenFileSigner(const std::string& folder,
                                                       std::string_view name);

}  // namespace interlock::audit
