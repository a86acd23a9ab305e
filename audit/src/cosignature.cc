#include "audit/cosignature.h"

#include "note_key.h"
#include "note_text.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kTimeBytes = 8;

std::uint64_t BigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

// The time of one signature if it is this key's and holds; nullopt when it is another's.
core::StatusOr<std::optional<std::int64_t>> TimeOf(const NoteSignature& signature,
                                                   std::string_view text, const NoteKey& key) {
  const std::string_view blob = signature.blob;
  if (signature.name != key.name || blob.substr(0, 4) != key.id) {
    return std::optional<std::int64_t>();
  }
  const auto broken = core::PermissionDenied("the cosignature of `" + key.name + "` does not hold");
  if (blob.size() != 4 + kTimeBytes + 64) return broken;
  const std::uint64_t time = BigEndian(blob.substr(4, kTimeBytes));
  if (time > static_cast<std::uint64_t>(INT64_MAX)) return broken;
  const auto seconds = static_cast<std::int64_t>(time);
  if (!SignatureHolds(blob.substr(4 + kTimeBytes), CosignedMessage(text, seconds), key)) {
    return broken;
  }
  return std::optional(seconds);
}

}  // namespace

std::string CosignedMessage(std::string_view note_text, std::int64_t time_s) {
  return "cosignature/v1\ntime " + std::to_string(time_s) + "\n" + std::string(note_text);
}

core::StatusOr<std::int64_t> CosignedAt(std::string_view note, std::string_view witness_key) {
  INTERLOCK_ASSIGN_OR_RETURN(const NoteKey key,
                             ParseVerifierKey(witness_key, SignatureType::kCosignature));
  INTERLOCK_ASSIGN_OR_RETURN(const ParsedNote parsed, ParseNote(note));
  std::optional<std::int64_t> newest;
  for (const NoteSignature& signature : parsed.signatures) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::optional<std::int64_t> time,
                               TimeOf(signature, parsed.text, key));
    if (time && (!newest || *time > *newest)) newest = time;
  }
  if (!newest) return core::NotFound("witness `" + key.name + "` has not cosigned the checkpoint");
  return *newest;
}

std::string WithSignatureLines(std::string_view note, std::string_view lines) {
  std::string out(note);
  while (const auto line = TakeLine(lines)) {
    const std::string whole = std::string(*line) + "\n";
    if (out.find("\n" + whole) == std::string::npos) out += whole;
  }
  return out;
}

}  // namespace interlock::audit
