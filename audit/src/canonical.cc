#include "canonical.h"

namespace interlock::audit {
namespace {

constexpr std::int64_t kSafeIntegerMax = (std::int64_t{1} << 53) - 1;  // I-JSON, RFC 7493 §2.2

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsContinuation(unsigned char c) { return (c & 0xC0) == 0x80; }

}  // namespace

bool CanonicalScanner::Literal(std::string_view literal) {
  if (text_.substr(at_, literal.size()) != literal) return false;
  at_ += literal.size();
  return true;
}

bool CanonicalScanner::Take(char c) {
  if (!Peek(c)) return false;
  ++at_;
  return true;
}

bool CanonicalScanner::Value(int depth) {
  if (at_ >= text_.size()) return false;
  switch (text_[at_]) {
    case '{':
      return ObjectBody(depth + 1);
    case '[':
      return ArrayBody(depth + 1);
    case '"':
      return String().has_value();
    case 't':
      return Literal("true");
    case 'f':
      return Literal("false");
    case 'n':
      return Literal("null");
    default:
      return Integer().has_value();
  }
}

bool CanonicalScanner::ObjectBody(int depth, core::JsonObjectView* members) {
  if (depth > kDepthMax || !Take('{')) return false;
  if (Take('}')) return true;
  std::string_view last;
  for (bool first = true;; first = false) {
    const auto key = Key();
    if (!key || (!first && *key <= last) || !Take(':')) return false;
    const std::size_t value = at_;
    if (!Value(depth)) return false;
    if (members != nullptr) members->AddScanned(*key, text_.substr(value, at_ - value));
    last = *key;
    if (Take('}')) return true;
    if (!Take(',')) return false;
  }
}

bool CanonicalScanner::ArrayBody(int depth) {
  if (depth > kDepthMax || !Take('[')) return false;
  if (Take(']')) return true;
  while (Value(depth)) {
    if (Take(']')) return true;
    if (!Take(',')) return false;
  }
  return false;
}

std::optional<std::string_view> CanonicalScanner::Object() {
  const std::size_t start = at_;
  if (!ObjectBody(1)) return std::nullopt;
  return text_.substr(start, at_ - start);
}

std::optional<core::JsonObjectView> CanonicalScanner::WholeObject() {
  auto members = core::JsonObjectView::OfScanned(text_);
  if (!ObjectBody(1, &members) || !AtEnd()) return std::nullopt;
  return members;
}

std::optional<std::string_view> CanonicalScanner::Array() {
  const std::size_t start = at_;
  if (!ArrayBody(1)) return std::nullopt;
  return text_.substr(start, at_ - start);
}

std::optional<std::string_view> CanonicalScanner::Key() {
  if (!Take('"')) return std::nullopt;
  const std::size_t start = at_;
  at_ += core::PlainJsonPrefix(text_.substr(at_));
  const std::string_view key = text_.substr(start, at_ - start);
  if (!Take('"') || key.find('\x7F') != std::string_view::npos) return std::nullopt;
  return key;
}

std::optional<std::string_view> CanonicalScanner::String() {
  if (!Take('"')) return std::nullopt;
  const std::size_t start = at_;
  while (at_ < text_.size()) {
    at_ += core::PlainJsonPrefix(text_.substr(at_));
    if (at_ == text_.size()) break;
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') return text_.substr(start, at_++ - start);
    if (c < 0x20) return std::nullopt;
    if (c == '\\') {
      if (!Escape()) return std::nullopt;
    } else if (!MultiByte()) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

// RFC 8785 §3.2.2.2: the two-character forms where they exist, else \u00xx in lower case, else no
// escape.
bool CanonicalScanner::Escape() {
  const std::string_view rest = text_.substr(at_ + 1);
  if (rest.empty()) return false;
  if (std::string_view("\"\\bfnrt").find(rest[0]) != std::string_view::npos) {
    at_ += 2;
    return true;
  }
  if (rest.size() < 5 || rest.substr(0, 3) != "u00" || (rest[3] != '0' && rest[3] != '1')) {
    return false;
  }
  const bool low = rest[3] == '0';
  const char c = rest[4];
  if (!IsDigit(c) && !(c >= 'a' && c <= 'f')) return false;
  if (low && std::string_view("89acd").find(c) != std::string_view::npos) return false;
  at_ += 6;
  return true;
}

// One well-formed UTF-8 sequence of two to four bytes (Unicode table 3-7).
bool CanonicalScanner::MultiByte() {
  const auto byte = [&](std::size_t i) -> unsigned char {
    return at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : 0;
  };
  const unsigned char lead = byte(0);
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return false;
  }
  if (byte(1) < low || byte(1) > high) return false;
  for (std::size_t i = 2; i < length; ++i) {
    if (!IsContinuation(byte(i))) return false;
  }
  at_ += length;
  return true;
}

std::optional<std::int64_t> CanonicalScanner::Integer() {
  const bool negative = Take('-');
  if (at_ >= text_.size() || !IsDigit(text_[at_])) return std::nullopt;
  const bool leading_zero = text_[at_] == '0';
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; at_ < text_.size() && IsDigit(text_[at_]); ++at_) {
    value = value * 10 + (text_[at_] - '0');
    ++digits;
    if (value > kSafeIntegerMax) return std::nullopt;
  }
  if (leading_zero && (digits > 1 || negative)) return std::nullopt;
  if (at_ < text_.size() && (Peek('.') || Peek('e') || Peek('E'))) return std::nullopt;
  return negative ? -value : value;
}

}  // namespace interlock::audit
