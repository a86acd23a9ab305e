// What cannot be read of a run: now, which passes, and never more, which ends it (ADR 64).
#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <set>

#include "audit/read_error.h"
#include "cast.h"
#include "fault_vfs.h"
#include "tamper.h"

namespace interlock::runtime::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

std::vector<ToolSpec> Tools() {
  std::vector<ToolSpec> tools = TripTools();
  tools.push_back(ReadTool("orders.get"));
  tools.push_back(WriteTool("door.open"));
  return tools;
}

// What SQLite says of a file that it cannot read just now.
core::Status PassingError() {
  std::string folder = (std::filesystem::temp_directory_path() / "interlock-lost-XXXXXX").string();
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  core::SystemRandom random;
  EXPECT_TRUE(audit::KeyStore::Open(folder, &random).ok());
  audit::InstallFaultVfs().read_fails = true;
  core::Status status = audit::KeyStore::Open(folder, &random).status();
  audit::InstallFaultVfs().read_fails = false;
  std::filesystem::remove_all(folder);
  EXPECT_EQ(status.code(), core::StatusCode::kDataLoss) << status;
  EXPECT_FALSE(audit::IsDamage(status)) << status;
  return status;
}

// From now on what this run's entries of this kind hold cannot be opened: so often, and then again.
struct Fault {
  std::atomic<int> met = 0;
  std::atomic<int> left;
};
std::shared_ptr<Fault> FailToOpen(Company& company, const std::string& run, std::string_view kind,
                                  int times) {
  std::set<core::Digest> of_run;
  for (const audit::Entry& entry : company.h.Entries(run)) {
    for (int slot = 0; entry.kind == kind; ++slot) {
      const auto row = company.h.log().ReadPayload(entry.index, slot);
      if (!row.ok()) break;
      of_run.insert(row->payload.commitment);
    }
  }
  EXPECT_THAT(of_run, Not(SizeIs(0)));
  auto fault = std::make_shared<Fault>();
  fault->left = times;
  company.h.open_faults.Set(
      [fault, of_run, error = PassingError()](const audit::SealedPayload& payload) {
        if (!of_run.contains(payload.commitment) || fault->left <= 0) return core::OkStatus();
        --fault->left;
        ++fault->met;
        return error;
      });
  return fault;
}

constexpr int kForEver = 1'000'000;

// ---------------------------------------------------------------- what may pass

TEST(Lost, AnEndThatCannotBeReadNowIsReadLater) {
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  const auto fault = FailToOpen(company, held.helper, "message.received", 2);
  company.cast.Say(FakePlanner::Answer("it is blue"));
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kCompleted).answer, "all ok");
  EXPECT_EQ(fault->met, 2);
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "OK");
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("it is blue"));
  ExpectMadeAnew(company.h, held.run, company.agents());
}

TEST(Lost, ARunThatCannotBeReadBackNowGoesOnLater) {
  Company company(AllowAll(), Tools());
  company.cast.plans["tester"] = {FakePlanner::Ask("which one?"), FakePlanner::Answer("that one")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kWaitingForUser);
  const auto fault = FailToOpen(company, run, "plan.received", 2);
  ASSERT_TRUE(company.h.Send(run, "the blue one").ok());
  EXPECT_EQ(company.h.WaitForState(run, RunState::kCompleted).answer, "that one");
  EXPECT_EQ(fault->met, 2);
}

// Words that a run could go on without are not taken for gone because they cannot be read now.
TEST(Lost, AResultThatCannotBeReadNowIsNotTakenForNone) {
  Company company(AllowAll(), Tools());
  company.h.tools.Answers("orders.get", {{"colour", "blue"}});
  company.cast.plans["tester"] = {CallsTool("orders.get"), FakePlanner::Ask("which one?"),
                                  FakePlanner::Answer("that one")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kWaitingForUser);
  const auto fault = FailToOpen(company, run, "call.outcome", 2);
  ASSERT_TRUE(company.h.Send(run, "the blue one").ok());
  company.h.WaitForState(run, RunState::kCompleted);
  EXPECT_EQ(fault->met, 2);
  bool read = false;
  const PlanRequest newest = company.cast.SeenBy("tester").back();
  for (const ChatMessage& message : newest.messages) {
    read = read || message.text.find(R"("colour":"blue")") != std::string::npos;
  }
  EXPECT_TRUE(read) << "what it had read before stands in its conversation";
}

// ---------------------------------------------------------------- what does not

// The content of the first entry of this kind of the run is damaged while the daemon is down.
void DamageWhileDown(Company& company, const std::string& run, std::string_view kind) {
  std::int64_t index = -1;
  for (const audit::Entry& entry : company.h.Entries(run)) {
    if (index < 0 && entry.kind == kind) index = static_cast<std::int64_t>(entry.index);
  }
  ASSERT_GE(index, 0);
  const std::string copy = company.h.CopyFiles();
  company.cast.Say(FakePlanner::Answer("of the world before"));
  company.h.tools.Release("door.open", OkOutcome({{"ok", true}}));
  company.h.StopAndGoBackTo(copy);
  audit::RawDb(company.h.folder + "/audit.db")
      .DoWithoutTriggers(
          {"UPDATE payload SET sealed = zeroblob(64) WHERE id >> 8 = " + std::to_string(index)});
}

TEST(Lost, ARunThatCannotBeReadAnyMoreEndsAndTellsTheRunAbove) {
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  DamageWhileDown(company, held.helper, "message.received");
  company.h.Start();
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kCompleted).answer, "all ok");
  const RunInfo helper = company.Below(held.run).front();
  EXPECT_EQ(helper.state, RunState::kFailed);
  EXPECT_EQ(helper.code, "RUN_LOST");
  EXPECT_THAT(helper.reason, HasSubstr("a person sees to what it did"));
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_LOST");
  EXPECT_THAT(company.LastRead("tester"), HasSubstr("a person sees to it"));
  ExpectMadeAnew(company.h, held.run, company.agents());
  const std::size_t entries = company.h.Entries("").size();
  company.h.Restart();
  EXPECT_EQ(company.h.Entries("").size(), entries + 1) << "nothing but the recovery is new";
}

TEST(Lost, ACancelGetsThroughWhateverCanBeRead) {
  Company company(AllowAll(), Tools());
  const HeldDeep held = HoldClerk(company);
  DamageWhileDown(company, held.helper, "message.received");
  company.cast.Holds("clerk");
  company.h.Start();
  company.cast.WaitUntilHeld();
  ASSERT_TRUE(company.h.Cancel(held.run).ok());
  company.h.WaitForState(held.run, RunState::kCancelled);
  EXPECT_EQ(company.Below(held.helper).front().state, RunState::kCancelled);
  EXPECT_EQ(company.Below(held.run).front().code, "RUN_LOST");
  EXPECT_EQ(CodeOf(company, held.helper, "agent.clerk"), "AGENT_LOST");
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "AGENT_LOST");
  ExpectMadeAnew(company.h, held.clerk, company.agents());
}

// What was at work in it nobody saw the end of: a person says, as of any call.
TEST(Lost, WhatARunHadAtWorkWaitsForAPerson) {
  Company company(AllowAll(), Tools());
  company.h.tools.Holds("door.open");
  company.h.tools.Answers("flight.book", {{"ref", "f1"}});
  Plan both = CallsTool("flight.book");
  both.calls.push_back(CallsTool("door.open", "{}", "t2").calls.front());
  company.cast.plans["tester"] = {both};
  const std::string run = company.Create();
  company.h.tools.WaitUntilHeld("door.open", 1);
  while (company.Bodies(run, "call.outcome").empty()) std::this_thread::yield();
  DamageWhileDown(company, run, "message.received");
  company.h.Start();
  const RunInfo ended = company.h.WaitForState(run, RunState::kUncompensated);
  EXPECT_EQ(ended.code, "RUN_LOST");
  std::string booked;
  std::string opened;
  for (const CallInfo& call : company.h.CallsOf(run)) {
    (call.tool == "door.open" ? opened : booked) = call.id;
    EXPECT_EQ(call.state, call.tool == "door.open" ? CallState::kUnknown : CallState::kOk);
  }
  EXPECT_EQ(company.Bodies(run, "run.failed").front()["uncompensated"],
            core::Json::array({booked}));
  EXPECT_THAT(company.h.Kinds(run), Contains("call.outcome").Times(2));
  ASSERT_TRUE(company.h.Resolve(company.h.operator_one, opened, true).ok());
  EXPECT_EQ(CodeOf(company, run, "door.open"), "OK");
  EXPECT_EQ(company.h.tools.runs("door.open"), 1);
}

// The twin: nothing is damaged, and the run goes on.
TEST(Lost, ARunThatCanBeReadGoesOnAfterTheSame) {
  Company company(AllowAll(), Tools());
  const Held held = HoldHelper(company);
  const std::string copy = company.h.CopyFiles();
  company.cast.Say(FakePlanner::Answer("of the world before"));
  company.h.RestartFrom(copy);
  EXPECT_EQ(company.h.WaitForState(held.run, RunState::kCompleted).answer, "all ok");
  EXPECT_EQ(CodeOf(company, held.run, "agent.helper"), "OK");
}

// ---------------------------------------------------------------- what is to be taken back

// The helper has booked a flight, and the run above fails.
std::string FailAfterBooking(Company& company) {
  company.h.tools.Answers("flight.book", {{"ref", "f1"}});
  company.h.tools.Answers("flight.cancel", {{"ok", true}});
  company.cast.plans["tester"] = {Asks("helper", "book"), FakePlanner::Ask("and now?"),
                                  core::InvalidArgument("no plan")};
  company.cast.plans["helper"] = {CallsTool("flight.book"), FakePlanner::Answer("booked")};
  const std::string run = company.Create();
  company.h.WaitForState(run, RunState::kWaitingForUser);
  return run;
}

TEST(Lost, WhatCannotBeReadNowIsTakenBackLater) {
  Company company(AllowAll(), Tools());
  const std::string run = FailAfterBooking(company);
  const auto fault = FailToOpen(company, company.Below(run).front().id, "plan.received", 2);
  ASSERT_TRUE(company.h.Send(run, "go on").ok());
  company.h.WaitForState(run, RunState::kFailed);
  EXPECT_EQ(fault->met, 2);
  EXPECT_EQ(company.h.tools.runs("flight.cancel"), 1);
}

void ExpectLeftToAPerson(Company& company, const std::string& run, const std::string& booked) {
  EXPECT_EQ(company.h.WaitForState(run, RunState::kUncompensated).code, "PLANNER_REPLY");
  EXPECT_EQ(company.Bodies(run, "run.failed").front()["uncompensated"],
            core::Json::array({booked}));
  EXPECT_EQ(company.h.tools.runs("flight.cancel"), 0);
  EXPECT_EQ(CodeOf(company, run, "flight.cancel"), "CALL_LOST");
}

TEST(Lost, WhatIsDamagedStandsForAPerson) {
  Company company(AllowAll(), Tools());
  const std::string run = FailAfterBooking(company);
  const std::string helper = company.Below(run).front().id;
  const std::string booked = company.h.CallsOf(helper).front().id;
  DamageWhileDown(company, helper, "message.received");
  company.h.Start();
  ASSERT_TRUE(company.h.Send(run, "go on").ok());
  ExpectLeftToAPerson(company, run, booked);
}

TEST(Lost, WhatCannotBeReadForLongStandsForAPerson) {
  Company company(AllowAll(), Tools());
  company.h.limits.unread_tries_max = 2;
  company.h.Restart();
  const std::string run = FailAfterBooking(company);
  const std::string helper = company.Below(run).front().id;
  const std::string booked = company.h.CallsOf(helper).front().id;
  const auto fault = FailToOpen(company, helper, "plan.received", kForEver);
  ASSERT_TRUE(company.h.Send(run, "go on").ok());
  ExpectLeftToAPerson(company, run, booked);
  EXPECT_EQ(fault->met, 3) << "two tries, and the one that gave up";
}

}  // namespace
}  // namespace interlock::runtime::test
