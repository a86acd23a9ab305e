#include "audit/proof.h"

#include <algorithm>

#include "note_text.h"

namespace interlock::audit {
namespace {

constexpr std::string_view kProofHead = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ";
constexpr std::string_view kIndex = "index ";
constexpr std::string_view kOld = "old ";

std::string HashLines(const std::vector<core::Digest>& hashes) {
  std::string text;
  for (const core::Digest& hash : hashes) text += core::Base64(core::AsBytes(hash)) + "\n";
  return text;
}

// Hashes up to an empty line; what follows stays in `text`.
core::StatusOr<std::vector<core::Digest>> TakeHashes(std::string_view& text) {
  std::vector<core::Digest> hashes;
  while (true) {
    const auto line = TakeLine(text);
    if (!line) return core::InvalidArgument("malformed proof: no empty line before the checkpoint");
    if (line->empty()) return hashes;
    const auto bytes = core::BytesFromBase64(*line);
    if (!bytes.ok() || bytes->size() != 32 || hashes.size() == kProofHashesMax) {
      return core::InvalidArgument("malformed proof: bad hash line");
    }
    core::Digest& hash = hashes.emplace_back();
    std::copy(bytes->begin(), bytes->end(), hash.begin());
  }
}

// The number of a line "<label><number>".
core::StatusOr<std::uint64_t> TakeNumber(std::string_view& text, std::string_view label) {
  const auto line = TakeLine(text);
  if (line && line->substr(0, label.size()) == label) {
    const auto number = ParseDecimal(line->substr(label.size()));
    if (number) return *number;
  }
  return core::InvalidArgument("malformed proof: no line `" + std::string(label) + "<number>`");
}

}  // namespace

std::string ProofText(const TlogProof& proof) {
  return std::string(kProofHead) + "\n" + std::string(kIndex) + std::to_string(proof.index) + "\n" +
         HashLines(proof.hashes) + "\n" + proof.note;
}

core::StatusOr<TlogProof> ParseProof(std::string_view text) {
  const auto head = TakeLine(text);
  if (!head || *head != kProofHead) {
    return core::InvalidArgument("malformed proof: does not begin with `c2sp.org/tlog-proof@v1`");
  }
  if (text.substr(0, kExtra.size()) == kExtra) {
    const auto extra = TakeLine(text);
    if (!extra || !core::BytesFromBase64(extra->substr(kExtra.size())).ok()) {
      return core::InvalidArgument("malformed proof: bad extra line");
    }
  }
  TlogProof proof;
  INTERLOCK_ASSIGN_OR_RETURN(proof.index, TakeNumber(text, kIndex));
  INTERLOCK_ASSIGN_OR_RETURN(proof.hashes, TakeHashes(text));
  proof.note = text;
  return proof;
}

std::string ConsistencyBody(const ConsistencyText& proof) {
  return std::string(kOld) + std::to_string(proof.old_size) + "\n" + HashLines(proof.hashes) +
         "\n" + proof.note;
}

core::StatusOr<ConsistencyText> ParseConsistency(std::string_view text) {
  ConsistencyText proof;
  INTERLOCK_ASSIGN_OR_RETURN(proof.old_size, TakeNumber(text, kOld));
  INTERLOCK_ASSIGN_OR_RETURN(proof.hashes, TakeHashes(text));
  proof.note = text;
  return proof;
}

core::StatusOr<std::uint64_t> CheckpointSize(std::string_view note) {
  INTERLOCK_ASSIGN_OR_RETURN(const Checkpoint head, ReadCheckpoint(note));
  return head.size;
}

}  // namespace interlock::audit
