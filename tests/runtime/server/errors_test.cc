// Who may call what, for every method there is, and what is in each error.
#include "server/errors.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>

#include "fixture.h"
#include "server/services.h"

namespace interlock::runtime {
namespace {

using google::protobuf::DescriptorPool;

struct MethodCase {
  std::string path;     // "/interlock.v1.RunService/GetRun"
  std::string request;  // with the name or parent of tenant `tenant`, else empty
};

// Every method of every service, from the descriptors: a new one is tested without being named
// here.
std::vector<MethodCase> AllMethods(const std::string& tenant) {
  std::vector<MethodCase> all;
  google::protobuf::DynamicMessageFactory factory;
  for (const std::string& name : kServiceNames) {
    const auto* service = DescriptorPool::generated_pool()->FindServiceByName(name);
    EXPECT_NE(service, nullptr) << name;
    for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
      const auto* method = service->method(i);
      const auto* type = method->input_type();
      const std::unique_ptr<google::protobuf::Message> request(factory.GetPrototype(type)->New());
      const auto* field = type->FindFieldByName("name");
      if (field == nullptr) field = type->FindFieldByName("parent");
      EXPECT_NE(field, nullptr) << type->full_name();
      request->GetReflection()->SetString(request.get(), field, "tenants/" + tenant + "/x/y");
      all.push_back({"/" + name + "/" + method->name(), request->SerializeAsString()});
    }
  }
  return all;
}

class ErrorsTest : public ServerTest {
 protected:
  void ExpectAll(const std::string& tenant, const std::string& authorization, grpc::StatusCode code,
                 const std::string& reason) {
    const std::vector<MethodCase> methods = AllMethods(tenant);
    EXPECT_EQ(methods.size(), 44u);
    for (const MethodCase& method : methods) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      if (!authorization.empty()) context.AddMetadata("authorization", authorization);
      const grpc::Status status = RawCall(&context, method.path, method.request);
      EXPECT_EQ(status.error_code(), code) << method.path << ": " << status.error_message();
      EXPECT_EQ(ReasonIn(status), reason) << method.path;
    }
    EXPECT_TRUE(engine_.seen().empty() && other_.seen().empty());
  }
};

TEST_F(ErrorsTest, EveryMethodNeedsAToken) {
  ExpectAll("main", "", grpc::StatusCode::UNAUTHENTICATED, "TOKEN_MISSING");
}

TEST_F(ErrorsTest, EveryMethodRefusesAWrongToken) {
  ExpectAll("main", "Bearer token-nobody", grpc::StatusCode::UNAUTHENTICATED, "TOKEN_INVALID");
}

TEST_F(ErrorsTest, EveryMethodNeedsARole) {
  ExpectAll("main", "Bearer token-none", grpc::StatusCode::PERMISSION_DENIED, "MISSING_ROLE");
}

TEST_F(ErrorsTest, EveryMethodRefusesNamesOfAnotherTenant) {
  ExpectAll("other", "Bearer token-all", grpc::StatusCode::PERMISSION_DENIED, "WRONG_TENANT");
  ExpectAll("main", "Bearer token-stranger", grpc::StatusCode::PERMISSION_DENIED, "WRONG_TENANT");
}

TEST_F(ErrorsTest, TokenFormsAreStrict) {
  const std::pair<std::string, std::string> cases[] = {
      {"token-all", "TOKEN_INVALID"},
      {"Basic token-all", "TOKEN_INVALID"},
      {"Bearer ", "TOKEN_INVALID"},
      {"Bearer token-all ", "TOKEN_INVALID"},
      {"Bearer  token-all", "TOKEN_INVALID"},
      {"Bearer TOKEN-ALL", "TOKEN_INVALID"},
      {"Bearer " + std::string(600, 'x'), "TOKEN_INVALID"},
      {"bEaReR token-all", ""}};
  for (const auto& [header, reason] : cases) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", header);
    wire::GetRunRequest request;
    request.set_name(RunName());
    const grpc::Status status =
        RawCall(&context, "/interlock.v1.RunService/GetRun", request.SerializeAsString());
    EXPECT_EQ(ReasonIn(status), reason) << header;
  }
}

TEST_F(ErrorsTest, TwoTokensAreNone) {
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer token-all");
  context.AddMetadata("authorization", "Bearer token-op");
  EXPECT_EQ(ReasonIn(RawCall(&context, "/interlock.v1.RunService/GetRun", "")), "TOKEN_MISSING");
}

TEST_F(ErrorsTest, AnErrorNamesItsMethodAndResource) {
  wire::GetRunRequest request;
  request.set_name(RunName("018f0000-0000-7000-8000-000000000009"));
  const grpc::Status status = Call("ticketing", &wire::RunService::Stub::GetRun, request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonIn(status), "RUN_NOT_FOUND");
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info->metadata().at("method"), "RunService.GetRun");
  const auto resource = DetailOf<google::rpc::ResourceInfo>(status);
  ASSERT_TRUE(resource.has_value());
  EXPECT_EQ(resource->resource_type(), "interlock.v1/Run");
  EXPECT_EQ(resource->resource_name(), request.name());
}

TEST_F(ErrorsTest, EngineErrorsCarryTheDetailThatFits) {
  wire::SendMessageRequest request;
  request.set_name(RunName());
  request.set_text("hello");
  const auto send = [&](core::Status error) {
    engine_.SetError(std::move(error));
    return Call("op", &wire::CallService::Stub::ResolveCall, [] {
      wire::ResolveCallRequest resolve;
      resolve.set_name(std::string("tenants/main/calls/") + kCallId);
      resolve.set_finding(wire::ResolveCallRequest::FINDING_HAPPENED);
      resolve.set_reason("seen on the statement");
      return resolve;
    }());
  };
  grpc::Status status = send(WithReason(core::ResourceExhausted("no money left"), "BUDGET"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonIn(status), "BUDGET");
  ASSERT_TRUE(DetailOf<google::rpc::QuotaFailure>(status).has_value());
  EXPECT_EQ(DetailOf<google::rpc::QuotaFailure>(status)->violations(0).description(),
            "no money left");

  status = send(WithReason(core::Error(core::StatusCode::kAborted, "stale"), "STALE_APPROVAL"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(DetailOf<google::rpc::PreconditionFailure>(status)->violations(0).type(), "ETAG");

  status = send(WithReason(core::FailedPrecondition("it is known"), "OUTCOME_KNOWN"));
  EXPECT_EQ(DetailOf<google::rpc::PreconditionFailure>(status)->violations(0).type(), "STATE");

  status = send(WithReason(core::Unavailable("busy"), "BUSY"));
  EXPECT_EQ(DetailOf<google::rpc::RetryInfo>(status)->retry_delay().seconds(), 1);

  status = send(core::OkStatus());
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(ErrorsTest, ARequestAboveOneMebibyteIsRefusedWithDetails) {
  wire::SendMessageRequest request;
  request.set_name(RunName());
  request.set_text(std::string(kRequestBytesMax, 'x'));
  grpc::Status status = Call("ticketing", &wire::RunService::Stub::SendMessage, request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonIn(status), "REQUEST_TOO_LARGE");
  request.set_text(std::string(5 * kRequestBytesMax, 'x'));  // gRPC's own limit
  status = Call("ticketing", &wire::RunService::Stub::SendMessage, request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(engine_.seen().empty());
}

TEST(ToGrpc, OkHasNoDetailsAndEveryErrorHasAnErrorInfo) {
  EXPECT_TRUE(ToGrpc(core::OkStatus(), {}).ok());
  for (int code = 1; code <= 16; ++code) {
    const grpc::Status status =
        ToGrpc(core::Error(static_cast<core::StatusCode>(code), "why"), {"S.M", "", ""});
    EXPECT_EQ(static_cast<int>(status.error_code()), code);
    EXPECT_EQ(status.error_message(), "why");
    EXPECT_NE(ReasonIn(status), "");
  }
}

}  // namespace
}  // namespace interlock::runtime
