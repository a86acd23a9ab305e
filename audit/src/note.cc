// C2SP signed-note and tlog-checkpoint: a text, a blank line, and lines `— name base64(keyid ||
// signature)`.
#include <sodium.h>

#include <array>
#include <optional>

#include "audit/checkpoint.h"
#include "note_key.h"
#include "note_text.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kNoteBytesMax = 64 * 1024;
constexpr std::string_view kBadNote = "malformed checkpoint: ";

core::Status Malformed(std::string_view what) {
  return core::InvalidArgument(std::string(kBadNote) + std::string(what));
}

core::StatusOr<Checkpoint> ParseText(std::string_view text) {
  Checkpoint checkpoint;
  const auto origin = TakeLine(text);
  const auto size = TakeLine(text);
  const auto root = TakeLine(text);
  if (!origin || !size || !root || origin->empty()) return Malformed("fewer than three lines");
  const auto number = ParseDecimal(*size);
  if (!number) return Malformed("size is not a plain number");
  const auto hash = core::BytesFromBase64(*root);
  if (!hash.ok() || hash->size() != checkpoint.root.size()) return Malformed("bad root hash");
  // Extension lines are allowed by the format; an empty line is not.
  while (!text.empty()) {
    const auto line = TakeLine(text);
    if (!line || line->empty()) return Malformed("empty extension line");
  }
  checkpoint.origin = *origin;
  checkpoint.size = *number;
  std::copy(hash->begin(), hash->end(), checkpoint.root.begin());
  return checkpoint;
}

// Whether a signature of this key holds; nullopt when it is of another key.
std::optional<bool> Holds(const NoteSignature& signature, std::string_view text,
                          const NoteKey& key) {
  const std::string_view bytes = signature.blob;
  if (signature.name != key.name || bytes.substr(0, 4) != key.id) return std::nullopt;
  if (bytes.size() != 4 + crypto_sign_BYTES) return false;
  return SignatureHolds(bytes.substr(4), text, key);
}

}  // namespace

std::string CheckpointText(std::string_view origin, std::uint64_t size, const core::Digest& root) {
  std::string text(origin);
  text += '\n';
  text += std::to_string(size);
  text += '\n';
  text += core::Base64(core::AsBytes(root));
  text += '\n';
  return text;
}

core::StatusOr<ParsedNote> ParseNote(std::string_view note) {
  if (note.size() > kNoteBytesMax) return Malformed("too long");
  const std::size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return Malformed("no signatures");
  ParsedNote parsed{note.substr(0, blank + 1), {}};
  std::string_view lines = note.substr(blank + 2);
  if (lines.empty()) return Malformed("no signatures");
  while (!lines.empty()) {
    const auto line = TakeLine(lines);
    if (!line) return Malformed("last line does not end");
    if (line->substr(0, kSignaturePrefix.size()) != kSignaturePrefix) {
      return Malformed("bad signature line");
    }
    const std::string_view rest = line->substr(kSignaturePrefix.size());
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos || space == 0) return Malformed("bad signature line");
    auto blob = core::BytesFromBase64(rest.substr(space + 1));
    if (!blob.ok() || blob->size() <= 4) return Malformed("bad signature line");
    parsed.signatures.push_back({rest.substr(0, space), *std::move(blob)});
  }
  return parsed;
}

core::StatusOr<Checkpoint> ReadCheckpoint(std::string_view note) {
  INTERLOCK_ASSIGN_OR_RETURN(const ParsedNote parsed, ParseNote(note));
  INTERLOCK_ASSIGN_OR_RETURN(Checkpoint checkpoint, ParseText(parsed.text));
  checkpoint.note = note;
  return checkpoint;
}

std::string SignatureLine(std::string_view name, std::string_view blob) {
  return std::string(kSignaturePrefix) + std::string(name) + " " + core::Base64(blob) + "\n";
}

bool IsCosignatureLine(std::string_view line, std::string_view name) {
  constexpr std::size_t kBlobBytes = 4 + 8 + crypto_sign_BYTES;
  const std::string note = "\n\n" + std::string(line);
  const auto parsed = ParseNote(note);
  return parsed.ok() && parsed->signatures.size() == 1 && parsed->signatures[0].name == name &&
         parsed->signatures[0].blob.size() == kBlobBytes;
}

bool SignatureHolds(std::string_view signature, std::string_view message, const NoteKey& key) {
  return signature.size() == crypto_sign_BYTES &&
         crypto_sign_verify_detached(
             reinterpret_cast<const unsigned char*>(signature.data()),
             reinterpret_cast<const unsigned char*>(message.data()), message.size(),
             reinterpret_cast<const unsigned char*>(key.public_key.data())) == 0;
}

core::StatusOr<Checkpoint> OpenCheckpoint(std::string_view note, std::string_view verifier_key) {
  INTERLOCK_ASSIGN_OR_RETURN(const NoteKey key, ParseVerifierKey(verifier_key));
  INTERLOCK_ASSIGN_OR_RETURN(const ParsedNote parsed, ParseNote(note));
  INTERLOCK_ASSIGN_OR_RETURN(Checkpoint checkpoint, ParseText(parsed.text));
  bool signed_by_key = false;
  for (const NoteSignature& signature : parsed.signatures) {
    const std::optional<bool> holds = Holds(signature, parsed.text, key);
    if (holds && !*holds) {
      return core::PermissionDenied("the signature of key `" + key.name + "` does not hold");
    }
    signed_by_key = signed_by_key || holds.has_value();
  }
  if (!signed_by_key) {
    return core::PermissionDenied("the checkpoint carries no signature of key `" + key.name + "`");
  }
  checkpoint.note = note;
  return checkpoint;
}

std::string SignNote(std::string_view text, const NoteKey& key, std::string_view secret_key) {
  std::array<unsigned char, crypto_sign_BYTES> signature{};
  crypto_sign_detached(signature.data(), nullptr,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                       reinterpret_cast<const unsigned char*>(secret_key.data()));
  std::string blob = key.id;
  blob.append(reinterpret_cast<const char*>(signature.data()), signature.size());
  return std::string(text) + "\n" + SignatureLine(key.name, blob);
}

NoteKey MakeNoteKey(std::string_view name, std::string_view public_key) {
  return MakeNoteKey(name, public_key, SignatureType::kNote);
}

NoteKey MakeNoteKey(std::string_view name, std::string_view public_key, SignatureType type) {
  NoteKey key{std::string(name), {}, std::string(public_key)};
  const char separator[2] = {'\n', static_cast<char>(type)};
  const core::Digest digest = core::Sha256({name, std::string_view(separator, 2), public_key});
  key.id = std::string(core::AsBytes(digest).substr(0, 4));
  return key;
}

std::string VerifierKeyText(const NoteKey& key) {
  return VerifierKeyText(key, SignatureType::kNote);
}

std::string VerifierKeyText(const NoteKey& key, SignatureType type) {
  return key.name + "+" + core::Hex(key.id) + "+" +
         core::Base64(std::string(1, static_cast<char>(type)) + key.public_key);
}

core::StatusOr<NoteKey> ParseVerifierKey(std::string_view text) {
  return ParseVerifierKey(text, SignatureType::kNote);
}

core::StatusOr<NoteKey> ParseVerifierKey(std::string_view text, SignatureType type) {
  const core::Status bad =
      core::InvalidArgument("verifier key is not `name+<8 hex>+<base64 of an Ed25519 key>`");
  const std::size_t first = text.find('+');
  if (first == std::string_view::npos) return bad;
  const std::size_t second = text.find('+', first + 1);
  if (second == std::string_view::npos) return bad;
  const std::string_view name = text.substr(0, first);
  const auto bytes = core::BytesFromBase64(text.substr(second + 1));
  if (!IsKeyName(name) || !bytes.ok() || bytes->size() != 1 + crypto_sign_PUBLICKEYBYTES ||
      (*bytes)[0] != static_cast<char>(type)) {
    return bad;
  }
  NoteKey key = MakeNoteKey(name, std::string_view(*bytes).substr(1), type);
  if (core::Hex(key.id) != text.substr(first + 1, second - first - 1)) return bad;
  return key;
}

bool IsKeyName(std::string_view name) {
  if (name.empty() || name.size() > 255) return false;
  for (const char c : name) {
    if (c <= 0x20 || c > 0x7E || c == '+') return false;
  }
  return true;
}

}  // namespace interlock::audit
