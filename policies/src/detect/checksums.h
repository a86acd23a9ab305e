// Check digits. Every function takes digits only (where letters are meant, it says so) and answers
// no for a length that the number does not have.
#pragma once

#include <string_view>

namespace interlock::policies::detect {

bool Luhn(std::string_view digits);      // ISO/IEC 7812-1 annex B
bool Verhoeff(std::string_view digits);  // dihedral group D5
bool Iso7064Mod11_10(std::string_view digits);
// The rest of the number that the digits write, by `divisor`.
int Mod(std::string_view digits, int divisor);
// ISO 13616: country code, length by country, rest 1 modulo 97. Letters are upper case.
bool Iban(std::string_view text);
// The length of an IBAN of this country, or 0.
std::size_t IbanLength(std::string_view country);
// Sum of digit times weight.
int Weigh(std::string_view digits, std::string_view weights_from_1_to_9);

// Whether the digits may be the last two of a year, a month and a day.
bool IsMonthDay(std::string_view mmdd);

}  // namespace interlock::policies::detect
