#include "number.h"

namespace interlock::policies::detect {
namespace {

bool IsSeparator(char c) { return c == ' ' || c == '-' || c == '.' || c == '/'; }

// £ and € end in these bytes; `$` stands before as it is.
bool IsCurrencyBefore(const Scan& scan, std::size_t begin) {
  if (scan.Before(begin) == '$') return true;
  const std::string_view before = scan.text().substr(0, begin);
  return before.ends_with("€") || before.ends_with("£") || before.ends_with("¥");
}

bool GoesOnBefore(const Scan& scan, std::size_t begin) {
  const char before = scan.Before(begin);
  if (!scan.WordBegins(begin)) return true;
  if (before == '.' || before == '-' || before == '/') {
    return begin >= 2 && IsAlnum(scan.text()[begin - 2]);
  }
  if (before == ',' || before == ':') return begin >= 2 && IsDigit(scan.text()[begin - 2]);
  return false;
}

bool GoesOnAfter(const Scan& scan, std::size_t end) {
  const char after = scan.At(end);
  if (IsAlnum(after) || after == '_') return true;
  if (after == '-' || after == '/') return IsAlnum(scan.At(end + 1));
  if (after == '.' || after == ',' || after == ':') return IsDigit(scan.At(end + 1));
  return after == '%';
}

}  // namespace

bool Number::Written(std::string_view form) const {
  std::size_t group = 0;
  std::size_t size = 0;
  for (const char c : form) {
    if (c == '9') {
      ++size;
      continue;
    }
    if (group + 1 >= groups || sizes[group] != size) return false;
    const char separator = separators[++group];
    if (c == '~' ? separator != ' ' && separator != '-' : separator != c) return false;
    size = 0;
  }
  return group + 1 == groups && sizes[group] == size;
}

Number Number::First(std::size_t count) const {
  Number first = *this;
  first.groups = count;
  first.digit_count = 0;
  for (std::size_t i = 0; i < count; ++i) first.digit_count += sizes[i];
  return first;
}

Number ReadNumber(std::string_view text, std::size_t begin) {
  Number number;
  number.begin = begin;
  char separator = 0;
  for (std::size_t at = begin; at < text.size() && number.groups < kNumberGroupsMax;) {
    const std::size_t from = at;
    std::size_t count = number.digit_count;
    while (at < text.size() && IsDigit(text[at]) && count < kNumberDigitsMax)
      number.digits[count++] = text[at++];
    if (at == from || (at < text.size() && IsDigit(text[at]))) break;
    number.digit_count = count;
    number.sizes[number.groups] = static_cast<std::uint8_t>(at - from);
    number.separators[number.groups] = separator;
    number.ends[number.groups++] = at;
    if (at + 1 >= text.size() || !IsSeparator(text[at]) || !IsDigit(text[at + 1])) break;
    separator = text[at++];
  }
  return number;
}

bool StandsAlone(const Scan& scan, std::size_t begin, std::size_t end) {
  return !GoesOnBefore(scan, begin) && !GoesOnAfter(scan, end) && !IsCurrencyBefore(scan, begin);
}

}  // namespace interlock::policies::detect
