#include "checksums.h"

#include <algorithm>
#include <array>
#include <utility>

#include "scan.h"

namespace interlock::policies::detect {
namespace {

int Value(char c) { return c - '0'; }

// SWIFT IBAN registry: length by country.
constexpr std::array<std::pair<std::string_view, std::size_t>, 77> kIbanLengths = {
    {{"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22},
     {"BH", 22}, {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24}, {"DE", 22},
     {"DK", 18}, {"DO", 28}, {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18}, {"FO", 18}, {"FR", 27},
     {"GB", 22}, {"GE", 22}, {"GI", 23}, {"GL", 18}, {"GR", 27}, {"GT", 28}, {"HR", 21}, {"HU", 28},
     {"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26}, {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20},
     {"LB", 28}, {"LC", 32}, {"LI", 21}, {"LT", 20}, {"LU", 20}, {"LV", 21}, {"LY", 25}, {"MC", 27},
     {"MD", 24}, {"ME", 22}, {"MK", 19}, {"MR", 27}, {"MT", 31}, {"MU", 30}, {"NL", 18}, {"NO", 15},
     {"PK", 24}, {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22}, {"SA", 24},
     {"SC", 31}, {"SD", 18}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"ST", 25}, {"SV", 28},
     {"TN", 24}, {"TR", 26}, {"UA", 29}, {"VA", 22}, {"XK", 20}}};

// The dihedral group of order 10, and how positions permute the digits.
int DihedralProduct(int a, int b) {
  if (a < 5) return b < 5 ? (a + b) % 5 : 5 + (a + b) % 5;
  return b < 5 ? 5 + (a - b + 5) % 5 : (a - b + 5) % 5;
}

constexpr std::array<int, 10> kVerhoeffStep = {1, 5, 7, 6, 2, 8, 3, 0, 9, 4};

}  // namespace

bool Luhn(std::string_view digits) {
  int sum = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    int value = Value(digits[digits.size() - 1 - i]);
    if (i % 2 == 1) value = value > 4 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return !digits.empty() && sum % 10 == 0;
}

bool Verhoeff(std::string_view digits) {
  int check = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    int value = Value(digits[digits.size() - 1 - i]);
    for (std::size_t step = 0; step < i % 8; ++step)
      value = kVerhoeffStep[static_cast<std::size_t>(value)];
    check = DihedralProduct(check, value);
  }
  return !digits.empty() && check == 0;
}

bool Iso7064Mod11_10(std::string_view digits) {
  if (digits.size() < 2) return false;
  int product = 10;
  for (const char c : digits.substr(0, digits.size() - 1)) {
    const int sum = (Value(c) + product) % 10;
    product = (sum == 0 ? 10 : sum) * 2 % 11;
  }
  return (11 - product) % 10 == Value(digits.back());
}

int Mod(std::string_view digits, int divisor) {
  int rest = 0;
  for (const char c : digits) rest = (rest * 10 + Value(c)) % divisor;
  return rest;
}

std::size_t IbanLength(std::string_view country) {
  const auto* const found = std::lower_bound(
      kIbanLengths.begin(), kIbanLengths.end(), country,
      [](const auto& pair, std::string_view wanted) { return pair.first < wanted; });
  return found != kIbanLengths.end() && found->first == country ? found->second : 0;
}

bool Iban(std::string_view text) {
  if (text.size() < 15 || text.size() != IbanLength(text.substr(0, 2))) return false;
  int rest = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[(i + 4) % text.size()];
    if (!IsDigit(c) && !IsUpper(c)) return false;
    rest = IsDigit(c) ? (rest * 10 + Value(c)) % 97 : (rest * 100 + (c - 'A' + 10)) % 97;
  }
  return rest == 1;
}

int Weigh(std::string_view digits, std::string_view weights) {
  int sum = 0;
  for (std::size_t i = 0; i < digits.size() && i < weights.size(); ++i)
    sum += Value(digits[i]) * Value(weights[i]);
  return sum;
}

bool IsMonthDay(std::string_view mmdd) {
  const int month = Mod(mmdd.substr(0, 2), 100);
  const int day = Mod(mmdd.substr(2, 2), 100);
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

}  // namespace interlock::policies::detect
