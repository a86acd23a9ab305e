// Payment cards: issuer ranges as the networks publish them, then Luhn.
#include "checksums.h"
#include "pii.h"

namespace interlock::policies::detect {
namespace {

bool IsIssued(std::string_view digits) {
  const std::size_t size = digits.size();
  const int two = Mod(digits.substr(0, 2), 100);
  const int three = Mod(digits.substr(0, 3), 1000);
  const int four = Mod(digits.substr(0, 4), 10000);
  if (digits[0] == '4') return size == 13 || size == 16 || size == 19;
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return size == 16;
  if (two == 34 || two == 37) return size == 15;
  if (two == 36 || two == 38 || two == 39 || (three >= 300 && three <= 305)) return size == 14;
  const bool discover = four == 6011 || (three >= 644 && three <= 649) || two == 65;
  const bool jcb = four >= 3528 && four <= 3589;
  return (discover || jcb || two == 62) && size >= 16 && size <= 19;
}

bool IsGroupedAsCard(const Number& number) {
  for (const char* form : {"9999~9999~9999~9999", "9999~999999~99999", "9999~999999~9999",
                           "9999~9999~9999~9999~999"}) {
    if (number.Written(form))
      return number.groups == 2 || number.separators[1] == number.separators[2];
  }
  return false;
}

}  // namespace

void ScanCard(Scan& scan, const Number& number) {
  const std::string_view digits = number.text();
  if (digits.size() < 13 || digits.size() > 19 || !IsIssued(digits)) return;
  const bool grouped = IsGroupedAsCard(number);
  if ((!grouped && !number.plain()) || !Luhn(digits)) return;
  static const std::vector<std::string_view> words = {
      "card",   "visa",  "master", "amex",  "american express", "discover", "diners", "jcb",
      "credit", "debit", "carte",  "karte", "kreditk",          "tarjeta",  "cart",   "pan"};
  Confidence confidence = grouped ? Confidence::kHigh : Confidence::kMedium;
  if (scan.HasWordBefore(number.begin, words)) {
    confidence = Confidence::kHigh;
  } else if (HasGoodsWordBefore(scan, number.begin) ||
             (number.plain() && digits.size() != 16 && digits.size() != 15)) {
    confidence = Confidence::kLow;
  }
  scan.Add("card", confidence, number.begin, number.end());
}

}  // namespace interlock::policies::detect
