#include "envelope.h"

#include <algorithm>
#include <vector>

namespace interlock::runtime {
namespace {

constexpr std::size_t kDigitsKept = 15;  // all such integers are below 2^53

bool IsNumberByte(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

bool IsHugeInteger(std::string_view token) {
  return token.size() > kDigitsKept + 1 && token.find_first_of(".eE") == token.npos;
}

bool HoldsArguments(std::string_view key) {
  return key == "arguments" || key == "args" || key == "input";
}

// One pass, by the few bytes that JSON is built of.
class Pass {
 public:
  explicit Pass(std::string_view json) : json_(json) { out_.reserve(json.size()); }

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
    const bool kept = InArguments() || !IsHugeInteger(token);
    out_ += kept ? token : "0";
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
  std::size_t at_ = 0;
  std::string out_;
  std::vector<bool> open_;   // whether it is within arguments
  std::string_view newest_;  // string
  std::string_view key_;     // of the value that comes
};

}  // namespace

std::string WithoutHugeIntegers(std::string_view json) { return Pass(json).Run(); }

}  // namespace interlock::runtime
