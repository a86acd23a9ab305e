#include "cli/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace interlock::runtime::cli {
namespace {

using core::Json;
using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class TimelineTest : public ::testing::Test {
 protected:
  std::vector<std::string> Lines(const char* kind, const char* body, const Content& content = {}) {
    return timeline_.Lines({{"kind", kind},
                            {"time_us", 1'000'001'234'000},
                            {"actor", "engine"},
                            {"body", Json::parse(body)}},
                           content);
  }

  std::ostringstream out_;
  std::istringstream in_;
  Io io_{out_, out_, in_};
  Timeline timeline_{io_};
};

TEST_F(TimelineTest, ShowsADecisionWithItsRuleAndLine) {
  Lines("call.proposed", R"({"call":"k1","tool":"refunds.create"})");
  EXPECT_THAT(
      Lines(
          "call.decided",
          R"({"call":"k1","effect":"deny","code":"OVER","rules":[{"id":"refund/cap","line":54,"verdict":"deny"}]})",
          {{"say", "too much"}}),
      ElementsAre("13:46:41.234  decision  c1 DENY OVER  refund/cap:54 deny",
                  HasSubstr("“too much”")));
}

TEST_F(TimelineTest, PutsTheRulesThatSettledItFirst) {
  Lines("call.proposed", R"({"call":"k1","tool":"t"})");
  EXPECT_THAT(
      Lines("call.decided",
            R"({"call":"k1","effect":"deny","code":"X","rules":[{"id":"a","verdict":"allow"},)"
            R"({"id":"b","verdict":"reserve"},{"id":"c","verdict":"deny"}]})"),
      ElementsAre(HasSubstr("c1 DENY X  c deny, a allow, b reserve")));
}

TEST_F(TimelineTest, ShowsRunsThatARunStartsAndWaitsFor) {
  Lines("call.proposed", R"({"call":"k1","tool":"agent.clerk"})");
  EXPECT_THAT(Lines("call.intended",
                    R"({"attempt":1,"builtin":true,"call":"k1","effect":"write","starts":"r2"})"),
              ElementsAre(HasSubstr("c1 write, starts run r2")));
  EXPECT_THAT(Lines("run.waiting", R"({"for":"run","left_ms":5,"runs":["r2","r3"]})"),
              ElementsAre(HasSubstr("for run r2, r3")));
  EXPECT_THAT(
      Lines("run.started",
            R"({"agent":"clerk","agent_digest":"sha256:00","principal":"p","lineage":)"
            R"({"agents":["desk","helper"],"call":"k1","parent":"r1","root":"r0","runs":16}})"),
      ElementsAre(HasSubstr("agent clerk"), HasSubstr("called by desk, helper of run r0")));
}

TEST_F(TimelineTest, ShowsWhatARunWaitsForWithoutAText) {
  EXPECT_THAT(Lines("run.waiting", R"({"for":"person","left_ms":5})"),
              ElementsAre("13:46:41.234  waiting   for person",
                          HasSubstr("interlock calls list --unknown")));
  EXPECT_THAT(Lines("run.waiting", R"({"for":"user"})"),
              ElementsAre("13:46:41.234  waiting   for user"));
  EXPECT_THAT(Lines("run.waiting", R"({"for":"user","text":{"bytes":4}})", {{"text", "Which?"}}),
              ElementsAre("13:46:41.234  waiting   for user: Which?"));
}

TEST_F(TimelineTest, ShowsWhatWasTakenBackAndWhatCameBackForIt) {
  Lines("call.proposed", R"({"call":"k1","tool":"flights.book"})");
  Lines("call.proposed", R"({"call":"k2","compensates":"k1","tool":"flights.cancel"})");
  EXPECT_THAT(Lines("call.compensated", R"({"call":"k2","compensates":"k1"})"),
              ElementsAre(HasSubstr("undone    c1 was taken back by c2")));
  EXPECT_THAT(
      Lines("budget.credited",
            R"({"amount":"14900","budget":"day","call":"k2","compensates":"k1","unit":"USD"})"),
      ElementsAre(HasSubstr("credited  c2 149.00 USD of day")));
}

TEST_F(TimelineTest, AnAllowSaysNothingMore) {
  Lines("call.proposed", R"({"call":"k1","tool":"t"})");
  EXPECT_THAT(Lines("call.decided", R"({"call":"k1","effect":"allow","rules":[]})",
                    {{"say", "a manager has to agree"}}),
              ElementsAre(HasSubstr("c1 ALLOW  no rule spoke")));
}

TEST_F(TimelineTest, ShowsWhatThePlannerSaidBesideItsCalls) {
  EXPECT_THAT(Lines("plan.received", R"({"finish":"calls","calls":2,"step":3})",
                    {{"plan", R"({"calls":[],"finish":"calls","text":"let me look"})"}}),
              ElementsAre(HasSubstr("step 3: 2 calls  “let me look”")));
}

TEST_F(TimelineTest, ShowsWhoEditedACallAndWhatWasRefused) {
  Lines("call.proposed", R"({"call":"k1","tool":"t"})");
  EXPECT_THAT(
      Lines("call.edited", R"({"call":"k1","by":"principal:maria"})", {{"args", R"({"a":1})"}}),
      ElementsAre("13:46:41.234  edit      c1 edited by principal:maria", HasSubstr(R"({"a":1})")));
  EXPECT_THAT(
      Lines("call.edit_refused",
            R"({"call":"k1","by":"principal:maria","code":"OVER","args":{"bytes":7}})"),
      ElementsAre(HasSubstr("c1 not edited by principal:maria: OVER"), HasSubstr("(7 bytes)")));
}

TEST_F(TimelineTest, LearnsNamesOfCallsThatItDoesNotShow) {
  timeline_.Learn({{"kind", "call.proposed"}, {"body", {{"call", "k1"}}}});
  timeline_.Learn({{"kind", "call.proposed"}, {"body", {{"call", "k2"}}}});
  EXPECT_THAT(Lines("call.outcome", R"({"call":"k2","kind":"failed","code":"EXIT_1"})"),
              ElementsAre(HasSubstr("c2 FAILED EXIT_1")));
}

TEST_F(TimelineTest, SaysWhyWhatAModelUsedIsFlagged) {
  const auto settled = [&](const char* amount, const char* hold) {
    const std::string body = R"({"amount":")" + std::string(amount) +
                             R"(","budget":"llm","flagged":true,"unit":"tokens","hold":")" + hold +
                             "\"}";
    return Lines("budget.settled", body.c_str());
  };
  Lines("budget.held", R"({"amount":"100","budget":"llm","hold":"h1","unit":"tokens"})");
  timeline_.Learn({{"kind", "budget.held"}, {"body", {{"hold", "h2"}, {"amount", "100"}}}});
  EXPECT_THAT(settled("101", "h1"), ElementsAre(HasSubstr("flagged: more than was held")));
  EXPECT_THAT(settled("100", "h2"), ElementsAre(HasSubstr("flagged: nobody knows what was used")));
  EXPECT_THAT(settled("100", "h3"), ElementsAre(HasSubstr("flagged: nobody knows what was used")))
      << "a hold that was not seen";
}

TEST_F(TimelineTest, ShowsHoldApprovalIntentAndOutcome) {
  Lines("call.proposed", R"({"call":"k1","tool":"t"})");
  EXPECT_THAT(
      Lines(
          "budget.held",
          R"({"call":"k1","amount":"12900","unit":"USD","budget":"refund.daily","limit":"500000"})"),
      ElementsAre(HasSubstr("hold      c1 129.00 USD of refund.daily (limit 5000.00 USD)")));
  EXPECT_THAT(
      Lines(
          "approval.requested",
          R"({"call":"k1","approval":"a1","approvers":["role:x","role:y"],"quorum":2,"rule":"refund/two"})"),
      ElementsAre(HasSubstr("c1 needs 2 of role:x or role:y, asked by refund/two"),
                  HasSubstr("interlock approvals show a1")));
  EXPECT_THAT(Lines("call.intended",
                    R"({"call":"k1","attempt":1,"effect":"money","level_min":"landlock-only"})"),
              ElementsAre(HasSubstr("c1 money, sandbox landlock-only or better")));
  EXPECT_THAT(
      Lines(
          "call.intended",
          R"({"call":"k1","attempt":1,"effect":"money","level":"full","level_min":"landlock-only"})"),
      ElementsAre(HasSubstr("c1 money, sandbox full (at least landlock-only)")));
  EXPECT_THAT(
      Lines(
          "call.outcome",
          R"({"call":"k1","kind":"ok","level":"full","wall_us":71400,"money":{"amount":"12900","unit":"USD"}})",
          {{"result", "{\"id\":1}"}}),
      ElementsAre(AllOf(HasSubstr("c1 OK"), HasSubstr("sandbox full, 71 ms, moved 129.00 USD")),
                  HasSubstr("{\"id\":1}")));
}

TEST_F(TimelineTest, ShowsWhatMayHelpAToolThatFailedInItsBox) {
  Lines("call.proposed", R"({"call":"k1","tool":"t"})");
  EXPECT_THAT(Lines("call.outcome", R"({"call":"k1","code":"EXIT_1","kind":"failed"})",
                    {{"detail", "exit status 1"}, {"advice", "it says `EROFS`: only /tmp"}}),
              ElementsAre(HasSubstr("c1 FAILED EXIT_1"), HasSubstr("exit status 1"),
                          HasSubstr("advice: it says `EROFS`: only /tmp")));
}

TEST_F(TimelineTest, ShowsWhereACallRanWithoutABox) {
  Lines("call.proposed", R"({"call":"k1","tool":"t"})");
  const auto intent = [this](const char* body) { return Lines("call.intended", body); };
  EXPECT_THAT(intent(R"({"call":"k1","attempt":1,"effect":"read","level":"http"})"),
              ElementsAre(HasSubstr("c1 read, http")));
  EXPECT_THAT(
      intent(R"({"call":"k1","attempt":1,"effect":"read","targets":["https://shop.example:443"]})"),
      ElementsAre(HasSubstr("c1 read, http")));
  EXPECT_THAT(intent(R"({"call":"k1","attempt":1,"builtin":true,"effect":"read"})"),
              ElementsAre(HasSubstr("c1 read, builtin")));
  EXPECT_THAT(Lines("call.outcome", R"({"call":"k1","kind":"ok","level":"http"})"),
              ElementsAre(AllOf(HasSubstr("c1 OK  http"), Not(HasSubstr("sandbox")))));
  EXPECT_THAT(Lines("call.outcome", R"({"call":"k1","kind":"ok","level":"none"})"),
              ElementsAre(HasSubstr("c1 OK  NO SANDBOX")));
}

TEST_F(TimelineTest, ContentThatMayNotBeReadShowsItsSize) {
  EXPECT_THAT(
      Lines("message.received", R"({"from":"user","text":{"bytes":41,"commit":"00","slot":0}})"),
      ElementsAre(HasSubstr("user      (41 bytes)")));
}

TEST_F(TimelineTest, EscapesAndCutsContent) {
  const auto lines = Lines("message.received", R"({"from":"user"})",
                           {{"text", "\x1b[2Jgo\n" + std::string(500, 'x')}});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], AllOf(HasSubstr("\\x1b[2Jgo\\n"), Not(HasSubstr("\x1b")), HasSubstr("…")));
}

TEST_F(TimelineTest, EscapesNamesThatCameFromOutside) {
  EXPECT_THAT(Lines("call.proposed", R"({"call":"k1","tool":"a\u001b[31mb"})"),
              ElementsAre(HasSubstr("a\\x1b[31mb")));
}

TEST_F(TimelineTest, CallsKeepTheirShortNames) {
  Lines("call.proposed", R"({"call":"k1","tool":"a"})");
  EXPECT_THAT(Lines("call.proposed", R"({"call":"k2","tool":"b"})"),
              ElementsAre(HasSubstr("c2 b")));
  EXPECT_THAT(Lines("call.withdrawn", R"({"call":"k1","why":"no need"})"),
              ElementsAre(HasSubstr("c1 no need")));
}

TEST_F(TimelineTest, SaysNothingOfBookkeeping) {
  EXPECT_THAT(Lines("plan.requested", "{}"), IsEmpty());
  EXPECT_THAT(Lines("result.released", R"({"call":"k1","withheld":false})"), IsEmpty());
  EXPECT_THAT(Lines("result.released", R"({"call":"k1","withheld":true})"),
              ElementsAre(HasSubstr("withheld")));
}

TEST_F(TimelineTest, SaysWhatRulesMadeOfTexts) {
  EXPECT_THAT(Lines("message.received", R"({"from":"user","withheld":true,"code":"INJECTION"})"),
              ElementsAre(_, AllOf(HasSubstr("withheld"), HasSubstr("INJECTION"))));
  EXPECT_THAT(Lines("answer.checked", R"({"passes":false,"what":"answer","code":"SECRET"})"),
              ElementsAre(AllOf(HasSubstr("refused"), HasSubstr("the answer: SECRET"))));
  EXPECT_THAT(Lines("answer.checked", R"({"passes":true,"what":"question"})"), IsEmpty());
}

TEST_F(TimelineTest, SurvivesEntriesThatMakeNoSense) {
  for (const char* kind :
       {"run.started", "run.parked", "run.completed", "plan.received", "call.proposed",
        "call.decided", "facts.gathered", "budget.held", "approval.requested", "approval.granted",
        "call.intended", "call.outcome", "call.resolved", "answer.checked", "message.received",
        "call.compensated", "budget.credited", "moon.risen"}) {
    for (const char* body :
         {"{}", R"({"call":1,"rules":[3],"amount":"x","names":"n","money":[],"approvers":5})"}) {
      EXPECT_NO_THROW(Lines(kind, body)) << kind << " " << body;
    }
  }
}

}  // namespace
}  // namespace interlock::runtime::cli
