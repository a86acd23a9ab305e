// Telephone numbers: E.164 with a `+`, the written forms of some countries, and others beside a
// word.
#include <algorithm>
#include <array>

#include "checksums.h"
#include "pii.h"

namespace interlock::policies::detect {
namespace {

constexpr std::size_t kPhoneDigitsMin = 8;
constexpr std::size_t kDigitsMax = 15;  // E.164

// Country codes (ITU-T E.164 annex): one digit, two, or the first two of three.
bool BeginsWithCountryCode(std::string_view digits) {
  if (digits[0] == '1' || digits[0] == '7') return true;
  constexpr std::array<int, 65> kCodes = {
      20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
      43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64,
      65, 66, 67, 68, 69, 80, 81, 82, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 95, 96, 97};
  const int two = Mod(digits.substr(0, 2), 100);
  return two == 98 || two == 99 || std::binary_search(kCodes.begin(), kCodes.end(), two);
}

bool HasPhoneWordBefore(Scan& scan, std::size_t at) {
  static const std::vector<std::string_view> words = {
      "phone", "tel ",  "tel.",    "tel:",           "telefon",    "telefax", "mobile",    "cell:",
      "cell ", "call ", "fax",     "whatsapp",       "handy",      "handynr", "rufnummer", "móvil",
      "movil", "sms",   "celular", "contact number", "text me at", "mobil"};
  return scan.HasWordBefore(at, words);
}

bool IsNorthAmerican(std::string_view ten) {
  return ten[0] >= '2' && ten[3] >= '2' && ten.substr(1, 2) != "11" && ten.substr(4, 2) != "11";
}

bool IsDate(const Number& number) {
  for (const char* form : {"9999-99-99", "9999.99.99", "9999/99/99", "99-99-9999", "99.99.9999",
                           "99/99/9999", "9999-99-99 99"}) {
    if (number.Written(form)) return true;
  }
  return false;
}

// Written as in its country, no word needed.
bool IsWrittenForm(const Number& number) {
  const std::string_view digits = number.text();
  for (const char* form : {"999-999-9999", "999.999.9999", "999 999 9999"}) {
    if (number.Written(form)) return IsNorthAmerican(digits);
  }
  for (const char* form : {"9-999-999-9999", "9.999.999.9999", "9 999 999 9999"}) {
    if (number.Written(form)) return digits[0] == '1' && IsNorthAmerican(digits.substr(1));
  }
  if (digits[0] != '0' || digits[1] == '0') return false;
  for (const char* form :
       {"99 99 99 99 99", "99.99.99.99.99", "999 9999 9999", "99999 999999", "9999 999 9999"}) {
    if (number.Written(form)) return true;
  }
  return false;
}

// (415) 555-2671, from its first digit on.
void ScanParenthesis(Scan& scan, std::size_t at) {
  const std::string_view text = scan.text();
  std::size_t to = at + 4;
  if (scan.At(to) == ' ') ++to;
  const Number rest = to < text.size() && IsDigit(text[to]) ? ReadNumber(text, to) : Number{};
  if (rest.groups < 2) return;
  const Number local = rest.First(2);
  if (!local.Written("999-9999") && !local.Written("999 9999") && !local.Written("999.9999"))
    return;
  const std::string digits = std::string(text.substr(at, 3)) + std::string(local.text());
  if (!IsNorthAmerican(digits) || IsAlnum(scan.At(local.end()))) return;
  scan.Add("phone", Confidence::kHigh, at - 1, local.end());
}

}  // namespace

void ScanPhone(Scan& scan, const Number& number) {
  const std::size_t at = number.begin;
  const char before = scan.Before(at);
  if (before == '(' && number.sizes[0] == 3 && scan.At(at + 3) == ')') ScanParenthesis(scan, at);
  if (before == '+' || number.digit_count < 7 || number.digit_count > 13 || IsDate(number)) return;
  const bool written = IsWrittenForm(number);
  if (HasPhoneWordBefore(scan, at)) {
    const Confidence plain = HasGoodsWordBefore(scan, at) ? Confidence::kLow : Confidence::kMedium;
    scan.Add("phone", written ? Confidence::kHigh : plain, at, number.end());
  } else if (written) {
    const bool goods = HasGoodsWordBefore(scan, at);
    scan.Add("phone", goods ? Confidence::kLow : Confidence::kMedium, at, number.end());
  }
}

void ScanInternationalPhone(Scan& scan, std::size_t plus) {
  const std::string_view text = scan.text();
  if (IsAlnum(scan.Before(plus)) || scan.Before(plus) == '+' || !IsDigit(scan.At(plus + 1))) return;
  std::array<char, kDigitsMax + 1> digits{};
  std::size_t count = 0;
  std::size_t end = plus + 1;
  bool separated = false;
  for (std::size_t at = plus + 1, gap = 0; at < text.size() && gap <= 2 && count <= kDigitsMax;
       ++at) {
    if (IsDigit(text[at])) {
      separated = separated || gap > 0;
      digits[count++] = text[at];
      end = at + 1;
      gap = 0;
    } else if (std::string_view(" -./()").find(text[at]) != std::string_view::npos) {
      ++gap;
    } else {
      break;
    }
  }
  scan.Work(2);
  if (count < kPhoneDigitsMin || count > kDigitsMax || IsAlnum(scan.At(end)) || scan.At(end) == '_')
    return;
  if (!BeginsWithCountryCode({digits.data(), count})) return;
  scan.Add("phone", separated ? Confidence::kHigh : Confidence::kMedium, plus, end);
}

}  // namespace interlock::policies::detect
