// National numbers that are digits only, by their published check digits.
#include <algorithm>
#include <array>

#include "checksums.h"
#include "pii.h"

namespace interlock::policies::detect {
namespace {

int Digit(std::string_view digits, std::size_t at) { return digits[at] - '0'; }

bool AllEqual(std::string_view digits) {
  return digits.find_first_not_of(digits[0]) == std::string_view::npos;
}

bool UsSsn(std::string_view d) {
  const int area = Mod(d.substr(0, 3), 1000);
  return area != 0 && area != 666 && area < 900 && d.substr(3, 2) != "00" &&
         d.substr(5, 4) != "0000" && d != "123456789" && d != "078051120" && d != "219099999";
}

bool UsItin(std::string_view d) {
  const int group = Mod(d.substr(3, 2), 100);
  return d[0] == '9' && ((group >= 50 && group <= 65) || (group >= 70 && group <= 88) ||
                         (group >= 90 && group <= 92) || group >= 94);
}

bool UkNhs(std::string_view d) {
  int sum = 0;
  for (std::size_t i = 0; i < 9; ++i) sum += Digit(d, i) * static_cast<int>(10 - i);
  return !AllEqual(d) && (11 - sum % 11) % 11 == Digit(d, 9);
}

// One digit twice or three times among the first ten, no other more than once.
bool DeTaxId(std::string_view d) {
  std::array<int, 10> counts{};
  for (const char c : d.substr(0, 10)) ++counts[static_cast<std::size_t>(c - '0')];
  const auto repeated =
      std::count_if(counts.begin(), counts.end(), [](int count) { return count > 1; });
  return d[0] != '0' && repeated == 1 && *std::max_element(counts.begin(), counts.end()) <= 3 &&
         Iso7064Mod11_10(d);
}

bool NlBsn(std::string_view d) {
  return !AllEqual(d) && (Weigh(d, "98765432") - Digit(d, 8) + 11) % 11 == 0;
}

bool BeNational(std::string_view d) {
  const int check = Mod(d.substr(9, 2), 100);
  const std::string born_since_2000 = "2" + std::string(d.substr(0, 9));
  return IsMonthDay(d.substr(2, 4)) &&
         (97 - Mod(d.substr(0, 9), 97) == check || 97 - Mod(born_since_2000, 97) == check);
}

bool PlPesel(std::string_view d) {
  const int month = Mod(d.substr(2, 2), 100) % 20;
  const int day = Mod(d.substr(4, 2), 100);
  return month >= 1 && month <= 12 && day >= 1 && day <= 31 &&
         (10 - Weigh(d, "1379137913") % 10) % 10 == Digit(d, 10);
}

bool SePersonal(std::string_view d) {
  const std::string_view ten = d.substr(d.size() - 10);
  return IsMonthDay(ten.substr(2, 4)) && Luhn(ten);
}

bool IsDayMonth(std::string_view ddmm) {
  const std::string mmdd = {ddmm[2], ddmm[3], ddmm[0], ddmm[1]};
  return IsMonthDay(mmdd);
}

bool NoNational(std::string_view d) {
  const int first = (11 - Weigh(d, "376189452") % 11) % 11;
  const int second = (11 - Weigh(d, "5432765432") % 11) % 11;
  return IsDayMonth(d) && first == Digit(d, 9) && second == Digit(d, 10);
}

bool DkCpr(std::string_view d) { return IsDayMonth(d); }

bool BrCpf(std::string_view d) {
  int first = 0;
  int second = 0;
  for (std::size_t i = 0; i < 9; ++i) first += Digit(d, i) * static_cast<int>(10 - i);
  for (std::size_t i = 0; i < 10; ++i) second += Digit(d, i) * static_cast<int>(11 - i);
  return !AllEqual(d) && first * 10 % 11 % 10 == Digit(d, 9) &&
         second * 10 % 11 % 10 == Digit(d, 10);
}

bool InAadhaar(std::string_view d) { return d[0] >= '2' && !AllEqual(d) && Verhoeff(d); }
bool CaSin(std::string_view d) { return d[0] != '0' && d[0] != '8' && Luhn(d); }

bool AuTfn(std::string_view d) {
  return !AllEqual(d) && (Weigh(d, "14375869") + 10 * Digit(d, 8)) % 11 == 0;
}

bool KrResident(std::string_view d) {
  return IsMonthDay(d.substr(2, 4)) && d[6] >= '1' && d[6] <= '8' &&
         (11 - Weigh(d, "234567892345") % 11) % 10 == Digit(d, 12);
}

bool ZaId(std::string_view d) { return IsMonthDay(d.substr(2, 4)) && d[10] <= '1' && Luhn(d); }

bool TrIdentity(std::string_view d) {
  int odd = 0;
  int even = 0;
  for (std::size_t i = 0; i < 9; ++i) (i % 2 == 0 ? odd : even) += Digit(d, i);
  const int tenth = ((odd * 7 - even) % 10 + 10) % 10;
  return d[0] != '0' && tenth == Digit(d, 9) && (odd + even + tenth) % 10 == Digit(d, 10);
}

bool JpMyNumber(std::string_view d) {
  const int rest = Weigh(d, "65432765432") % 11;
  return !AllEqual(d) && (rest <= 1 ? 0 : 11 - rest) == Digit(d, 11);
}

// An EAN-13 of Switzerland's country code.
bool ChAhv(std::string_view d) {
  return d.substr(0, 3) == "756" && (10 - Weigh(d, "131313131313") % 10) % 10 == Digit(d, 12);
}

bool FrNir(std::string_view d) {
  const int month = Mod(d.substr(3, 2), 100);
  return (d[0] == '1' || d[0] == '2') && ((month >= 1 && month <= 12) || month >= 20) &&
         97 - Mod(d.substr(0, 13), 97) == Mod(d.substr(13, 2), 100);
}

// A check digit of 11 is written 0, one of 10 is written K (see lettered.cc).
bool ClRut(std::string_view d) {
  return !AllEqual(d) && (11 - Weigh(d, "32765432") % 11) % 11 == Digit(d, 8);
}

struct NationalNumber {
  std::string_view kind;
  std::size_t digits;
  std::vector<std::string_view> forms;  // besides digits only
  bool (*check)(std::string_view digits);
  std::vector<std::string_view> words;  // one of them before the number makes it sure
  Confidence written;                   // in one of the forms, without a word
};

const std::vector<NationalNumber>& NationalNumbers() {
  using enum Confidence;
  static const std::vector<NationalNumber> numbers = {
      {"us_ssn", 9, {"999-99-9999"}, &UsSsn, {"ssn", "social sec"}, kMedium},
      {"us_ssn", 9, {"999 99 9999"}, &UsSsn, {"ssn", "social sec"}, kLow},
      {"us_itin", 9, {"999-99-9999"}, &UsItin, {"itin", "taxpayer"}, kMedium},
      {"uk_nhs_number", 10, {"999~999~9999"}, &UkNhs, {"nhs"}, kLow},
      {"de_tax_id", 11, {"99 999 999 999"}, &DeTaxId, {"steuer", "idnr", "tax id", "tin"}, kMedium},
      {"nl_bsn", 9, {}, &NlBsn, {"bsn", "burgerservice"}, kLow},
      {"be_national_number", 11, {"99.99.99-999.99"}, &BeNational, {"rijksreg", "national"}, kHigh},
      {"pl_pesel", 11, {}, &PlPesel, {"pesel"}, kLow},
      {"se_personnummer", 10, {"999999-9999"}, &SePersonal, {"person", "pnr"}, kMedium},
      {"se_personnummer", 12, {"99999999-9999"}, &SePersonal, {"person", "pnr"}, kMedium},
      {"no_fodselsnummer", 11, {"999999 99999"}, &NoNational, {"fødsel", "fodsel", "fnr"}, kMedium},
      {"dk_cpr", 10, {"999999-9999"}, &DkCpr, {"cpr", "person"}, kLow},
      {"br_cpf", 11, {"999.999.999-99"}, &BrCpf, {"cpf"}, kHigh},
      {"in_aadhaar", 12, {"9999~9999~9999"}, &InAadhaar, {"aadhaar", "uidai"}, kMedium},
      {"ca_sin", 9, {"999~999~999"}, &CaSin, {"sin", "social ins", "nas"}, kLow},
      {"au_tfn", 9, {"999 999 999"}, &AuTfn, {"tfn", "tax file"}, kLow},
      {"kr_rrn", 13, {"999999-9999999"}, &KrResident, {"rrn", "resident"}, kHigh},
      {"za_id", 13, {"999999 9999 999"}, &ZaId, {"id number", "identity", "id no"}, kMedium},
      {"tr_tckn", 11, {}, &TrIdentity, {"tckn", "kimlik"}, kLow},
      {"jp_my_number", 12, {"9999~9999~9999"}, &JpMyNumber, {"my number", "マイナンバー"}, kLow},
      {"ch_ahv", 13, {"999.9999.9999.99"}, &ChAhv, {"ahv", "avs"}, kHigh},
      {"fr_nir", 15, {"9 99 99 99 999 999 99"}, &FrNir, {"nir", "sécu", "secu"}, kHigh},
      {"cl_rut", 9, {"99.999.999-9", "99999999-9"}, &ClRut, {"rut", "run"}, kMedium}};
  return numbers;
}

void Try(Scan& scan, const Number& number, const NationalNumber& wanted) {
  const bool written = std::any_of(wanted.forms.begin(), wanted.forms.end(),
                                   [&](std::string_view form) { return number.Written(form); });
  if ((!written && !number.plain()) || !wanted.check(number.text())) return;
  Confidence confidence = written ? wanted.written : Confidence::kLow;
  if (scan.HasWordBefore(number.begin, wanted.words)) {
    confidence = Confidence::kHigh;
  } else if (confidence != Confidence::kLow && HasGoodsWordBefore(scan, number.begin)) {
    confidence = Confidence::kLow;
  }
  scan.Add(wanted.kind, confidence, number.begin, number.end());
}

}  // namespace

void ScanNationalNumber(Scan& scan, const Number& number) {
  for (const NationalNumber& wanted : NationalNumbers()) {
    if (number.digit_count == wanted.digits) Try(scan, number, wanted);
  }
}

}  // namespace interlock::policies::detect
