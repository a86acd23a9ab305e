// Health, reflection, shutdown, clients that leave.
#include <future>
#include <thread>

#include "fixture.h"

namespace interlock::runtime {
namespace {

class LifecycleTest : public ServerTest {
 protected:
  // grpc.health.v1: HealthCheckRequest{string service = 1}, HealthCheckResponse{enum status = 1}.
  std::string Health(const std::string& service) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const std::string request =
        service.empty() ? "" : "\x0a" + std::string(1, static_cast<char>(service.size())) + service;
    std::string response;
    const grpc::Status status =
        RawCall(&context, "/grpc.health.v1.Health/Check", request, &response);
    if (!status.ok()) return "error " + std::to_string(status.error_code());
    return response == "\x08\x01" ? "SERVING" : response == "\x08\x02" ? "NOT_SERVING" : "other";
  }
  bool HealthBecomes(const std::string& wanted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      if (Health("") == wanted) return true;
      std::this_thread::yield();
    }
    return false;
  }
  static wire::ExecuteToolCallRequest Execute() {
    wire::ExecuteToolCallRequest request;
    request.set_parent("tenants/main");
    request.mutable_call()->set_tool("orders.get");
    request.mutable_call()->set_args_json("{}");
    request.set_request_id(kRequestId);
    return request;
  }
};

TEST_F(LifecycleTest, HealthIsPerServiceAndNeedsNoToken) {
  EXPECT_EQ(Health(""), "SERVING");
  EXPECT_EQ(Health("interlock.v1.RunService"), "SERVING");
  EXPECT_EQ(Health("interlock.v1.AuditService"), "SERVING");
  EXPECT_EQ(Health("interlock.v1.NoService"), "error 5");
}

TEST_F(LifecycleTest, HealthFollowsTheEngines) {
  other_.SetUnhealthy("disk full; make room");
  EXPECT_TRUE(HealthBecomes("NOT_SERVING"));
  EXPECT_EQ(Health("interlock.v1.ToolService"), "NOT_SERVING");
  other_.SetUnhealthy("");
  EXPECT_TRUE(HealthBecomes("SERVING"));
}

TEST_F(LifecycleTest, ReflectionListsTheServices) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  std::string response;  // ServerReflectionRequest{list_services = 7: ""}
  const grpc::Status status =
      RawCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              std::string("\x3a\x00", 2), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  for (const char* name :
       {"RunService", "ToolService", "CallService", "ApprovalService", "AuditService",
        "BudgetService", "SwitchService", "PolicyService", "RolloutService"}) {
    EXPECT_THAT(response, ::testing::HasSubstr(std::string("interlock.v1.") + name));
  }
}

TEST_F(LifecycleTest, AClientThatLeavesDoesNotStopItsCall) {
  engine_.HoldReplies();
  const auto context = Context("ticketing");
  std::thread client([&] {
    wire::ToolService::Stub stub(channel_);
    wire::Call call;
    EXPECT_EQ(stub.ExecuteToolCall(context.get(), Execute(), &call).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  engine_.WaitForHeldReply();
  context->TryCancel();
  client.join();
  engine_.ReleaseReplies();  // to nobody
  wire::Call call;           // the same request again gets its answer
  ASSERT_TRUE(Call("ticketing", &wire::ToolService::Stub::ExecuteToolCall, Execute(), &call).ok());
  EXPECT_EQ(call.tool(), "orders.get");
}

// ADR 59.
TEST_F(LifecycleTest, TheEngineHearsOfACallerWhoGoesAway) {
  const std::pair<const char*, std::function<bool(grpc::ClientContext*)>> asks[] = {
      {"ticketing",
       [&](grpc::ClientContext* context) {
         wire::Call call;
         return wire::ToolService::Stub(channel_).ExecuteToolCall(context, Execute(), &call).ok();
       }},
      {"audi",
       [&](grpc::ClientContext* context) {
         wire::SearchCallsRequest search;
         search.set_parent("tenants/main");
         search.set_text("grinder");
         wire::SearchCallsResponse found;
         return wire::AuditService::Stub(channel_).SearchCalls(context, search, &found).ok();
       }},
  };
  for (const auto& [who, ask] : asks) {
    engine_.HoldReplies();
    const auto context = Context(who);
    std::thread client([&, &answered = ask] { EXPECT_FALSE(answered(context.get())); });
    engine_.WaitForHeldReply();
    const std::shared_ptr<Hangup> hangup = engine_.asked().hangup;
    ASSERT_NE(hangup, nullptr);
    std::promise<void> heard;
    hangup->Watch([&heard] { heard.set_value(); });
    EXPECT_FALSE(hangup->happened());
    context->TryCancel();
    client.join();
    EXPECT_EQ(heard.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
    EXPECT_TRUE(hangup->happened());
    engine_.ReleaseReplies();
  }
}

TEST_F(LifecycleTest, WhoIsAnsweredHasNotGoneAway) {
  ASSERT_TRUE(Call("ticketing", &wire::ToolService::Stub::ExecuteToolCall, Execute()).ok());
  const std::shared_ptr<Hangup> hangup = engine_.asked().hangup;
  ASSERT_NE(hangup, nullptr);
  server_->Stop();  // every tag is back
  EXPECT_FALSE(hangup->happened());
}

TEST_F(LifecycleTest, ADeadlineReachesTheEngineAndNoneIsForEver) {
  wire::CheckToolCallRequest check;
  check.set_parent("tenants/main");
  *check.mutable_call() = Execute().call();
  for (const bool limited : {true, false}) {
    const auto context = Context("ticketing");
    context->set_deadline(limited ? std::chrono::system_clock::now() + std::chrono::seconds(30)
                                  : std::chrono::system_clock::time_point::max());
    wire::ToolService::Stub stub(channel_);
    wire::Call call;
    ASSERT_TRUE(stub.CheckToolCall(context.get(), check, &call).ok());
    const std::int64_t wait_us = engine_.asked().wait_us;
    if (limited) {
      EXPECT_GT(wait_us, 0);
      EXPECT_LT(wait_us, 60'000'000);  // gRPC sends few digits, and rounds up
    } else {
      EXPECT_EQ(wait_us, -1);
    }
  }
}

TEST_F(LifecycleTest, StopAnswersWhatIsInFlightAndDropsLateReplies) {
  engine_.HoldReplies();
  grpc::Status status;
  std::thread client(
      [&] { status = Call("ticketing", &wire::ToolService::Stub::ExecuteToolCall, Execute()); });
  engine_.WaitForHeldReply();
  server_->Stop();
  client.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonIn(status), "SHUTTING_DOWN");
  engine_.ReleaseReplies();  // after the end
  server_->Stop();           // again
}

// Engines outlive the server: they wait for outcomes.
TEST_F(LifecycleTest, AReplyWithAReceiptMayOutliveTheServer) {
  engine_.written = audit::EntryRef{.index = 8, .leaf_hash = {}};
  engine_.HoldReplies();
  wire::ApproveRequest approve;
  approve.set_name(std::string("tenants/main/approvals/") + kApprovalId);
  approve.set_etag("e1");
  grpc::Status status;
  std::thread client(
      [&] { status = Call("dora", &wire::ApprovalService::Stub::Approve, approve); });
  engine_.WaitForHeldReply();
  server_.reset();
  client.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  engine_.ReleaseReplies();
}

TEST_F(LifecycleTest, ASearchMayOutliveTheServer) {
  engine_.HoldReplies();
  wire::SearchCallsRequest search;
  search.set_parent("tenants/main");
  search.set_text("grinder");
  std::thread client(
      [&] { EXPECT_FALSE(Call("audi", &wire::AuditService::Stub::SearchCalls, search).ok()); });
  engine_.WaitForHeldReply();
  server_.reset();
  client.join();
  engine_.ReleaseReplies();
}

TEST_F(LifecycleTest, ASecondServerDoesNotShareThePort) {
  ServerOptions options;
  options.listen = server_->address();
  options.tenants["main"] = {&engine_, "0123456789abcdef"};
  const auto second = StartServer(std::move(options));
  EXPECT_EQ(second.status().code(), core::StatusCode::kUnavailable);
}

TEST(StartServer, RefusesOptionsThatMakeNoSense) {
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  EXPECT_EQ(StartServer(options).status().code(), core::StatusCode::kInvalidArgument);
  FakeEngine engine;
  options.tenants["main"] = {&engine, "short"};
  EXPECT_EQ(StartServer(options).status().code(), core::StatusCode::kInvalidArgument);
}

TEST_F(LifecycleTest, WhatAWebhookFailsAtIsAmongTheWarningsOfItsTenantAlone) {
  wire::GetLogStatusRequest request;
  request.set_parent("tenants/main");
  wire::LogStatus status;
  ASSERT_TRUE(Call("op", &wire::AuditService::Stub::GetLogStatus, request, &status).ok());
  EXPECT_EQ(status.warnings_size(), 0);
  webhooks_.lines = {"webhook `desk`: it answered with status 503", "webhook `chat`: refused"};
  ASSERT_TRUE(Call("op", &wire::AuditService::Stub::GetLogStatus, request, &status).ok());
  EXPECT_THAT(status.warnings(), ::testing::ElementsAreArray(webhooks_.lines));
  request.set_parent("tenants/other");
  ASSERT_TRUE(Call("stranger", &wire::AuditService::Stub::GetLogStatus, request, &status).ok());
  EXPECT_EQ(status.warnings_size(), 0);
}

}  // namespace
}  // namespace interlock::runtime
