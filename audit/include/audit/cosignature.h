// What witnesses say of a checkpoint: C2SP tlog-cosignature v1 (Ed25519, type 0x04, with a time).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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

}  // namespace interlock::audit
