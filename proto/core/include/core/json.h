// JSON at the borders: strict parsing (rule 17), RFC 8785 canonical text, and a scanner that reads
// fields of our own canonical entries without building a tree.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace interlock::core {

using Json = nlohmann::json;

struct JsonLimits {
  std::size_t bytes_max;
  int depth_max;
};
inline constexpr JsonLimits kArgsLimits{.bytes_max = 256 * 1024, .depth_max = 32};
inline constexpr JsonLimits kPayloadLimits{.bytes_max = 16 * 1024 * 1024, .depth_max = 64};

// Parses one JSON text. Errors (kInvalidArgument, with the byte offset): not JSON, trailing bytes,
// not UTF-8, duplicate keys, integers beyond ±(2^53-1), numbers that overflow to infinity, NaN, too
// deep; kResourceExhausted: above bytes_max. Never throws. A fraction-free number (1.0, 1e3) within
// ±(2^53-1) becomes an integer, so that a value and its canonical text have one type.
StatusOr<Json> ParseJson(std::string_view text, const JsonLimits& limits);

// RFC 8785 (JCS). Precondition: `value` came from ParseJson or holds only what that would accept.
// An integral double prints as an integer (1.0 -> 1), as JCS demands.
std::string CanonicalJson(const Json& value);
void AppendCanonicalJson(const Json& value, std::string& out);

// How many bytes at the front of `text` stand for themselves in a JSON string: printable ASCII but
// quote and backslash (0x7F too).
std::size_t PlainJsonPrefix(std::string_view text);

// Appends `text` as a JSON string literal in RFC 8785 form. Invalid UTF-8 becomes U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

// Writes one canonical object as text, without a tree. Keys must come in RFC 8785 order, which for
// our ASCII keys is byte order; checked in every build. One per thread; reusable after Clear().
class JsonObjectWriter {
 public:
  explicit JsonObjectWriter(std::string& out);  // appends "{" to `out`, borrows it
  void String(std::string_view key, std::string_view value);
  void Int(std::string_view key, std::int64_t value);  // |value| <= 2^53-1
  void Bool(std::string_view key, bool value);
  void Raw(std::string_view key, std::string_view canonical_json);
  void Close();  // appends "}"

 private:
  void Key(std::string_view key);
  void CheckOrder(std::string_view key) const;
  char* PlainKeyTo(std::string_view key, char* to);
  static constexpr std::size_t kCopied = static_cast<std::size_t>(-1);

  std::string& out_;
  std::size_t last_at_ = 0;  // of the last key in `out_`
  std::size_t last_size_ = 0;
  std::string last_key_;  // when last_size_ is kCopied: one that needed escapes
  bool first_ = true;
};

// Reads top-level fields of one JSON object without a tree; values are views into the text.
// Only for text that is well formed (our own entries, after their hash was checked or just
// written). One scan, about 0.3 us for a 400 byte entry, notes where the first kIndexed members
// stand; a look-up then compares names. Immutable once it is made.
class JsonObjectView {
 public:
  // Errors: kInvalidArgument if `text` is not one well-formed object.
  static StatusOr<JsonObjectView> Of(std::string_view text);
  // Precondition: `text` is exactly one well-formed object, checked just before.
  static JsonObjectView OfChecked(std::string_view text);
  // For a scanner that meets the members anyway. Precondition: `text` is one well-formed object,
  // and every member is added, in order; both views lie in `text`, the name without its quotes.
  static JsonObjectView OfScanned(std::string_view text) { return JsonObjectView(text); }
  void AddScanned(std::string_view name, std::string_view value);
  // The same members in an equal text that lies elsewhere.
  JsonObjectView In(std::string_view equal_text) const;

  // The raw JSON text of a field, or nullopt.
  std::optional<std::string_view> Raw(std::string_view key) const;
  // Unescaped string / integer / bool; nullopt if absent or of another type.
  std::optional<std::string> String(std::string_view key) const;
  // A string without escapes as a view into the text (ids, kinds, hex): nullopt if it has escapes.
  std::optional<std::string_view> Token(std::string_view key) const;
  std::optional<std::int64_t> Int(std::string_view key) const;
  std::optional<bool> Bool(std::string_view key) const;
  std::optional<JsonObjectView> Object(std::string_view key) const;
  std::string_view text() const { return text_; }

 private:
  static constexpr std::size_t kIndexed = 16;
  struct Member {
    std::uint32_t name;  // offset; the quotes are not part of it
    std::uint32_t name_size;
    std::uint32_t value;
    std::uint32_t value_size;
  };

  explicit JsonObjectView(std::string_view text) : text_(text) {}
  // Notes the members from the opening brace at `start` on. Returns the position behind the closing
  // one, or npos when they are not well formed.
  std::size_t Index(std::size_t start);
  // A member beyond the indexed ones.
  std::optional<std::string_view> ScanFor(std::string_view key) const;

  std::string_view text_;
  std::size_t rest_ = 0;  // where the first member stands that is not indexed; 0: there is none
  std::uint32_t count_ = 0;
  std::array<Member, kIndexed> members_{};
};

// Splits a JSON array of well-formed text into the raw texts of its elements.
StatusOr<std::vector<std::string_view>> JsonArrayElements(std::string_view text);

}  // namespace interlock::core
