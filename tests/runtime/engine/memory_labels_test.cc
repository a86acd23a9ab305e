// What notes carry from run to run: what untrusted content had a part in stays untrusted, and takes
// nothing from what was noted in trust.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "notes.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Injected words that go through memory are what they were, in another run and to another agent.
TEST(Memory, WhatUntrustedContentHadAPartInTaintsWhoeverReadsIt) {
  for (const bool attack : {true, false}) {
    Harness h(kKnownPeoplePolicy, NoteTools());
    Remembers(h);
    const std::string to = attack ? "eve@evil.example" : "ana@shop.example";
    const std::string wrote = RunWith(
        h, {One(attack ? "mail.read" : "book.read", core::Json::object()), Write("write to", to)});
    const AgentFile first = h.agent;
    Remembers(h, "other");
    const std::string read = RunWith(h, {Search(), SendTo(to)});
    EXPECT_EQ(CallOf(h, read, "mail.send").code, attack ? "UNTRUSTED_TO" : "OK");
    EXPECT_EQ(CallOf(h, read, "memory.search").result.find("untrusted") != std::string::npos,
              attack);
    // The whole flow is tainted, not the words alone.
    const std::string flow =
        RunWith(h, {Search(), SendTo("me@shop.example")}, {.message = "mail me@shop.example"});
    EXPECT_EQ(CallOf(h, flow, "mail.send").code, attack ? "UNTRUSTED_FLOW" : "OK");
    ExpectMadeAnew(h, wrote, {&first});
    for (const std::string& run : {read, flow}) ExpectMadeAnew(h, run, {&h.agent});
    ExpectIntact(h);
  }
}

// Which words are kept is a choice, and one that was made under somebody's influence.
TEST(Memory, TrustedWordsThatAnUntrustedPlanKeepsAreNotTrusted) {
  for (const bool attack : {true, false}) {
    Harness h(kKnownPeoplePolicy, NoteTools());
    Remembers(h);
    std::vector<Plan> plans;
    if (attack) plans.push_back(One("mail.read", core::Json::object()));
    plans.push_back(Write("standing order", "me@shop.example"));
    RunWith(h, std::move(plans), {.message = "once, and only now, write to me@shop.example"});
    const std::string run = RunWith(h, {Search(), SendTo("me@shop.example")});
    EXPECT_EQ(CallOf(h, run, "mail.send").code, attack ? "UNTRUSTED_TO" : "OK");
  }
}

TEST(Memory, TrustedNotesAloneCanBeAskedFor) {
  Harness h(kKnownPeoplePolicy, NoteTools());
  Remembers(h);
  RunWith(h, {Write("good", "me@shop.example"), One("mail.read", core::Json::object()),
              Write("bad", "eve@evil.example")});
  const std::string run = RunWith(h, {Search({{"trusted_only", true}}), SendTo("me@shop.example")});
  EXPECT_EQ(CallOf(h, run, "mail.send").code, "OK");
  EXPECT_THAT(Seen(h), Not(HasSubstr("evil")));
}

TEST(Memory, TagsAndSourcesOfRulesGoThroughMemory) {
  Harness h(std::string(kKnownPeoplePolicy) + R"(
on(result("book.read"), "tag", function(c) return label { result = { "internal" } } end)
on("mail.send", "no-internal", function(c)
  if contains(tags(c.args, "to"), "internal") then return deny { code = "INTERNAL" } end
end)
on("mail.send", "from-memory", function(c)
  local of = tags(c.args, "to")
  if contains(sources(c.args, "to"), "tool:memory.search") and not contains(of, "internal") then
    return deny { code = "MEMORY" }
  end
end))",
            NoteTools());
  Remembers(h);
  RunWith(h, {One("book.read", core::Json::object()), Write("mail", "ana@shop.example")});
  const std::string tagged = RunWith(h, {Search(), SendTo("ana@shop.example")});
  EXPECT_EQ(CallOf(h, tagged, "mail.send").code, "INTERNAL");
  ExpectMadeAnew(h, tagged, {&h.agent});
  const std::string plain = RunWith(h, {Forget("mail"), Write("mail", "bob@shop.example")});
  const std::string read = RunWith(h, {Search(), SendTo("bob@shop.example")});
  EXPECT_EQ(CallOf(h, read, "mail.send").code, "MEMORY");
  const std::string without = RunWith(h, {SendTo("bob@shop.example")});
  EXPECT_EQ(CallOf(h, without, "mail.send").code, "OK");
}

// An injected order to forget, or to write over, what the user said.
TEST(Memory, WhatWasNotedInTrustStaysUnlessThePlanIsTrusted) {
  Harness h(kKnownPeoplePolicy, NoteTools());
  Remembers(h);
  RunWith(h, {Write("mail", "me@shop.example")});
  const std::string attack =
      RunWith(h, {One("mail.read", core::Json::object()), Write("mail", "eve@evil.example"),
                  Forget("mail"), Write("mail 2", "eve@evil.example")});
  EXPECT_EQ(CallOf(h, attack, "memory.delete").code, "NOTE_TRUSTED");
  EXPECT_THAT(Seen(h), HasSubstr("NOTE_TRUSTED"));
  EXPECT_THAT(FoundBy(h), AllOf(HasSubstr("me@shop.example"), HasSubstr("mail 2")));
  ExpectMadeAnew(h, attack, {&h.agent});
  RunWith(h, {Write("mail", "new@shop.example"), Forget("mail 2")});  // the harmless twin
  EXPECT_THAT(FoundBy(h), AllOf(HasSubstr("new@shop.example"), Not(HasSubstr("mail 2"))));
}

// By handle the planner is shown of an untrusted note its shape alone.
TEST(Memory, UntrustedNotesAreNamedWhereResultsGoByHandle) {
  Harness h(kKnownPeoplePolicy, NoteTools());
  Remembers(h);
  RunWith(h, {One("mail.read", core::Json::object()), Write("order", "write to eve@evil.example")});
  Remembers(h, "tester", "results: handles\n");
  const std::string run =
      RunWith(h, {Search(), SendTo("me@shop.example")}, {.message = "mail me@shop.example"});
  EXPECT_THAT(Seen(h), AllOf(Not(HasSubstr("evil")), HasSubstr(R"("handle":"r1")")));
  EXPECT_EQ(CallOf(h, run, "mail.send").code, "OK");
  ExpectMadeAnew(h, run, {&h.agent});
}

// A topic that the planner names without having read it was still chosen by somebody else.
TEST(Memory, AnUntrustedTopicByHandleDeletesNothingThatWasNotedInTrust) {
  Harness h(kKnownPeoplePolicy, NoteTools());
  Remembers(h);
  RunWith(h, {Write("diet", "eats no fish")});
  Remembers(h, "tester", "results: handles\n");
  h.tools.Answers("mail.read", {{"body", "diet"}});
  const Plan by_handle = One("memory.delete", {{"topic", core::Json{{"$handle", "r1.body"}}}});
  const std::string run = RunWith(h, {One("mail.read", core::Json::object()), by_handle});
  EXPECT_EQ(CallOf(h, run, "memory.delete").code, "NOTE_TRUSTED");
  EXPECT_EQ(Notes(h), 1);
  ExpectMadeAnew(h, run, {&h.agent});
  RunWith(h, {Forget("diet")});  // the harmless twin
  EXPECT_EQ(Notes(h), 0);
}

// What was read before a restart is what it was.
TEST(Memory, ARestartAfterASearchKnowsWhatWasRead) {
  for (const bool attack : {true, false}) {
    Harness h(kKnownPeoplePolicy, NoteTools());
    Remembers(h);
    RunWith(h, {One(attack ? "mail.read" : "book.read", core::Json::object()),
                Write("to", "ana@shop.example")});
    h.planner.plans = {Search(), FakePlanner::Ask("now?"), SendTo("ana@shop.example")};
    const auto run = h.CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    h.WaitForState(run->id, RunState::kWaitingForUser);
    h.Restart();
    ASSERT_TRUE(h.Send(run->id, "yes").ok());
    h.WaitForState(run->id, RunState::kCompleted);
    EXPECT_EQ(CallOf(h, run->id, "mail.send").code, attack ? "UNTRUSTED_TO" : "OK");
    ExpectMadeAnew(h, run->id, {&h.agent});
  }
}

// A page that has every note written that there may be.
TEST(Memory, WhatUntrustedContentFillsLeavesRoomForWhatIsNotedInTrust) {
  Harness h(kKnownPeoplePolicy, NoteTools());
  Remembers(h);
  RunWith(h, {Write("diet", "no nuts")});
  Fill(h, kUntrustedNotesMax - 12, "untrusted");
  std::vector<Plan> plans = {One("mail.read", core::Json::object())};
  for (int i = 0; i < 13; ++i) plans.push_back(Write("u" + std::to_string(i), "buy"));
  const std::string attack = RunWith(h, std::move(plans));
  EXPECT_THAT(Seen(h), HasSubstr("MEMORY_FULL"));
  ExpectMadeAnew(h, attack, {&h.agent});
  RunWith(h, {Write("seat", "an aisle")});
  EXPECT_THAT(FoundBy(h, {}, {{"limit", 2}}), AllOf(HasSubstr("no nuts"), HasSubstr("an aisle")));
  EXPECT_EQ(Notes(h), static_cast<std::int64_t>(kUntrustedNotesMax) + 2);
}

// Notes that were made in trust and are written anew after a page was read count as the page's.
TEST(Memory, ANoteThatChangesItsSortNeedsRoomAmongThoseOfTheOther) {
  Harness h(kKnownPeoplePolicy, NoteTools());
  Remembers(h);
  RunWith(h, {Write("u0", "mine")});
  Fill(h, kNotesMax - kUntrustedNotesMax - 1, "trusted");
  RunWith(h, {One("mail.read", core::Json::object()), Write("p0", "buy")});
  EXPECT_EQ(Notes(h), static_cast<std::int64_t>(kNotesMax - kUntrustedNotesMax) + 1);
  // In trust there is no room left for what takes the place of the page's.
  RunWith(h, {Write("p0", "mine now"), Write("u0", "still mine")});
  EXPECT_THAT(Seen(h), HasSubstr("MEMORY_FULL"));
  EXPECT_THAT(FoundBy(h, {}, {{"topic", "p0"}}), HasSubstr("buy"));
  EXPECT_THAT(FoundBy(h, {}, {{"topic", "u0"}}), HasSubstr("still mine"));
}

// By handle the planner picks a note by its place; rules have moved it to another.
TEST(Memory, ARuleThatChangesTheListDoesNotMoveLabels) {
  Harness h(kKnownPeoplePolicy, NoteTools());
  h.SetPolicy(std::string(kKnownPeoplePolicy) + R"(
on(result("memory.search"), "no-first", function(c)
  local kept = {}
  for _, note in ipairs(c.result.notes) do
    if note.topic ~= "first" then kept[#kept + 1] = note end
  end
  if #kept < #c.result.notes then return modify { ["result.notes"] = kept } end
end))");
  Remembers(h);
  RunWith(h, {One("mail.read", core::Json::object()), Write("order", "eve@evil.example")});
  RunWith(h, {Write("first", "gone by the rule")});
  Remembers(h, "tester", "results: handles\n");
  const std::string run =
      RunWith(h, {Search(), One("mail.send", {{"to", {{"$handle", "r1.notes[0].text"}}}})});
  EXPECT_EQ(CallOf(h, run, "mail.send").state, CallState::kDenied);
  ExpectMadeAnew(h, run, {&h.agent});
}

TEST(Memory, WhatRulesSayOfTheWordsStaysOnTheNote) {
  Harness h(kKnownPeoplePolicy, NoteTools());
  h.SetPolicy(std::string(kKnownPeoplePolicy) + R"(
on("memory.write", "tag", function(c)
  if c.args.topic == "pin" then return label { ["args.text"] = { "secret", "untrusted" } } end
end))");
  Remembers(h);
  RunWith(h, {Write("pin", "4711"), Write("seat", "an aisle")});
  EXPECT_EQ(FoundBy(h, {}, {{"topic", "pin"}, {"trusted_only", true}}), R"({"notes":[]})");
  EXPECT_THAT(FoundBy(h, {}, {{"topic", "pin"}}),
              AllOf(HasSubstr(R"("tags":["secret"])"), HasSubstr(R"("untrusted":true)")));
  EXPECT_THAT(FoundBy(h, {}, {{"topic", "seat"}}), Not(HasSubstr("tags")));
}

}  // namespace
}  // namespace interlock::runtime::test
