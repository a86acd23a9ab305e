#include "core/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "core/check.h"

namespace interlock::core {
namespace {

constexpr std::int64_t kIntegerMax = (std::int64_t{1} << 53) - 1;

// Builds a tree from parser events and refuses what rule 17 refuses.
class StrictBuilder final : public nlohmann::json_sax<Json> {
 public:
  StrictBuilder(Json& root, int depth_max) : root_(root), depth_max_(depth_max) {}

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override {
    if (value < -kIntegerMax || value > kIntegerMax) return Refuse("integer beyond 2^53-1");
    return Put(value);
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(kIntegerMax)) return Refuse("integer beyond 2^53-1");
    return Put(value);
  }
  bool number_float(number_float_t value, const string_t& text) override {
    if (text.find_first_of(".eE") == string_t::npos) return Refuse("integer beyond 2^53-1");
    if (!std::isfinite(value)) return Refuse("number is not finite");
    // Its canonical text would be an integer that this parser refuses (RFC 8785 uses exponents from
    // 1e21).
    const double size = std::abs(value);
    if (size > static_cast<double>(kIntegerMax) && size < 1e21) {
      return Refuse("integer beyond 2^53-1");
    }
    if (std::trunc(value) == value && std::abs(value) <= static_cast<double>(kIntegerMax)) {
      const auto whole = static_cast<std::int64_t>(value);
      if (whole >= 0) return Put(static_cast<number_unsigned_t>(whole));
      return Put(whole);
    }
    return Put(value);
  }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return Refuse("binary value"); }
  bool start_object(std::size_t) override { return Open(Json::object()); }
  bool key(string_t& name) override {
    if (open_.back()->contains(name)) {
      return Refuse("duplicate key `" + name.substr(0, 64) + "`");
    }
    key_ = std::move(name);
    return true;
  }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(Json::array()); }
  bool end_array() override { return Close(); }
  bool parse_error(std::size_t position, const std::string&,
                   const Json::exception& error) override {
    // 406 is the library's number for a literal that overflows to infinity.
    error_ = std::string(error.id == 406 ? "number is not finite" : "not JSON") + " at byte " +
             std::to_string(position);
    return false;
  }

  const std::string& error() const { return error_; }

 private:
  bool Refuse(std::string why) {
    error_ = std::move(why);
    return false;
  }
  template <typename T>
  Json* Place(T&& value) {
    if (open_.empty()) {
      root_ = std::forward<T>(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) return &parent.emplace_back(std::forward<T>(value));
    return &(parent[key_] = std::forward<T>(value));
  }
  template <typename T>
  bool Put(T&& value) {
    Place(std::forward<T>(value));
    return true;
  }
  bool Open(Json container) {
    if (static_cast<int>(open_.size()) >= depth_max_) return Refuse("nested too deep");
    open_.push_back(Place(std::move(container)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  Json& root_;
  int depth_max_;
  std::vector<Json*> open_;
  std::string key_;
  std::string error_ = "not JSON";
};

// Length of the UTF-8 sequence at `text[at]` (RFC 3629), or 0 when it is malformed.
std::size_t Utf8Length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(at + 1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned second = byte(at + 1);
    const unsigned low = lead == 0xe0 ? 0xa0u : 0x80u;
    const unsigned high = lead == 0xed ? 0x9fu : 0xbfu;
    return second >= low && second <= high && tail(at + 2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned second = byte(at + 1);
    const unsigned low = lead == 0xf0 ? 0x90u : 0x80u;
    const unsigned high = lead == 0xf4 ? 0x8fu : 0xbfu;
    return second >= low && second <= high && tail(at + 2) && tail(at + 3) ? 4 : 0;
  }
  return 0;
}

// RFC 8785 §3.2.3: keys sort by their UTF-16 code units. That equals byte order of UTF-8, but for
// characters above U+FFFF (lead byte 0xF0..), whose surrogates sort before U+E000..U+FFFF (lead
// bytes 0xEE, 0xEF).
bool Utf16Less(std::string_view a, std::string_view b) {
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (x == a.end() || y == b.end()) return x == a.end() && y != b.end();
  const auto p = static_cast<unsigned char>(*x);
  const auto q = static_cast<unsigned char>(*y);
  const bool p_high = p >= 0xf0;
  const bool q_high = q >= 0xf0;
  if (p_high != q_high && std::min(p, q) >= 0xee) return p_high;
  return p < q;
}

void AppendMember(std::string_view name, const Json& value, std::string& out) {
  if (out.back() != '{') out += ',';
  AppendJsonString(name, out);
  out += ':';
  AppendCanonicalJson(value, out);
}

// The tree keeps its names in byte order, which is nearly always the order wanted.
void AppendMembers(const Json& object, std::string& out) {
  std::string_view last;
  bool sorted = true;
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
    sorted = sorted && (last.empty() || Utf16Less(last, name));
    last = name;
  }
  out += '{';
  if (sorted) {
    for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
      AppendMember(name, value, out);
    }
  } else {
    std::vector<std::pair<std::string_view, const Json*>> members;
    members.reserve(object.size());
    for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
      members.emplace_back(name, &value);
    }
    std::sort(members.begin(), members.end(),
              [](const auto& x, const auto& y) { return Utf16Less(x.first, y.first); });
    for (const auto& [name, value] : members) AppendMember(name, *value, out);
  }
  out += '}';
}

// ECMA-262 Number::toString, as RFC 8785 §3.2.2.3 demands: shortest digits that read back, then
// placement.
void AppendDouble(double value, std::string& out) {
  INTERLOCK_CHECK(std::isfinite(value));
  if (value == 0) {
    out += '0';
    return;
  }
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<std::size_t>(end.ptr - buffer));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const std::size_t exponent_at = e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(text.data() + exponent_at, text.data() + text.size(), exponent);
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  if (value < 0) out += '-';
  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // `n` of the specification
  if (count <= point && point <= 21) {
    out.append(digits).append(static_cast<std::size_t>(point - count), '0');
  } else if (0 < point && point <= 21) {
    out.append(digits, 0, static_cast<std::size_t>(point)).append(".");
    out.append(digits, static_cast<std::size_t>(point));
  } else if (-6 < point && point <= 0) {
    out.append("0.").append(static_cast<std::size_t>(-point), '0').append(digits);
  } else {
    out += digits[0];
    if (count > 1) out.append(".").append(digits, 1);
    out.append(exponent < 0 ? "e-" : "e+").append(std::to_string(std::abs(exponent)));
  }
}

// What is as short is put together first and appended at once.
constexpr std::size_t kPieceMax = 120;

// `text`, which stands for itself, between quotes; returns the place behind it.
char* QuotedTo(std::string_view text, char* to) {
  *to++ = '"';
  to += text.copy(to, text.size());
  *to++ = '"';
  return to;
}

}  // namespace

StatusOr<Json> ParseJson(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes_max) {
    return ResourceExhausted("JSON text of " + std::to_string(text.size()) +
                             " bytes is larger than the limit of " +
                             std::to_string(limits.bytes_max));
  }
  if (text.substr(0, 3) == "\xef\xbb\xbf") return InvalidArgument("byte order mark at byte 0");
  // The library takes a NUL byte between tokens for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return InvalidArgument("not JSON at byte " + std::to_string(nul));
  }
  Json root;
  StrictBuilder builder(root, limits.depth_max);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return InvalidArgument(builder.error());
  return root;
}

void AppendJsonString(std::string_view text, std::string& out) {
  std::size_t i = PlainJsonPrefix(text);
  if (i == text.size()) {
    if (text.size() > kPieceMax) {
      out += '"';
      out.append(text).push_back('"');
      return;
    }
    std::array<char, kPieceMax + 2> piece;
    out.append(piece.data(), QuotedTo(text, piece.data()));
    return;
  }
  constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  std::size_t from = 0;
  while (i < text.size()) {
    i += PlainJsonPrefix(text.substr(i));
    if (i == text.size()) break;
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = c < 0x80 ? 0 : Utf8Length(text, i);
    if (length > 1) {
      i += length;
      continue;
    }
    out.append(text, from, i - from);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (c < 0x20) {
          out += "\\u00";
          out += kDigits[c >> 4];
          out += kDigits[c & 15];
        } else {
          out += "\xef\xbf\xbd";  // U+FFFD
        }
    }
    from = ++i;
  }
  out.append(text, from);
  out += '"';
}

void AppendCanonicalJson(const Json& value, std::string& out) {
  switch (value.type()) {
    case Json::value_t::object:
      AppendMembers(value, out);
      return;
    case Json::value_t::array: {
      out += '[';
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (i > 0) out += ',';
        AppendCanonicalJson(value[i], out);
      }
      out += ']';
      return;
    }
    case Json::value_t::string:
      AppendJsonString(value.get_ref<const std::string&>(), out);
      return;
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return;
    case Json::value_t::number_integer:
      out += std::to_string(value.get<std::int64_t>());
      return;
    case Json::value_t::number_unsigned:
      out += std::to_string(value.get<std::uint64_t>());
      return;
    case Json::value_t::number_float:
      AppendDouble(value.get<double>(), out);
      return;
    default:
      out += "null";
  }
}

std::string CanonicalJson(const Json& value) {
  std::string out;
  AppendCanonicalJson(value, out);
  return out;
}

JsonObjectWriter::JsonObjectWriter(std::string& out) : out_(out) { out_ += '{'; }

void JsonObjectWriter::CheckOrder(std::string_view key) const {
  // The last key is compared where it stands, and copied only when it could not be written as it
  // is.
  const std::string_view last = last_size_ == kCopied
                                    ? std::string_view(last_key_)
                                    : std::string_view(out_).substr(last_at_, last_size_);
  INTERLOCK_CHECK(first_ || last < key);
}

// ,"key":
char* JsonObjectWriter::PlainKeyTo(std::string_view key, char* to) {
  char* const start = to;
  if (!first_) *to++ = ',';
  first_ = false;
  last_at_ = out_.size() + static_cast<std::size_t>(to - start) + 1;
  last_size_ = key.size();
  to = QuotedTo(key, to);
  *to++ = ':';
  return to;
}

void JsonObjectWriter::Key(std::string_view key) {
  CheckOrder(key);
  if (key.size() <= kPieceMax && PlainJsonPrefix(key) == key.size()) {
    std::array<char, kPieceMax + 4> piece;
    out_.append(piece.data(), PlainKeyTo(key, piece.data()));
    return;
  }
  if (!first_) out_ += ',';
  first_ = false;
  AppendJsonString(key, out_);
  last_key_.assign(key);
  last_size_ = kCopied;
  out_ += ':';
}

void JsonObjectWriter::String(std::string_view key, std::string_view value) {
  const bool short_and_plain = key.size() + value.size() <= kPieceMax &&
                               PlainJsonPrefix(key) == key.size() &&
                               PlainJsonPrefix(value) == value.size();
  if (!short_and_plain) {
    Key(key);
    return AppendJsonString(value, out_);
  }
  CheckOrder(key);
  std::array<char, kPieceMax + 6> piece;  // ,"key":"value"
  out_.append(piece.data(), QuotedTo(value, PlainKeyTo(key, piece.data())));
}

void JsonObjectWriter::Int(std::string_view key, std::int64_t value) {
  INTERLOCK_CHECK(value >= -kIntegerMax && value <= kIntegerMax);
  Key(key);
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out_.append(buffer, static_cast<std::size_t>(end.ptr - buffer));
}

void JsonObjectWriter::Bool(std::string_view key, bool value) {
  Key(key);
  out_ += value ? "true" : "false";
}

void JsonObjectWriter::Raw(std::string_view key, std::string_view canonical_json) {
  Key(key);
  out_ += canonical_json;
}

void JsonObjectWriter::Close() { out_ += '}'; }

}  // namespace interlock::core
