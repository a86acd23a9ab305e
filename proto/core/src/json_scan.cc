#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/json.h"

namespace interlock::core {
namespace {

constexpr int kDepthMax = 128;
constexpr std::size_t kBad = std::string_view::npos;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::size_t SkipSpace(std::string_view text, std::size_t at) {
  while (at < text.size() && IsSpace(text[at])) ++at;
  return at;
}

// `at` is on the opening quote; returns the position behind the closing one.
std::size_t SkipString(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    at += PlainJsonPrefix(text.substr(at));
    if (at == text.size()) break;
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') ++at;
  }
  return kBad;
}

std::size_t SkipScalar(std::string_view text, std::size_t at) {
  const std::size_t start = at;
  while (at < text.size() && text[at] != ',' && text[at] != '}' && text[at] != ']' &&
         text[at] != '"' && text[at] != '{' && text[at] != '[' && text[at] != ':' &&
         !IsSpace(text[at])) {
    ++at;
  }
  return at == start ? kBad : at;
}

std::size_t SkipValue(std::string_view text, std::size_t at, int depth);

// `at` is behind the opening bracket; walks members or elements up to `close`.
std::size_t SkipContainer(std::string_view text, std::size_t at, char close, int depth) {
  if (depth > kDepthMax) return kBad;
  at = SkipSpace(text, at);
  if (at < text.size() && text[at] == close) return at + 1;
  while (at < text.size()) {
    if (close == '}') {
      if (text[at] != '"') return kBad;
      at = SkipString(text, at);
      if (at == kBad) return kBad;
      at = SkipSpace(text, at);
      if (at >= text.size() || text[at] != ':') return kBad;
      at = SkipSpace(text, at + 1);
    }
    at = SkipValue(text, at, depth);
    if (at == kBad) return kBad;
    at = SkipSpace(text, at);
    if (at >= text.size()) return kBad;
    if (text[at] == close) return at + 1;
    if (text[at] != ',') return kBad;
    at = SkipSpace(text, at + 1);
  }
  return kBad;
}

std::size_t SkipValue(std::string_view text, std::size_t at, int depth) {
  if (at >= text.size()) return kBad;
  if (text[at] == '"') return SkipString(text, at);
  if (text[at] == '{') return SkipContainer(text, at + 1, '}', depth + 1);
  if (text[at] == '[') return SkipContainer(text, at + 1, ']', depth + 1);
  return SkipScalar(text, at);
}

}  // namespace

namespace {

struct MemberSpan {
  std::string_view name;
  std::string_view value;
  std::size_t next;  // on the comma or closing brace behind it, or what stands there instead
};

// The member whose name's opening quote is at `at`; nullopt when it is not well formed.
std::optional<MemberSpan> MemberAt(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != '"') return std::nullopt;
  const std::size_t name_end = SkipString(text, at);
  if (name_end == kBad) return std::nullopt;
  const std::size_t colon = SkipSpace(text, name_end);
  if (colon >= text.size() || text[colon] != ':') return std::nullopt;
  const std::size_t value = SkipSpace(text, colon + 1);
  const std::size_t value_end = SkipValue(text, value, 1);
  if (value_end == kBad) return std::nullopt;
  return MemberSpan{text.substr(at + 1, name_end - at - 2), text.substr(value, value_end - value),
                    SkipSpace(text, value_end)};
}

}  // namespace

void JsonObjectView::AddScanned(std::string_view name, std::string_view value) {
  const auto offset = [this](std::string_view part) {
    return static_cast<std::uint32_t>(part.data() - text_.data());
  };
  if (count_ < kIndexed && text_.size() <= std::numeric_limits<std::uint32_t>::max()) {
    members_[count_++] = {offset(name), static_cast<std::uint32_t>(name.size()), offset(value),
                          static_cast<std::uint32_t>(value.size())};
  } else if (rest_ == 0) {
    rest_ = static_cast<std::size_t>(name.data() - text_.data()) - 1;  // on its quote
  }
}

JsonObjectView JsonObjectView::In(std::string_view equal_text) const {
  JsonObjectView view = *this;
  view.text_ = equal_text;
  return view;
}

std::size_t JsonObjectView::Index(std::size_t start) {
  std::size_t at = SkipSpace(text_, start + 1);
  if (at < text_.size() && text_[at] == '}') return at + 1;
  for (;;) {
    const std::optional<MemberSpan> member = MemberAt(text_, at);
    if (!member || member->next >= text_.size()) return kBad;
    AddScanned(member->name, member->value);
    if (text_[member->next] == '}') return member->next + 1;
    if (text_[member->next] != ',') return kBad;
    at = SkipSpace(text_, member->next + 1);
  }
}

namespace {

// Of eight bytes: a byte's high bit says that it is not plain. A borrow can mark only bytes above
// one that is rightly marked, and the lowest is the one that counts.
std::uint64_t MarksOf(std::uint64_t bytes) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t quote = bytes ^ (kOnes * '"');
  const std::uint64_t slash = bytes ^ (kOnes * '\\');
  return (((bytes - kOnes * 0x20) & ~bytes) | ((quote - kOnes) & ~quote) |
          ((slash - kOnes) & ~slash) | bytes) &
         (kOnes * 0x80);
}

// Byte by byte, from `at` on.
std::size_t PlainFrom(std::string_view text, std::size_t at) {
  for (; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
  }
  return at;
}

// Fewer than eight bytes: the first four and the last four, some of them twice.
std::size_t PlainShort(std::string_view text) {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  if (text.size() < sizeof first) return PlainFrom(text, 0);
  std::memcpy(&first, text.data(), sizeof first);
  std::memcpy(&last, text.data() + text.size() - sizeof last, sizeof last);
  const std::uint64_t bytes = std::uint64_t{last} << 32 | first;
  return MarksOf(bytes) == 0 ? text.size() : PlainFrom(text, 0);
}

std::size_t PlainByEight(std::string_view text) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  if (text.size() < kWord) return PlainShort(text);
  for (std::size_t at = 0;;) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text.data() + at, kWord);
    if (const std::uint64_t marks = MarksOf(bytes); marks != 0) {
      if constexpr (std::endian::native != std::endian::little) return PlainFrom(text, at);
      return at + static_cast<std::size_t>(std::countr_zero(marks)) / 8;
    }
    if (at + kWord == text.size()) return text.size();
    at = std::min(at + kWord, text.size() - kWord);  // the last ones are looked at again
  }
}

}  // namespace

#ifdef __SSE2__
// Sixteen at a time. As signed numbers, bytes from 0x80 on are below 0x20 too.
std::size_t PlainJsonPrefix(std::string_view text) {
  constexpr std::size_t kBlock = sizeof(__m128i);
  if (text.size() < kBlock) return PlainByEight(text);
  const __m128i space = _mm_set1_epi8(' ');
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i slash = _mm_set1_epi8('\\');
  for (std::size_t at = 0;;) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i marks =
        _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash)));
    if (const auto mask = static_cast<unsigned>(_mm_movemask_epi8(marks)); mask != 0) {
      return at + static_cast<std::size_t>(std::countr_zero(mask));
    }
    if (at + kBlock == text.size()) return text.size();
    at = std::min(at + kBlock, text.size() - kBlock);  // the last ones are looked at again
  }
}
#else
std::size_t PlainJsonPrefix(std::string_view text) { return PlainByEight(text); }
#endif

StatusOr<JsonObjectView> JsonObjectView::Of(std::string_view text) {
  const std::size_t start = SkipSpace(text, 0);
  if (start >= text.size() || text[start] != '{') return InvalidArgument("not a JSON object");
  JsonObjectView view(text.substr(start));
  const std::size_t end = view.Index(0);
  if (end == kBad || SkipSpace(view.text_, end) != view.text_.size()) {
    return InvalidArgument("not one well-formed JSON object");
  }
  view.text_ = view.text_.substr(0, end);
  return view;
}

JsonObjectView JsonObjectView::OfChecked(std::string_view text) {
  JsonObjectView view(text);
  static_cast<void>(view.Index(0));
  return view;
}

std::optional<std::string_view> JsonObjectView::Raw(std::string_view key) const {
  for (std::uint32_t i = 0; i < count_; ++i) {
    const Member& member = members_[i];
    if (text_.substr(member.name, member.name_size) == key) {
      return text_.substr(member.value, member.value_size);
    }
  }
  return rest_ == 0 ? std::nullopt : ScanFor(key);
}

std::optional<std::string_view> JsonObjectView::ScanFor(std::string_view key) const {
  for (std::size_t at = rest_;;) {
    const std::optional<MemberSpan> member = MemberAt(text_, at);
    if (!member) return std::nullopt;
    if (member->name == key) return member->value;
    if (member->next >= text_.size() || text_[member->next] != ',') return std::nullopt;
    at = SkipSpace(text_, member->next + 1);
  }
}

std::optional<std::string_view> JsonObjectView::Token(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (!raw || raw->size() < 2 || raw->front() != '"') return std::nullopt;
  const std::string_view inside = raw->substr(1, raw->size() - 2);
  if (inside.find('\\') != std::string_view::npos) return std::nullopt;
  return inside;
}

std::optional<std::string> JsonObjectView::String(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (!raw || raw->size() < 2 || raw->front() != '"') return std::nullopt;
  const std::string_view inside = raw->substr(1, raw->size() - 2);
  if (inside.find('\\') == std::string_view::npos) return std::string(inside);
  const Json parsed = Json::parse(*raw, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_string()) return std::nullopt;
  return parsed.get<std::string>();
}

std::optional<std::int64_t> JsonObjectView::Int(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (!raw) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(raw->data(), raw->data() + raw->size(), value);
  if (error != std::errc() || end != raw->data() + raw->size()) return std::nullopt;
  return value;
}

std::optional<bool> JsonObjectView::Bool(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (raw == "true") return true;
  if (raw == "false") return false;
  return std::nullopt;
}

std::optional<JsonObjectView> JsonObjectView::Object(std::string_view key) const {
  const std::optional<std::string_view> raw = Raw(key);
  if (!raw || raw->empty() || raw->front() != '{') return std::nullopt;
  return OfChecked(*raw);
}

StatusOr<std::vector<std::string_view>> JsonArrayElements(std::string_view text) {
  std::size_t at = SkipSpace(text, 0);
  if (at >= text.size() || text[at] != '[') return InvalidArgument("not a JSON array");
  const std::size_t end = SkipValue(text, at, 0);
  if (end == kBad || SkipSpace(text, end) != text.size()) {
    return InvalidArgument("not one well-formed JSON array");
  }
  std::vector<std::string_view> elements;
  at = SkipSpace(text, at + 1);
  while (text[at] != ']') {
    const std::size_t value_end = SkipValue(text, at, 0);
    elements.push_back(text.substr(at, value_end - at));
    at = SkipSpace(text, value_end);
    if (text[at] == ',') at = SkipSpace(text, at + 1);
  }
  return elements;
}

}  // namespace interlock::core
