#include "envelope.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

namespace interlock::runtime {
namespace {

constexpr double kIntegerMax = 9007199254740991;  // 2^53-1; each beyond is a double above it
constexpr double kFractionFrom = 1e21;            // where core's canonical numbers get exponents

bool IsNumberByte(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

bool IsHuge(std::string_view token) {
  double value = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (end != token.data() + token.size()) return false;  // no number; the parser says so
  const bool integer = token.find_first_of(".eE") == token.npos;
  const bool tiny = token.find("e-") != token.npos || token.find("E-") != token.npos;
  if (error == std::errc::result_out_of_range) return !tiny;
  return std::abs(value) > kIntegerMax && (integer || std::abs(value) < kFractionFrom);
}

bool HoldsArguments(std::string_view key) {
  return key == "arguments" || key == "args" || key == "input";
}

// One pass, by the few bytes that JSON is built of.
class Pass {
 public:
  Pass(std::string_view json, Where where) : json_(json), where_(where) {
    out_.reserve(json.size());
  }

  std::string Run() {
    while (at_ < json_.size()) {
      const char c = json_[at_];
      if (c == '"') {
        String();
      } else if (c == '-' || (c >= '0' && c <= '9')) {
        Number();
      } else {
        Other(c);
      }
    }
    return std::move(out_);
  }

 private:
  void String() {
    const std::size_t start = at_++;
    while (at_ < json_.size() && json_[at_] != '"') at_ += json_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_ + 1, json_.size());
    const std::string_view token = json_.substr(start, at_ - start);
    newest_ = token.size() < 2 ? "" : token.substr(1, token.size() - 2);
    out_ += token;
  }

  void Number() {
    const std::size_t start = at_;
    while (at_ < json_.size() && IsNumberByte(json_[at_])) ++at_;
    const std::string_view token = json_.substr(start, at_ - start);
    const bool kept = (where_ == Where::kOutsideArguments && InArguments()) || !IsHuge(token);
    if (kept) {
      out_ += token;
    } else {
      out_ += token.front() == '-' ? "-9007199254740991" : "9007199254740991";
    }
  }

  void Other(char c) {
    if (c == ':') key_ = newest_;
    if (c == ',') key_ = {};
    if (c == '{' || c == '[') {
      open_.push_back(InArguments());
      key_ = {};
    }
    if ((c == '}' || c == ']') && !open_.empty()) open_.pop_back();
    out_ += c;
    ++at_;
  }

  bool InArguments() const { return (!open_.empty() && open_.back()) || HoldsArguments(key_); }

  const std::string_view json_;
  const Where where_;
  std::size_t at_ = 0;
  std::string out_;
  std::vector<bool> open_;   // whether it is within arguments
  std::string_view newest_;  // string
  std::string_view key_;     // of the value that comes
};

}  // namespace

std::string WithoutHugeNumbers(std::string_view json, Where where) {
  return Pass(json, where).Run();
}

}  // namespace interlock::runtime
