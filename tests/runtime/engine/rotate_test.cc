// One log follows another under a whole engine: what was done, spent and asked before a rotation
// counts after it.
#include "audit/rotate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "audit/verify.h"
#include "engine/archives.h"
#include "harness.h"
#include "harness/read_only_mount.h"
#include "rotating.h"
#include "rules.h"
#include "runtime/projectors.h"

namespace interlock::runtime::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

audit::FolderReport VerifyAll(const std::string& folder) {
  return audit::VerifyFolder(folder, {}, MakeProjectors);
}

std::string WhyNot(Harness& h) {
  h.Stop();
  // As a kill -9 may leave it: the tables know nothing yet of the last entries.
  EditDatabase(h.folder + "/audit.db", "DELETE FROM p_watermark");
  const auto report = Rotate(h);
  EXPECT_EQ(report.status().code(), core::StatusCode::kFailedPrecondition) << report.status();
  h.Start();
  return std::string(core::Message(report.status()));
}

// Payload rows of a call's entries that still hold ciphertext.
std::int64_t SealedRows(const std::string& path, const std::string& call) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  const std::string sql =
      "SELECT count(*) FROM payload p JOIN entry e ON e.idx = p.id >> 8 WHERE p.sealed IS NOT NULL "
      "AND instr(CAST(e.bytes AS TEXT), '" +
      call + "') > 0";
  sqlite3_stmt* select = nullptr;
  sqlite3_prepare_v2(db, sql.c_str(), -1, &select, nullptr);
  const std::int64_t count =
      sqlite3_step(select) == SQLITE_ROW ? sqlite3_column_int64(select, 0) : -1;
  sqlite3_finalize(select);
  sqlite3_close(db);
  return count;
}

core::StatusOr<FoundTexts> Texts(Harness& h, const std::string& text) {
  std::promise<core::StatusOr<FoundTexts>> done;
  h.engine().SearchCalls(h.auditor, {}, text, [&](core::StatusOr<FoundTexts> found) {
    done.set_value(std::move(found));
  });
  return done.get_future().get();
}

std::vector<FoundText> Found(Harness& h, const std::string& text) {
  const auto found = Texts(h, text);
  EXPECT_TRUE(found.ok()) << found.status();
  return found.ok() ? found->page.items : std::vector<FoundText>{};
}

std::uint64_t OnlyIndexOf(Harness& h, std::string_view kind) {
  std::uint64_t index = 0;
  int count = 0;
  for (const audit::Entry& entry : h.Entries("")) {
    if (entry.kind != kind) continue;
    index = entry.index;
    ++count;
  }
  EXPECT_EQ(count, 1) << kind;
  return index;
}

TEST(Rotate, AKillSwitchStopsInTheNextLogToo) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  Pays(h, "80.00");
  ASSERT_TRUE(h.engine().SetSwitch(h.operator_one, "tool:pay", "odd sums").ok());
  RotateAndRestart(h);
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->code, "KILLED");
  EXPECT_EQ(h.engine().ListSwitches(h.operator_one)->at(0).reason, "odd sums");
  ASSERT_TRUE(h.engine().LiftSwitch(h.operator_one, {"tool:pay", "it was right", ""}).ok());
  RotateAndRestart(h);
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->state, CallState::kOk);
}

// More than one entry could carry in one row.
TEST(Rotate, WhatWasHandedOnIsInForceInTheNextLog) {
  Harness h(AskAlways(R"("role:cs-manager")"), {MoneyTool("pay")});
  std::vector<std::string> roles{"approver", "cs-manager"};
  for (int i = 0; i < 40; ++i) roles.push_back(std::string(60, 'r') + std::to_string(i));
  std::size_t handed = 0;
  for (const char giver : {'a', 'b', 'c', 'd'}) {
    const core::Principal who{.tenant = "main", .id = std::string(64, giver), .roles = roles};
    for (int to = 0; to < 16; ++to, ++handed) {
      std::promise<core::Status> done;
      h.engine().Delegate(who,
                          {.approval = "",
                           .to = std::string(62, 't') + std::to_string(10 + to),
                           .until_us = h.clock.WallMicros() + 3'600'000'000,
                           .reason = "",
                           .request_id = ""},
                          [&done](const auto& given) { done.set_value(given.status()); });
      ASSERT_EQ(done.get_future().get(), core::OkStatus());
    }
  }
  const auto before = *h.engine().ListDelegations(h.operator_one);
  RotateAndRestart(h);
  for (int life = 0; life < 2; ++life, h.Restart()) {
    const auto after = *h.engine().ListDelegations(h.operator_one);
    ASSERT_EQ(after.size(), handed);
    for (std::size_t i = 0; i < handed; ++i) {
      EXPECT_EQ(after[i].by + after[i].to, before[i].by + before[i].to);
      EXPECT_EQ(after[i].roles, roles);
      EXPECT_EQ(after[i].until_us, before[i].until_us);
    }
  }
  const audit::FolderReport found = VerifyAll(h.folder);
  EXPECT_EQ(found.report.verdict, audit::Verdict::kIntact) << found.report.reason;
}

TEST(Rotate, AnEffectThatHappenedIsDeniedInTheNextLog) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  Pays(h, "80.00");
  const auto first = h.Execute("pay", {{"id", "o1"}});
  ASSERT_EQ(first->state, CallState::kOk);
  for (int i = 0; i < 2; ++i) {
    RotateAndRestart(h);
    const auto again = h.Execute("pay", {{"id", "o1"}});
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->code, "DUPLICATE_EFFECT");
    EXPECT_THAT(again->say, HasSubstr(first->id));
  }
  EXPECT_EQ(h.tools.runs("pay"), 1);
  EXPECT_EQ(h.Execute("pay", {{"id", "o2"}})->state, CallState::kOk);  // the harmless twin
  h.Stop();
  const auto report = VerifyAll(h.folder);
  EXPECT_EQ(report.report.verdict, audit::Verdict::kIntact)
      << report.log << ": " << report.report.reason;
  EXPECT_EQ(report.logs.size(), 3u);
}

TEST(Rotate, MoneyThatWasSpentIsSpent) {
  Harness h(std::string(kPolicyHead) + R"(local DAY = budget "day" { unit = "USD",
  limit = money("100.00", "USD"), per = "tenant", window = "1d" }
on("pay", "reserve", function(c) return reserve(DAY, money("60.00", "USD")) end)
on("pay", "ok", function(c) return allow() end))",
            {MoneyTool("pay")});
  Pays(h, "35.00");
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->state, CallState::kOk);
  const BudgetInfo before = h.Budget("day");
  RotateAndRestart(h);
  EXPECT_EQ(h.Budget("day").settled, before.settled);
  EXPECT_EQ(h.Budget("day").held, 0);
  EXPECT_EQ(h.Execute("pay", {{"id", "o2"}})->state, CallState::kOk);  // 35 + 60 fits
  RotateAndRestart(h);
  EXPECT_EQ(h.Budget("day").settled, 7000);
  EXPECT_EQ(h.Execute("pay", {{"id", "o3"}})->code, "BUDGET");  // 70 + 60 does not
}

TEST(Rotate, CountersGoOn) {
  Harness h(std::string(kPolicyHead) + R"(on("*", "slot", function(c)
  return limit { key = c.user, max = 3, per = "10m" }
end)
on("*", "ok", function(c) return allow() end))",
            {ReadTool("orders.get")});
  h.tools.Answers("orders.get", {{"ok", true}});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(h.Execute("orders.get", {{"n", i}})->state, CallState::kOk);
  }
  RotateAndRestart(h);
  EXPECT_EQ(h.Execute("orders.get", {{"n", 3}})->state, CallState::kOk);
  EXPECT_EQ(h.Execute("orders.get", {{"n", 4}})->code, "LIMIT");
  RotateAndRestart(h);
  EXPECT_EQ(h.Execute("orders.get", {{"n", 5}})->code, "LIMIT");
  h.clock.Shift(11 * kMinuteMicros);  // the window is over: the events are out of it
  EXPECT_EQ(h.Execute("orders.get", {{"n", 6}})->state, CallState::kOk);
}

TEST(Rotate, ARequestThatWasMadeIsAnsweredFromTheClosedLog) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  Pays(h, "80.00");
  const std::string request = h.NewRequestId();
  const auto first = h.Execute("pay", {{"id", "o1"}}, request);
  const auto run = h.CreateRun("help", "ann", "r-1");
  ASSERT_TRUE(run.ok()) << run.status();
  const RunInfo ended = h.WaitForState(run->id, RunState::kCompleted);
  RotateAndRestart(h);
  RotateAndRestart(h);
  const auto again = h.Execute("pay", {{"id", "o1"}}, request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, first->id);
  EXPECT_EQ(again->state, CallState::kOk);
  EXPECT_EQ(again->result, first->result);
  EXPECT_EQ(again->args, first->args);
  EXPECT_EQ(again->newest.leaf_hash, core::Digest{});  // no receipt of another log
  EXPECT_EQ(h.tools.runs("pay"), 1);
  const auto same = h.CreateRun("help", "ann", "r-1");
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->id, run->id);
  EXPECT_EQ(same->answer, ended.answer);
  // Another request under the same id is refused as before.
  EXPECT_EQ(h.Execute("pay", {{"id", "o2"}}, request).status().code(),
            core::StatusCode::kInvalidArgument);
  // Who may see them is asked as ever.
  EXPECT_EQ(h.engine().GetCall(h.integrator, first->id)->state, CallState::kOk);
  EXPECT_EQ(h.engine().GetRun(h.operator_one, run->id)->state, RunState::kCompleted);
  const core::Principal stranger{.tenant = "main", .id = "else", .roles = {"integrator"}};
  EXPECT_EQ(h.engine().GetCall(stranger, first->id).status().code(), core::StatusCode::kNotFound);
  EXPECT_EQ(h.engine().GetRun(stranger, run->id).status().code(), core::StatusCode::kNotFound);
}

// Whoever did not hear the first answer asks again, though the log was closed meanwhile.
TEST(Rotate, AMessageOrACancelThatWasMadeIsAnsweredAgain) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  h.planner.plans = {FakePlanner::Ask("which one?"), FakePlanner::Ask("sure?")};
  const std::string run = h.CreateRun()->id;
  h.WaitForState(run, RunState::kWaitingForUser);
  const std::string said = h.NewRequestId();
  const std::string cancelled = h.NewRequestId();
  using Answer = core::StatusOr<RunInfo>;
  const auto answer = [](const std::function<void(Reply<RunInfo>)>& ask) {
    auto told = std::make_shared<std::promise<Answer>>();
    ask([told](Answer info) { told->set_value(std::move(info)); });
    return told->get_future().get();
  };
  const auto send = [&](const std::string& text, const std::string& request) {
    return answer([&](Reply<RunInfo> reply) {
      h.engine().SendMessage(h.integrator, run, text, request, std::move(reply));
    });
  };
  const auto cancel = [&](const core::Principal& who, const std::string& request) {
    return answer([&](Reply<RunInfo> reply) {
      h.engine().CancelRun(who, run, "", request, std::move(reply));
    });
  };
  ASSERT_TRUE(send("the last", said).ok());
  h.WaitForState(run, RunState::kWaitingForUser);
  ASSERT_TRUE(cancel(h.integrator, cancelled).ok());
  h.WaitForState(run, RunState::kCancelled);
  RotateAndRestart(h);
  for (const auto& again : {send("the last", said), cancel(h.integrator, cancelled)}) {
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->id, run);
    EXPECT_EQ(again->state, RunState::kCancelled);
    EXPECT_EQ(again->newest.leaf_hash, core::Digest{});  // no receipt of another log
  }
  EXPECT_EQ(ReasonOf(send("another", said).status()), "REQUEST_ID_REUSED");
  EXPECT_EQ(ReasonOf(send("another", h.NewRequestId()).status()), "RUN_ENDED");
  EXPECT_EQ(ReasonOf(cancel(h.integrator, "").status()), "RUN_ENDED");
  EXPECT_EQ(ReasonOf(cancel(h.auditor, cancelled).status()), "PERMISSION_DENIED");
  const core::Principal stranger{.tenant = "main", .id = "else", .roles = {"integrator"}};
  EXPECT_EQ(cancel(stranger, cancelled).status().code(), core::StatusCode::kNotFound);
}

TEST(Rotate, WhoWatchesARunOfAClosedLogIsToldWhereItStands) {
  Harness h(AllowAll(), {ReadTool("orders.get")});
  const auto run = h.CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  h.WaitForState(run->id, RunState::kCompleted);
  RotateAndRestart(h);
  const auto events = h.engine().ReadEvents(h.integrator, run->id, -1, 10, true).status();
  EXPECT_EQ(events.code(), core::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(events), "LOG_CLOSED");
  EXPECT_THAT(std::string(core::Message(events)),
              AllOf(HasSubstr("stands in a closed log"), HasSubstr("--log FILE --run " + run->id)));
  const auto output = h.engine().SubscribeOutput(h.operator_one, run->id, [](const auto&) {});
  EXPECT_EQ(ReasonOf(output.status()), "LOG_CLOSED");
  const core::Principal stranger{.tenant = "main", .id = "else", .roles = {"integrator"}};
  EXPECT_EQ(h.engine().ReadEvents(stranger, run->id, -1, 10, true).status().code(),
            core::StatusCode::kNotFound);
  EXPECT_EQ(h.engine().ReadEvents(h.integrator, h.NewRequestId(), -1, 10, true).status().code(),
            core::StatusCode::kNotFound);
}

TEST(Rotate, IsRefusedWhileAnythingIsOpenAndSaysWhatAndHow) {
  Harness h(AskAlways("\"role:cs-manager\""), {MoneyTool("pay")});
  Pays(h, "1.00");
  const auto parked = h.Execute("pay", {{"id", "o1"}});
  ASSERT_EQ(parked->state, CallState::kParked);
  EXPECT_THAT(WhyNot(h), HasSubstr("1 calls wait for an approval: decide on their approvals"));
  ASSERT_TRUE(h.AnswerApproval(h.manager, parked->approvals.at(0), false).ok());

  h.planner.plans = {FakePlanner::Ask("which one?")};
  const auto run = h.CreateRun("help", "ann");
  h.WaitForState(run->id, RunState::kWaitingForUser);
  EXPECT_THAT(WhyNot(h), HasSubstr("1 runs are open: let them end, or cancel them"));
  ASSERT_TRUE(h.Cancel(run->id).ok());
  h.WaitForState(run->id, RunState::kCancelled);
  RotateAndRestart(h);
}

TEST(Rotate, IsRefusedWhileAnOutcomeIsUnknown) {
  Harness h(AllowAll(), {WriteTool("notes.add")});
  h.tools.On("notes.add",
             [](const tools::CallSpec&, const FakeTools::Done& done) { done(UnknownOutcome()); });
  const auto call = h.Execute("notes.add", {{"text", "x"}});
  ASSERT_EQ(call->state, CallState::kUnknown);
  EXPECT_THAT(WhyNot(h), HasSubstr("1 calls have no known outcome: see `interlock calls list"));
  ASSERT_TRUE(h.Resolve(h.operator_one, call->id, true).ok());
  RotateAndRestart(h);
}

TEST(Rotate, APersonIsErasedFromClosedLogsToo) {
  Harness h(AllowAll(), {WriteTool("notes.add")});
  h.tools.Answers("notes.add", {{"saved", "quetzalcoatl"}});
  const auto call = h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann");
  const auto twin = h.Execute("notes.add", {{"text", "rusk"}}, h.NewRequestId(), "bob");
  RotateAndRestart(h);
  EXPECT_THAT(h.engine().GetCall(h.operator_one, call->id)->args, HasSubstr("zwieback"));
  std::promise<core::Status> done;
  h.engine().EraseSubject(
      h.operator_one, {.subject = "ann", .reason = "asked", .legal_basis = "", .request_id = ""},
      [&](const core::StatusOr<Erasure>& erased) { done.set_value(erased.status()); });
  const core::Status erased = done.get_future().get();
  ASSERT_TRUE(erased.ok()) << erased;
  RotateAndRestart(h);
  const auto gone = h.engine().GetCall(h.operator_one, call->id);
  ASSERT_TRUE(gone.ok()) << gone.status();
  EXPECT_EQ(gone->state, CallState::kOk);
  EXPECT_EQ(gone->args, "");
  EXPECT_EQ(gone->result, "");
  EXPECT_THAT(h.engine().GetCall(h.operator_one, twin->id)->args, HasSubstr("rusk"));
  h.Stop();
  EXPECT_EQ(SealedRows(h.folder + "/audit-0001.db", call->id), 0);
  EXPECT_GT(SealedRows(h.folder + "/audit-0001.db", twin->id), 0);
  EXPECT_EQ(VerifyAll(h.folder).report.verdict, audit::Verdict::kIntact)
      << VerifyAll(h.folder).report.reason;
}

core::StatusOr<Erasure> Erase(Harness& h, const std::string& subject, const std::string& request) {
  std::promise<core::StatusOr<Erasure>> done;
  h.engine().EraseSubject(
      h.operator_one,
      {.subject = subject, .reason = "asked", .legal_basis = "", .request_id = request},
      [&](core::StatusOr<Erasure> erased) { done.set_value(std::move(erased)); });
  return done.get_future().get();
}

// The number of its entry means another one in the next log.
TEST(Rotate, AnErasureThatIsAskedForAgainNamesTheLogThatHasIt) {
  Harness h(AllowAll(), {WriteTool("notes.add")});
  h.tools.Answers("notes.add", {{"saved", true}});
  ASSERT_TRUE(h.Execute("notes.add", {{"text", "x"}}, h.NewRequestId(), "ann").ok());
  const std::string request = h.NewRequestId();
  const auto erased = Erase(h, "ann", request);
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_EQ(Erase(h, "ann", request)->log, "");
  RotateAndRestart(h);
  while (h.log().size() <= erased->index) {
    ASSERT_TRUE(h.Execute("notes.add", {{"text", "y"}}, h.NewRequestId(), "bob").ok());
  }
  const auto again = Erase(h, "ann", request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->index, erased->index);
  EXPECT_EQ(again->log, "test/main");
}

// A year's log was moved to a disk that nobody may write. What the person said stood in the full
// text of the open log too: that goes at once, and once only.
TEST(Rotate, AClosedLogThatCannotBeWrittenHoldsUpNothingElseOfAnErasure) {
  if (const std::string why = interlock::test::ReadOnlyMount::Prepare(); !why.empty()) {
    GTEST_SKIP() << why;
  }
  Harness h(AllowAll(), {WriteTool("notes.add")});
  h.WithSearch();
  h.tools.Answers("notes.add", {{"saved", "yes"}});
  const auto note = [&h](const char* text, const char* user) {
    return h.Execute("notes.add", {{"text", text}}, h.NewRequestId(), user)->id;
  };
  const std::string first = note("zwieback one", "ann");
  RotateAndRestart(h);
  const std::string second = note("zwieback two", "ann");
  RotateAndRestart(h);
  note("zwieback three", "ann");
  note("rusk", "bob");
  const std::string oldest = h.folder + "/audit-0001.db";
  interlock::test::ReadOnlyMount mount(oldest);
  ASSERT_TRUE(mount.ok());
  // The twin: nothing of bob's stands there.
  const auto bob = Erase(h, "bob", "r-bob");
  EXPECT_TRUE(bob.ok()) << bob.status();
  ASSERT_THAT(Found(h, "zwieback"), SizeIs(3));

  const auto erased = Erase(h, "ann", "r-ann");
  EXPECT_THAT(std::string(core::Message(erased.status())),
              AllOf(HasSubstr("audit-0001.db"), HasSubstr("make it writable")));
  EXPECT_THAT(h.engine().warnings(), ElementsAre(HasSubstr("audit-0001.db")));
  EXPECT_THAT(Found(h, "zwieback"), IsEmpty());
  EXPECT_EQ(SealedRows(h.folder + "/audit-0002.db", second), 0);
  EXPECT_GT(SealedRows(oldest, first), 0);
  // Nothing else is left to do, old pages of the write-ahead log included.
  EXPECT_THAT(*h.keys().UnfinishedErasures(), ElementsAre(HasSubstr("closed logs ")));
  const std::int64_t generation = *h.keys().TextGeneration();
  EXPECT_TRUE(Erase(h, "ann", "r-ann")->old_pages_pending);  // tries again
  EXPECT_EQ(*h.keys().TextGeneration(), generation);         // and makes no new index

  mount.Undo();
  const auto again = Erase(h, "ann", "r-ann");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->old_pages_pending);
  EXPECT_EQ(SealedRows(oldest, first), 0);
  EXPECT_THAT(h.engine().warnings(), IsEmpty());
  h.Stop();
  EXPECT_EQ(VerifyAll(h.folder).report.verdict, audit::Verdict::kIntact)
      << VerifyAll(h.folder).report.reason;
}

// What was shown of a closed log stands in the open one, by the closed one's name.
TEST(Rotate, ContentOfAClosedLogIsDisclosedAndTheRecordNamesTheLog) {
  Harness h(AllowAll(), {WriteTool("notes.add")});
  h.WithSearch();
  h.tools.Answers("notes.add", {{"saved", "yes"}});
  const auto call = h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann");
  const std::uint64_t args = OnlyIndexOf(h, "call.proposed");
  const std::string origin = *OriginOf(h.log());
  RotateAndRestart(h);
  DiscloseSpec spec;
  spec.entry_index = args;
  spec.reason = "case 7";
  spec.log = origin;
  const auto shown = h.engine().DisclosePayloads(h.auditor, spec);
  ASSERT_TRUE(shown.ok()) << shown.status();
  EXPECT_THAT(shown->payloads.at(0).content, HasSubstr("zwieback"));
  EXPECT_THAT(h.log().Read(*shown->access_index)->bytes,
              AllOf(HasSubstr(R"("log":")" + origin + '"'), HasSubstr(R"("reason":"case 7")")));
  spec.log = "test/other";
  EXPECT_EQ(ReasonOf(h.engine().DisclosePayloads(h.auditor, spec).status()), "LOG_NOT_FOUND");
  // The open log's own name is no other log.
  spec.log = *OriginOf(h.log());
  spec.entry_index = 0;
  EXPECT_TRUE(h.engine().DisclosePayloads(h.auditor, spec).ok());

  const auto looked = h.engine().GetCall(h.auditor, call->id);
  ASSERT_TRUE(looked.ok()) << looked.status();
  EXPECT_THAT(looked->args, HasSubstr("zwieback"));
  EXPECT_THAT(h.log().Read(h.log().size() - 1)->bytes,
              AllOf(HasSubstr(R"("kind":"access.read")"), HasSubstr(R"("log":")" + origin + '"')));
  const auto found = Texts(h, "zwieback");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->unsearched_logs, 0u);
  ASSERT_EQ(found->page.items.size(), 1u);
  EXPECT_EQ(found->page.items[0].log, origin);
  h.Stop();
  EXPECT_EQ(VerifyAll(h.folder).report.verdict, audit::Verdict::kIntact)
      << VerifyAll(h.folder).report.reason;
}

TEST(Rotate, ContentOfClosedLogsExpiresAndALaterLogSaysSo) {
  Harness h(AllowAll(), {WriteTool("notes.add")});
  h.tools.Answers("notes.add", {{"saved", "yes"}});
  const auto old = h.Execute("notes.add", {{"text", "zwieback"}}, h.NewRequestId(), "ann");
  RotateAndRestart(h);
  const auto later = [&h](std::int64_t days) {  // an operator says that the clock is right
    h.clock.Shift(days * 24 * 3600 * 1'000'000);
    static_cast<void>(h.Execute("notes.add", {{"text", "noticed"}}, h.NewRequestId(), "bob"));
    ASSERT_TRUE(h.engine().ConfirmClock(h.operator_one, "time went by").ok());
  };
  later(200);
  const auto young = h.Execute("notes.add", {{"text", "rusk"}}, h.NewRequestId(), "ann");
  h.retention = {8, 8, 8};
  RotateAndRestart(h);
  later(100);
  std::promise<core::StatusOr<RetentionReport>> done;
  h.engine().ApplyRetention(
      h.operator_one, /*validate_only=*/false,
      [&](core::StatusOr<RetentionReport> r) { done.set_value(std::move(r)); });
  const auto report = done.get_future().get();
  ASSERT_TRUE(report.ok()) << report.status();  // or the daily job was there first
  EXPECT_EQ(h.engine().GetCall(h.operator_one, old->id)->args, "");
  EXPECT_THAT(h.engine().GetCall(h.operator_one, young->id)->args, HasSubstr("rusk"));
  h.Stop();
  EXPECT_EQ(SealedRows(h.folder + "/audit-0001.db", old->id), 0);
  EXPECT_GT(SealedRows(h.folder + "/audit-0002.db", young->id), 0);
  const auto verified = VerifyAll(h.folder);
  EXPECT_EQ(verified.report.verdict, audit::Verdict::kIntact)
      << verified.log << ": " << verified.report.reason;
  // By itself the closed log cannot tell whose word it was; lost in silence is tampered with.
  audit::VerifyOptions alone;
  alone.database = h.folder + "/audit-0001.db";
  EXPECT_THAT(audit::Verify(alone).reason,
              HasSubstr("content was erased after the log was closed"));
  EditDatabase(h.folder + "/audit-0002.db", "UPDATE payload SET sealed = NULL");
  EXPECT_EQ(VerifyAll(h.folder).log, "audit-0002.db");
  EXPECT_EQ(VerifyAll(h.folder).report.verdict, audit::Verdict::kTampered);
}

// What a backup does not have is gone; what it has open is taken at its worst.
TEST(Rotate, AfterARestoreWhatWasOpenCountsAsDone) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  h.tools.Holds("pay");
  std::promise<void> answered;
  std::thread caller([&] {
    static_cast<void>(h.Execute("pay", {{"id", "o1"}}));
    answered.set_value();
  });
  h.tools.WaitUntilHeld("pay", 1);
  const std::string copy = h.CopyFiles();
  h.tools.Release("pay", PaidOutcome("5.00"));
  caller.join();
  h.Stop();
  std::filesystem::copy_file(copy + "/audit.db", h.folder + "/audit.db",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(copy + "/audit.db-wal", h.folder + "/audit.db-wal",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(Rotate(h).status().code(), core::StatusCode::kFailedPrecondition);
  const auto report = Rotate(h, audit::RotationCause::kRestored);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->lost, HasSubstr("of log `test/main`"));
  h.Start();
  EXPECT_EQ(h.Execute("pay", {{"id", "o1"}})->code, "DUPLICATE_EFFECT");
  EXPECT_EQ(h.tools.runs("pay"), 1);
  h.Stop();
  EXPECT_EQ(VerifyAll(h.folder).report.verdict, audit::Verdict::kIncomplete);
}

TEST(Rotate, ALieAboutTheStateOfAClosedLogIsFound) {
  Harness h(AllowAll(), {MoneyTool("pay")});
  Pays(h, "80.00");
  ASSERT_EQ(h.Execute("pay", {{"id", "o1"}})->state, CallState::kOk);
  RotateAndRestart(h);
  h.Stop();
  ASSERT_EQ(VerifyAll(h.folder).report.verdict, audit::Verdict::kIntact);
  EditDatabase(h.folder + "/audit-0001.db", "DELETE FROM p_effect");
  const auto report = VerifyAll(h.folder);
  EXPECT_EQ(report.report.verdict, audit::Verdict::kTampered);
  EXPECT_EQ(report.log, "audit-0001.db");
  EXPECT_THAT(report.report.reason, HasSubstr("p_effect"));
}

}  // namespace
}  // namespace interlock::runtime::test
