#include "engine/outputs.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace interlock::runtime {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Character {
  std::uint32_t code = 0;
  std::size_t size = 0;  // 0: its end is not there yet
  bool valid = false;
};

std::size_t SizeOfLead(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

bool InRange(std::uint32_t code, std::size_t size) {
  if (size == 3) return code >= 0x800 && (code < 0xD800 || code > 0xDFFF);
  if (size == 4) return code >= 0x10000 && code <= 0x10FFFF;
  return true;
}

// RFC 3629 §3: no overlong forms, no surrogates, at most U+10FFFF.
Character First(std::string_view text) {
  constexpr Character kBad{.code = 0, .size = 1, .valid = false};
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = SizeOfLead(lead);
  if (size == 0) return kBad;
  if (size == 1) return {lead, 1, true};
  std::uint32_t code = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (i == text.size()) return {};
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return kBad;
    code = code << 6 | (next & 0x3Fu);
  }
  return InRange(code, size) ? Character{code, size, true} : kBad;
}

// Moves the cursor, or hides or reorders what is beside it.
bool IsHarmful(std::uint32_t code) {
  if (code == '\n' || code == '\t') return false;
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x200B && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF ||
         (code >= 0xE0000 && code <= 0xE007F);
}

void AppendSpelt(std::uint32_t code, std::string& out) {
  char spelt[16];
  std::snprintf(spelt, sizeof spelt, "\\u{%x}", code);
  out += spelt;
}

}  // namespace

std::string SafeText::Take(std::string_view bytes) {
  const std::string all = tail_ + std::string(bytes);
  tail_.clear();
  std::string out;
  out.reserve(all.size());
  for (std::size_t at = 0; at < all.size();) {
    const std::string_view rest = std::string_view(all).substr(at);
    const Character next = First(rest);
    if (next.size == 0) {
      tail_ = rest;
      break;
    }
    if (!next.valid) {
      out += kReplacement;
    } else if (IsHarmful(next.code)) {
      AppendSpelt(next.code, out);
    } else {
      out += rest.substr(0, next.size);
    }
    at += next.size;
  }
  return out;
}

std::function<void(sandbox::Output)> Outputs::For(std::string run, std::string call) {
  struct Streams {
    SafeText out;
    SafeText err;
  };
  return [self = shared_from_this(), streams = std::make_shared<Streams>(), run = std::move(run),
          call = std::move(call)](const sandbox::Output& output) {
    if (!self->any()) return;
    SafeText& stream = output.is_stderr ? streams->err : streams->out;
    std::string text = stream.Take(output.bytes);
    if (text.empty()) return;
    self->Tell(run, {.call = call, .is_stderr = output.is_stderr, .text = std::move(text)});
  };
}

}  // namespace interlock::runtime
