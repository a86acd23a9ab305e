// Postal addresses by their shape: a number beside the name of a street. A heuristic: sure only
// where a post code, a unit or a town follows.
#include <algorithm>
#include <array>

#include "pii.h"

namespace interlock::policies::detect {
namespace {

// 12 Oak Street: the word ends the name. Hauptstraße 5: the number follows. 5 rue Oberkampf: the
// word begins the name.
enum Form { kNumberBefore, kNumberAfter, kWordFirst, kBox };

struct StreetWord {
  std::string_view word;
  Form form;
};

constexpr std::array<StreetWord, 41> kWords = {{
    {" Street", kNumberBefore},  {" St.", kNumberBefore},
    {" St,", kNumberBefore},     {" Avenue", kNumberBefore},
    {" Ave", kNumberBefore},     {" Road", kNumberBefore},
    {" Rd", kNumberBefore},      {" Boulevard", kNumberBefore},
    {" Blvd", kNumberBefore},    {" Lane", kNumberBefore},
    {" Ln", kNumberBefore},      {" Drive", kNumberBefore},
    {" Dr.", kNumberBefore},     {" Dr,", kNumberBefore},
    {" Court", kNumberBefore},   {" Terrace", kNumberBefore},
    {" Parkway", kNumberBefore}, {" Crescent", kNumberBefore},
    {" Close,", kNumberBefore},  {" Square,", kNumberBefore},
    {" Place,", kNumberBefore},  {" Way,", kNumberBefore},
    {" Highway", kNumberBefore}, {"straße ", kNumberAfter},
    {"strasse ", kNumberAfter},  {"str. ", kNumberAfter},
    {"allee ", kNumberAfter},    {"platz ", kNumberAfter},
    {"gasse ", kNumberAfter},    {" rue ", kWordFirst},
    {" avenue ", kWordFirst},    {" boulevard ", kWordFirst},
    {" chemin ", kWordFirst},    {" impasse ", kWordFirst},
    {"Calle ", kNumberAfter},    {"Via ", kNumberAfter},
    {"Avenida ", kNumberAfter},  {"straat ", kNumberAfter},
    {"weg ", kNumberAfter},      {"P.O. Box ", kBox},
    {"PO Box ", kBox},
}};

bool IsNameByte(char c) {
  return IsAlnum(c) || c == '.' || c == '\'' || c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

// Back over one to three words with capitals and a house number; where the number begins, or npos.
std::size_t NumberBefore(std::string_view text, std::size_t at) {
  for (int words = 0; words < 4; ++words) {
    std::size_t begin = at;
    while (begin > 0 && at - begin < 24 && IsNameByte(text[begin - 1])) --begin;
    if (begin == at) return std::string_view::npos;
    const std::string_view word = text.substr(begin, at - begin);
    const auto digits = static_cast<std::size_t>(std::count_if(word.begin(), word.end(), IsDigit));
    if (words > 0 && IsDigit(word[0]) && digits <= 5 && word.size() <= digits + 1) return begin;
    const bool ordinal = IsDigit(word[0]) && word.size() - digits == 2;
    if (!IsUpper(word[0]) && !ordinal && static_cast<unsigned char>(word[0]) < 0x80)
      return std::string_view::npos;
    if (begin == 0 || text[begin - 1] != ' ') return std::string_view::npos;
    at = begin - 1;
  }
  return std::string_view::npos;
}

// A post code, a unit or `, Town ` within the next bytes.
bool HasTownAfter(Scan& scan, std::size_t end) {
  const std::string_view after = scan.text().substr(end, 56);
  scan.Work(4);
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (after[i] == '\n' && i > 40) break;
    if (!IsDigit(after[i]) || (i > 0 && IsAlnum(after[i - 1]))) continue;
    std::size_t digits = 0;
    while (i + digits < after.size() && IsDigit(after[i + digits])) ++digits;
    if (digits == 5 || digits == 4) return true;
    i += digits;
  }
  for (const std::string_view unit : {"Apt", "apt.", "Suite", "Unit ", "Flat ", "Floor"}) {
    if (after.find(unit) != std::string_view::npos) return true;
  }
  // A British post code: two letters end it after a digit (SW1A 2AA).
  for (std::size_t i = 2; i + 2 < after.size(); ++i) {
    if (IsDigit(after[i]) && after[i - 1] == ' ' && IsUpper(after[i + 1]) &&
        IsUpper(after[i + 2]) && i >= 3 && IsAlnum(after[i - 2]))
      return true;
  }
  return false;
}

void Report(Scan& scan, std::size_t begin, std::size_t end) {
  scan.Add("postal_address", HasTownAfter(scan, end) ? Confidence::kMedium : Confidence::kLow,
           begin, end);
}

void FoundNumberBefore(Scan& scan, std::size_t at, std::size_t end) {
  if (IsAlnum(scan.At(end))) return;  // "Streets", "Roadmap"
  const std::size_t begin = NumberBefore(scan.text(), at);
  if (begin == std::string_view::npos || !scan.WordBegins(begin)) return;
  const char before = scan.Before(begin);
  if (before == '.' || before == '$' || before == '-' || before == '/') return;
  Report(scan, begin, end);
}

std::size_t HouseNumberEnd(Scan& scan, std::size_t at) {
  std::size_t end = at;
  while (end - at < 4 && IsDigit(scan.At(end))) ++end;
  if (end == at || IsDigit(scan.At(end))) return 0;
  if (IsLower(scan.At(end))) ++end;
  return IsAlnum(scan.At(end)) ? 0 : end;
}

// Hauptstraße 5, Calle Mayor 10, Via Roma, 12.
void FoundNumberAfter(Scan& scan, std::size_t at, std::size_t end) {
  const std::string_view text = scan.text();
  std::size_t begin = at;
  while (begin > 0 && at - begin < 32 && IsNameByte(text[begin - 1])) --begin;
  const bool compound = begin < at;
  if (!IsUpper(text[begin]) && static_cast<unsigned char>(text[begin]) < 0x80) return;
  std::size_t number = end;
  if (!compound) {
    if (!IsUpper(scan.At(number))) return;
    while (number - end < 40 &&
           (IsNameByte(scan.At(number)) || scan.At(number) == ' ' || scan.At(number) == ',') &&
           !IsDigit(scan.At(number)))
      ++number;
  }
  const std::size_t to = HouseNumberEnd(scan, number);
  if (to > 0) Report(scan, begin, to);
}

// 5 rue Oberkampf, 12 bis, avenue de la Gare.
void FoundWordFirst(Scan& scan, std::size_t at, std::size_t end) {
  const std::string_view text = scan.text();
  std::size_t begin = at;
  if (begin > 0 && text[begin - 1] == ',') --begin;
  while (begin > 0 && at - begin < 5 && IsDigit(text[begin - 1])) --begin;
  if (begin == at || !IsDigit(text[begin]) || !scan.WordBegins(begin)) return;
  std::size_t to = end;
  while (to < text.size() && to - end < 40 && (IsNameByte(text[to]) || text[to] == ' ')) ++to;
  if (to > end) Report(scan, begin, to);
}

void FoundBox(Scan& scan, std::size_t at, std::size_t end) {
  std::size_t to = end;
  while (to - end < 6 && IsDigit(scan.At(to))) ++to;
  if (to > end && scan.WordBegins(at)) scan.Add("postal_address", Confidence::kMedium, at, to);
}

}  // namespace

AddressDetector::AddressDetector(Literals& literals, int first_id) : first_id_(first_id) {
  for (const StreetWord& word : kWords)
    literals.Add(word.word, LetterCase::kExact, first_id + ids_++);
}

void AddressDetector::Found(Scan& scan, int id, std::size_t at, std::size_t size) const {
  scan.Work(4);
  switch (kWords[static_cast<std::size_t>(id - first_id_)].form) {
    case kNumberBefore: {
      const char last = scan.At(at + size - 1);
      return FoundNumberBefore(scan, at, last == ',' ? at + size - 1 : at + size);
    }
    case kNumberAfter:
      return FoundNumberAfter(scan, at, at + size);
    case kWordFirst:
      return FoundWordFirst(scan, at, at + size);
    case kBox:
      return FoundBox(scan, at, at + size);
  }
}

}  // namespace interlock::policies::detect
