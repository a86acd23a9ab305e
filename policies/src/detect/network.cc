// Mail and IP addresses.
#include <algorithm>
#include <array>

#include "hosts.h"
#include "pii.h"

namespace interlock::policies::detect {
namespace {

constexpr std::size_t kLocalBytesMax = 64;  // RFC 5321 section 4.5.3.1.1
constexpr std::size_t kDomainBytesMax = 253;

// The second byte pair of Latin letters with marks (U+00C0 to U+024F).
bool IsLatinLead(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0xC3 && byte <= 0xC9;
}
bool IsTail(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; }

bool IsLocalByte(char c) {
  return IsAlnum(c) || std::string_view("._%+-'").find(c) != std::string_view::npos;
}

std::size_t LocalBegin(std::string_view text, std::size_t at_sign) {
  std::size_t begin = at_sign;
  while (begin > 0 && at_sign - begin < kLocalBytesMax) {
    if (IsLocalByte(text[begin - 1])) {
      --begin;
    } else if (begin >= 2 && IsTail(text[begin - 1]) && IsLatinLead(text[begin - 2])) {
      begin -= 2;
    } else {
      break;
    }
  }
  while (begin < at_sign && (text[begin] == '.' || text[begin] == '\'' || text[begin] == '-'))
    ++begin;
  return begin;
}

bool IsDomainByte(char c) {
  return IsAlnum(c) || c == '-' || static_cast<unsigned char>(c) >= 0xC3 || IsTail(c);
}

// After the last dot: letters, and no ending of a file (icon@2x.png).
bool IsTopDomain(std::string_view label) {
  if (label.size() < 2 || label.size() > 24) return false;
  if (label.starts_with("xn--")) return true;
  for (const std::string_view file : {"png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css",
                                      "json", "md", "html", "ts", "tgz", "zip"}) {
    if (label == file) return false;
  }
  return std::all_of(label.begin(), label.end(), IsAlpha);
}

// Where the domain that begins at `begin` ends, or 0.
std::size_t DomainEnd(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  std::size_t label = begin;
  std::size_t good = 0;
  for (; end <= text.size() && end - begin <= kDomainBytesMax; ++end) {
    if (end < text.size() && IsDomainByte(text[end])) continue;
    if (end == label || text[label] == '-') break;
    if (label > begin && IsTopDomain(text.substr(label, end - label))) good = end;
    if (end >= text.size() || text[end] != '.') break;
    label = end + 1;
  }
  return good;
}

// scheme://user:pass@host and git@host:path are no mail addresses.
bool IsInUrl(std::string_view text, std::size_t begin) {
  const std::size_t from = begin > 96 ? begin - 96 : 0;
  const std::string_view before = text.substr(from, begin - from);
  const std::size_t slashes = before.rfind("://");
  if (slashes == std::string_view::npos) return false;
  const std::string_view between = before.substr(slashes + 3);
  return between.find_first_of(" \t\n\"'<>/?=") == std::string_view::npos;
}

// Four numbers up to 255 with dots between; 0 if they are not there.
std::size_t Ipv4End(std::string_view text, std::size_t begin, std::array<int, 4>& octets) {
  std::size_t at = begin;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0 && (at >= text.size() || text[at++] != '.')) return 0;
    const std::size_t from = at;
    int value = 0;
    while (at < text.size() && at - from < 3 && IsDigit(text[at]))
      value = value * 10 + (text[at++] - '0');
    if (at == from || value > 255 || (at - from > 1 && text[from] == '0')) return 0;
    octets[i] = value;
  }
  return at;
}

bool IsLocalNet(const std::array<int, 4>& o) {
  return o[0] == 0 || o[0] == 10 || o[0] == 127 || o[0] >= 224 || (o[0] == 192 && o[1] == 168) ||
         (o[0] == 172 && o[1] >= 16 && o[1] < 32) || (o[0] == 169 && o[1] == 254);
}

// Groups of a written IPv6 address, and whether `::` stands in it once; -1 if it is not one.
int Ipv6Groups(std::string_view text, bool& shortened) {
  int groups = 0;
  shortened = false;
  std::size_t at = 0;
  if (text.starts_with("::")) {
    shortened = true;
    at = 2;
  }
  while (at < text.size()) {
    std::size_t size = 0;
    while (at + size < text.size() && IsHex(text[at + size])) ++size;
    if (size == 0 || size > 4 || ++groups > 8) return -1;
    at += size;
    if (at == text.size()) break;
    if (text[at] != ':' || at + 1 == text.size()) return -1;
    ++at;
    if (text[at] != ':') continue;
    if (shortened) return -1;
    shortened = true;
    ++at;
  }
  return shortened ? (groups < 8 ? groups : -1) : (groups == 8 ? 8 : -1);
}

}  // namespace

void ScanMail(Scan& scan, std::size_t at_sign) {
  const std::string_view text = scan.text();
  const std::size_t begin = LocalBegin(text, at_sign);
  const std::size_t end = DomainEnd(text, at_sign + 1);
  scan.Work(
      static_cast<std::int64_t>((at_sign - begin) / 8 + (end > 0 ? end - at_sign : 0) / 8 + 2));
  if (begin == at_sign || end == 0 || text[at_sign - 1] == '.') return;
  if (scan.At(end) == ':' && text.substr(begin, at_sign - begin) == "git") return;
  if (IsInUrl(text, begin)) return;
  scan.Add("email", Confidence::kHigh, begin, end);
}

void ScanIpv4(Scan& scan, std::size_t at) {
  const std::string_view text = scan.text();
  if (at > 0 &&
      (IsAlnum(text[at - 1]) || text[at - 1] == '.' || text[at - 1] == '-' ||
       text[at - 1] == '_') &&
      !scan.WordBegins(at))
    return;
  if (at > 0 && (text[at - 1] == '.' || text[at - 1] == '-')) return;
  std::array<int, 4> octets{};
  const std::size_t end = Ipv4End(text, at, octets);
  if (end == 0 || IsAlnum(scan.At(end)) || scan.At(end) == '_') return;
  if ((scan.At(end) == '.' || scan.At(end) == '-') && IsAlnum(scan.At(end + 1))) return;
  static const std::vector<std::string_view> words = {
      "version", "release", "build", "firmware", "section", "chapter", "ver.", "rfc", "§", "oid"};
  const bool version = scan.HasWordBefore(at, words);
  scan.Add("ip_address", version || IsLocalNet(octets) ? Confidence::kLow : Confidence::kMedium, at,
           end);
}

void ScanIpv6(Scan& scan, std::size_t colon) {
  if (colon < scan.ipv6_read_until) return;
  const std::string_view text = scan.text();
  const auto belongs = [](char c) { return IsHex(c) || c == ':'; };
  std::size_t begin = colon;
  while (begin > 0 && colon - begin < 5 && belongs(text[begin - 1])) --begin;
  std::size_t end = colon;
  while (end < text.size() && end - begin < 48 && belongs(text[end])) ++end;
  scan.ipv6_read_until = end;
  scan.Work(2);
  if (!scan.WordBegins(begin) || IsAlnum(scan.At(end)) || scan.At(end) == '_') return;
  while (end > begin && text[end - 1] == ':' && (end < 2 || text[end - 2] != ':')) --end;
  bool shortened = false;
  const std::string_view address = text.substr(begin, end - begin);
  const int groups = Ipv6Groups(address, shortened);
  if (groups < 2) return;
  const std::string_view lead = address.substr(0, 4);
  const bool digit = std::any_of(lead.begin(), lead.end(), IsDigit);
  if (shortened && (address.find(':') != 4 || !digit)) return;  // dead::beef is source code
  const bool local =
      address.starts_with("fe") || address.starts_with("fd") || address.starts_with("fc");
  scan.Add("ip_address", local ? Confidence::kLow : Confidence::kMedium, begin, end);
}

}  // namespace interlock::policies::detect
