#include <atomic>
#include <limits>
#include <thread>

#include "fixture.h"
#include "server/watch_call.h"

namespace interlock::runtime {
namespace {

const OpenCall kAsked{.call = "c1",
                      .tool = "flight.cancel",
                      .waits_for = OpenCall::WaitsFor::kApproval,
                      .approval = "a1"};

class WatchTest : public ServerTest {
 protected:
  using Reader = grpc::ClientReader<wire::WatchRunResponse>;

  std::unique_ptr<Reader> Watch(grpc::ClientContext* context, std::optional<std::int64_t> after,
                                wire::ContentView view = wire::CONTENT_VIEW_ENTRIES,
                                std::optional<bool> tool_output = std::nullopt,
                                std::optional<bool> planner_text = std::nullopt) {
    wire::WatchRunRequest request;
    request.set_name(RunName());
    if (after.has_value()) request.set_after_run_seq(*after);
    request.set_view(view);
    request.set_tool_output(tool_output.value_or(false));
    request.set_planner_text(planner_text.value_or(false));
    stub_ = wire::RunService::NewStub(channel_);
    return stub_->WatchRun(context, request);
  }
  // Once the run's one entry and this state were read.
  std::unique_ptr<Reader> WatchIn(RunState state, grpc::ClientContext* context) {
    engine_.AddEvents(1);
    engine_.SetState(state);
    auto reader = Watch(context, std::nullopt);
    EXPECT_EQ(NextSeq(*reader), 0);
    EXPECT_EQ(NextState(*reader), static_cast<wire::Run::State>(static_cast<int>(state) + 1));
    return reader;
  }
  // With what the planner writes, once the run's one entry was read and the engine is listened to.
  std::unique_ptr<Reader> WatchText(grpc::ClientContext* context) {
    engine_.AddEvents(1);
    auto reader = Watch(context, std::nullopt, wire::CONTENT_VIEW_FULL, std::nullopt, true);
    EXPECT_EQ(NextSeq(*reader), 0);
    EXPECT_TRUE(engine_.WaitForTextWatcher());
    return reader;
  }
  static std::int64_t NextSeq(Reader& reader) {
    wire::WatchRunResponse response;
    return reader.Read(&response) && response.has_event() ? response.event().run_seq() : -1;
  }
  static wire::Run::State NextState(Reader& reader) {
    wire::WatchRunResponse response;
    if (!reader.Read(&response) || !response.has_run()) return wire::Run::STATE_UNSPECIFIED;
    return response.run().state();
  }

 private:
  std::unique_ptr<wire::RunService::Stub> stub_;
};

TEST_F(WatchTest, StreamsFollowsAndEndsWhenTheRunIsFinal) {
  engine_.AddEvents(2);
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), std::nullopt);
  EXPECT_EQ(NextSeq(*reader), 0);
  EXPECT_EQ(NextSeq(*reader), 1);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_RUNNING);
  engine_.AddEvents(1);
  EXPECT_EQ(NextSeq(*reader), 2);
  engine_.SetState(RunState::kWaitingForApproval);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_WAITING_FOR_APPROVAL);
  engine_.SetState(RunState::kCompleted);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_COMPLETED);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_UNSPECIFIED);
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(engine_.WaitForNoSubscription());
}

// A run that takes back what it did has one state until its end.
TEST_F(WatchTest, SaysWhatARunWaitsForWhenThatChanges) {
  const auto context = Context("ticketing");
  const auto reader = WatchIn(RunState::kCompensating, context.get());
  engine_.SetOpenCalls({kAsked});
  wire::WatchRunResponse told;
  ASSERT_TRUE(reader->Read(&told));
  ASSERT_EQ(told.run().open_calls_size(), 1);
  const wire::OpenCall& open = told.run().open_calls(0);
  EXPECT_EQ(open.tool(), "flight.cancel");
  EXPECT_EQ(open.waits_for(), wire::OpenCall::WAITS_FOR_APPROVAL);
  EXPECT_TRUE(open.call().ends_with("/calls/c1")) << open.call();
  EXPECT_TRUE(open.approval().ends_with("/approvals/a1")) << open.approval();
  context->TryCancel();
  (void)reader->Finish();
}

// Who answers approvals while he watches is told once that the run waits.
TEST_F(WatchTest, AGrantAloneIsNoNewsOfAParkedRun) {
  engine_.SetOpenCalls({kAsked});
  const auto context = Context("ticketing");
  const auto reader = WatchIn(RunState::kWaitingForApproval, context.get());
  engine_.SetOpenCalls({});
  engine_.AddEvents(1);  // approval.granted
  EXPECT_EQ(NextSeq(*reader), 1);
  engine_.AddEvents(1);
  EXPECT_EQ(NextSeq(*reader), 2);
  engine_.SetState(RunState::kCompleted);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_COMPLETED);
  (void)reader->Finish();
}

// It went on and waits again before anybody looked: the state is the same, the approval is not.
TEST_F(WatchTest, ARunThatParksAgainSaysSo) {
  const auto context = Context("ticketing");
  const auto reader = WatchIn(RunState::kWaitingForApproval, context.get());
  engine_.AddParked();
  EXPECT_EQ(NextSeq(*reader), 1);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_WAITING_FOR_APPROVAL);
  engine_.AddEvents(1);
  EXPECT_EQ(NextSeq(*reader), 2);
  engine_.SetState(RunState::kCompleted);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_COMPLETED);
  (void)reader->Finish();
}

TEST_F(WatchTest, ResumesAfterTheLastOneSeen) {
  engine_.AddEvents(100);  // more than one batch
  engine_.SetState(RunState::kFailed);
  std::vector<std::int64_t> seen;
  for (std::int64_t last = -1; last < 99;) {
    const auto context = Context("ticketing");
    const auto reader = Watch(context.get(), last);
    for (int i = 0; i < 40 && last < 99; ++i) seen.push_back(last = NextSeq(*reader));
    context->TryCancel();
    (void)reader->Finish();
  }
  ASSERT_EQ(seen.size(), 100u);
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], static_cast<std::int64_t>(i));
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), 99);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_FAILED);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(WatchTest, ContentComesOnlyWhenAskedForAndHugeFieldsAreNamed) {
  engine_.AddEvents(1);
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), std::nullopt);
  wire::WatchRunResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_TRUE(response.event().content().empty());
  const auto full_context = Context("ticketing");
  const auto full = Watch(full_context.get(), std::nullopt, wire::CONTENT_VIEW_FULL);
  ASSERT_TRUE(full->Read(&response));
  EXPECT_EQ(response.event().content().at("text"), "hello");
  EXPECT_EQ(response.event().content().at("args"), "a\xEF\xBF\xBD");  // bytes that are no text
  EXPECT_EQ(response.event().content_omitted(0), "plan");
  context->TryCancel();
  full_context->TryCancel();
}

TEST_F(WatchTest, ToolOutputComesWhileTheRunGoesOnAndOnlyWhenAskedFor) {
  engine_.AddEvents(1);
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), std::nullopt, wire::CONTENT_VIEW_FULL, true);
  EXPECT_EQ(NextSeq(*reader), 0);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_RUNNING);
  const auto without_context = Context("ticketing");
  const auto without = Watch(without_context.get(), std::nullopt, wire::CONTENT_VIEW_FULL);
  EXPECT_EQ(NextSeq(*without), 0);
  EXPECT_EQ(NextState(*without), wire::Run::STATE_RUNNING);
  ASSERT_TRUE(engine_.WaitForOutputWatcher());
  engine_.Write({.call = kOtherRun, .is_stderr = false, .text = "half"});
  wire::WatchRunResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_TRUE(response.has_output()) << response.ShortDebugString();
  EXPECT_EQ(response.output().call(), "tenants/main/calls/" + std::string(kOtherRun));
  EXPECT_EQ(response.output().stream(), wire::ToolOutput::STREAM_STDOUT);
  EXPECT_EQ(response.output().text(), "half");
  EXPECT_EQ(response.output().dropped_bytes(), 0);
  engine_.Write({.call = kOtherRun, .is_stderr = true, .text = "!"});
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.output().stream(), wire::ToolOutput::STREAM_STDERR);
  engine_.SetState(RunState::kCompleted);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_COMPLETED);
  EXPECT_EQ(NextState(*without), wire::Run::STATE_COMPLETED) << "no output came between";
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(WatchTest, WhatASlowReaderMissedOfAToolIsCounted) {
  engine_.AddEvents(1);
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), std::nullopt, wire::CONTENT_VIEW_FULL, true);
  EXPECT_EQ(NextSeq(*reader), 0);
  ASSERT_TRUE(engine_.WaitForOutputWatcher());
  constexpr std::int64_t kPart = 64 << 10;
  constexpr int kParts = 2000;  // far beyond any window
  for (int i = 0; i < kParts; ++i) {
    engine_.Write({.call = kOtherRun, .is_stderr = false, .text = std::string(kPart, 'x')});
  }
  engine_.SetState(RunState::kCompleted);
  std::int64_t bytes = 0;
  std::int64_t dropped = 0;
  wire::WatchRunResponse response;
  while (reader->Read(&response)) {
    bytes += static_cast<std::int64_t>(response.output().text().size());
    dropped += response.output().dropped_bytes();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_LT(bytes, kPart * kParts) << "nothing held the tool back, so something must be left out";
  EXPECT_EQ(bytes + dropped, kPart * kParts) << "also what nothing came behind";
  EXPECT_GT(bytes, 0);
}

// A tool's piece grows where it holds control characters, which are spelt out.
TEST_F(WatchTest, APieceThatIsTooLargeIsToldAndEndsNothing) {
  engine_.AddEvents(1);
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), std::nullopt, wire::CONTENT_VIEW_FULL, true, true);
  EXPECT_EQ(NextSeq(*reader), 0);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_RUNNING);
  ASSERT_TRUE(engine_.WaitForOutputWatcher());
  ASSERT_TRUE(engine_.WaitForTextWatcher());
  wire::WatchRunResponse response;
  for (const bool begins : {true, false}) {
    engine_.Write({.call = kOtherRun, .is_stderr = true, .text = std::string(300'000, 'x')});
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.output().dropped_bytes(), 300'000);
    EXPECT_EQ(response.output().text(), "");
    EXPECT_EQ(response.output().stream(), wire::ToolOutput::STREAM_STDERR);
    engine_.Write(PlannerText{.step = 0, .text = std::string(100'000, 'x'), .begins = begins});
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.text().dropped_bytes(), 100'000);
    EXPECT_EQ(response.text().begins(), begins);
  }
  engine_.Write({.call = kOtherRun, .is_stderr = true, .text = "next"});
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.output().text(), "next");
  EXPECT_EQ(response.output().dropped_bytes(), 0);
  engine_.Write(PlannerText{.step = 0, .text = "more", .begins = false});
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.text().text(), "more");
  engine_.SetState(RunState::kCompleted);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_COMPLETED);
}

std::string TextOf(const wire::WatchRunResponse& response) {
  const wire::PlannerText& text = response.text();
  return (text.begins() ? "+" : "") + std::to_string(text.step()) + ":" + text.text();
}

TEST_F(WatchTest, WhatAPlannerWritesComesBeforeItsReplyAndNeverBehindIt) {
  const auto context = Context("ticketing");
  const auto reader = WatchText(context.get());
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_RUNNING);
  engine_.Write(PlannerText{.step = 0, .text = "half", .begins = true});
  wire::WatchRunResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_TRUE(response.has_text()) << response.ShortDebugString();
  EXPECT_EQ(TextOf(response), "+0:half");
  engine_.AddPlan(0);
  EXPECT_EQ(NextSeq(*reader), 1);
  engine_.Write(PlannerText{.step = 0, .text = " late", .begins = false});
  engine_.Write(PlannerText{.step = 1, .text = "next", .begins = true});
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(TextOf(response), "+1:next") << "what ended is not taken up again";
  engine_.SetState(RunState::kCompleted);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_COMPLETED);
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(engine_.WaitForNoSubscription());
}

TEST_F(WatchTest, ASlowReaderMissesTextsAndNoEntries) {
  const auto context = Context("ticketing");
  const auto reader = WatchText(context.get());
  constexpr std::int64_t kPart = 16 << 10;
  constexpr int kParts = 8000;  // far beyond any window
  for (int i = 0; i < kParts; ++i) {
    engine_.Write(PlannerText{.step = 0, .text = std::string(kPart, 'x'), .begins = i == 0});
  }
  engine_.AddPlan(0);
  engine_.SetState(RunState::kCompleted);
  std::int64_t bytes = 0;
  int entries = 0;
  int begins = 0;
  wire::WatchRunResponse response;
  while (reader->Read(&response)) {
    bytes += static_cast<std::int64_t>(response.text().text().size());
    entries += response.has_event() ? 1 : 0;
    begins += response.text().begins() ? 1 : 0;
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(entries, 1) << "the reply itself";
  EXPECT_LT(bytes, kPart * kParts) << "nothing held the planner back";
  EXPECT_LE(begins, 1);
}

TEST_F(WatchTest, WhatWasLeftOutOfATextIsToldWhereItIsMissing) {
  const auto context = Context("ticketing");
  const auto reader = WatchText(context.get());
  std::string written;
  const auto write = [&](std::size_t bytes) {
    const char c = static_cast<char>('a' + written.size() % 23);
    engine_.Write(PlannerText{.step = 0, .text = std::string(bytes, c), .begins = written.empty()});
    written.append(bytes, c);
  };
  for (int i = 0; i < 8000; ++i) write(i % 3 == 0 ? 200 : 16 << 10);  // far beyond any window
  std::size_t read = 0;
  wire::WatchRunResponse response;
  for (int i = 0; i < 100'000 && read != written.size(); ++i) {
    write(1);
    ASSERT_TRUE(reader->Read(&response));
    if (!response.has_text()) continue;
    read += static_cast<std::size_t>(response.text().dropped_bytes());
    const std::string& text = response.text().text();
    ASSERT_EQ(text, written.substr(read, text.size())) << "at " << read;
    read += text.size();
  }
  EXPECT_EQ(read, written.size());
  engine_.SetState(RunState::kCompleted);
  while (reader->Read(&response)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(WatchTest, PlannersTextsNeedTheFullViewAndComeOnlyWhenAskedFor) {
  const auto context = Context("ticketing");
  const auto reader =
      Watch(context.get(), std::nullopt, wire::CONTENT_VIEW_ENTRIES, std::nullopt, true);
  wire::WatchRunResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(ReasonIn(reader->Finish()), "BAD_REQUEST");
  engine_.AddEvents(1);
  const auto plain = Context("ticketing");
  const auto without = Watch(plain.get(), std::nullopt, wire::CONTENT_VIEW_FULL);
  EXPECT_EQ(NextSeq(*without), 0);
  EXPECT_EQ(NextState(*without), wire::Run::STATE_RUNNING);
  engine_.Write(PlannerText{.step = 0, .text = "unasked", .begins = true});
  engine_.SetState(RunState::kCompleted);
  EXPECT_EQ(NextState(*without), wire::Run::STATE_COMPLETED);
}

TEST_F(WatchTest, AClientThatGoesAwayLeavesNothingBehind) {
  engine_.AddEvents(1);
  auto context = Context("ticketing");
  auto reader = Watch(context.get(), std::nullopt);
  EXPECT_EQ(NextSeq(*reader), 0);
  EXPECT_EQ(engine_.subscriptions(), 1);
  context->TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(engine_.WaitForNoSubscription());
  engine_.AddEvents(1);  // nobody is told, nothing breaks
}

TEST_F(WatchTest, ClientsThatComeAndGoAllAtOnceAreServed) {
  constexpr int kClients = 4;
  constexpr int kStreams = 250;
  engine_.AddEvents(1);
  std::atomic<int> served = 0;
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([this, &served] {
      const auto stub = wire::RunService::NewStub(channel_);
      wire::WatchRunRequest request;
      request.set_name(RunName());
      for (int j = 0; j < kStreams; ++j) {
        const auto context = Context("ticketing");
        const auto reader = stub->WatchRun(context.get(), request);
        if (NextSeq(*reader) == 0) ++served;
        context->TryCancel();
        (void)reader->Finish();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(served, kClients * kStreams);
  EXPECT_TRUE(engine_.WaitForNoSubscription());
}

TEST_F(WatchTest, ASlowReaderHoldsTheReadsBack) {
  constexpr int kEvents = 4000;  // of 60 KiB: 240 MiB, far beyond any window
  engine_.AddEvents(kEvents, 60 * 1024);
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), std::nullopt);
  EXPECT_EQ(NextSeq(*reader), 0);
  for (int i = 1; i < 200; ++i) ASSERT_EQ(NextSeq(*reader), i);
  EXPECT_LT(engine_.events_read(), kEvents / 2);
  context->TryCancel();
  (void)reader->Finish();
}

TEST_F(WatchTest, RefusesRunsOfOthersAndBadRequests) {
  struct Case {
    std::string id, name;
    std::int64_t after;
    std::string reason;
  };
  const Case cases[] = {
      {"second", RunName(), -1, "RUN_NOT_FOUND"},
      {"ticketing", RunName(kOtherRun), -1, "RUN_NOT_FOUND"},
      {"ticketing", "tenants/main/runs/x", -1, "BAD_REQUEST"},
      {"ticketing", RunName(), -2, "BAD_REQUEST"},
      {"ticketing", RunName(), std::numeric_limits<std::int64_t>::max(), "BAD_REQUEST"}};
  for (const Case& refused : cases) {
    wire::WatchRunRequest request;
    request.set_name(refused.name);
    request.set_after_run_seq(refused.after);
    const auto context = Context(refused.id);
    const auto stub = wire::RunService::NewStub(channel_);
    const auto reader = stub->WatchRun(context.get(), request);
    wire::WatchRunResponse response;
    EXPECT_FALSE(reader->Read(&response));
    EXPECT_EQ(ReasonIn(reader->Finish()), refused.reason);
  }
  EXPECT_EQ(engine_.subscriptions(), 0);
}

TEST_F(WatchTest, ToolOutputNeedsTheFullView) {
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), std::nullopt, wire::CONTENT_VIEW_ENTRIES, true);
  wire::WatchRunResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(ReasonIn(reader->Finish()), "BAD_REQUEST");
}

TEST_F(WatchTest, EndsWithResumeAdviceWhenTheServerStops) {
  engine_.AddEvents(1);
  const auto context = Context("ticketing");
  const auto reader = Watch(context.get(), std::nullopt);
  EXPECT_EQ(NextSeq(*reader), 0);
  EXPECT_EQ(NextState(*reader), wire::Run::STATE_RUNNING);
  server_->Stop();
  wire::WatchRunResponse response;
  EXPECT_FALSE(reader->Read(&response));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonIn(status), "SHUTTING_DOWN");
  EXPECT_EQ(engine_.subscriptions(), 0);
}

}  // namespace
}  // namespace interlock::runtime
