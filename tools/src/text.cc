#include "text.h"

#include <cstdint>
#include <cstdio>

namespace interlock::tools {
namespace {

struct Decoded {
  std::uint32_t code = 0xFFFD;
  std::size_t size = 1;  // bytes consumed
};

bool IsTail(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

std::uint32_t Tail(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]) & 0x3Fu;
}

// The first character of `text` (RFC 3629 §3: no overlong forms, no surrogates, at most U+10FFFF).
Decoded DecodeFirst(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  if (lead >= 0xC2 && lead < 0xE0 && IsTail(text, 1)) {
    return {(lead & 0x1Fu) << 6 | Tail(text, 1), 2};
  }
  if (lead >= 0xE0 && lead < 0xF0 && IsTail(text, 1) && IsTail(text, 2)) {
    const std::uint32_t code = (lead & 0x0Fu) << 12 | Tail(text, 1) << 6 | Tail(text, 2);
    if (code >= 0x800 && (code < 0xD800 || code > 0xDFFF)) return {code, 3};
  }
  if (lead >= 0xF0 && lead < 0xF5 && IsTail(text, 1) && IsTail(text, 2) && IsTail(text, 3)) {
    const std::uint32_t code =
        (lead & 0x07u) << 18 | Tail(text, 1) << 12 | Tail(text, 2) << 6 | Tail(text, 3);
    if (code >= 0x10000 && code <= 0x10FFFF) return {code, 4};
  }
  return {};
}

// Characters that move the cursor, end a line or reorder text on a terminal.
bool IsHarmful(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x200B && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF ||
         (code >= 0xE0000 && code <= 0xE007F);
}

void AppendEscaped(std::uint32_t code, std::string& out) {
  if (code == '\n') {
    out += "\\n";
  } else if (code == '\t') {
    out += "\\t";
  } else {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "\\u{%x}", code);
    out += buffer;
  }
}

}  // namespace

std::string OneLine(std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view kEllipsis = "…";
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string out;
  std::size_t cut = 0;  // where to cut so that the ellipsis still fits
  for (std::size_t at = 0; at < text.size();) {
    const Decoded next = DecodeFirst(text.substr(at));
    if (IsHarmful(next.code)) {
      AppendEscaped(next.code, out);
    } else if (next.code == 0xFFFD) {
      out += kReplacement;
    } else {
      out += text.substr(at, next.size);
    }
    at += next.size;
    if (out.size() > bytes_max) {
      out.resize(cut);
      if (cut + kEllipsis.size() <= bytes_max) out += kEllipsis;
      return out;
    }
    if (out.size() + kEllipsis.size() <= bytes_max) cut = out.size();
  }
  return out;
}

}  // namespace interlock::tools
