#include "pii.h"

namespace interlock::policies::detect {
namespace {

constexpr std::size_t kNumberDigitsMin = 7;  // of any number that is looked for
constexpr std::size_t kChineseDigits = 18;   // an id that may end in X and mostly does not

}  // namespace

bool HasGoodsWordBefore(Scan& scan, std::size_t at) {
  static const std::vector<std::string_view> words = {
      "order",  "invoice",     "track",   "sku",      "part no",  "article",  "item",
      "ticket", "case",        "serial",  "parcel",   "shipment", "batch",    "lot",
      "imei",   "isbn",        "ean",     "gtin",     "upc",      "barcode",  "awb",
      "sscc",   "ref",         "bestell", "rechnung", "sendung",  "pedido",   "commande",
      "txn",    "transaction", "build",   "commit",   "version",  "revision", "#"};
  return scan.HasWordBefore(at, words);
}

// A number may stand for more than it should ("12 4111 1111 …"), so each of its beginnings is
// tried.
void ScanDigits(Scan& scan, std::size_t at) {
  scan.Work(2);
  if (IsAlpha(scan.Before(at))) ScanLetteredId(scan, at);
  ScanSpacedNino(scan, at);
  const Number whole = ReadNumber(scan.text(), at);
  if (whole.groups == 0) return;
  const char after = scan.At(whole.ends[0]);
  if (IsAlpha(after) || after == '-' || after == '+' || whole.sizes[0] == kChineseDigits)
    ScanLetteredId(scan, at);
  if (whole.sizes[0] <= 3) ScanIpv4(scan, at);
  if (whole.digit_count < kNumberDigitsMin) {
    if (scan.Before(at) == '(') ScanPhone(scan, whole);
    return;
  }
  std::size_t digits = 0;
  for (std::size_t count = 1; count <= whole.groups; ++count) {
    digits += whole.sizes[count - 1];
    if (digits < kNumberDigitsMin || !StandsAlone(scan, at, whole.ends[count - 1])) continue;
    const Number number = whole.First(count);
    scan.Work(4);
    ScanCard(scan, number);
    ScanNationalNumber(scan, number);
    ScanPhone(scan, number);
  }
}

}  // namespace interlock::policies::detect
