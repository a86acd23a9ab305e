#include "arithmetic.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace retail {
namespace {

// Recursive descent; the first error makes every later step fail.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<double> Parse() {
    const double value = Sum();
    if (failed_ || Peek() != '\0' || !std::isfinite(value)) return std::nullopt;
    return value;
  }

 private:
  char Peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool Take(char wanted) {
    if (Peek() != wanted) return false;
    ++at_;
    return true;
  }

  double Fail() {
    failed_ = true;
    return 0;
  }

  double Sum() {
    double value = Product();
    while (!failed_) {
      if (Take('+')) {
        value += Product();
      } else if (Take('-')) {
        value -= Product();
      } else {
        break;
      }
    }
    return value;
  }

  double Product() {
    double value = Factor();
    while (!failed_) {
      if (Take('*')) {
        value *= Factor();
      } else if (Take('/')) {
        const double divisor = Factor();
        if (divisor == 0) return Fail();
        value /= divisor;
      } else {
        break;
      }
    }
    return value;
  }

  double Factor() {
    if (++depth_ > kExpressionDepthMax) return Fail();
    const double value = Signed();
    --depth_;
    return value;
  }

  double Signed() {
    if (Take('-')) return -Factor();
    if (Take('+')) return Factor();
    if (!Take('(')) return Number();
    const double value = Sum();
    return Take(')') ? value : Fail();
  }

  double Number() {
    const char first = Peek();
    if (first != '.' && (first < '0' || first > '9')) return Fail();
    double value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] =
        std::from_chars(begin, text_.data() + text_.size(), value, std::chars_format::fixed);
    if (error != std::errc()) return Fail();
    at_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool failed_ = false;
};

}  // namespace

std::optional<std::string> Evaluate(std::string_view expression) {
  if (expression.size() > kExpressionBytesMax) return std::nullopt;
  const auto value = Parser(expression).Parse();
  if (!value) return std::nullopt;
  std::array<char, 400> buffer{};
  const int size = std::snprintf(buffer.data(), buffer.size(), "%.2f", *value);
  std::string text(buffer.data(), static_cast<std::size_t>(size));
  if (text.back() == '0') text.pop_back();
  return text;
}

}  // namespace retail
