// Small readers that notes and proofs share.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "core/status.h"

namespace interlock::audit {

// What a note's lines of signatures begin with: em dash, space.
inline constexpr std::string_view kSignaturePrefix = "\xE2\x80\x94 ";

// Cuts the first line off `text`; nullopt when it does not end in a newline.
inline std::optional<std::string_view> TakeLine(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

// A plain decimal number without leading zeros.
inline std::optional<std::uint64_t> ParseDecimal(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A signed note taken apart; views into it, but for the decoded signatures.
struct NoteSignature {
  std::string_view name;
  std::string blob;  // key id (4 bytes) || signature
};
struct ParsedNote {
  std::string_view text;  // what is signed, its last newline included
  std::vector<NoteSignature> signatures;
};
// Errors: kInvalidArgument.
core::StatusOr<ParsedNote> ParseNote(std::string_view note);

// A checkpoint's text, its signatures unchecked. Errors: kInvalidArgument.
core::StatusOr<Checkpoint> ReadCheckpoint(std::string_view note);

// "— name base64(blob)\n"
std::string SignatureLine(std::string_view name, std::string_view blob);
// Whether `line` is one such, of that name, and as long as a cosignature/v1: key id, time,
// signature.
bool IsCosignatureLine(std::string_view line, std::string_view name);

}  // namespace interlock::audit
