// Approvals through all layers: the engine behind the server, people at the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "console.h"
#include "people.h"
#include "runtime/server.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class Faces : public ::testing::Test {
 protected:
  // Serves `h`; the principals are the harness's.
  void Serve(Harness& h) {
    ServerOptions options;
    options.listen = "127.0.0.1:0";
    for (const core::Principal& who : {h.integrator, h.manager, h.second, h.operator_one}) {
      PrincipalConfig entry;
      entry.principal = who;
      entry.token_sha256 = core::Hex(core::Sha256("token-" + who.id));
      options.principals.push_back(std::move(entry));
    }
    options.tenants["main"] = {&h.engine(), "0123456789abcdef"};
    folder_ = h.folder;
    auto server = StartServer(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  cli::Ran Approvals(const std::string& who, std::vector<std::string> words) {
    words.insert(words.begin(), "approvals");
    return As(who, std::move(words));
  }

  cli::Ran As(const std::string& who, std::vector<std::string> words) {
    const std::string token = folder_ + "/token-" + who;
    std::ofstream(token) << "token-" << who << '\n';
    for (const char* word :
         {"--address", server_->address().c_str(), "--token-file", token.c_str()}) {
      words.emplace_back(word);
    }
    return cli::RunLine(words);
  }

  std::string folder_;
  std::unique_ptr<Server> server_;
};

TEST_F(Faces, AManagerEditsAndAnotherApproves) {
  Harness h(PayPolicy(), PayTools());
  Paid paid(h);
  Serve(h);
  const std::string run = ParkedPay(h, R"({"amount":60,"id":"o1"})");
  const std::string first = h.Pending().at(0).state.id;
  const cli::Ran shown = Approvals("maria", {"show", first});
  EXPECT_EQ(shown.code, cli::kYes) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr(R"(arguments {"amount":60,"id":"o1"})"),
                               HasSubstr(R"("total":100)"), Not(HasSubstr("edited by"))));

  const cli::Ran denied =
      Approvals("maria", {"edit", first, "--args", R"({"amount":90,"id":"o1"})"});
  EXPECT_EQ(denied.code, cli::kNo) << "it is the policy's answer";
  EXPECT_THAT(denied.err,
              HasSubstr("the policy does not allow these arguments (OVER): At most 80."));
  const std::string file = h.folder + "/args.json";
  EXPECT_EQ(Approvals("maria", {"edit", first, "--args", "@" + file}).code, cli::kCouldNotTell);
  std::ofstream(file) << R"({"amount":30,"id":"o1"})";
  const cli::Ran edited =
      Approvals("maria", {"edit", first, "--args", "@" + file, "--reason", "half of it"});
  EXPECT_EQ(edited.code, cli::kYes) << edited.err;
  EXPECT_THAT(edited.out, AllOf(HasSubstr(" is parked\n"), HasSubstr(R"({"amount":30,"id":"o1"})"),
                                HasSubstr("edited by principal:maria")));
  const std::string second = h.Pending().at(0).state.id;
  EXPECT_THAT(edited.out, HasSubstr(second));
  EXPECT_THAT(Approvals("maria", {"approve", second}).err,
              HasSubstr("whoever edited the arguments does not approve them"));
  EXPECT_EQ(Approvals("sam", {"approve", second}).code, cli::kYes);
  h.WaitForState(run, RunState::kCompleted);
  EXPECT_THAT(paid.args(), ElementsAre(R"({"amount":30,"id":"o1"})"));
  server_.reset();
}

TEST_F(Faces, AnEditIsPrintedAsADocumentWithJson) {
  Harness h(PayPolicy(), PayTools());
  Paid paid(h);
  Serve(h);
  ParkedPay(h, R"({"amount":60,"id":"o1"})");
  const cli::Ran edited = Approvals("maria", {"edit", h.Pending().at(0).state.id, "--args",
                                              R"({"amount":30,"id":"o1"})", "--json"});
  EXPECT_EQ(edited.code, cli::kYes) << edited.out;
  const core::Json call = core::Json::parse(edited.out);
  EXPECT_EQ(call["args"]["amount"], 30);
  EXPECT_THAT(call["approvals"], SizeIs(2)) << "the one that is void and the open one";
  server_.reset();
}

TEST_F(Faces, AnApproverHandsOnTakesBackAndIsEnded) {
  Harness h(PayPolicy(), PayTools());
  Paid paid(h);
  Serve(h);
  ParkedPay(h, R"({"amount":60,"id":"o1"})");
  const std::string id = h.Pending().at(0).state.id;
  EXPECT_THAT(Approvals("maria", {"delegate", "--to", "li"}).err,
              HasSubstr("name the approval, or say for how many --hours"));
  EXPECT_THAT(Approvals("maria", {"delegate", id, "--to", "li", "--end", "--hours", "3"}).err,
              HasSubstr("--hours excludes --end"));
  EXPECT_THAT(Approvals("ops1", {"delegate", id, "--to", "li", "--by", "maria"}).err,
              HasSubstr("--by requires --end"));
  const cli::Ran given = Approvals("maria", {"delegate", id, "--to", "li", "--reason", "holiday"});
  EXPECT_EQ(given.code, cli::kYes) << given.err;
  EXPECT_THAT(given.out, HasSubstr("approval " + id + ": li answers for maria until "));
  const cli::Ran ended = Approvals("maria", {"delegate", id, "--to", "li", "--end"});
  EXPECT_EQ(ended.code, cli::kYes) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("li answers for maria, which has ended"));
  EXPECT_THAT(*h.engine().ListDelegations(h.operator_one), SizeIs(0));

  EXPECT_EQ(Approvals("maria", {"delegate", "--to", "li", "--hours", "2"}).code, cli::kYes);
  EXPECT_THAT(Approvals("maria", {"delegations"}).out,
              HasSubstr("every approval: li answers for maria until "));
  EXPECT_EQ(Approvals("sam", {"delegations"}).out, "") << "they are none of his";
  EXPECT_THAT(Approvals("sam", {"delegate", "--to", "li", "--end", "--by", "maria"}).err,
              HasSubstr("needs the role `operator`"));
  const cli::Ran by_operator =
      Approvals("ops1", {"delegate", "--to", "li", "--end", "--by", "maria", "--json"});
  EXPECT_EQ(by_operator.code, cli::kYes) << by_operator.err;
  EXPECT_EQ(core::Json::parse(by_operator.out)["by"], "maria");
  EXPECT_EQ(Approvals("maria", {"delegations"}).out, "");
  server_.reset();
}

TEST_F(Faces, AnApprovalThatNobodyCanGiveSaysSo) {
  Harness h(PayPolicy(R"("role:director")"), PayTools());
  Paid paid(h);
  h.principals = std::make_shared<const std::vector<core::Principal>>(
      std::vector<core::Principal>{h.integrator, h.manager, h.operator_one});
  h.Restart();
  Serve(h);
  ParkedPay(h, R"({"amount":60,"id":"o1"})");
  const std::string id = h.Pending().at(0).state.id;
  EXPECT_THAT(Approvals("ops1", {"list"}).out, HasSubstr("1 of role:director, and nobody can"));
  EXPECT_THAT(Approvals("ops1", {"show", id}).out,
              HasSubstr("Nobody can give it: it needs 1 more of role:director, and nobody of the "
                        "configured principals may answer."));
  const cli::Ran shown = Approvals("ops1", {"show", id, "--json"});
  EXPECT_THAT(core::Json::parse(shown.out).value("unanswerable", ""), HasSubstr("role:director"));
  EXPECT_THAT(As("ops1", {"doctor"}).out,
              HasSubstr("1 approval waits for people who are not there"));
  EXPECT_THAT(Approvals("maria", {"delegate", id, "--to", "lee"}).err,
              HasSubstr("`to` names `lee`, and no principal of this tenant is called so"));
  server_.reset();
}

TEST_F(Faces, WhoToldTheRunIsShown) {
  Harness h(PayPolicy(), PayTools());
  Paid paid(h);
  Serve(h);
  h.planner.plans = {FakePlanner::Ask("how much?"),
                     FakePlanner::Calls({{"c1", "pay", R"({"amount":60,"id":"o1"})"}})};
  const auto run = h.CreateRun();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  ASSERT_TRUE(h.SendAs(h.operator_one, run->id, "60").ok());
  h.WaitForState(run->id, RunState::kWaitingForApproval);
  EXPECT_THAT(Approvals("maria", {"show", h.Pending().at(0).state.id}).out,
              HasSubstr("told by   principal:ops1"));
  server_.reset();
}

TEST_F(Faces, ARunNamesTheCallThatAPersonHasToResolve) {
  Harness h(AllowAll(), {WriteTool("bill")});
  Serve(h);
  h.tools.On("bill",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  h.planner.plans = {FakePlanner::Calls({{"c1", "bill", "{}"}})};
  const auto run = h.CreateRun();
  h.WaitForState(run->id, RunState::kWaitingForPerson);
  ASSERT_TRUE(h.Cancel(run->id).ok());
  const std::string call = h.CallsOf(run->id).at(0).id;
  const cli::Ran shown = As("ops1", {"runs", "show", run->id});
  EXPECT_THAT(shown.out, AllOf(HasSubstr("state    cancelling"),
                               HasSubstr("waits for call " + call +
                                         " of bill, whose outcome a person has to say: "
                                         "`interlock calls resolve " +
                                         call + "`")));
  server_.reset();
}

TEST_F(Faces, BudgetsAreListedForNowAndForOneUser) {
  Harness h(std::string(kPolicyHead) + R"(
local USER = budget "user" { unit = "USD", limit = usd(100), per = "user", window = "30m" }
on("pay", "r", function(c) return reserve(USER, usd("5")) end)
on("pay", "all", function(c) return allow() end))",
            PayTools());
  Pays(h, "5.00");
  Serve(h);
  ASSERT_TRUE(h.Execute("pay", {{"id", "o1"}}).ok());
  h.clock.Shift(31ll * 60 * 1'000'000);  // the window is over
  ASSERT_TRUE(h.Execute("pay", {{"id", "o2"}}).ok());
  const cli::Ran mine = As("ops1", {"budgets", "list", "--user", "u1"});
  EXPECT_THAT(mine.out, AllOf(HasSubstr("user:u1"), HasSubstr("until "), Not(HasSubstr("over"))));
  const cli::Ran all = As("ops1", {"budgets", "list", "--all", "--json"});
  EXPECT_THAT(core::Json::parse(all.out)["budgets"], SizeIs(2));
  EXPECT_THAT(As("ops1", {"budgets", "list", "--all"}).out,
              AllOf(HasSubstr("over, of "), HasSubstr(" #"), Not(HasSubstr("user:u1"))));
  EXPECT_THAT(As("ops1", {"budgets", "list", "--user", "nobody"}).out, Not(HasSubstr("100.00")));
  server_.reset();
}

}  // namespace
}  // namespace interlock::runtime::test
