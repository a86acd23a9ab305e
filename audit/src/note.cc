// C2SP signed-note and tlog-checkpoint: a text, a blank line, and lines `— name base64(keyid ||
// signature)`.
#include <sodium.h>

#include <array>
#include <charconv>
#include <optional>

#include "audit/checkpoint.h"
#include "note_key.h"

namespace interlock::audit {
namespace {

constexpr std::size_t kNoteBytesMax = 64 * 1024;
constexpr std::string_view kSignaturePrefix = "\xE2\x80\x94 ";  // em dash, space
constexpr std::string_view kBadNote = "malformed checkpoint: ";

core::Status Malformed(std::string_view what) {
  return core::InvalidArgument(std::string(kBadNote) + std::string(what));
}

// Cuts the first line off `text`; nullopt when it does not end in a newline.
std::optional<std::string_view> TakeLine(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<std::uint64_t> ParseSize(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

core::StatusOr<Checkpoint> ParseText(std::string_view text) {
  Checkpoint checkpoint;
  const auto origin = TakeLine(text);
  const auto size = TakeLine(text);
  const auto root = TakeLine(text);
  if (!origin || !size || !root || origin->empty()) return Malformed("fewer than three lines");
  const auto number = ParseSize(*size);
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

// One signature line against one key: nullopt when the line is of another key.
core::StatusOr<std::optional<bool>> LineHolds(std::string_view line, std::string_view text,
                                              const NoteKey& key) {
  if (line.substr(0, kSignaturePrefix.size()) != kSignaturePrefix) {
    return Malformed("bad signature line");
  }
  line.remove_prefix(kSignaturePrefix.size());
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0) return Malformed("bad signature line");
  const auto blob = core::BytesFromBase64(line.substr(space + 1));
  if (!blob.ok() || blob->size() <= 4) return Malformed("bad signature line");
  const std::string_view bytes = *blob;
  if (line.substr(0, space) != key.name || bytes.substr(0, 4) != key.id) return std::nullopt;
  if (bytes.size() != 4 + crypto_sign_BYTES) return std::optional<bool>(false);
  return std::optional<bool>(
      crypto_sign_verify_detached(reinterpret_cast<const unsigned char*>(bytes.data() + 4),
                                  reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                  reinterpret_cast<const unsigned char*>(key.public_key.data())) ==
      0);
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

core::StatusOr<Checkpoint> OpenCheckpoint(std::string_view note, std::string_view verifier_key) {
  if (note.size() > kNoteBytesMax) return Malformed("too long");
  INTERLOCK_ASSIGN_OR_RETURN(const NoteKey key, ParseVerifierKey(verifier_key));
  const std::size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return Malformed("no signatures");
  const std::string_view text = note.substr(0, blank + 1);
  std::string_view lines = note.substr(blank + 2);
  if (lines.empty()) return Malformed("no signatures");
  INTERLOCK_ASSIGN_OR_RETURN(Checkpoint checkpoint, ParseText(text));
  bool signed_by_key = false;
  while (!lines.empty()) {
    const auto line = TakeLine(lines);
    if (!line) return Malformed("last line does not end");
    INTERLOCK_ASSIGN_OR_RETURN(const std::optional<bool> holds, LineHolds(*line, text, key));
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
  std::string note(text);
  note += '\n';
  note += kSignaturePrefix;
  note += key.name;
  note += ' ';
  note += core::Base64(blob);
  note += '\n';
  return note;
}

NoteKey MakeNoteKey(std::string_view name, std::string_view public_key) {
  NoteKey key{std::string(name), {}, std::string(public_key)};
  const core::Digest digest = core::Sha256({name, std::string_view("\n\x01", 2), public_key});
  key.id = std::string(core::AsBytes(digest).substr(0, 4));
  return key;
}

std::string VerifierKeyText(const NoteKey& key) {
  return key.name + "+" + core::Hex(key.id) + "+" +
         core::Base64(std::string("\x01") + key.public_key);
}

core::StatusOr<NoteKey> ParseVerifierKey(std::string_view text) {
  const core::Status bad =
      core::InvalidArgument("verifier key is not `name+<8 hex>+<base64 of an Ed25519 key>`");
  const std::size_t first = text.find('+');
  if (first == std::string_view::npos) return bad;
  const std::size_t second = text.find('+', first + 1);
  if (second == std::string_view::npos) return bad;
  const std::string_view name = text.substr(0, first);
  const auto bytes = core::BytesFromBase64(text.substr(second + 1));
  if (!IsKeyName(name) || !bytes.ok() || bytes->size() != 1 + crypto_sign_PUBLICKEYBYTES ||
      (*bytes)[0] != 0x01) {
    return bad;
  }
  NoteKey key = MakeNoteKey(name, std::string_view(*bytes).substr(1));
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
