// A breach of each property, planted into what a sound day left behind, is found under its name.
#include "evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace interlock::runtime::sim {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class SoundDay {
 public:
  Evidence evidence;

  SoundDay() {
    evidence.verdict = "intact";
    evidence.acknowledged = {"r1"};
    evidence.runs.emplace_back();
    evidence.runs[0].id = "r1";
    evidence.runs[0].state = RunState::kCompleted;
    Add("run.started", {{"limits", {{"tokens", 1000}}}});
    Add("call.decided", {{"call", "c1"}, {"effect", "ask"}, {"rules", {{{"id", "ask"}}}}});
    Add("approval.granted", {{"approval", "a1"}, {"by", "principal:maria"}, {"call", "c1"}});
    Add("budget.held", {{"amount", "20000"}, {"call", "c1"}, {"hold", "h1"}});
    Add("approval.consumed", {{"approval", "a1"}, {"call", "c1"}});
    Add("call.intended", {{"call", "c1"}});
    Add("budget.settled", {{"amount", "20000"}, {"call", "c1"}, {"hold", "h1"}});
    evidence.budgets.emplace_back();
    evidence.budgets[0].name = "purse";
    evidence.budgets[0].settled = 20'000;
    evidence.effects = {
        {.tool = "pay.refund", .call = "c1", .object = "o1", .amount_minor = 20'000}};
  }

  void Add(const std::string& kind, const core::Json& body, const std::string& run = "r1") {
    audit::Entry entry;
    entry.index = evidence.entries.size();
    entry.kind = kind;
    entry.run = run;
    entry.bytes = core::Json{{"body", body.is_null() ? core::Json::object() : body}}.dump();
    evidence.entries.push_back(std::move(entry));
  }
  void Intend(const std::string& call) {
    Add("call.decided", {{"call", call}, {"effect", "allow"}, {"rules", {{{"id", "free"}}}}});
    Add("call.intended", {{"call", call}});
  }
  // A stay, in a run that ends so.
  void Book(const std::string& call, RunState end) {
    Add("call.proposed", {{"call", call}, {"tool", kBookStay}});
    Intend(call);
    evidence.effects.push_back({.tool = kBookStay, .call = call, .object = call});
    evidence.runs[0].state = end;
  }
  void Cancel(const std::string& stay) {
    Intend("c99");
    evidence.effects.push_back({.tool = kCancelStay, .call = "c99", .object = stay});
  }
  // A run below the first, from its start to its end.
  void AddBelow() {
    Add("call.decided", {{"call", "c9"}, {"effect", "allow"}, {"rules", {{{"id", "free"}}}}});
    Add("call.intended", {{"call", "c9"}, {"starts", "r9"}, {"starts_tokens", 1000}});
    Add("run.started", {{"lineage", {{"call", "c9"}, {"parent", "r1"}}}}, "r9");
    Add("run.completed", {}, "r9");
    Add("call.outcome", {{"call", "c9"}});
    Add("run.completed", {});
  }
  void Swap(std::size_t a, std::size_t b) {  // from the end
    auto& all = evidence.entries;
    std::swap(all[all.size() - a], all[all.size() - b]);
    std::swap(all[all.size() - a].index, all[all.size() - b].index);
  }
  void Drop(const std::string& kind) {
    std::erase_if(evidence.entries, [&](const audit::Entry& entry) { return entry.kind == kind; });
  }
};

TEST(Breaches, ASoundDayHasNone) {
  SoundDay day;
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
  day.Add("call.proposed", {{"call", "c3"}, {"request", "q1"}}, "");
  day.evidence.answers["q1"] = {"c3"};
  day.evidence.for_nobody = {"q2"};
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
  day.AddBelow();
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
}

TEST(Breaches, WhatWaitsForSomebodyMayWait) {
  SoundDay day;
  day.Add("approval.requested", {{"approval", "a3"}, {"call", "c3"}});
  day.evidence.runs[0].state = RunState::kWaitingForApproval;
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
  day.Add("run.waiting", {{"for", "user"}});
  day.evidence.runs[0].state = RunState::kWaitingForUser;
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
}

TEST(Breaches, WhatAFailedRunBookedAndCancelledIsSound) {
  SoundDay day;
  day.Book("c7", RunState::kCancelled);
  day.Cancel("c7");
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
  day.evidence.runs[0].state = RunState::kUncompensated;  // which says what stands
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
}

TEST(Breaches, AnotherMayGrantWhatWasEditedAndDecidedAgain) {
  SoundDay day;
  day.Add("call.edited", {{"call", "c2"}, {"editors", {"principal:sam"}}});
  day.Add("call.decided", {{"call", "c2"}, {"effect", "ask"}, {"rules", {{{"id", "ask"}}}}});
  day.Add("approval.granted", {{"approval", "a2"}, {"by", "principal:maria"}, {"call", "c2"}});
  day.Add("approval.consumed", {{"approval", "a2"}, {"call", "c2"}});
  day.Add("call.intended", {{"call", "c2"}});
  day.Add("switch.set", {{"switch", "all"}}, "");
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
}

TEST(Breaches, AModelMayUseMoreThanWasHeld) {
  SoundDay day;
  day.Add("budget.held",
          {{"amount", "50"}, {"budget", "tokens"}, {"hold", "h7"}, {"limit", "100"}});
  day.Add("budget.settled", {{"amount", "70"}, {"budget", "tokens"}, {"hold", "h7"}});
  day.evidence.budgets.emplace_back();
  day.evidence.budgets[1].name = "tokens";
  day.evidence.budgets[1].settled = 70;
  EXPECT_THAT(Breaches(day.evidence), IsEmpty());
}

TEST(Breaches, EachOneIsFoundUnderItsName) {
  const struct {
    const char* what;
    const char* property;
    std::function<void(SoundDay&)> plant;
  } kCases[] = {
      {"an effect without an intent", "INTENT", [](SoundDay& day) { day.Drop("call.intended"); }},
      {"an effect before its intent", "INTENT",
       [](SoundDay& day) { day.evidence.without_intent = {"c1"}; }},
      {"a request that began two calls", "ONCE",
       [](SoundDay& day) {
         for (const char* call : {"c5", "c6"}) {
           day.Add("call.proposed", {{"call", call}, {"request", "q1"}}, "");
         }
       }},
      {"a request that began two runs", "ONCE",
       [](SoundDay& day) {
         for (const char* run : {"r5", "r6"}) day.Add("run.started", {{"request", "q1"}}, run);
       }},
      {"a request that was answered with two runs", "ONCE",
       [](SoundDay& day) {
         day.evidence.answers["q1"] = {"r1", "r2"};
       }},
      {"a stay that is cancelled twice", "ONCE",
       [](SoundDay& day) {
         day.Book("c7", RunState::kFailed);
         for (const char* call : {"c8", "c9"}) {
           day.Intend(call);
           day.evidence.effects.push_back({.tool = kCancelStay, .call = call, .object = "c7"});
         }
       }},
      {"a second refund of an order", "ONCE",
       [](SoundDay& day) {
         day.evidence.effects.push_back(day.evidence.effects[0]);
         day.evidence.effects[1].call = "c2";
       }},
      {"an intent that no rule allowed", "DECIDED",
       [](SoundDay& day) {
         day.Drop("approval.consumed");
         day.evidence.effects.clear();
       }},
      {"an allow by default", "DECIDED",
       [](SoundDay& day) {
         day.Add("call.decided",
                 {{"call", "c2"}, {"effect", "allow"}, {"rules", core::Json::array()}});
         day.Add("call.intended", {{"call", "c2"}});
       }},
      {"a refund beyond what the policy allows", "DECIDED",
       [](SoundDay& day) { day.evidence.effects[0].amount_minor = 30'100; }},
      {"an approval that the requester gave himself", "APPROVED",
       [](SoundDay& day) {
         day.Add("call.proposed", {{"call", "c2"}, {"principal", "ticketing"}});
         day.Add("approval.granted",
                 {{"approval", "a2"}, {"by", "principal:ticketing"}, {"call", "c2"}});
       }},
      {"an approver who had edited it", "APPROVED",
       [](SoundDay& day) {
         day.Add("call.edited", {{"call", "c2"}, {"editors", {"principal:sam"}}});
         day.Add("approval.granted", {{"approval", "a2"}, {"by", "principal:sam"}, {"call", "c2"}});
       }},
      {"an approval that is consumed twice", "APPROVED",
       [](SoundDay& day) {
         day.Add("approval.consumed", {{"approval", "a1"}, {"call", "c1"}});
       }},
      {"an approval that is consumed after it was voided", "APPROVED",
       [](SoundDay& day) {
         day.Add("approval.granted", {{"approval", "a2"}, {"by", "principal:sam"}, {"call", "c2"}});
         day.Add("approval.voided", {{"approval", "a2"}, {"call", "c2"}});
         day.Add("approval.consumed", {{"approval", "a2"}, {"call", "c2"}});
       }},
      {"arguments that were edited and not decided on again", "DECIDED",
       [](SoundDay& day) {
         day.Add("call.decided", {{"call", "c2"}, {"effect", "allow"}, {"rules", {{{"id", "x"}}}}});
         day.Add("call.edited", {{"call", "c2"}, {"editors", {"principal:sam"}}});
         day.Add("call.intended", {{"call", "c2"}});
       }},
      {"a tool that is started under its kill switch", "STOPPED",
       [](SoundDay& day) {
         day.Add("call.proposed", {{"call", "c2"}, {"tool", "door.open"}});
         day.Add("switch.set", {{"switch", "tool:door.open"}}, "");
         day.Intend("c2");
       }},
      {"a tool that is started when all is stopped", "STOPPED",
       [](SoundDay& day) {
         day.Add("switch.set", {{"switch", "all"}}, "");
         day.Intend("c2");
       }},
      {"a stay of a failed run that stands", "TAKEN_BACK",
       [](SoundDay& day) { day.Book("c7", RunState::kFailed); }},
      {"a stay of a run that did its work and is cancelled", "TAKEN_BACK",
       [](SoundDay& day) {
         day.Book("c7", RunState::kCompleted);
         day.Cancel("c7");
       }},
      {"a stay that was cancelled and never booked", "TAKEN_BACK",
       [](SoundDay& day) { day.Cancel("c7"); }},
      {"a client that may do what is another's", "OWN",
       [](SoundDay& day) { day.evidence.trespasses.emplace_back("cancelled run r1"); }},
      {"what was seen before the end", "VERIFIES",
       [](SoundDay& day) { day.evidence.on_the_way.emplace_back("VERIFIES: before a start"); }},
      {"more tokens that are held than there are", "BUDGET",
       [](SoundDay& day) {
         day.Add("budget.held",
                 {{"amount", "101"}, {"budget", "tokens"}, {"hold", "h7"}, {"limit", "100"}});
         day.Add("budget.settled", {{"amount", "0"}, {"budget", "tokens"}, {"hold", "h7"}});
       }},
      {"tokens of a model that the engine does not count", "BUDGET",
       [](SoundDay& day) {
         day.Add("budget.held",
                 {{"amount", "50"}, {"budget", "tokens"}, {"hold", "h7"}, {"limit", "100"}});
         day.Add("budget.settled", {{"amount", "70"}, {"budget", "tokens"}, {"hold", "h7"}});
       }},
      {"money that is settled above its hold", "BUDGET",
       [](SoundDay& day) {
         day.Add("budget.held", {{"amount", "10"}, {"call", "c2"}, {"hold", "h2"}});
         day.Add("budget.settled", {{"amount", "11"}, {"call", "c2"}, {"hold", "h2"}});
         day.evidence.budgets[0].settled += 11;
       }},
      {"an approval whose second stage was not asked", "APPROVED",
       [](SoundDay& day) {
         day.Add(
             "approval.requested",
             {{"approval", "a1"}, {"call", "c1"}, {"stages", {{{"quorum", 1}}, {{"quorum", 1}}}}});
         std::rotate(day.evidence.entries.begin(), day.evidence.entries.end() - 1,
                     day.evidence.entries.end());
       }},
      {"a person who speaks twice", "APPROVED",
       [](SoundDay& day) {
         day.Add("approval.granted",
                 {{"approval", "a1"}, {"by", "principal:maria"}, {"call", "c1"}});
       }},
      {"a deputy of one who has spoken", "APPROVED",
       [](SoundDay& day) {
         day.Add("approval.granted", {{"approval", "a1"},
                                      {"by", "principal:li"},
                                      {"call", "c1"},
                                      {"for", "principal:maria"}});
       }},
      {"an approval that nobody gave", "APPROVED",
       [](SoundDay& day) { day.Drop("approval.granted"); }},
      {"a refund that had to be approved", "APPROVED",
       [](SoundDay& day) {
         day.Drop("approval.consumed");
         day.Add("call.decided", {{"call", "c1"}, {"effect", "allow"}, {"rules", {{{"id", "x"}}}}});
         std::rotate(day.evidence.entries.begin(), day.evidence.entries.end() - 1,
                     day.evidence.entries.end());
       }},
      {"a hold that is settled twice", "BUDGET",
       [](SoundDay& day) {
         day.Add("budget.settled", {{"amount", "1"}, {"call", "c1"}, {"hold", "h1"}});
       }},
      {"a settlement above its hold", "BUDGET",
       [](SoundDay& day) {
         day.Drop("budget.settled");
         day.Add("budget.settled", {{"amount", "20001"}, {"call", "c1"}, {"hold", "h1"}});
         day.evidence.budgets[0].settled = 20'001;
       }},
      {"more spent than there is", "BUDGET",
       [](SoundDay& day) {
         day.Add("budget.held", {{"amount", "80001"}, {"call", "c2"}, {"hold", "h2"}});
         day.Add("budget.settled", {{"amount", "80001"}, {"call", "c2"}, {"hold", "h2"}});
         day.evidence.budgets[0].settled = 100'001;
       }},
      {"an engine that counts otherwise than its log", "BUDGET",
       [](SoundDay& day) { day.evidence.budgets[0].settled = 0; }},
      {"money in a budget that the log has nothing of", "BUDGET",
       [](SoundDay& day) {
         day.evidence.budgets.push_back(day.evidence.budgets[0]);
         day.evidence.budgets.back().name = "unheard-of";
       }},
      {"a hold that is left", "BUDGET", [](SoundDay& day) { day.Drop("budget.settled"); }},
      {"a run that never ends", "ENDS",
       [](SoundDay& day) { day.evidence.runs[0].state = RunState::kRunning; }},
      {"a run that waits for approvals that are over", "ENDS",
       [](SoundDay& day) {
         day.Add("approval.requested", {{"approval", "a3"}, {"call", "c3"}});
         day.Add("approval.expired", {{"approval", "a3"}, {"call", "c3"}});
         day.evidence.runs[0].state = RunState::kWaitingForApproval;
       }},
      {"a run that waits for a user who has answered", "ENDS",
       [](SoundDay& day) {
         day.Add("run.waiting", {{"for", "user"}});
         day.Add("message.received", {});
         day.evidence.runs[0].state = RunState::kWaitingForUser;
       }},
      {"a run below that was started twice", "BELOW",
       [](SoundDay& day) {
         day.AddBelow();
         day.Add("run.started", {{"lineage", {{"call", "c9"}, {"parent", "r1"}}}}, "r9");
       }},
      {"a call that started nothing", "BELOW",
       [](SoundDay& day) {
         day.Add("call.decided", {{"call", "c9"}, {"effect", "allow"}, {"rules", {{{"id", "x"}}}}});
         day.Add("call.intended", {{"call", "c9"}, {"starts", "r9"}});
       }},
      {"a run below that no call started", "BELOW",
       [](SoundDay& day) {
         day.Add("run.started", {{"lineage", {{"call", "c8"}, {"parent", "r1"}}}}, "r9");
       }},
      {"a second outcome of a run below", "BELOW",
       [](SoundDay& day) {
         day.AddBelow();
         day.Add("call.outcome", {{"call", "c9"}});
       }},
      {"an outcome before the run below has ended", "BELOW",
       [](SoundDay& day) {
         day.AddBelow();
         day.Swap(2, 3);
       }},
      {"a run that ends before the one below it", "BELOW",
       [](SoundDay& day) {
         day.AddBelow();
         day.Swap(1, 2);
       }},
      {"two runs below that may use the same tokens", "LENT",
       [](SoundDay& day) {
         day.Add("run.started", {{"limits", {{"tokens", 1000}}}}, "r2");
         for (const char* call : {"c7", "c8"}) {
           day.Add("call.intended", {{"call", call}, {"starts_tokens", 900}}, "r2");
         }
       }},
      {"a run below that may use what its run has used", "LENT",
       [](SoundDay& day) {
         day.Add("run.started", {{"limits", {{"tokens", 1000}}}}, "r2");
         day.Add("plan.received", {{"tokens_in", 100}, {"tokens_out", 1}}, "r2");
         day.Add("call.intended", {{"call", "c7"}, {"starts_tokens", 900}}, "r2");
       }},
      {"a run below that may use what replies without a plan have used", "LENT",
       [](SoundDay& day) {
         day.Add("run.started", {{"limits", {{"tokens", 1000}}}}, "r2");
         day.Add("plan.received", {{"spent", {{"tokens_in", 100}, {"tokens_out", 1}}}}, "r2");
         day.Add("call.intended", {{"call", "c7"}, {"starts_tokens", 900}}, "r2");
       }},
      {"a run below that may use what another has used", "LENT",
       [](SoundDay& day) {
         day.Add("run.started", {{"limits", {{"tokens", 1000}}}}, "r2");
         day.Add("call.intended", {{"call", "c7"}, {"starts_tokens", 900}}, "r2");
         day.Add("call.outcome", {{"call", "c7"}, {"ended", {{"tokens", 600}}}}, "r2");
         day.Add("call.intended", {{"call", "c8"}, {"starts_tokens", 401}}, "r2");
       }},
      {"a run that waits for a run without a name", "ENDS",
       [](SoundDay& day) { day.evidence.runs[0].state = RunState::kWaitingForRun; }},
      {"a run that waits for one that has ended", "ENDS",
       [](SoundDay& day) {
         day.AddBelow();
         day.evidence.runs[0].state = RunState::kWaitingForRun;
         day.evidence.runs[0].waits_for = {"r9"};
       }},
      {"a run that was acknowledged and is gone", "KEPT",
       [](SoundDay& day) { day.evidence.acknowledged.emplace_back("r2"); }},
      {"a call that was answered and is gone", "KEPT",
       [](SoundDay& day) { day.evidence.answers["q1"] = {"c3"}; }},
      {"a call that was made for nobody", "WAITED",
       [](SoundDay& day) {
         day.Add("call.proposed", {{"call", "c3"}, {"request", "q1"}}, "");
         day.evidence.for_nobody = {"q1"};
       }},
      {"a write that is stopped because its caller has left", "WAITED",
       [](SoundDay& day) { day.evidence.hurried = {"c1"}; }},
      {"a run that replay does not make anew", "REPLAYS",
       [](SoundDay& day) { day.evidence.diverged.emplace_back("run r1 at call.decided"); }},
      {"a log that does not verify", "VERIFIES",
       [](SoundDay& day) { day.evidence.verdict = "entry 3 is not what its hash says"; }},
  };
  for (const auto& one : kCases) {
    SoundDay day;
    one.plant(day);
    EXPECT_THAT(Breaches(day.evidence), Contains(StartsWith(one.property))) << one.what;
  }
}

}  // namespace
}  // namespace interlock::runtime::sim
