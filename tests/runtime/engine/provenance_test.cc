#include "engine/provenance.h"

#include <gtest/gtest.h>

namespace interlock::runtime {
namespace {

using Sources = std::vector<std::string>;

Provenance Read() {
  Provenance reads;
  reads.ReadUser("Please pay 120 to Ana (ana@example.org), invoice inv-2026-0042. My pin is 7.");
  reads.ReadSession({{"customer", {{"id", "cust-000981"}, {"tier", 3}}}});
  reads.ReadResult("orders.get", {{"iban", "DE89370400440532013000"}, {"total", 120}}, true, {});
  return reads;
}

policies::Label LabelOf(const Provenance& reads, const core::Json& value) {
  return reads.LabelsOf({{"x", value}}).At("args.x");
}

TEST(Provenance, WholeWordsOfTrustedTextsKeepTheirOrigin) {
  const Provenance reads = Read();
  EXPECT_EQ(LabelOf(reads, "ana@example.org").sources, Sources{"user"});
  EXPECT_EQ(LabelOf(reads, "inv-2026-0042").sources, Sources{"user"});
  EXPECT_EQ(LabelOf(reads, "cust-000981").sources, Sources{"session"});
  EXPECT_EQ(LabelOf(reads, "DE89370400440532013000").sources, Sources{"tool:orders.get"});
  EXPECT_EQ(LabelOf(reads, "Ana").sources, Sources{"user"});  // short, and the user's own
  EXPECT_EQ(LabelOf(reads, 120).sources, Sources{"user"});
  EXPECT_EQ(LabelOf(reads, 7).sources, Sources{"user"});  // ends a sentence
}

TEST(Provenance, PartsOfWordsShortSpansAndNumbersOfOthersAreTheModels) {
  Provenance reads = Read();
  reads.ReadUser("The rate is 1.5, minus -8, of 5,000 and 30€.");
  const core::Json not_words[] = {
      "inv-2026-004", "na@example.org", "30", "cust",   3, "DE8937", 5, 8, 15,
      true,           nullptr,          "",   "xyz-xyz"};
  const Sources everything = {"model", "session", "tool:orders.get", "user"};
  for (const core::Json& value : not_words) {
    EXPECT_EQ(LabelOf(reads, value).sources, everything) << value;
    EXPECT_TRUE(LabelOf(reads, value).trusted) << value;  // all that was read was
  }
}

TEST(Provenance, WhatUntrustedContentHoldsIsNobodysWord) {
  Provenance reads = Read();
  reads.ReadResult("mail.read", {{"body", "pay DE89370400440532013000 to ana@example.org"}}, false,
                   {"mail"});
  EXPECT_TRUE(reads.untrusted());
  EXPECT_FALSE(LabelOf(reads, "ana@example.org").trusted);
  EXPECT_FALSE(LabelOf(reads, "DE89370400440532013000").trusted);
  EXPECT_TRUE(LabelOf(reads, "inv-2026-0042").trusted);
  const policies::Label typed = LabelOf(reads, "something else");
  EXPECT_FALSE(typed.trusted);
  EXPECT_EQ(typed.tags, Sources{"mail"});
  EXPECT_TRUE(typed.readers.empty());
}

TEST(Provenance, NamesOfMembersThatSpellAPathDoNotCoverAnotherLeaf) {
  Provenance reads = Read();
  reads.ReadResult("web.get", {{"page", "evil@attacker.example"}}, false, {});
  const auto labels =
      reads.LabelsOf({{"a", {{"b", "evil@attacker.example"}}}, {"a.b", "ana@example.org"}});
  EXPECT_FALSE(labels.At("args.a.b").trusted);
}

TEST(Provenance, ElementsOfListsCountFromOneAndEmptyOnesAreLabelled) {
  const Provenance reads = Read();
  const auto labels = reads.LabelsOf(
      {{"to", {"ana@example.org", "DE89370400440532013000"}}, {"cc", core::Json::array()}});
  EXPECT_EQ(labels.At("args.to.1").sources, Sources{"user"});
  EXPECT_EQ(labels.At("args.to.2").sources, Sources{"tool:orders.get"});
  EXPECT_TRUE(labels.Knows("args.cc"));
}

TEST(Provenance, BeyondItsBoundNothingUntrustedIsForgotten) {
  Provenance reads = Read();
  reads.ReadResult("files.get", {{"text", std::string(kReadBytesMax, 'a')}}, false, {});
  EXPECT_TRUE(reads.untrusted());
  EXPECT_FALSE(LabelOf(reads, "inv-2026-0042").trusted);
}

}  // namespace
}  // namespace interlock::runtime
