// Personal data: hits made by the rules of each number, each with harmless twins. No number is
// known to belong to anybody.
#include <gtest/gtest.h>

#include "detect_fixture.h"

namespace interlock::policies {
namespace {

TEST(DetectPii, FindsEachKindWhereItIs) {
  const std::vector<Hit> hits = {
      {"email", "write to ", "jane.roe+shop@mail.example.com", ", please"},
      {"email", "<", "zoë@müller.example", ">"},
      {"email", "mailto:", "jane@corp.example", "?subject=x"},
      {"phone", "call ", "+1 (415) 555-2671", " now"},
      {"phone", "", "+49 30 12345678", ""},
      {"phone", "tel:", "+33612345678", ";"},
      {"phone", "home ", "(415) 555-2671", "."},
      {"phone", "home ", "415-555-2671", "."},
      {"phone", "chez moi : ", "06 12 34 56 78", ""},
      {"phone", "my phone number is ", "555 01234", ""},
      {"card", "pay with ", "4666 1760 3137 2159", " exp 12/27"},
      {"card", "", "4666-1760-3137-2159", ""},
      {"card", "number:", "5597528820018263", ""},
      {"card", "amex ", "3431 240234 48347", ""},
      {"card", "", "6011824504000883", "\n"},
      {"card", "12 ", "4666 1760 3137 2159", ""},
      {"card", "{\\n", "4666176031372159", "}"},
      {"iban", "to ", "DE67 5331 5046 9670 2884 56", " by Friday"},
      {"iban", "to ", "DE67533150469670288456", "."},
      {"iban", "", "gb71cuzr44271645448749", ""},
      {"iban", "IBAN:", "FR4700617767429725031278832", ""},
      {"us_ssn", "my ssn is ", "536-22-8127", ""},
      {"us_ssn", "SSN: ", "536228127", ""},
      {"us_itin", "itin ", "964-71-8227", ""},
      {"uk_nhs_number", "NHS number ", "740 718 8181", ""},
      {"uk_nino", "", "AB 12 34 56 C", " is mine"},
      {"uk_nino", "national insurance ", "AB123456C", ""},
      {"de_tax_id", "Steuer-ID ", "83 976 413 238", ""},
      {"nl_bsn", "BSN ", "161728881", ""},
      {"be_national_number", "", "85.07.30-525.21", ""},
      {"pl_pesel", "PESEL ", "85073033980", ""},
      {"se_personnummer", "personnummer ", "850730-7851", ""},
      {"no_fodselsnummer", "fnr ", "30078517871", ""},
      {"br_cpf", "", "184.553.453-06", ""},
      {"br_cpf", "CPF ", "18455345306", ""},
      {"in_aadhaar", "", "2939 4828 0669", ""},
      {"in_pan", "PAN ", "ABCPK1234L", ""},
      {"ca_sin", "SIN ", "164-504-805", ""},
      {"au_tfn", "TFN ", "218 871 548", ""},
      {"kr_rrn", "", "850730-1327250", ""},
      {"za_id", "ID number ", "8507300473085", ""},
      {"tr_tckn", "TCKN ", "13964346916", ""},
      {"jp_my_number", "my number ", "4827 3619 5024", ""},
      {"ch_ahv", "", "756.4228.3782.33", ""},
      {"fr_nir", "", "1 85 07 21 820 485 24", ""},
      {"cl_rut", "", "37.839.118-0", ""},
      {"it_codice_fiscale", "", "CTSEMR85L30D781F", ""},
      {"mx_curp", "", "BOXW310820HNERXN09", ""},
      {"es_nie", "", "X1272441N", ""},
      {"es_dni", "DNI ", "21371080D", ""},
      {"cn_resident_id", "", "110101198507304657", ""},
      {"fi_hetu", "", "300785-170D", ""},
      {"sg_nric", "NRIC ", "S8576123D", ""},
      {"dk_cpr", "CPR ", "300785-1234", ""},
      {"ip_address", "from ", "203.0.113.77", " port 22"},
      {"ip_address", "from ", "2001:db8::8a2e:370:7334", ""},
      {"ip_address", "[", "2001:db8:85a3:0:0:8a2e:370:7334", "]"},
      {"postal_address", "I live at ", "12 Oak Street", ", Springfield, IL 62704"},
      {"postal_address", "", "221B Baker Street", ", London NW1 6XE"},
      {"postal_address", "", "Hauptstraße 5", ", 10115 Berlin"},
      {"postal_address", "", "PO Box 1234", ", Anytown"},
  };
  for (const Hit& hit : hits) ExpectHit(hit, {.pii = true});
}

TEST(DetectPii, ReadsThroughDisguise) {
  for (const Hit& hit : std::vector<Hit>{{"card", "", "４６６６ １７６０ ３１３７ ２１５９", ""},
                                         {"card", "", "4666\u200B1760\u200B3137\u200B2159", " ok"},
                                         {"card", "", "4666\u00A01760\u00A03137\u00A02159", ""},
                                         {"card", "", "4666\u20111760\u20113137\u20112159", ""},
                                         {"email", "to ", "jane\uFF20corp.example", " now"},
                                         {"email", "to ", "j\u0430ne@corp.example", " now"},
                                         {"us_ssn", "ssn ", "536\u2013\u200B22\u20138127", ""}})
    ExpectHit(hit, {.pii = true});
}

TEST(DetectPii, LeavesHarmlessTwins) {
  for (const char* text : {
           "order 4666176031372158 shipped",  // Luhn fails
           "order number 4666176031372159",   // Luhn holds, but an order says so
           "tracking 1Z999AA10123456784",     // parcels
           "tracking number 9400 1118 9922 3197 4283 00",
           "invoice 2024-000123, total 1,299.00 USD",   //
           "the price is $4666176031372159",            //
           "price 1 234 567.89 EUR",                    //
           "on 2026-05-01 at 10:15:30 and 01.05.2026",  //
           "2026-05-01T10:15:30.123456Z",               //
           "id 550e8400-e29b-41d4-a716-446655440000",   // UUIDs
           "id 12345678-1234-1234-1234-123456789012",   //
           "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
           "commit 4666176031372159abcdef",  //
           "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
           "3.14159265358979 and 0.4666176031372159",      //
           "user@1.2.3 and icon@2x.png and @media",        //
           "git@host.example:team/repo.git",               //
           "std::vector<int> a; abc::def(x); dead::beef",  //
           "10:20:30:40 and aa:bb:cc:dd:ee:ff",            // times, MAC addresses
           "version 1.2.3.4 and chapter 10.1.1.2",         //
           "127.0.0.1 and 192.168.1.10",                   //
           "DE67533150469670288457",                       // IBANs with a wrong check
           "XX67533150469670288456",                       //
           "000-12-3456 and 666-12-3456 and 123-45-6789",  // never issued
           "850730-7850 and 83 976 413 239",               // wrong check digits
           "QQ 12 34 56 C and order AB123456C",            //
           "we sell 5 Star Drive and 3 Main Street maps",  // no town follows
           "10 Ways to Drive Better",                      //
           "x = 2+12345678; y += 4155552671",              //
           "ISBN 978-3-16-148410-0, EAN 4006381333931",    //
           "2939 4828 0668",                               //
           "epoch 1732180583000 ms",                       //
           "{\"amount\": 4155552671, \"qty\": 12}",        //
       })
    ExpectNothing(text, {.pii = true});
}

TEST(DetectPii, WeighsWhatStandsBefore) {
  const std::string card = "4666176031372159";
  EXPECT_EQ(ConfidenceOf("card " + card, "card", {.pii = true}), Confidence::kHigh);
  EXPECT_EQ(ConfidenceOf("paid for the order by card " + card, "card", {.pii = true}),
            Confidence::kHigh);
  EXPECT_EQ(ConfidenceOf(card, "card", {.pii = true}), Confidence::kMedium);
  EXPECT_EQ(ConfidenceOf("order " + card, "card", {.pii = true}), Confidence::kLow);
  EXPECT_EQ(ConfidenceOf("536228127", "us_ssn", {.pii = true}), Confidence::kLow);
  EXPECT_EQ(ConfidenceOf("536228127", "us_ssn", {.pii = true, .field = "customer_ssn"}),
            Confidence::kHigh);
}

}  // namespace
}  // namespace interlock::policies
