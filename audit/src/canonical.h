// One pass over JSON text that says whether it is in the narrow RFC 8785 profile of entries,
// without a tree: no white space, object keys printable ASCII without escapes and strictly
// ascending, strings in their one canonical spelling and valid UTF-8, numbers integers within
// ±(2^53-1) (never -0), at most kDepthMax deep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/json.h"

namespace interlock::audit {

// Borrows the text. Every method advances past what it accepted, or returns false / nullopt; after
// that the position is unspecified. One per thread.
class CanonicalScanner {
 public:
  static constexpr int kDepthMax = 64;

  explicit CanonicalScanner(std::string_view text) : text_(text) {}

  bool AtEnd() const { return at_ == text_.size(); }
  bool Literal(std::string_view literal);
  bool Value() { return Value(0); }
  // A value that is an object / an array / a string / an integer; the accepted text.
  std::optional<std::string_view> Object();
  // The same where the text is one object and nothing else, as a view of its members.
  std::optional<core::JsonObjectView> WholeObject();
  std::optional<std::string_view> Array();
  // The text between the quotes, escapes and all.
  std::optional<std::string_view> String();
  std::optional<std::int64_t> Integer();

 private:
  bool Value(int depth);
  // `members`: null, or what the object's own are added to.
  bool ObjectBody(int depth, core::JsonObjectView* members = nullptr);
  bool ArrayBody(int depth);
  bool Escape();
  bool MultiByte();
  std::optional<std::string_view> Key();
  bool Take(char c);
  bool Peek(char c) const { return at_ < text_.size() && text_[at_] == c; }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace interlock::audit
