// Erasure (rule 21), retention, full text and queries of auditors, on a whole engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <iterator>
#include <thread>

#include "audit/keys.h"
#include "audit/verify.h"
#include "engine/filter.h"
#include "erasing.h"
#include "runtime/projectors.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kDenyBig = R"(
policy "caps" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("*", "small", function(c) if c.args.amount <= 100 then return allow() end end)
on("*", "too_big", function(c) if c.args.amount > 100 then return deny { code = "TOO_BIG", say = "Too much." } end end)
)";

constexpr const char* kAsk = R"(
policy "ask" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }
on("*", "ask", function(c)
  return require_approval { approvers = { "role:cs-manager" }, quorum = 1, expires = "1h", show = { "args.id" } }
end)
)";

// Words that occur nowhere but in the person's content.
constexpr const char* kSecretWords[] = {"Xylophonist", "quetzalcoatl", "zwieback", "vellichor"};

// Calls of two people, full text included, large content too (overflow pages).
void FillWithCalls(Harness& h) {
  for (int i = 0; i < 30; ++i) {
    h.tools.Answers("notes.add", {{"saved", "quetzalcoatl is noted"}});
    const std::string pad(static_cast<std::size_t>(i) * 700, 'p');
    ASSERT_TRUE(h.Execute("notes.add",
                          {{"text", "Xylophonist zwieback " + std::to_string(i)}, {"pad", pad}},
                          h.NewRequestId(), "ann")
                    .ok());
    h.tools.Answers("notes.add", {{"saved", "a harmless one"}});
    ASSERT_TRUE(h.Execute("notes.add", {{"text", "harmless twin"}}, h.NewRequestId(), "bob").ok());
  }
  ASSERT_TRUE(h.CreateRun("my vellichor", "ann").ok());
}

TEST(Erase, LeavesNothingOfThePersonInAnyFileAndTheLogVerifies) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.WithSearch();
  FillWithCalls(h);
  const auto found = Search(h, "zwieback");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->page.items.size(), 30u);
  EXPECT_THAT(FilesWith(h.folder, "zwieback"), testing::Not(IsEmpty()));  // search.db: the twin
  const auto before = WrappedKeys(h.folder);

  const auto erased = Erase(h, "ann", "r-1");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_GT(erased->payloads, 60);
  const auto after = WrappedKeys(h.folder);
  ASSERT_EQ(after.size() + 1, before.size());
  for (const auto& [key_id, wrapped] : before) {
    const bool gone = !after.contains(key_id);
    EXPECT_EQ(FilesWith(h.folder, wrapped).empty(), gone) << key_id;
  }
  for (const char* word : kSecretWords) EXPECT_THAT(FilesWith(h.folder, word), IsEmpty()) << word;
  const auto twin = Search(h, "\"harmless twin\"");
  ASSERT_TRUE(twin.ok()) << twin.status();
  EXPECT_EQ(twin->page.items.size(), 30u);
  const auto again = Search(h, "zwieback");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->page.items, IsEmpty());

  const auto repeated = Erase(h, "ann", "r-1");
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(repeated->index, erased->index);
  EXPECT_EQ(ReasonOf(Erase(h, "ann").status()), "SUBJECT_ERASED");
  EXPECT_EQ(Erase(h, "nobody").status().code(), core::StatusCode::kNotFound);
  h.Stop();
  for (const char* word : kSecretWords) EXPECT_THAT(FilesWith(h.folder, word), IsEmpty()) << word;
  const audit::VerifyReport report = VerifyFolder(h.folder);
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
}

TEST(Erase, ASubjectThatComesBackIsServedUnderANewKey) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann").ok());
  const std::string old_key = *h.keys().KeyIdOf("ann");
  std::uint64_t old_entry = 0;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind == "call.proposed") old_entry = entry.index;
  }
  ASSERT_TRUE(Erase(h, "ann").ok());
  const auto back = h.Execute("notes.add", {{"text", "hello again"}}, h.NewRequestId(), "ann");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->state, CallState::kOk);
  const std::string new_key = *h.keys().KeyIdOf("ann");
  EXPECT_NE(new_key, old_key);
  h.Restart();  // which destroys again what the log says is destroyed
  EXPECT_EQ(*h.keys().KeyIdOf("ann"), new_key);
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "third"}}, h.NewRequestId(), "ann").ok());
  EXPECT_TRUE(h.log().ReadPayload(old_entry, 0)->erased);
  EXPECT_GT(Erase(h, "ann")->payloads, 0);
  EXPECT_THAT(WrappedKeys(h.folder), Not(Contains(Key(new_key))));
  EXPECT_THAT(FilesWith(h.folder, "zwieback"), IsEmpty());
  h.Stop();
  const audit::VerifyReport report = VerifyFolder(h.folder);
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
}

TEST(Search, IsForAuditorsAndItsEntryNamesWhatWasShown) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.WithSearch();
  h.tools.Answers("notes.add", {{"ok", true}});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(h.Execute("notes.add", {{"text", "grinder"}}, h.NewRequestId(), "ann").ok());
  }
  const auto search = [&](const core::Principal& who, PageSpec page) {
    return Wait<FoundTexts>([&](Reply<FoundTexts> reply) {
      h.engine().SearchCalls(who, std::move(page), "grinder", std::move(reply));
    });
  };
  EXPECT_EQ(search(h.operator_one, {}).status().code(), core::StatusCode::kPermissionDenied);
  EXPECT_THAT(h.Kinds(""), Not(Contains("access.read")));
  const auto found = search(h.auditor, {.size = 2, .cursor = ""});
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->page.items.size(), 2u);
  const core::Json body = core::Json::parse(h.log().Read(found->access_index)->bytes)["body"];
  ASSERT_EQ(body["payloads"].size(), 2u);  // not what the next page would show
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(body["payloads"][i].get<std::uint64_t>() >> 8, found->page.items[i].index);
  }
  EXPECT_EQ(body["what"], "search");
}

TEST(Search, NothingIsReadOrRecordedForACallerWhoHasLeft) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.WithSearch();
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "grinder"}}, h.NewRequestId(), "ann").ok());
  const auto hangup = std::make_shared<Hangup>();
  const auto search = [&] {
    return Wait<FoundTexts>([&](Reply<FoundTexts> reply) {
      h.engine().SearchCalls(h.auditor, {.size = 5, .cursor = "", .hangup = hangup}, "grinder",
                             std::move(reply));
    });
  };
  ASSERT_TRUE(search().ok());
  hangup->Happen();
  const auto shown = h.Kinds("");
  EXPECT_EQ(search().status().code(), core::StatusCode::kCancelled);
  EXPECT_EQ(h.Kinds(""), shown);
}

TEST(Erase, EndsOpenRunsAndRefusesWhileACallIsAtWork) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.planner.plans = {FakePlanner::Ask("which one?")};
  const auto run = h.CreateRun("help", "ann");
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kWaitingForUser);
  const auto erased = Erase(h, "ann");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_EQ(erased->runs_ended, 1);
  EXPECT_EQ(h.WaitForState(run->id, RunState::kCancelled).state, RunState::kCancelled);

  h.tools.On("notes.add",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  const auto call = h.Execute("notes.add", {{"text", "x"}}, h.NewRequestId(), "bob");
  ASSERT_TRUE(call.ok()) << call.status();
  ASSERT_EQ(call->state, CallState::kUnknown);
  const auto busy = Erase(h, "bob");
  EXPECT_EQ(ReasonOf(busy.status()), "SUBJECT_BUSY");
  EXPECT_TRUE(h.Resolve(h.operator_one, call->id, false).ok());
  EXPECT_TRUE(Erase(h, "bob").ok());
}

// Its key was given out before the erasure began: nothing is sealed by it, and nothing begins.
TEST(Erase, ACallThatIsBeingDecidedMeanwhileDoesNotHappen) {
  Harness h(kAllowAll, {Write("notes.add"), {.name = "look"}});
  h.limits.calls_max = 1;
  h.Restart();
  h.tools.Answers("notes.add", {{"saved", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "x"}}, h.NewRequestId(), "ann").ok());
  h.tools.Holds("look");
  const auto execute = [&h](const std::string& tool, const std::string& subject) {
    return std::async(std::launch::async, [&h, tool, subject] {
      return h.Execute(tool, {{"text", "quetzalcoatl"}}, h.NewRequestId(), subject);
    });
  };
  auto look = execute("look", "bob");
  h.tools.WaitUntilHeld("look", 1);
  auto add = execute("notes.add", "ann");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // it waits for a place by now
  const auto erased = Erase(h, "ann");
  ASSERT_TRUE(erased.ok()) << erased.status();
  h.tools.Release("look", OkOutcome({{"ok", true}}));
  EXPECT_TRUE(look.get().ok());
  const auto added = add.get();
  EXPECT_THAT(std::string(core::Message(added.status())), HasSubstr("erased meanwhile"));
  EXPECT_EQ(h.tools.runs("notes.add"), 1);
  // And the person may come back.
  EXPECT_TRUE(h.Execute("notes.add", {{"text", "y"}}, h.NewRequestId(), "ann").ok());
  h.Stop();
  const audit::VerifyReport report = VerifyFolder(h.folder);
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
}

// A process that ends between the steps: the child makes the first ones and is gone without a
// goodbye; the next start finishes.
class EraseCrash : public ::testing::TestWithParam<int> {};

TEST_P(EraseCrash, RecoveryFinishes) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.WithSearch();
  FillWithCalls(h);
  ASSERT_TRUE(Search(h, "zwieback").ok());
  const std::string key = *h.keys().KeyIdOf("ann");
  const std::string wrapped = WrappedKeys(h.folder).at(key);
  h.Stop();
  const pid_t child = fork();
  if (child == 0) {
    h.Start();
    const int steps = GetParam();
    audit::KeyStore& keys = h.keys();
    const std::string body = R"({"key":")" + key + R"(","reason":"asked","subject":")" +
                             keys.Hmac("subject", "ann") + R"(","what":"subject"})";
    const audit::NewEntry entry{
        .kind = "payload.erased", .run = "", .actor = "principal:ops1", .body = body, .cites = {}};
    bool ok = h.log().Append(entry).ok();
    if (steps >= 2) ok = ok && keys.DestroyKey(key).ok();
    if (steps >= 3) {  // a part of the ciphertext
      class EraseSome final : public audit::Command {
       public:
        explicit EraseSome(std::promise<void>& done) : done_(done) {}
        core::Status Apply(audit::Transaction& transaction) override {
          std::vector<std::int64_t> ids;
          for (std::int64_t i = 0; i < 5 * 256; i += 256) ids.push_back(i);
          transaction.ErasePayloads(ids);
          return core::OkStatus();
        }
        void Done(const core::Status&) override { done_.set_value(); }

       private:
        std::promise<void>& done_;
      };
      std::promise<void> done;
      h.log().Submit(std::make_unique<EraseSome>(done), audit::Urgency::kNormal);
      done.get_future().wait();
    }
    _exit(ok ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  h.Start();
  ASSERT_TRUE(Search(h, "twin").ok());  // behind the recovery, on the same thread
  EXPECT_EQ(h.keys().UnfinishedErasures()->size(), 0u);
  EXPECT_THAT(FilesWith(h.folder, wrapped), IsEmpty());
  for (const char* word : kSecretWords) EXPECT_THAT(FilesWith(h.folder, word), IsEmpty()) << word;
  h.Stop();
  const audit::VerifyReport report = VerifyFolder(h.folder);
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
}
INSTANTIATE_TEST_SUITE_P(AfterStep, EraseCrash, ::testing::Values(1, 2, 3));

TEST(Retention, ErasesWhatIsOlderThanItsClassAndNothingElse) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.retention = {.conversation_months = 7, .calls_months = 13, .approvals_months = 13};
  h.Restart();
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "old"}}, h.NewRequestId(), "ann").ok());
  const auto run = h.CreateRun("hello", "ann");
  ASSERT_TRUE(run.ok());
  h.WaitForState(run->id, RunState::kCompleted);
  const auto apply = [&](bool count) { return *ApplyRetention(h, count); };
  EXPECT_EQ(apply(true).payloads, 0);
  const auto later = [&](std::int64_t months) {  // an operator says that the clock is right
    h.clock.Shift(months * kMonthMicros);
    ASSERT_TRUE(h.Execute("notes.add", {{"text", "new"}}, h.NewRequestId(), "ann").ok());
    ASSERT_TRUE(h.engine().ConfirmClock(h.operator_one, "time went by").ok());
  };
  later(8);
  const std::int64_t conversation = apply(true).payloads;
  EXPECT_GT(conversation, 0);
  EXPECT_EQ(apply(false).payloads, conversation);
  EXPECT_EQ(apply(true).payloads, 0);
  later(6);
  EXPECT_GT(apply(false).payloads, 0);  // the calls
  h.Stop();
  const audit::VerifyReport report = VerifyFolder(h.folder);
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
}

// The housekeeper's first pass is behind its first tick; what is asked of its thread comes after
// it.
class RetentionClock : public ::testing::Test {
 protected:
  static constexpr std::int64_t kDay = 24ll * 3600 * 1'000'000;

  RetentionClock() : h_(kAllowAll, {Write("notes.add")}) {
    h_.retention = {.conversation_months = 1, .calls_months = 1, .approvals_months = 1};
    h_.tools.Answers("notes.add", {{"ok", true}});
    h_.Restart();
  }
  bool Call() { return h_.Execute("notes.add", {{"text", "kept"}}, h_.NewRequestId()).ok(); }
  core::StatusOr<RetentionReport> Apply(bool count) { return ApplyRetention(h_, count); }
  void StartLater(std::int64_t micros) {
    h_.Stop();
    h_.clock.Shift(micros);
    h_.Start();
  }
  std::size_t Erased() {
    const auto kinds = h_.Kinds("");
    return static_cast<std::size_t>(std::count(kinds.begin(), kinds.end(), "payload.erased"));
  }

  Harness h_;
};

TEST_F(RetentionClock, AJumpWhileRunningErasesNothing) {
  ASSERT_TRUE(Call());
  h_.clock.Shift(40 * kDay);
  EXPECT_GT(Apply(true)->payloads, 0);
  EXPECT_EQ(ReasonOf(Apply(false).status()), "CLOCK_IN_DOUBT");
  h_.Restart();  // its first pass
  EXPECT_EQ(ReasonOf(Apply(false).status()), "CLOCK_IN_DOUBT");
  EXPECT_EQ(Erased(), 0u);
  EXPECT_THAT(h_.warned, IsEmpty());
  const std::int64_t expired = Apply(true)->payloads;
  ASSERT_TRUE(h_.engine().ConfirmClock(h_.operator_one, "it is right").ok());
  ASSERT_TRUE(Apply(false).ok());
  EXPECT_GT(Erased(), 0u);
  EXPECT_THAT(h_.warned, ElementsAre(HasSubstr(" payloads for good")));
  EXPECT_THAT(h_.warned[0], HasSubstr("erased " + std::to_string(expired)));
}

TEST_F(RetentionClock, AClockFarAheadAtStartIsInDoubtHoweverOftenTheDaemonStarts) {
  ASSERT_TRUE(Call());
  for (int start = 0; start < 3; ++start) {
    StartLater(start == 0 ? 463 * kDay : 0);
    EXPECT_GT(Apply(true)->payloads, 0);
    EXPECT_THAT(h_.engine().Unhealthy(), HasSubstr("confirm-clock"));
    EXPECT_EQ(Erased(), 0u);
  }
  ASSERT_TRUE(h_.engine().ConfirmClock(h_.operator_one, "the daemon was off for a year").ok());
  h_.Restart();
  EXPECT_EQ(Apply(true)->payloads, 0);  // the first pass was before
  EXPECT_GT(Erased(), 0u);
  EXPECT_THAT(h_.warned, ElementsAre(HasSubstr("asked for by engine")));
}

TEST_F(RetentionClock, AloneItErasesOnlyWhatTheLogsOwnTimeExpires) {
  ASSERT_TRUE(Call());
  StartLater(25 * kDay);
  EXPECT_EQ(h_.engine().Unhealthy(), "");
  ASSERT_TRUE(Call());
  StartLater(25 * kDay);  // 50 days by the wall clock, 25 by the log
  EXPECT_GT(Apply(true)->payloads, 0);
  EXPECT_EQ(Erased(), 0u);
  ASSERT_TRUE(Call());
  StartLater(0);
  EXPECT_EQ(Apply(true)->payloads, 0);
  EXPECT_GT(Erased(), 0u);
}

TEST(Query, FindsCallsByWhatAuditorsAskFor) {
  Harness h(kDenyBig, {{.name = "refunds.create",
                        .effect = tools::Effect::kMoney,
                        .effect_key = "refund:{args.id}",
                        .money = true},
                       Write("notes.add")});
  h.tools.Answers("refunds.create", {{"amount", "12.50"}, {"currency", "USD"}});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(
      h.Execute("refunds.create", {{"id", "a"}, {"amount", 50}}, h.NewRequestId(), "ann").ok());
  ASSERT_TRUE(
      h.Execute("refunds.create", {{"id", "b"}, {"amount", 500}}, h.NewRequestId(), "bob").ok());
  ASSERT_TRUE(h.Execute("notes.add", {{"amount", 1}}, h.NewRequestId(), "ann").ok());
  EXPECT_EQ(Query(h, "").size(), 3u);
  EXPECT_EQ(Query(h, "tool = \"refunds.*\"").size(), 2u);
  const auto denied = Query(h, "tool = \"refunds.create\" AND verdict = deny");
  ASSERT_EQ(denied.size(), 1u);
  EXPECT_EQ(denied[0].code, "TOO_BIG");
  EXPECT_THAT(denied[0].rules, testing::Contains(HasSubstr("too_big")));
  const auto moved = Query(h, "amount > 0");
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].amount_minor, 1250);
  EXPECT_EQ(moved[0].currency, "USD");
  EXPECT_EQ(Query(h, "subject = ann").size(), 2u);
  EXPECT_EQ(Query(h, "subject = bob AND NOT verdict = deny").size(), 0u);
  EXPECT_EQ(Query(h, "rule:" + denied[0].rules[0]).size(), 1u);
  EXPECT_EQ(Query(h, "actor = ticketing time >= 2020-01-01").size(), 3u);
  EXPECT_EQ(Query(h, "time < 2020-01-01").size(), 0u);
  EXPECT_EQ(Query(h, "verdict = deny OR tool = notes.add amount = 0").size(), 2u);
  const auto first = h.engine().QueryCalls(h.operator_one, {.size = 2, .cursor = ""}, "");
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->items.size(), 2u);
  const auto rest =
      h.engine().QueryCalls(h.operator_one, {.size = 2, .cursor = first->next_cursor}, "");
  ASSERT_TRUE(rest.ok());
  ASSERT_EQ(rest->items.size(), 1u);
  EXPECT_EQ(rest->next_cursor, "");
  EXPECT_NE(rest->items[0].call, first->items[1].call);
  EXPECT_EQ(h.engine().QueryCalls(h.integrator, {}, "").status().code(),
            core::StatusCode::kPermissionDenied);
}

TEST(Query, AnApproverIsFoundByHisName) {
  Harness h(kAsk, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  const std::string request = h.NewRequestId();
  const auto parked = h.Execute("notes.add", {{"id", "a"}}, request);
  ASSERT_TRUE(parked.ok()) << parked.status();
  ASSERT_EQ(parked->state, CallState::kParked);
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals[0], true).ok());
  ASSERT_EQ(h.Execute("notes.add", {{"id", "a"}}, request)->state, CallState::kOk);
  for (const char* name : {"maria", "principal:maria", "mar*"}) {
    const std::string filter = "approver:\"" + std::string(name) + "\"";
    EXPECT_EQ(Query(h, filter).size(), 1u) << name;
    EXPECT_EQ(Query(h, "NOT " + filter).size(), 0u) << name;
  }
  EXPECT_EQ(Query(h, "approver:mari").size(), 0u);
  EXPECT_EQ(Query(h, "approver != sam").size(), 1u);
}

TEST(Query, ViewsAnswerThePlainSql) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.WithSearch();
  FillWithCalls(h);
  ASSERT_TRUE(Search(h, "twin").ok());
  ASSERT_TRUE(Erase(h, "ann").ok());
  EXPECT_EQ(h.Number("SELECT count(*) FROM v_calls WHERE actor = 'ticketing' AND time > '2020'"),
            60);
  EXPECT_EQ(h.Number("SELECT count(*) FROM v_decisions WHERE verdict = 'allow'"), 60);
  EXPECT_EQ(h.Number("SELECT count(*) FROM v_approvals"), 0);
  EXPECT_EQ(h.Number("SELECT count(*) FROM v_money"), 0);
  EXPECT_EQ(h.Number("SELECT count(*) FROM v_access WHERE what = 'search'"), 1);
  EXPECT_EQ(h.Number("SELECT count(*) FROM v_erasures WHERE legal_basis = 'Art. 17'"), 1);
}

TEST(Arguments, EachFieldIsCommittedToByItself) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add",
                        {{"amount", 5}, {"to", R"(a "b", {c})"}, {"x", {1, {{"y", 2}}}}},
                        h.NewRequestId(), "ann")
                  .ok());
  bool seen = false;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind != "call.proposed") continue;
    const core::Json args = core::Json::parse(entry.bytes)["body"]["args"];
    const auto row = h.log().ReadPayload(entry.index, args["slot"].get<int>());
    ASSERT_TRUE(row.ok());
    const auto opened = h.keys().Open(row->payload);
    ASSERT_TRUE(opened.ok()) << opened.status();
    const core::Json plain = core::Json::parse(opened->plaintext);
    ASSERT_EQ(args["fields"].size(), plain.size());
    for (const auto& [name, value] : plain.items()) {
      const core::Digest salt = audit::FieldSalt(opened->salt, name);
      const std::string text = core::CanonicalJson(value);
      EXPECT_EQ(args["fields"][name],
                core::Hex(audit::FieldCommitment(core::AsBytes(salt), {name, text})));
    }
    seen = true;
  }
  EXPECT_TRUE(seen);
}

// A schema that is open lets a model choose names too: those are content.
TEST(Sealing, NamesThatNoSchemaDeclaresStandInNoFile) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"john.doe@example.com", "x"}, {"text", "hello"}},
                        h.NewRequestId(), "ann")
                  .ok());
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "hello"}}, h.NewRequestId(), "ann").ok());
  std::vector<bool> by_field;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind != "call.proposed") continue;
    by_field.push_back(core::Json::parse(entry.bytes)["body"]["args"].contains("fields"));
  }
  EXPECT_THAT(by_field, ElementsAre(false, true));
  ASSERT_TRUE(Erase(h, "ann").ok());
  EXPECT_THAT(FilesWith(h.folder, "john.doe"), IsEmpty());
  h.Stop();
  EXPECT_THAT(FilesWith(h.folder, "john.doe"), IsEmpty());
  EXPECT_EQ(VerifyFolder(h.folder).verdict, audit::Verdict::kIntact);
}

TEST(Query, ByUserFindsCallsWithoutARunToo) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "one"}}, h.NewRequestId(), "ann").ok());
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "two"}}, h.NewRequestId(), "bob").ok());
  const std::string ann = h.keys().Hmac("user", "ann");
  for (int life = 0; life < 2; ++life) {
    EXPECT_THAT(Query(h, "user = \"ann\""), SizeIs(1));
    EXPECT_THAT(Query(h, "user = \"" + ann + "\""), SizeIs(1));
    EXPECT_THAT(Query(h, "NOT user = \"ann\""), SizeIs(1));
    EXPECT_THAT(Query(h, "user = \"eve\""), IsEmpty());
    EXPECT_EQ(h.Number("SELECT count(*) FROM v_calls WHERE user = '" + ann + "'"), 1);
    for (const audit::Entry& entry : h.Entries("")) {
      EXPECT_EQ(entry.bytes.find("\"ann\""), std::string::npos);
    }
    h.Stop();
    h.Start();
  }
}

TEST(Decision, NoEntryHoldsThePlainDigestOfItsInput) {
  Harness h(kAllowAll, {Write("notes.add")});
  h.tools.Answers("notes.add", {{"ok", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"mail", "a@example.org"}}, h.NewRequestId(), "ann").ok());
  std::string digest;
  std::string entries;
  for (const audit::Entry& entry : h.Entries("")) {
    entries += entry.bytes;
    if (entry.kind != "call.decided") continue;
    const int slot = core::Json::parse(entry.bytes)["body"]["decision"]["slot"].get<int>();
    const auto opened = h.keys().Open(h.log().ReadPayload(entry.index, slot)->payload);
    ASSERT_TRUE(opened.ok()) << opened.status();
    digest = core::Json::parse(opened->plaintext)["input"].get<std::string>();
  }
  ASSERT_EQ(digest.size(), 71u);  // "sha256:" and 64 digits
  EXPECT_THAT(entries, Not(HasSubstr(digest.substr(7))));
}

TEST(Filter, AValueThatNoCallCanHaveIsNamedWithThoseThatThereAre) {
  const auto hmac = [](std::string_view, std::string_view text) { return std::string(text); };
  const auto said = [&](const char* text) {
    const auto compiled = CompileCallFilter(text, hmac);
    EXPECT_EQ(compiled.status().code(), core::StatusCode::kInvalidArgument) << text;
    return std::string(core::Message(compiled.status()));
  };
  EXPECT_EQ(
      said("verdict = denied"),
      "filter, at byte 9: no verdict is `denied`; there are allow, ask, deny, modify, refuse");
  EXPECT_THAT(said("tool = a AND effect != wirte"), HasSubstr("read, write, money, egress"));
  EXPECT_THAT(said("outcome:OK"), HasSubstr("no outcome is `OK`; there are ok, failed, timeout"));
  for (const char* good : {"verdict = deny", "outcome != resolved_not_done", "effect = egress",
                           "outcome = \"\"", "outcome = reconciled_*", "code = ANYTHING"}) {
    EXPECT_TRUE(CompileCallFilter(good, hmac).ok()) << good;
  }
}

TEST(Filter, SaysWhereItIsWrong) {
  const auto hmac = [](std::string_view, std::string_view text) { return std::string(text); };
  for (const char* bad :
       {"tool", "tool =", "nonsense = 1", "tool = \"open", "(tool = a", "tool < a", "amount = ten",
        "time > yesterday", "tool = a)", "time > 2026-02-30"}) {
    const auto compiled = CompileCallFilter(bad, hmac);
    EXPECT_EQ(compiled.status().code(), core::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(CompileCallFilter(std::string(40, '(') + "tool = a", hmac).ok());
  EXPECT_FALSE(CompileCallFilter(std::string(5000, ' '), hmac).ok());
  const auto injected = CompileCallFilter("tool = \"' OR 1=1 --\"", hmac);
  ASSERT_TRUE(injected.ok());
  EXPECT_EQ(injected->where, "(c.tool = ?1)");
  EXPECT_EQ(*ParseFilterTime("1970-01-02T00:00:00.5Z"), 86'400'500'000);
}

}  // namespace
}  // namespace interlock::runtime::test
