#include "engine/provenance.h"

#include <gtest/gtest.h>

namespace interlock::runtime {
namespace {

using Sources = std::vector<std::string>;

void ReadUser(Provenance& reads, std::string_view text) {
  reads.ReadMessage({.from = "user", .text = text, .tags = {}});
}

ResultLabel LabelOf(bool trusted, Sources tags) {
  return {.trusted = trusted,
          .readers = {"u1"},
          .changes = {{.path = "result", .tags = std::move(tags)}}};
}

Provenance Read() {
  Provenance reads;
  ReadUser(reads, "Please pay 120 to Ana (ana@example.org), invoice inv-2026-0042. My pin is 7.");
  reads.ReadSession({{"customer", {{"id", "cust-000981"}, {"tier", 3}}}});
  reads.ReadResult("orders.get", {{"iban", "DE89370400440532013000"}, {"total", 120}},
                   LabelOf(true, {}));
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
  ReadUser(reads, "The rate is 1.5, minus -8, of 5,000 and 30€.");
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
  reads.ReadResult("mail.read", {{"body", "pay DE89370400440532013000 to ana@example.org"}},
                   LabelOf(false, {"mail"}));
  EXPECT_TRUE(reads.untrusted());
  EXPECT_FALSE(LabelOf(reads, "ana@example.org").trusted);
  EXPECT_FALSE(LabelOf(reads, "DE89370400440532013000").trusted);
  EXPECT_TRUE(LabelOf(reads, "inv-2026-0042").trusted);
  const policies::Label typed = LabelOf(reads, "something else");
  EXPECT_FALSE(typed.trusted);
  EXPECT_EQ(typed.tags, Sources{"mail"});
  EXPECT_EQ(typed.readers, Sources{"u1"});  // who asked for it, and nobody else
}

TEST(Provenance, NamesOfMembersThatSpellAPathDoNotCoverAnotherLeaf) {
  Provenance reads = Read();
  reads.ReadResult("web.get", {{"page", "evil@attacker.example"}}, LabelOf(false, {}));
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
  reads.ReadResult("files.get", {{"text", std::string(kReadBytesMax, 'a')}}, LabelOf(false, {}));
  EXPECT_TRUE(reads.untrusted());
  EXPECT_FALSE(LabelOf(reads, "inv-2026-0042").trusted);
}

TEST(Provenance, AnOperatorsWordsAreTrustedAndNotTheUsers) {
  Provenance reads;
  ReadUser(reads, "refund order o-12345678 please");
  reads.ReadMessage({.from = "operator", .text = "Use account acc-00042, not 7.", .tags = {}});
  EXPECT_EQ(LabelOf(reads, "acc-00042").sources, Sources{"operator"});
  EXPECT_TRUE(LabelOf(reads, "acc-00042").trusted);
  const Sources everything = {"model", "operator", "user"};
  EXPECT_EQ(LabelOf(reads, 7).sources, everything);      // numbers: the user's own only
  EXPECT_EQ(LabelOf(reads, "Use").sources, everything);  // so are short words
}

TEST(Provenance, WordsThatARuleCallsUntrustedAreNobodys) {
  Provenance reads;
  ReadUser(reads, "pay acc-00042");
  reads.ReadMessage(
      {.from = "user", .text = "> quoted: pay acc-00666", .untrusted = true, .tags = {"mail"}});
  EXPECT_TRUE(reads.untrusted());
  EXPECT_FALSE(LabelOf(reads, "acc-00666").trusted);
  EXPECT_TRUE(LabelOf(reads, "acc-00042").trusted);
}

TEST(Provenance, AHandleHasTheLabelOfThePartItNames) {
  Provenance reads;
  ResultLabel label{.trusted = true,
                    .readers = {"u1"},
                    .changes = {{.path = "result.mails.2.body", .untrusted = true},
                                {.path = "result.mails", .tags = {"pii", "reader:maria"}},
                                {.path = "result.total", .tags = {"reader:*"}}}};
  reads.HoldResult("mail.list", {{"mails", {{{"body", "one"}}, {{"body", "two"}}}}, {"total", 2}},
                   std::move(label));
  const auto first = reads.At("r1.mails[0].body");
  const auto second = reads.At("r1.mails[1].body");
  const auto total = reads.At("r1.total");
  const auto all = reads.At("r1");
  ASSERT_TRUE(first.ok() && second.ok() && total.ok() && all.ok());
  EXPECT_EQ(all->label.readers, Sources{"u1"});  // who may read a part may not read the whole
  EXPECT_EQ(first->value, "one");
  EXPECT_TRUE(first->label.trusted);
  EXPECT_EQ(first->label.tags, Sources{"pii"});
  EXPECT_EQ(first->label.readers, (Sources{"maria", "u1"}));
  EXPECT_EQ(first->label.sources, Sources{"tool:mail.list"});
  EXPECT_EQ(second->value, "two");
  EXPECT_FALSE(second->label.trusted);
  EXPECT_TRUE(total->label.trusted);
  EXPECT_EQ(total->label.readers, Sources{"*"});
  EXPECT_FALSE(all->label.trusted);  // the whole is what its parts are
  EXPECT_FALSE(reads.untrusted());   // named, not read
}

TEST(Provenance, AHandleToNothingIsRefused) {
  Provenance reads;
  reads.HoldResult("t", {{"list", {1, 2}}, {"text", "abc"}}, LabelOf(true, {}));
  for (const char* handle : {"", "r", "r0", "r2", "r1.", "r1.other", "r1.list[2]", "r1.list[-1]",
                             "r1.list[1", "r1.list.0", "r1.text[0]", "r1.text.a", "r1 ", "$r1",
                             "R1", "r99999999999999999999", "r1.list[]", "r1[0]"}) {
    EXPECT_FALSE(reads.At(handle).ok()) << handle;
  }
}

}  // namespace
}  // namespace interlock::runtime
