#include "policies/approval.h"

#include <gtest/gtest.h>

namespace interlock::policies {
namespace {

const core::Digest kArgs = core::Sha256("args");
const core::Digest kTool = core::Sha256("tool");

core::Principal Person(std::string id, std::vector<std::string> roles) {
  return {.tenant = "main", .id = std::move(id), .roles = std::move(roles)};
}

ApprovalState Pending(std::vector<std::string> approvers, int quorum = 1) {
  ApprovalState state;
  state.id = "a1";
  state.call = "c1";
  state.demand.approvers = std::move(approvers);
  state.demand.quorum = quorum;
  state.demand.show = {{"args.amount", 20}};
  state.binding = BindingDigest(kArgs, kTool, state.demand.show);
  state.requester = "ticketing";
  state.run_user = "u1";
  state.expires_us = 1000;
  return state;
}

const core::Principal kManager = Person("maria", {"approver", "cs-manager"});
const core::Principal kOther = Person("otto", {"approver", "cs-manager"});
const core::Principal kRelay = Person("ticketing", {"integrator", "user-relay", "cs-manager"});

TEST(Approval, RoleGrants) {
  ApprovalState state = Pending({"role:cs-manager"});
  EXPECT_EQ(Grant(state, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kGranted);
  EXPECT_EQ(state.phase, ApprovalPhase::kGranted);
  EXPECT_EQ(state.granted_by, std::vector<std::string>{"principal:maria"});
}

TEST(Approval, Rule14_WhoMadeTheRunDoesNotApproveIt) {
  ApprovalState state = Pending({"role:cs-manager"});
  const Answerer self{.principal = &kRelay, .on_behalf_of = ""};
  EXPECT_FALSE(CheckAnswerer(state, self).yes);
  EXPECT_EQ(CheckAnswerer(state, self).why_not, "whoever made the run does not approve its calls");
  EXPECT_EQ(Grant(state, self), AnswerEffect::kNone);
  EXPECT_EQ(Reject(state, self), AnswerEffect::kNone);
  EXPECT_EQ(state.phase, ApprovalPhase::kPending);
}

TEST(Approval, RunUserIsNoApproverOfHisOwnRunByARole) {
  ApprovalState state = Pending({"role:cs-manager"});
  state.run_user = "maria";
  EXPECT_FALSE(CheckAnswerer(state, {.principal = &kManager, .on_behalf_of = ""}).yes);
}

TEST(Approval, RelayGivesTheWordOfTheRunsUserOnly) {
  struct Case {
    const char* what;
    std::vector<std::string> approvers;
    std::vector<std::string> relay_roles;
    std::string on_behalf_of;
    bool yes;
  };
  const Case cases[] = {
      {"the run's user", {"run-user"}, {"user-relay"}, "u1", true},
      {"named as user", {"user:u1"}, {"user-relay"}, "u1", true},
      {"another user", {"run-user"}, {"user-relay"}, "u2", false},
      {"another user, named", {"user:u2"}, {"user-relay"}, "u2", false},
      {"no relay", {"run-user"}, {"integrator"}, "u1", false},
      {"user is not asked", {"role:cs-manager"}, {"user-relay", "cs-manager"}, "u1", false},
  };
  for (const Case& c : cases) {
    ApprovalState state = Pending(c.approvers);
    const core::Principal relay = Person("ticketing", c.relay_roles);
    EXPECT_EQ(CheckAnswerer(state, {.principal = &relay, .on_behalf_of = c.on_behalf_of}).yes,
              c.yes)
        << c.what;
  }
}

TEST(Approval, RunWithoutUserCannotBeConfirmedByOne) {
  ApprovalState state = Pending({"run-user"});
  state.run_user.clear();
  const core::Principal relay = Person("ticketing", {"user-relay"});
  EXPECT_FALSE(CheckAnswerer(state, {.principal = &relay, .on_behalf_of = "u1"}).yes);
  EXPECT_FALSE(CheckAnswerer(state, {.principal = &relay, .on_behalf_of = ""}).yes);
}

TEST(Approval, Rule14_EditorNeverCounts) {
  ApprovalState state = Pending({"role:cs-manager"});
  state.editors = {"principal:maria"};
  EXPECT_EQ(Grant(state, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kNone);
  EXPECT_EQ(Grant(state, {.principal = &kOther, .on_behalf_of = ""}), AnswerEffect::kGranted);
  ApprovalState confirmed = Pending({"run-user"});
  confirmed.editors = {"principal:ticketing"};
  EXPECT_FALSE(CheckAnswerer(confirmed, {.principal = &kRelay, .on_behalf_of = "u1"}).yes)
      << "who edited for himself does not relay the yes";
  const core::Principal another = Person("app", {"user-relay"});
  EXPECT_TRUE(CheckAnswerer(confirmed, {.principal = &another, .on_behalf_of = "u1"}).yes);
  confirmed.editors = {"user:u1"};
  EXPECT_FALSE(CheckAnswerer(confirmed, {.principal = &kRelay, .on_behalf_of = "u1"}).yes);
}

TEST(Approval, WhoToldTheRunWhatToDoNeverCounts) {
  ApprovalState state = Pending({"role:cs-manager", "run-user"});
  state.told_by = {"principal:maria", "principal:rory"};
  EXPECT_EQ(CheckAnswerer(state, {.principal = &kManager, .on_behalf_of = ""}).why_not,
            "whoever told the run what to do does not approve what it asks");
  EXPECT_TRUE(CheckEditor(state, {.principal = &kManager, .on_behalf_of = ""}).yes);
  EXPECT_EQ(CheckDelegate(state, kOther, "maria").why_not,
            "whoever told the run what to do does not approve what it asks");
  const core::Principal relay = Person("rory", {"user-relay"});
  EXPECT_EQ(CheckAnswerer(state, {.principal = &relay, .on_behalf_of = "u1"}).why_not,
            "whoever told the run what to do does not approve what it asks");
  EXPECT_TRUE(CheckAnswerer(state, {.principal = &kRelay, .on_behalf_of = "u1"}).yes);
  EXPECT_EQ(Grant(state, {.principal = &kOther, .on_behalf_of = ""}), AnswerEffect::kGranted);
}

TEST(Approval, SomebodyCanGiveItOrItIsSaidWhyNot) {
  const core::Principal named = Person("nia", {"cs-manager"});  // no approver
  struct Case {
    const char* what;
    ApprovalState state;
    std::vector<core::Principal> people;
    std::string why;
  };
  const auto staged = [](std::vector<std::string> first, std::vector<std::string> later) {
    ApprovalState state = Pending(std::move(first));
    state.demand.later = {{.approvers = std::move(later), .quorum = 1}};
    return state;
  };
  const auto with = [](ApprovalState state, auto change) {
    change(state);
    return state;
  };
  const std::vector<Case> cases = {
      {"a role", Pending({"role:cs-manager"}), {kManager}, ""},
      {"nobody has it",
       Pending({"role:director"}),
       {kManager, kRelay},
       "it needs 1 more of role:director, and nobody of the configured principals may answer"},
      {"who made the run",
       Pending({"role:cs-manager"}),
       {Person("ticketing", {"approver", "cs-manager"})},
       "it needs 1 more of role:cs-manager, and nobody of the configured principals may answer "
       "(`ticketing`: whoever made the run does not approve its calls)"},
      {"without the role approver",
       Pending({"user:nia"}),
       {named},
       "it needs 1 more of user:nia, and nobody of the configured principals may answer (`nia` "
       "lacks role approver)"},
      {"two are needed and one is there",
       Pending({"role:cs-manager"}, 2),
       {kManager},
       "it needs 2 more of role:cs-manager, and only 1 of the configured principals may answer"},
      {"two are there", Pending({"role:cs-manager"}, 2), {kManager, kOther}, ""},
      {"one has answered",
       with(Pending({"role:cs-manager"}, 2),
            [](ApprovalState& state) {
              state.granted_by = {"principal:maria"};
              state.in_stage = 1;
            }),
       {kManager, kOther},
       ""},
      {"the user, through a relay", Pending({"run-user"}), {kRelay}, ""},
      {"the user, and nobody relays",
       Pending({"run-user"}),
       {kManager},
       "it needs 1 more of run-user, and nobody of the configured principals may answer"},
      {"one person for two stages",
       staged({"role:cs-manager"}, {"role:cs-manager"}),
       {kManager},
       "the same people would have to answer more than one stage of it"},
      {"two people of whom one could answer both",
       staged({"role:cs-manager"}, {"user:maria"}),
       {kManager, kOther},
       ""},
      {"nobody for the second stage",
       staged({"role:cs-manager"}, {"role:director"}),
       {kManager, kOther},
       "it needs 1 more of role:director (stage 2 of 2), and nobody of the configured principals "
       "may answer"},
      {"others come when it escalates",
       with(Pending({"role:director"}),
            [](ApprovalState& state) {
              state.demand.escalate_after_ms = 1000;
              state.demand.escalate_to = {"role:cs-manager"};
            }),
       {kManager},
       ""},
      {"who told it",
       with(Pending({"role:cs-manager"}),
            [](ApprovalState& state) { state.told_by = {"principal:maria"}; }),
       {kManager},
       "it needs 1 more of role:cs-manager, and nobody of the configured principals may answer "
       "(`maria`: whoever told the run what to do does not approve what it asks)"},
      {"it waits no more",
       with(Pending({"role:director"}),
            [](ApprovalState& state) { state.phase = ApprovalPhase::kRejected; }),
       {kManager},
       ""},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(WhyUnanswerable(one.state, one.people, {}, 10), one.why) << one.what;
  }
}

TEST(Approval, ARightThatWasHandedOnOutlivesWhoHadIt) {
  const ApprovalState state = Pending({"role:cs-manager"});
  const core::Principal deputy = Person("li", {"approver"});
  const std::vector<Delegation> given = {
      {.by = "maria", .roles = {"approver", "cs-manager"}, .to = "li", .until_us = 100}};
  EXPECT_EQ(WhyUnanswerable(state, {deputy}, given, 10), "");
  EXPECT_NE(WhyUnanswerable(state, {deputy}, given, 100), "") << "its time is over";
  EXPECT_NE(WhyUnanswerable(state, {kRelay}, given, 10), "") << "the deputy has left, too";
}

TEST(Approval, WhoMayAnswerMayEditAndWhoHasEditedMayEditAgain) {
  ApprovalState state = Pending({"role:cs-manager"});
  state.editors = {"principal:maria"};
  EXPECT_TRUE(CheckEditor(state, {.principal = &kManager, .on_behalf_of = ""}).yes);
  EXPECT_FALSE(CheckEditor(state, {.principal = &kRelay, .on_behalf_of = ""}).yes)
      << "who made the run";
  const core::Principal stranger = Person("eve", {"approver"});
  EXPECT_EQ(CheckEditor(state, {.principal = &stranger, .on_behalf_of = ""}).why_not,
            "not among the approvers: role:cs-manager");
  state.phase = ApprovalPhase::kGranted;
  EXPECT_FALSE(CheckEditor(state, {.principal = &kManager, .on_behalf_of = ""}).yes);
}

TEST(Approval, AnEditThatLeavesTooFewToApproveIsTold) {
  const auto left = [](std::vector<std::string> approvers, std::vector<std::string> editors,
                       int quorum = 1) {
    return CouldBeMet(Pending(std::move(approvers), quorum).demand,
                      {.requester = "ticketing", .run_user = "u1", .editors = std::move(editors)});
  };
  EXPECT_FALSE(left({"run-user"}, {"user:u1"}));
  EXPECT_FALSE(left({"user:u1"}, {"user:u1"}));
  EXPECT_FALSE(left({"user:maria"}, {"principal:maria"}));
  EXPECT_FALSE(left({"run-user", "user:maria"}, {"principal:maria", "user:u1"}));
  EXPECT_TRUE(left({"run-user", "user:maria"}, {"principal:maria"}));
  EXPECT_TRUE(left({"user:maria"}, {"user:u1"}));
  EXPECT_TRUE(left({"role:cs-manager"}, {"principal:maria"}, 3)) << "there may be others";
  EXPECT_FALSE(left({"user:maria", "user:sam"}, {"principal:maria"}, 2)) << "two have to";
  EXPECT_TRUE(left({"user:maria", "user:sam"}, {"principal:nora"}, 2));
  EXPECT_FALSE(left({"run-user", "user:u1"}, {}, 2)) << "one person under two names";
  EXPECT_FALSE(left({"user:ticketing", "user:sam"}, {"principal:sam"})) << "who made the run";
  ApprovalDemand staged = Pending({"role:cs-manager"}).demand;
  staged.later = {{.approvers = {"user:maria"}, .quorum = 1}};
  EXPECT_FALSE(CouldBeMet(staged, {.editors = {"principal:maria"}})) << "nobody for the second";
  staged.escalate_after_ms = 1000;
  staged.escalate_to = {"user:sam"};
  EXPECT_TRUE(CouldBeMet(staged, {.editors = {"principal:maria"}})) << "somebody comes by and by";
  EXPECT_FALSE(CouldBeMet(staged, {.editors = {"principal:maria", "principal:sam"}}));
}

TEST(Approval, StagesAreAnsweredInOrderByDifferentPeople) {
  ApprovalState state = Pending({"role:cs-manager"});
  state.demand.later = {{.approvers = {"role:director"}, .quorum = 1}};
  const core::Principal both = Person("dana", {"cs-manager", "director"});
  const core::Principal director = Person("dina", {"director"});
  EXPECT_EQ(Grant(state, {.principal = &director}), AnswerEffect::kNone) << "not yet";
  EXPECT_EQ(Grant(state, {.principal = &both}), AnswerEffect::kCounted);
  EXPECT_EQ(state.stage, 1);
  EXPECT_EQ(CheckAnswerer(state, {.principal = &both}).why_not,
            "whoever answered an earlier stage does not answer this one");
  EXPECT_EQ(Grant(state, {.principal = &kManager}), AnswerEffect::kNone) << "not any more";
  EXPECT_EQ(Grant(state, {.principal = &director}), AnswerEffect::kGranted);
}

TEST(Approval, WhoWaitsTooLongIsHelpedByOthers) {
  ApprovalState state = Pending({"role:cs-manager"});
  state.demand.escalate_after_ms = 1000;
  state.demand.escalate_to = {"role:director"};
  const core::Principal director = Person("dina", {"director"});
  EXPECT_FALSE(CheckAnswerer(state, {.principal = &director}).yes);
  state.escalated = true;
  EXPECT_TRUE(CheckAnswerer(state, {.principal = &director}).yes);
  EXPECT_TRUE(CheckAnswerer(state, {.principal = &kManager}).yes);
}

TEST(Approval, ARightIsHandedOnOnceAndUsedOnce) {
  ApprovalState state = Pending({"role:cs-manager"}, 2);
  state.id = "a1";
  const core::Principal deputy = Person("li", {"approver"});
  const std::vector<Delegation> given = {
      {.approval = "a1", .by = "maria", .roles = {"cs-manager"}, .to = "li", .until_us = 10},
      {.approval = "", .by = "li", .roles = {"approver"}, .to = "eve", .until_us = 10},
      {.approval = "", .by = "maria", .roles = {"cs-manager"}, .to = "ticketing", .until_us = 10}};
  const auto right = [&](const core::Principal& who, std::int64_t now_us) {
    return RightOf(state, {.principal = &who}, given, now_us);
  };
  EXPECT_EQ(right(deputy, 9).of, "principal:maria");
  EXPECT_FALSE(right(deputy, 10).may.yes) << "its time is over";
  EXPECT_FALSE(right(Person("eve", {"approver"}), 9).may.yes) << "what one was handed stays here";
  EXPECT_FALSE(right(Person("ticketing", {"approver"}), 9).may.yes) << "who made the run";
  EXPECT_EQ(right(kManager, 9).of, "") << "his own right is still his";
  state.editors = {"principal:maria"};
  EXPECT_FALSE(right(deputy, 9).may.yes) << "an editor has none to give";
  state.editors = {"principal:li"};
  EXPECT_FALSE(right(deputy, 9).may.yes) << "nor may an editor use one";
  state.editors.clear();
  state.granted_by = {"principal:li"};
  state.granted_for = {"principal:maria"};
  state.in_stage = 1;
  EXPECT_FALSE(right(kManager, 9).may.yes) << "it was used";
  EXPECT_FALSE(right(deputy, 9).may.yes);
  state.id = "a2";
  state.granted_by.clear();
  state.granted_for.clear();
  EXPECT_FALSE(right(deputy, 9).may.yes) << "of another approval";
}

// A no costs nobody anything: it stays free.
TEST(Approval, WhoRelayedAYesDoesNotAddHisOwn) {
  ApprovalState state = Pending({"run-user", "role:cs-manager"}, 2);
  state.id = "a1";
  const core::Principal lee = Person("lee", {"cs-manager", "user-relay"});
  ASSERT_EQ(Grant(state, {.principal = &lee, .on_behalf_of = state.run_user}),
            AnswerEffect::kCounted);
  const Answerer himself{.principal = &lee, .on_behalf_of = ""};
  EXPECT_FALSE(CheckAnswerer(state, himself).yes);
  EXPECT_EQ(Grant(state, himself), AnswerEffect::kNone);
  const std::vector<Delegation> given = {
      {.approval = "a1", .by = "maria", .roles = {"cs-manager"}, .to = "lee", .until_us = 10}};
  EXPECT_FALSE(RightOf(state, himself, given, 9).may.yes) << "nor in another's place";
  EXPECT_TRUE(CheckVeto(state, himself).yes);
  EXPECT_TRUE(CheckEditor(state, himself).yes) << "which asks everybody anew";
  EXPECT_EQ(Grant(state, {.principal = &kManager}), AnswerEffect::kGranted);
}

TEST(Approval, QuorumNeedsDifferentPeople) {
  ApprovalState state = Pending({"role:cs-manager"}, 2);
  EXPECT_EQ(Grant(state, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kCounted);
  EXPECT_EQ(Grant(state, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kNone);
  EXPECT_EQ(state.phase, ApprovalPhase::kPending);
  EXPECT_EQ(Grant(state, {.principal = &kOther, .on_behalf_of = ""}), AnswerEffect::kGranted);
}

TEST(Approval, OneRejectionIsEnough) {
  ApprovalState state = Pending({"role:cs-manager"}, 2);
  ASSERT_EQ(Grant(state, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kCounted);
  EXPECT_EQ(Reject(state, {.principal = &kOther, .on_behalf_of = ""}), AnswerEffect::kRejected);
  EXPECT_EQ(Grant(state, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kNone);
}

TEST(Approval, AYesIsTakenBackByWhoGaveItHoweverLate) {
  ApprovalState state = Pending({"role:cs-manager"}, 2);
  ASSERT_EQ(Grant(state, {.principal = &kManager}), AnswerEffect::kCounted);
  EXPECT_TRUE(CheckVeto(state, {.principal = &kManager}).yes) << "in the same stage";
  state.demand.quorum = 1;
  state.demand.later = {{.approvers = {"role:director"}, .quorum = 1}};
  state.stage = 1;
  state.in_stage = 0;
  EXPECT_FALSE(CheckAnswerer(state, {.principal = &kManager}).yes);
  EXPECT_FALSE(CheckVeto(state, {.principal = &kOther}).yes) << "he has said nothing";
  EXPECT_EQ(Reject(state, {.principal = &kOther}), AnswerEffect::kNone);
  EXPECT_EQ(Reject(state, {.principal = &kManager}), AnswerEffect::kRejected);
  EXPECT_FALSE(CheckVeto(state, {.principal = &kManager}).yes) << "it has ended";
}

TEST(Approval, WhoHandedItOnVetoesWhatHisDeputyGranted) {
  ApprovalState state = Pending({"role:cs-manager"}, 2);
  state.granted_by = {"principal:li"};
  state.granted_for = {"principal:maria"};
  state.in_stage = 1;
  EXPECT_FALSE(RightOf(state, {.principal = &kManager}, {}, 0).may.yes);
  EXPECT_TRUE(VetoOf(state, {.principal = &kManager}, {}, 0).may.yes);
  const core::Principal deputy = Person("li", {"approver"});
  EXPECT_TRUE(VetoOf(state, {.principal = &deputy}, {}, 0).may.yes);
  const core::Principal stranger = Person("eve", {"approver"});
  EXPECT_FALSE(VetoOf(state, {.principal = &stranger}, {}, 0).may.yes);
}

TEST(Approval, ADeputyVetoesWhatHisGiverGranted) {
  ApprovalState state = Pending({"role:cs-manager"}, 1);
  state.demand.later = {{.approvers = {"role:director"}, .quorum = 1}};
  state.id = "a1";
  const core::Principal deputy = Person("li", {"approver"});
  const std::vector<Delegation> given = {
      {.approval = "a1", .by = "maria", .roles = {"cs-manager"}, .to = "li", .until_us = 10}};
  ASSERT_EQ(Grant(state, {.principal = &kManager}), AnswerEffect::kCounted);
  EXPECT_FALSE(RightOf(state, {.principal = &deputy}, given, 9).may.yes) << "her yes is used";
  EXPECT_EQ(VetoOf(state, {.principal = &deputy}, given, 9).of, "principal:maria");
  EXPECT_FALSE(VetoOf(state, {.principal = &deputy}, given, 10).may.yes) << "its time is over";
  EXPECT_FALSE(VetoOf(state, {.principal = &deputy}, {}, 9).may.yes) << "nobody handed him any";
  state.editors = {"principal:li"};
  EXPECT_FALSE(VetoOf(state, {.principal = &deputy}, given, 9).may.yes) << "he edited it";
  state.editors.clear();
  state.granted_by = {"principal:nora"};
  EXPECT_FALSE(VetoOf(state, {.principal = &deputy}, given, 9).may.yes)
      << "maria has said nothing, and her stage is over";
}

TEST(Approval, ARelayTakesBackTheUsersYesAndNobodyElse) {
  ApprovalState state = Pending({"run-user"});
  state.demand.later = {{.approvers = {"role:cs-manager"}, .quorum = 1}};
  const Answerer user{.principal = &kRelay, .on_behalf_of = "u1"};
  ASSERT_EQ(Grant(state, user), AnswerEffect::kCounted);
  const core::Principal no_relay = Person("app", {"integrator"});
  EXPECT_FALSE(CheckVeto(state, {.principal = &no_relay, .on_behalf_of = "u1"}).yes);
  EXPECT_FALSE(CheckVeto(state, {.principal = &kRelay, .on_behalf_of = "u2"}).yes);
  EXPECT_EQ(Reject(state, user), AnswerEffect::kRejected);
}

TEST(Approval, NothingMovesAnEndedApproval) {
  for (const ApprovalPhase phase : {ApprovalPhase::kRejected, ApprovalPhase::kExpired,
                                    ApprovalPhase::kConsumed, ApprovalPhase::kVoided}) {
    ApprovalState state = Pending({"role:cs-manager"});
    state.phase = phase;
    EXPECT_EQ(Grant(state, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kNone);
    EXPECT_FALSE(Expire(state, 5000));
    EXPECT_FALSE(Consume(state));
    EXPECT_FALSE(Void(state));
    EXPECT_FALSE(IsOpenConfirmation(state));
    EXPECT_EQ(state.phase, phase);
  }
}

TEST(Approval, ExpiresAtItsTimeAndNotBefore) {
  ApprovalState state = Pending({"role:cs-manager"});
  EXPECT_FALSE(Expire(state, 999));
  EXPECT_TRUE(Expire(state, 1000));
  EXPECT_EQ(Grant(state, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kNone);
}

TEST(Approval, Rule15_NewMessageVoidsTheUsersConfirmationsOnly) {
  EXPECT_TRUE(IsOpenConfirmation(Pending({"run-user"})));
  EXPECT_TRUE(IsOpenConfirmation(Pending({"user:u1"})));
  EXPECT_FALSE(IsOpenConfirmation(Pending({"role:cs-manager"})));
  EXPECT_FALSE(IsOpenConfirmation(Pending({"user:maria"})));
  ApprovalState escalates = Pending({"role:cs-manager"});
  escalates.demand.escalate_to = {"role:director"};
  EXPECT_FALSE(IsOpenConfirmation(escalates));
  for (const char* user : {"run-user", "user:u1"}) {
    escalates.demand.escalate_to = {user};
    EXPECT_TRUE(IsOpenConfirmation(escalates)) << user;
  }
  ApprovalState granted = Pending({"run-user"});
  ASSERT_EQ(Grant(granted, {.principal = &kRelay, .on_behalf_of = "u1"}), AnswerEffect::kGranted);
  EXPECT_TRUE(IsOpenConfirmation(granted));
  EXPECT_TRUE(Void(granted));
  EXPECT_FALSE(Consume(granted));
}

TEST(Approval, Rule14_GrantCoversTheSameDemandOnly) {
  ApprovalState granted = Pending({"role:cs-manager"});
  ASSERT_EQ(Grant(granted, {.principal = &kManager, .on_behalf_of = ""}), AnswerEffect::kGranted);
  const ApprovalDemand same = granted.demand;
  EXPECT_TRUE(Covers({granted}, {same}, kArgs, kTool));
  EXPECT_TRUE(Covers({granted}, {}, kArgs, kTool));
  EXPECT_FALSE(Covers({}, {same}, kArgs, kTool));
  EXPECT_FALSE(Covers({granted}, {same}, core::Sha256("other args"), kTool));
  EXPECT_FALSE(Covers({granted}, {same}, kArgs, core::Sha256("other tool")));

  ApprovalDemand shown = same;
  shown.show = {{"args.amount", 21}};
  EXPECT_FALSE(Covers({granted}, {shown}, kArgs, kTool)) << "a shown value changed";
  ApprovalDemand stricter = same;
  stricter.approvers = {"role:finance"};
  EXPECT_FALSE(Covers({granted}, {stricter}, kArgs, kTool)) << "somebody else must approve now";
  ApprovalDemand more = same;
  more.quorum = 2;
  EXPECT_FALSE(Covers({granted}, {more}, kArgs, kTool)) << "more people must approve now";
  EXPECT_FALSE(Covers({granted}, {same, stricter}, kArgs, kTool)) << "one of two demands is open";
  ApprovalDemand wider = same;
  wider.approvers = {"role:cs-manager", "role:finance"};
  EXPECT_TRUE(Covers({granted}, {wider}, kArgs, kTool));
  wider.rule = "another/rule";
  EXPECT_TRUE(Covers({granted}, {wider}, kArgs, kTool)) << "a bundle change alone does not void it";
}

TEST(Approval, Rule14_WhoCameInTooEarlyDoesNotCover) {
  ApprovalState granted = Pending({"role:cs-manager"});
  granted.demand.escalate_after_ms = 1000;
  granted.demand.escalate_to = {"role:director"};
  ASSERT_EQ(Grant(granted, {.principal = &kManager}), AnswerEffect::kGranted);
  ApprovalDemand demand = granted.demand;
  EXPECT_TRUE(Covers({granted}, {demand}, kArgs, kTool));
  demand.escalate_after_ms = 500;
  EXPECT_TRUE(Covers({granted}, {demand}, kArgs, kTool)) << "sooner now, which he was not";
  demand.escalate_after_ms = 2000;
  EXPECT_FALSE(Covers({granted}, {demand}, kArgs, kTool)) << "a director could have, too early";
  demand.escalate_to.clear();
  EXPECT_FALSE(Covers({granted}, {demand}, kArgs, kTool)) << "nobody but managers may now";
}

TEST(Approval, OnlyGrantedOnesCover) {
  ApprovalState pending = Pending({"role:cs-manager"});
  EXPECT_FALSE(Covers({pending}, {pending.demand}, kArgs, kTool));
  pending.phase = ApprovalPhase::kConsumed;
  pending.granted_by = {"principal:maria"};
  EXPECT_FALSE(Covers({pending}, {pending.demand}, kArgs, kTool));
}

}  // namespace
}  // namespace interlock::policies
