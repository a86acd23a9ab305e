// What witnesses say of a checkpoint: C2SP tlog-cosignature v1 (Ed25519, type 0x04, with a time),
// and the log's side of asking them (c2sp.org/tlog-witness).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "audit/witness.h"
#include "core/status.h"

namespace interlock::audit {

// When (POSIX seconds) the witness of this key ("name+id+base64(0x04||pubkey)") cosigned the note.
// Errors: kNotFound when it did not; kPermissionDenied when its line does not hold;
// kInvalidArgument for a malformed note or key.
core::StatusOr<std::int64_t> CosignedAt(std::string_view note, std::string_view witness_key);

// "cosignature/v1\ntime <t>\n" and the note's text: what a witness signs.
std::string CosignedMessage(std::string_view note_text, std::int64_t time_s);

// The note with these signature lines at its end, each once.
std::string WithSignatureLines(std::string_view note, std::string_view lines);

// The name in a witness's verifier key. Errors: kInvalidArgument for text that is no such key.
core::StatusOr<std::string> WitnessName(std::string_view witness_key);

// What a witness was asked: to cosign `note`, whose tree has `size` entries, going on from
// `old_size`.
struct WitnessQuestion {
  std::string_view note;
  std::uint64_t size = 0;
  std::uint64_t old_size = 0;
  std::string_view witness_key;
};

// What its answer means.
struct WitnessAnswer {
  enum class Kind {
    kCosigned,   // `line` is its cosignature, and holds
    kOtherSize,  // it goes on from `size`; ask again with a proof from there
    kConflict,   // it says that it saw another history of this log
    kRefused,    // it will not, whatever is sent: wrong key, unknown log, not a witness
    kAway,       // it could not, this time
  };
  Kind kind = Kind::kAway;
  std::string line;  // with its line feed
  std::uint64_t size = 0;
  std::string why;  // one line of printable ASCII; of kinds other than kCosigned
};

// Reads bytes from outside: whatever they are, the answer is one of the above.
WitnessAnswer ReadWitnessAnswer(const WitnessReply& reply, const WitnessQuestion& question);

}  // namespace interlock::audit
