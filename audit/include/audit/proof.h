// Proofs as text that others read: C2SP tlog-proof (inclusion), and consistency in the form of the
// body of a tlog-witness request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/status.h"

namespace interlock::audit {

inline constexpr std::size_t kProofHashesMax = 63;

// https://c2sp.org/tlog-proof, without extra data.
struct TlogProof {
  std::uint64_t index = 0;
  std::vector<core::Digest> hashes;
  std::string note;  // the checkpoint, verbatim
};
std::string ProofText(const TlogProof& proof);
// Accepts an `extra` line and drops it. Errors: kInvalidArgument.
core::StatusOr<TlogProof> ParseProof(std::string_view text);

// https://c2sp.org/tlog-witness, body of add-checkpoint: "old <size>", hashes, empty line, note.
struct ConsistencyText {
  std::uint64_t old_size = 0;
  std::vector<core::Digest> hashes;
  std::string note;  // of the later checkpoint, verbatim
};
std::string ConsistencyBody(const ConsistencyText& proof);
core::StatusOr<ConsistencyText> ParseConsistency(std::string_view text);

// The size that a checkpoint speaks of; its signatures are not looked at. Errors: kInvalidArgument.
core::StatusOr<std::uint64_t> CheckpointSize(std::string_view note);

}  // namespace interlock::audit
