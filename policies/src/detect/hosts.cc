#include "hosts.h"

#include <algorithm>
#include <string>

#include "utf8.h"

namespace interlock::policies::detect {
namespace {

constexpr std::size_t kHostBytesMax = 253;

enum class Script { kNone, kLatin, kCyrillic, kGreek, kArmenian, kOther };

bool IsAscii(char32_t c) { return c < 0x80; }

Script ScriptOf(char32_t c) {
  if (IsAscii(c)) return IsAlpha(static_cast<char>(c)) ? Script::kLatin : Script::kNone;
  if ((c >= 0xC0 && c <= 0x24F && c != 0xD7 && c != 0xF7) || (c >= 0x1E00 && c <= 0x1EFF))
    return Script::kLatin;
  if ((c >= 0x370 && c <= 0x3FF) || (c >= 0x1F00 && c <= 0x1FFF)) return Script::kGreek;
  if (c >= 0x400 && c <= 0x52F) return Script::kCyrillic;
  if (c >= 0x530 && c <= 0x58F) return Script::kArmenian;
  return c >= 0x600 ? Script::kOther : Script::kNone;
}

// What one word or label is written in.
struct Letters {
  int latin = 0;
  int foreign = 0;  // Cyrillic, Greek, Armenian
  int posing = 0;   // of those, the ones that look like Latin letters

  void Take(char32_t c) {
    const Script script = ScriptOf(c);
    if (script == Script::kLatin) ++latin;
    if (script != Script::kCyrillic && script != Script::kGreek && script != Script::kArmenian)
      return;
    ++foreign;
    if (Lookalike(c) != '\0') ++posing;
  }
  bool mixed() const { return latin > 0 && foreign > 0; }
  bool posed() const { return latin == 0 && foreign >= 3 && posing == foreign; }
};

bool IsHostByte(char c) {
  return IsAlnum(c) || c == '-' || c == '.' || static_cast<unsigned char>(c) >= 0x80;
}

void Judge(Scan& scan, const Letters& label, bool ascii_domain, std::size_t begin,
           std::size_t end) {
  if (label.mixed()) {
    scan.AddInput("homoglyph_host", Confidence::kHigh, begin, end);
  } else if (label.posed() && ascii_domain) {
    scan.AddInput("homoglyph_host", Confidence::kMedium, begin, end);
  }
}

// Whether the host's last label is ASCII: a Cyrillic name below .com is stranger than below .рф.
bool EndsInAscii(std::string_view host) {
  const std::size_t dot = host.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  return std::all_of(last.begin(), last.end(), IsAlpha);
}

int PunycodeAdapt(int delta, int points, bool first) {
  delta = first ? delta / 700 : delta / 2;
  delta += delta / points;
  int k = 0;
  for (; delta > 455; k += 36) delta /= 35;
  return k + 36 * delta / (delta + 38);
}

int PunycodeDigit(char c) {
  if (IsDigit(c)) return c - '0' + 26;
  return IsAlpha(c) ? Lower(c) - 'a' : -1;
}

// One generalised variable-length integer; false at the end of the text or an overflow.
bool ReadDelta(std::string_view label, std::size_t& at, int bias, int& i) {
  std::int64_t sum = i;
  std::int64_t weight = 1;
  for (int k = 36;; k += 36) {
    const int digit = at < label.size() ? PunycodeDigit(label[at++]) : -1;
    if (digit < 0) return false;
    sum += digit * weight;
    if (sum > 0x7FFFFFF) return false;
    const int threshold = std::clamp(k - bias, 1, 26);
    if (digit < threshold) break;
    weight *= 36 - threshold;
    if (weight > 0x7FFFFFF) return false;
  }
  i = static_cast<int>(sum);
  return true;
}

}  // namespace

std::u32string DecodePunycode(std::string_view label) {
  if (label.size() > 63) return {};
  std::u32string out;
  std::size_t at = 0;
  if (const std::size_t dash = label.rfind('-'); dash != std::string_view::npos) {
    for (const char c : label.substr(0, dash)) out += static_cast<unsigned char>(c);
    at = dash + 1;
  }
  int n = 0x80;
  int bias = 72;
  int i = 0;
  for (bool first = true; at < label.size(); first = false) {
    const int before = i;
    if (!ReadDelta(label, at, bias, i)) return {};
    const int size = static_cast<int>(out.size()) + 1;
    bias = PunycodeAdapt(i - before, size, first);
    n += i / size;
    i %= size;
    if (n > 0x10FFFF) return {};
    out.insert(static_cast<std::size_t>(i), 1, static_cast<char32_t>(n));
    ++i;
  }
  return out;
}

void ScanHost(Scan& scan, std::size_t begin) {
  if (scan.folded().is_ascii() || begin >= scan.text().size()) return;
  const std::string_view input = scan.folded().input();
  const std::size_t from = scan.folded().Begin(begin);
  if (from < scan.hosts_read_until) return;
  std::size_t to = from;
  while (to < input.size() && to - from < kHostBytesMax && IsHostByte(input[to])) ++to;
  scan.hosts_read_until = to;
  scan.Work(static_cast<std::int64_t>((to - from) / 8 + 1));
  const std::string_view host = input.substr(from, to - from);
  const bool ascii_domain = EndsInAscii(host);
  for (std::size_t at = 0; at < host.size();) {
    const std::size_t end = std::min(host.find('.', at), host.size());
    Letters letters;
    for (std::size_t i = at; i < end;) {
      const CodePoint c = DecodeAt(host, i);
      letters.Take(c.value);
      i += c.size;
    }
    Judge(scan, letters, ascii_domain, from + at, from + end);
    at = end + 1;
  }
}

void ScanPunycode(Scan& scan, std::size_t at) {
  if (!scan.WordBegins(at)) return;
  const std::string_view text = scan.text();
  std::size_t end = at + 4;
  while (end < text.size() && end - at < 64 && (IsAlnum(text[end]) || text[end] == '-')) ++end;
  scan.Work(static_cast<std::int64_t>(end - at));
  Letters letters;
  for (const char32_t c : DecodePunycode(text.substr(at + 4, end - at - 4))) letters.Take(c);
  std::size_t domain = end;
  while (domain < text.size() && domain - at < kHostBytesMax && IsHostByte(text[domain])) ++domain;
  std::string_view rest = text.substr(end, domain - end);
  while (rest.ends_with('.')) rest.remove_suffix(1);
  const bool ascii_domain = EndsInAscii(rest) && !rest.empty();
  Judge(scan, letters, ascii_domain, scan.folded().Begin(at), scan.folded().End(end));
}

void ScanMixedWords(Scan& scan) {
  const std::string_view input = scan.folded().input();
  std::size_t read = 0;
  for (std::size_t at = NextNonAscii(input, 0); at < input.size(); at = NextNonAscii(input, at)) {
    while (at > read && IsAlpha(input[at - 1])) --at;
    const std::size_t begin = at;
    Letters letters;
    while (at < input.size()) {
      const CodePoint c = DecodeAt(input, at);
      if (ScriptOf(c.value) == Script::kNone && !IsInvisible(c.value)) break;
      letters.Take(c.value);
      at += c.size;
    }
    if (letters.latin >= 2 && letters.posing > 0 && letters.posing == letters.foreign)
      scan.AddInput("mixed_script", Confidence::kMedium, begin, at);
    if (at == begin) at += DecodeAt(input, at).size;
    read = at;
  }
}

}  // namespace interlock::policies::detect
