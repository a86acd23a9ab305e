// One pass over one text: what the parts of the detector share.
#pragma once

#include <string_view>
#include <vector>

#include "fold.h"
#include "policies/detect.h"

namespace interlock::policies::detect {

// ASCII classes, whatever the locale.
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
inline bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
inline bool IsAlpha(char c) { return IsUpper(c) || IsLower(c); }
inline bool IsAlnum(char c) { return IsAlpha(c) || IsDigit(c); }
inline bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
inline bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
inline char Lower(char c) { return IsUpper(c) ? static_cast<char>(c + 32) : c; }
inline char Upper(char c) { return IsLower(c) ? static_cast<char>(c - 32) : c; }

// One per text; offsets in here are those of the folded text unless they are called input offsets.
class Scan {
 public:
  Scan(const Folded& folded, const DetectOptions& options);
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;

  std::string_view text() const { return text_; }
  const Folded& folded() const { return folded_; }
  const DetectOptions& options() const { return options_; }
  // The byte at `at`, or 0 outside of the text.
  char At(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  char Before(std::size_t at) const { return at > 0 && at <= text_.size() ? text_[at - 1] : '\0'; }

  // Whether a word may begin at `at`: after anything but a letter, digit or `_`, and after what
  // stands for a character (\n, %3D).
  bool WordBegins(std::size_t at) const;

  void Add(std::string_view kind, Confidence confidence, std::size_t begin, std::size_t end);
  void AddInput(std::string_view kind, Confidence confidence, std::size_t begin, std::size_t end);
  // One unit is some 20 ns. A text that makes more work than texts do ends the scan (truncated).
  void Work(std::int64_t amount) { work_ += amount; }
  bool Exhausted();

  // Whether one of the words (lower case) stands in the 48 bytes before `at` or in the field's
  // name.
  bool HasWordBefore(std::size_t at, const std::vector<std::string_view>& words);

  // Sorts, drops doubles and gives everything away.
  Detections Finish();

  std::size_t hosts_read_until = 0;  // what the parts for hosts and IPv6 have read already
  std::size_t ipv6_read_until = 0;

 private:
  const Folded& folded_;
  std::string_view text_;
  const DetectOptions& options_;
  std::vector<Detection> found_;
  bool truncated_ = false;
  std::int64_t work_ = 0;
};

DetectGroup GroupOf(std::string_view kind);

}  // namespace interlock::policies::detect
