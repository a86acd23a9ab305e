// Personal data: what each part looks for, by what the text has at one place.
#pragma once

#include "literals.h"
#include "number.h"
#include "scan.h"

namespace interlock::policies::detect {

// At the first digit of a run of digits.
void ScanDigits(Scan& scan, std::size_t at);  // pii.cc: calls those below
void ScanCard(Scan& scan, const Number& number);
void ScanNationalNumber(Scan& scan, const Number& number);
void ScanPhone(Scan& scan, const Number& number);
void ScanLetteredId(Scan& scan, std::size_t at);  // IBAN and ids that letters begin or end
void ScanSpacedNino(Scan& scan, std::size_t at);  // AB 12 34 56 C, from its first digit
void ScanIpv4(Scan& scan, std::size_t at);

void ScanInternationalPhone(Scan& scan, std::size_t plus);  // at a `+`
void ScanMail(Scan& scan, std::size_t at_sign);             // at an `@`
void ScanIpv6(Scan& scan, std::size_t colon);               // at a `:`

// Words that make a number an order, a parcel or an article and not a person's.
bool HasGoodsWordBefore(Scan& scan, std::size_t at);

// Postal addresses, found by the words that end or begin a street's name. Immutable.
class AddressDetector {
 public:
  AddressDetector(Literals& literals, int first_id);
  int ids() const { return ids_; }
  void Found(Scan& scan, int id, std::size_t at, std::size_t size) const;

 private:
  int first_id_;
  int ids_ = 0;
};

}  // namespace interlock::policies::detect
