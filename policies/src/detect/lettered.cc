// IBAN, and national numbers with letters in them.
#include <algorithm>
#include <array>

#include "checksums.h"
#include "pii.h"

namespace interlock::policies::detect {
namespace {

constexpr std::size_t kWordMax = 20;

// The form: A letter, 9 digit, * either. The text must be all of it.
bool Fits(std::string_view text, std::string_view form) {
  if (text.size() != form.size()) return false;
  for (std::size_t i = 0; i < form.size(); ++i) {
    const char c = text[i];
    if (form[i] == 'A' ? !IsUpper(c) : form[i] == '9' ? !IsDigit(c) : !IsUpper(c) && !IsDigit(c))
      return false;
  }
  return true;
}

// Letters and digits from `begin` on, single spaces between them left out.
bool ReadIban(std::string_view text, std::size_t begin, std::string& iban, std::size_t& end) {
  const std::string country = {Upper(text[begin]), Upper(text[begin + 1])};
  const std::size_t size = IbanLength(country);
  if (size == 0) return false;
  std::size_t at = begin;
  while (at < text.size() && iban.size() < size) {
    if (IsAlnum(text[at])) {
      iban += Upper(text[at]);
    } else if ((text[at] != ' ' && text[at] != '-') || at + 1 >= text.size() ||
               !IsAlnum(text[at + 1])) {
      break;
    }
    ++at;
  }
  end = at;
  return iban.size() == size && (at >= text.size() || !IsAlnum(text[at]));
}

void ScanIban(Scan& scan, std::size_t begin) {
  std::string iban;
  std::size_t end = 0;
  scan.Work(4);
  if (ReadIban(scan.text(), begin, iban, end) && Iban(iban))
    scan.Add("iban", Confidence::kHigh, begin, end);
}

// Ministry of Finance decree 23/12/1976: values of characters at odd places.
bool ItFiscalCode(std::string_view code) {
  constexpr std::array<int, 26> kOdd = {1,  0,  5, 7, 9, 13, 15, 17, 19, 21, 2,  4,  18,
                                        20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
  if (!Fits(code, "AAAAAA99A99A999A")) return false;
  int sum = 0;
  for (std::size_t i = 0; i < 15; ++i) {
    const int value = IsDigit(code[i]) ? code[i] - '0' : code[i] - 'A';
    sum += i % 2 == 0 ? kOdd[static_cast<std::size_t>(value)] : value;
  }
  return 'A' + sum % 26 == code[15];
}

// The last digit weighs 37 characters (digits, letters, Ñ after N) by 18 down to 2.
bool MxCurp(std::string_view code) {
  if (!Fits(code, "AAAA999999AAAAAA*9") || !IsMonthDay(code.substr(6, 4))) return false;
  int sum = 0;
  for (std::size_t i = 0; i < 17; ++i) {
    const char c = code[i];
    const int value = IsDigit(c) ? c - '0' : c - 'A' + 10 + (c > 'N' ? 1 : 0);
    sum += value * static_cast<int>(18 - i);
  }
  return (10 - sum % 10) % 10 == code[17] - '0';
}

// Real Decreto 338/1990: the letter is the rest modulo 23.
bool EsLetter(std::string_view digits, char letter) {
  constexpr std::string_view kLetters = "TRWAGMYFPDXBNJZSQVHLCKE";
  return kLetters[static_cast<std::size_t>(Mod(digits, 23))] == letter;
}

bool EsNie(std::string_view code) {
  if (!Fits(code, "A9999999A") || code[0] < 'X') return false;
  return EsLetter(
      std::string(1, static_cast<char>('0' + code[0] - 'X')) + std::string(code.substr(1, 7)),
      code[8]);
}

bool SgNric(std::string_view code) {
  if (!Fits(code, "A9999999A")) return false;
  const int shift = code[0] == 'T' || code[0] == 'G' ? 4 : code[0] == 'M' ? 3 : 0;
  const auto rest = static_cast<std::size_t>((Weigh(code.substr(1, 7), "2765432") + shift) % 11);
  if (code[0] == 'S' || code[0] == 'T') return std::string_view("JZIHGFEDCBA")[rest] == code[8];
  if (code[0] == 'F' || code[0] == 'G') return std::string_view("XWUTRQPNMLK")[rest] == code[8];
  return code[0] == 'M' && std::string_view("XWUTRQPNJLK")[rest] == code[8];
}

bool UkNino(std::string_view code) {
  if (!Fits(code, "AA999999A") || code[8] > 'D') return false;
  const std::string_view prefix = code.substr(0, 2);
  for (const std::string_view unused : {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}) {
    if (prefix == unused) return false;
  }
  return std::string_view("DFIQUV").find(prefix[0]) == std::string_view::npos &&
         std::string_view("DFIQUVO").find(prefix[1]) == std::string_view::npos;
}

bool InPan(std::string_view code) {
  return Fits(code, "AAAAA9999A") && std::string_view("ABCFGHJLPT").find(code[3]) < 10;
}

bool EsDni(std::string_view code) {
  return Fits(code, "99999999A") && EsLetter(code.substr(0, 8), code[8]);
}

// GB 11643: weights are powers of two modulo 11; a check of 10 is written X.
bool CnResident(std::string_view code) {
  if (!Fits(code, "99999999999999999*") || !IsMonthDay(code.substr(10, 4))) return false;
  int sum = 0;
  int weight = 2;
  for (std::size_t i = 17; i-- > 0;) {
    sum += (code[i] - '0') * weight;
    weight = weight * 2 % 11;
  }
  const int check = (12 - sum % 11) % 11;
  return (code.substr(6, 2) == "19" || code.substr(6, 2) == "20") &&
         code[17] == (check == 10 ? 'X' : static_cast<char>('0' + check));
}

// DDMMYY, the century's sign, a number and a letter for their rest modulo 31.
bool FiHetu(std::string_view code) {
  constexpr std::string_view kCheck = "0123456789ABCDEFHJKLMNPRSTUVWXY";
  if (code.size() != 11 || std::string_view("-+ABCDEFUVWXY").find(code[6]) >= 13) return false;
  const std::string digits = std::string(code.substr(0, 6)) + std::string(code.substr(7, 3));
  if (!Fits(digits, "999999999")) return false;
  const std::string mmdd = {digits[2], digits[3], digits[0], digits[1]};
  return IsMonthDay(mmdd) && kCheck[static_cast<std::size_t>(Mod(digits, 31))] == code[10];
}

struct LetteredId {
  std::string_view kind;
  bool (*check)(std::string_view code);
  std::vector<std::string_view> words;
  Confidence alone;  // without one of the words
};

const std::vector<LetteredId>& LetteredIds() {
  static const std::vector<LetteredId> ids = {
      {"it_codice_fiscale", &ItFiscalCode, {"fiscale"}, Confidence::kHigh},
      {"mx_curp", &MxCurp, {"curp"}, Confidence::kHigh},
      {"es_nie", &EsNie, {"nie"}, Confidence::kMedium},
      {"es_dni", &EsDni, {"dni", "nif"}, Confidence::kMedium},
      {"sg_nric", &SgNric, {"nric", "fin"}, Confidence::kMedium},
      {"uk_nino", &UkNino, {"national ins", "nino", "ni number", "ni no"}, Confidence::kMedium},
      {"in_pan", &InPan, {"pan", "permanent account"}, Confidence::kLow},
      {"cn_resident_id", &CnResident, {"身份证"}, Confidence::kHigh},
      {"fi_hetu", &FiHetu, {"hetu", "henkil"}, Confidence::kMedium}};
  return ids;
}

void TryIds(Scan& scan, std::string_view code, std::size_t begin, std::size_t end) {
  for (const LetteredId& id : LetteredIds()) {
    if (!id.check(code)) continue;
    Confidence confidence = id.alone;
    if (scan.HasWordBefore(begin, id.words)) {
      confidence = Confidence::kHigh;
    } else if (confidence == Confidence::kMedium && HasGoodsWordBefore(scan, begin)) {
      confidence = Confidence::kLow;
    }
    scan.Add(id.kind, confidence, begin, end);
  }
}

}  // namespace

// `at` is the first digit after letters, or of digits that a letter or dash follows.
void ScanLetteredId(Scan& scan, std::size_t at) {
  const std::string_view text = scan.text();
  std::size_t begin = at;
  while (begin > 0 && at - begin < 7 && IsAlpha(text[begin - 1])) --begin;
  if (begin > 0 && text[begin - 1] == '\\' && at > begin) ++begin;  // the letter of an escape
  if (!scan.WordBegins(begin)) return;
  const char before = scan.Before(begin);
  if ((before == '-' || before == '/' || before == '+' || before == '.') && begin >= 2 &&
      IsAlnum(text[begin - 2]))
    return;
  std::size_t end = at;
  while (end < text.size() && end - begin <= kWordMax && IsAlnum(text[end])) ++end;
  scan.Work(2);
  if (at - begin == 2 && IsDigit(scan.At(at + 1)) && !IsDigit(text[begin])) ScanIban(scan, begin);
  const std::size_t size = end - begin;
  const bool dash = scan.At(end) == '-' && IsAlnum(scan.At(end + 1));
  if (size == 6 && (dash || scan.At(end) == '+')) {
    std::size_t last = end + 1;
    while (last < text.size() && last - begin <= kWordMax && IsAlnum(text[last])) ++last;
    TryIds(scan, text.substr(begin, last - begin), begin, last);
    return;
  }
  if (!dash && size >= 9 && size <= 18) TryIds(scan, text.substr(begin, size), begin, end);
}

void ScanSpacedNino(Scan& scan, std::size_t at) {
  if (at < 3 || scan.Before(at) != ' ' || !scan.WordBegins(at - 3)) return;
  const std::size_t begin = at - 3;
  const std::string_view text = scan.text().substr(begin, 13);
  if (text.size() < 13 || text[5] != ' ' || text[8] != ' ' || text[11] != ' ') return;
  std::string code(text);
  code.erase(std::remove(code.begin(), code.end(), ' '), code.end());
  if (!IsAlnum(scan.At(begin + 13))) TryIds(scan, code, begin, begin + 13);
}

}  // namespace interlock::policies::detect
