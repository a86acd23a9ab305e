// What each request must look like, what reaches the engine, and whose runs a caller sees.
#include <limits>

#include "fixture.h"

namespace interlock::runtime {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class RequestsTest : public ServerTest {
 protected:
  static wire::CreateRunRequest GoodRun() {
    wire::CreateRunRequest request;
    request.set_parent("tenants/main");
    request.mutable_run()->set_agent("refund");
    request.mutable_run()->set_message("I want my money back");
    request.mutable_run()->set_session_json(R"({"b":1,"a":[true]})");
    request.set_request_id(kRequestId);
    return request;
  }
};

TEST_F(RequestsTest, CreateRunReachesTheEngine) {
  wire::Run run;
  const grpc::Status status =
      Call("ticketing", &wire::RunService::Stub::CreateRun, GoodRun(), &run);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(run.name(), RunName());
  EXPECT_EQ(run.state(), wire::Run::STATE_RUNNING);
  EXPECT_EQ(run.principal(), "ticketing");
  EXPECT_EQ(run.newest_entry().leaf_hash().size(), 32u);
  EXPECT_THAT(engine_.seen(), Contains("CreateRun ticketing refund {\"a\":[true],\"b\":1} " +
                                       std::string(kRequestId)));
}

// Rule 23: with wait_checkpoint the reply carries a proof, or comes without one before the
// deadline.
TEST_F(RequestsTest, ARepliesProofIsWaitedForWhereAskedFor) {
  wire::CreateRunRequest request = GoodRun();
  wire::Run run;
  ASSERT_TRUE(Call("ticketing", &wire::RunService::Stub::CreateRun, request, &run).ok());
  EXPECT_EQ(run.newest_entry().tlog_proof(), "");
  const auto index = static_cast<std::size_t>(run.newest_entry().index());

  request.set_wait_checkpoint(wire::WAIT_CHECKPOINT_SIGNED);
  ASSERT_TRUE(Call("ticketing", &wire::RunService::Stub::CreateRun, request, &run).ok());
  EXPECT_EQ(run.newest_entry().tlog_proof(), "");  // the fake's head does not cover the entry
  ASSERT_EQ(engine_.fake_log.awaited.size(), 1u);
  EXPECT_GT(engine_.fake_log.awaited[0], std::chrono::seconds(1));
  EXPECT_LE(engine_.fake_log.awaited[0], std::chrono::seconds(30));

  engine_.fake_log.entries.resize(index + 1);
  ASSERT_TRUE(Call("ticketing", &wire::RunService::Stub::CreateRun, request, &run).ok());
  EXPECT_THAT(run.newest_entry().tlog_proof(),
              HasSubstr("c2sp.org/tlog-proof@v1\nindex " + std::to_string(index) + "\n"));
  EXPECT_EQ(run.newest_entry().checkpoint_note(), "waited\n");

  // Without witnesses there is nothing to wait for; a value from the future is refused.
  request.set_wait_checkpoint(wire::WAIT_CHECKPOINT_COSIGNED);
  ASSERT_TRUE(Call("ticketing", &wire::RunService::Stub::CreateRun, request, &run).ok());
  EXPECT_EQ(run.newest_entry().tlog_proof(), "");
  request.set_wait_checkpoint(static_cast<wire::WaitCheckpoint>(77));
  const grpc::Status status = Call("ticketing", &wire::RunService::Stub::CreateRun, request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldIn(status), "wait_checkpoint");
}

TEST_F(RequestsTest, TheNewestCosignedCheckpointCanBeAskedFor) {
  wire::GetCheckpointRequest request;
  request.set_parent("tenants/main");
  wire::Checkpoint checkpoint;
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::GetCheckpoint, request, &checkpoint).ok());
  EXPECT_EQ(checkpoint.verifier_key(), engine_.fake_log.key);
  request.set_cosigned(true);
  const grpc::Status none = Call("audi", &wire::AuditService::Stub::GetCheckpoint, request);
  EXPECT_EQ(none.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(none)->reason(), "NOT_COSIGNED");
  engine_.fake_log.cosigned = audit::Checkpoint{"fake/main", 7, {}, "cosigned\n"};
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::GetCheckpoint, request, &checkpoint).ok());
  EXPECT_EQ(checkpoint.note(), "cosigned\n");
  EXPECT_EQ(checkpoint.tree_size(), 7);
}

TEST_F(RequestsTest, CreateRunNamesTheBadField) {
  struct Case {
    std::string field;
    std::function<void(wire::CreateRunRequest&)> spoil;
  };
  const Case cases[] = {
      {"parent", [](auto& r) { r.set_parent("main"); }},
      {"parent", [](auto& r) { r.set_parent("tenants/main/runs"); }},
      {"run.agent", [](auto& r) { r.mutable_run()->clear_agent(); }},
      {"run.message", [](auto& r) { r.mutable_run()->set_message(std::string(65'537, 'x')); }},
      {"run.user", [](auto& r) { r.mutable_run()->set_user(std::string(257, 'x')); }},
      {"run.subject", [](auto& r) { r.mutable_run()->set_subject(std::string(257, 'x')); }},
      {"run.session_json", [](auto& r) { r.mutable_run()->set_session_json("[1]"); }},
      {"run.session_json", [](auto& r) { r.mutable_run()->set_session_json(R"({"a":1,"a":2})"); }},
      {"run.session_json", [](auto& r) { r.mutable_run()->set_session_json(R"({"a":NaN})"); }},
      {"request_id", [](auto& r) { r.set_request_id("first"); }},
      {"request_id", [](auto& r) { r.set_request_id("5C7F0000-0000-4000-8000-000000000001"); }}};
  for (const Case& spoiled : cases) {
    wire::CreateRunRequest request = GoodRun();
    spoiled.spoil(request);
    const grpc::Status status = Call("ticketing", &wire::RunService::Stub::CreateRun, request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << spoiled.field;
    EXPECT_EQ(ReasonIn(status), "BAD_REQUEST");
    EXPECT_EQ(FieldIn(status), spoiled.field) << status.error_message();
  }
  EXPECT_TRUE(engine_.seen().empty());
}

TEST_F(RequestsTest, NamesAreStrict) {
  for (const std::string name : {"tenants/main/runs/", "tenants/main/runs/x",
                                 "tenants/main/calls/018f0000-0000-7000-8000-000000000001",
                                 "tenants/main/runs/018F0000-0000-7000-8000-00000000000A",
                                 "tenants/main/runs/018f0000-0000-7000-8000-000000000001/x"}) {
    wire::GetRunRequest request;
    request.set_name(name);
    const grpc::Status status = Call("all", &wire::RunService::Stub::GetRun, request);
    EXPECT_EQ(FieldIn(status), "name") << name;
  }
  EXPECT_TRUE(engine_.seen().empty());
}

TEST_F(RequestsTest, AnIntegratorSeesItsOwnRunsOnly) {
  wire::GetRunRequest own, other;
  own.set_name(RunName());
  other.set_name(RunName(kOtherRun));
  EXPECT_TRUE(Call("ticketing", &wire::RunService::Stub::GetRun, own).ok());
  EXPECT_EQ(ReasonIn(Call("second", &wire::RunService::Stub::GetRun, own)), "RUN_NOT_FOUND");
  EXPECT_EQ(ReasonIn(Call("ticketing", &wire::RunService::Stub::GetRun, other)), "RUN_NOT_FOUND");
  EXPECT_TRUE(Call("audi", &wire::RunService::Stub::GetRun, other).ok());

  wire::SendMessageRequest message;
  message.set_name(RunName(kOtherRun));
  message.set_text("hello");
  EXPECT_EQ(ReasonIn(Call("ticketing", &wire::RunService::Stub::SendMessage, message)),
            "RUN_NOT_FOUND");
  wire::GetCallRequest call;  // of kOtherRun
  call.set_name(std::string("tenants/main/calls/") + kCallId);
  EXPECT_EQ(ReasonIn(Call("ticketing", &wire::CallService::Stub::GetCall, call)), "CALL_NOT_FOUND");
  EXPECT_TRUE(Call("op", &wire::CallService::Stub::GetCall, call).ok());
  EXPECT_THAT(engine_.seen(), ::testing::Not(Contains(HasSubstr("SendMessage"))));
}

TEST_F(RequestsTest, ARunThatAnAgentStartedNamesThoseAboveIt) {
  wire::GetRunRequest request;
  request.set_name(RunName());
  wire::Run run;
  ASSERT_TRUE(Call("ticketing", &wire::RunService::Stub::GetRun, request, &run).ok());
  EXPECT_EQ(run.parent_run() + run.root_run() + run.parent_call(), "");
  EXPECT_EQ(run.depth(), 0);
  EXPECT_EQ(run.waits_for_size(), 0);
  RunInfo& below = engine_.below;
  below.id = "018f0000-0000-7000-8000-000000000003";
  below.principal = "ticketing";
  below.state = RunState::kWaitingForRun;
  below.parent = kOtherRun;
  below.root = kRunId;
  below.call = kCallId;
  below.depth = 2;
  below.waits_for = {"018f0000-0000-7000-8000-000000000004"};
  request.set_name(RunName(below.id));
  ASSERT_TRUE(Call("ticketing", &wire::RunService::Stub::GetRun, request, &run).ok());
  EXPECT_EQ(run.state(), wire::Run::STATE_WAITING_FOR_RUN);
  EXPECT_EQ(run.parent_run(), RunName(kOtherRun));
  EXPECT_EQ(run.root_run(), RunName());
  EXPECT_EQ(run.parent_call(), "tenants/main/calls/" + std::string(kCallId));
  EXPECT_EQ(run.depth(), 2);
  ASSERT_EQ(run.waits_for_size(), 1);
  EXPECT_EQ(run.waits_for(0), RunName("018f0000-0000-7000-8000-000000000004"));
}

TEST_F(RequestsTest, AnApprovalNamesTheAgentsThatItIsAskedFor) {
  engine_.asking = {"refund", "clerk"};
  wire::GetApprovalRequest request;
  request.set_name("tenants/main/approvals/" + std::string(kApprovalId));
  wire::Approval approval;
  ASSERT_TRUE(Call("dora", &wire::ApprovalService::Stub::GetApproval, request, &approval).ok());
  EXPECT_THAT(approval.agents(), ::testing::ElementsAre("refund", "clerk"));
  EXPECT_EQ(approval.root_run(), RunName());
}

TEST_F(RequestsTest, ListsLeaveOutRunsOfOthersAndPageOn) {
  wire::ListRunsRequest request;
  request.set_parent("tenants/main");
  wire::ListRunsResponse own, all, second;
  ASSERT_TRUE(Call("ticketing", &wire::RunService::Stub::ListRuns, request, &own).ok());
  ASSERT_TRUE(Call("op", &wire::RunService::Stub::ListRuns, request, &all).ok());
  EXPECT_EQ(own.runs_size(), 1);
  EXPECT_EQ(all.runs_size(), 2);
  request.set_page_token(own.next_page_token());
  ASSERT_TRUE(Call("ticketing", &wire::RunService::Stub::ListRuns, request, &second).ok());
  EXPECT_EQ(second.next_page_token(), "");
  EXPECT_THAT(engine_.seen(), Contains("ListRuns ticketing 50 second"));

  request.set_state(wire::Run::STATE_FAILED);  // the token is of another list
  grpc::Status status = Call("ticketing", &wire::RunService::Stub::ListRuns, request);
  EXPECT_EQ(ReasonIn(status), "PAGE_TOKEN");
  request.clear_state();
  request.set_page_token(request.page_token() + "A");
  status = Call("ticketing", &wire::RunService::Stub::ListRuns, request);
  EXPECT_EQ(ReasonIn(status), "PAGE_TOKEN");
  request.clear_page_token();
  request.set_page_size(-1);
  status = Call("ticketing", &wire::RunService::Stub::ListRuns, request);
  EXPECT_EQ(FieldIn(status), "page_size");
}

TEST_F(RequestsTest, AnIntegratorMustNameItsRunInLists) {
  wire::ListCallsRequest request;
  request.set_parent("tenants/main");
  EXPECT_EQ(ReasonIn(Call("ticketing", &wire::CallService::Stub::ListCalls, request)),
            "RUN_REQUIRED");
  request.set_run(RunName());
  EXPECT_TRUE(Call("ticketing", &wire::CallService::Stub::ListCalls, request).ok());
  EXPECT_THAT(engine_.seen(), Contains("ListCalls ticketing " + std::string(kRunId) + " "));
  request.set_run(std::string("tenants/other/runs/") + kRunId);
  EXPECT_EQ(ReasonIn(Call("op", &wire::CallService::Stub::ListCalls, request)), "WRONG_TENANT");
}

TEST_F(RequestsTest, ArgumentsReachTheGateAsTheyWere) {
  wire::ExecuteToolCallRequest request;
  request.set_parent("tenants/main");
  request.mutable_call()->set_tool("orders.get");
  request.mutable_call()->set_args_json("{\"a\" :NaN,\"a\":1}");  // the gate's to refuse, by name
  EXPECT_EQ(FieldIn(Call("ticketing", &wire::ToolService::Stub::ExecuteToolCall, request)),
            "request_id");
  request.set_request_id(kRequestId);
  wire::Call call;
  ASSERT_TRUE(Call("ticketing", &wire::ToolService::Stub::ExecuteToolCall, request, &call).ok());
  EXPECT_EQ(call.state(), wire::Call::STATE_PARKED);
  EXPECT_EQ(call.verdict(), wire::Call::VERDICT_ASK);
  EXPECT_EQ(call.approvals(0), std::string("tenants/main/approvals/") + kApprovalId);
  EXPECT_THAT(engine_.seen(),
              Contains("ExecuteToolCall ticketing orders.get {\"a\" :NaN,\"a\":1} " +
                       std::string(kRequestId)));
  request.mutable_call()->set_args_json(std::string(256 * 1024 + 1, ' '));
  EXPECT_EQ(FieldIn(Call("ticketing", &wire::ToolService::Stub::ExecuteToolCall, request)),
            "call.args_json");
}

TEST_F(RequestsTest, AnswersAreInACapacityThatTheCallerHas) {
  wire::ApproveRequest request;
  request.set_name(std::string("tenants/main/approvals/") + kApprovalId);
  EXPECT_EQ(FieldIn(Call("dora", &wire::ApprovalService::Stub::Approve, request)), "etag");
  request.set_etag("e1");
  wire::Approval approval;
  ASSERT_TRUE(Call("dora", &wire::ApprovalService::Stub::Approve, request, &approval).ok());
  EXPECT_EQ(approval.state(), wire::Approval::STATE_GRANTED);
  EXPECT_EQ(ReasonIn(Call("ticketing", &wire::ApprovalService::Stub::Approve, request)),
            "MISSING_ROLE");
  request.set_answer_for(wire::ANSWER_FOR_RUN_USER);
  EXPECT_TRUE(Call("ticketing", &wire::ApprovalService::Stub::Approve, request).ok());
  EXPECT_EQ(ReasonIn(Call("dora", &wire::ApprovalService::Stub::Approve, request)), "MISSING_ROLE");
  wire::RejectRequest reject;
  reject.set_name(request.name());
  reject.set_etag("e1");
  EXPECT_TRUE(Call("dora", &wire::ApprovalService::Stub::Reject, reject).ok());
  EXPECT_THAT(engine_.seen(), Contains("AnswerApproval dora grant e1 []"));
  EXPECT_THAT(engine_.seen(), Contains("AnswerApproval ticketing grant e1 [user]"));
  EXPECT_THAT(engine_.seen(), Contains("AnswerApproval dora reject e1 []"));
}

TEST_F(RequestsTest, WhatIsHandedOnReachesTheEngine) {
  wire::DelegateRequest request;
  const auto delegate = [&](const char* who, wire::Delegation* given = nullptr) {
    return Call(who, &wire::ApprovalService::Stub::Delegate, request, given);
  };
  EXPECT_EQ(FieldIn(delegate("dora")), "parent");
  request.set_parent("tenants/main");
  EXPECT_EQ(FieldIn(delegate("dora")), "to");
  request.set_to(std::string(65, 'l'));
  EXPECT_EQ(FieldIn(delegate("dora")), "to");
  request.set_to("sam");
  request.set_approval("tenants/main/calls/1");
  EXPECT_EQ(FieldIn(delegate("dora")), "approval");
  request.clear_approval();
  for (const std::int64_t seconds :
       {std::int64_t{0}, std::int64_t{-5}, std::numeric_limits<std::int64_t>::max() / 1000,
        std::numeric_limits<std::int64_t>::min()}) {
    request.mutable_until_time()->set_seconds(seconds);
    EXPECT_EQ(FieldIn(delegate("dora")), "until_time") << seconds;
  }
  request.mutable_until_time()->set_seconds(7);
  request.mutable_until_time()->set_nanos(1'000'000'000);
  EXPECT_EQ(FieldIn(delegate("dora")), "until_time");
  request.mutable_until_time()->set_nanos(5'000);
  wire::Delegation given;
  ASSERT_TRUE(delegate("dora", &given).ok());
  EXPECT_EQ(given.by(), "dora");
  EXPECT_EQ(given.until_time().seconds(), 7);
  EXPECT_THAT(engine_.seen(), Contains("Delegate dora  sam 7000005"));
  EXPECT_EQ(ReasonIn(delegate("ticketing")), "MISSING_ROLE");

  request.clear_until_time();
  request.set_end(true);
  request.set_by("maria");
  request.set_approval(std::string("tenants/main/approvals/") + kApprovalId);
  ASSERT_TRUE(delegate("op", &given).ok());
  EXPECT_EQ(given.approval(), request.approval());
  EXPECT_FALSE(given.has_until_time());
  EXPECT_THAT(engine_.seen(),
              Contains(std::string("Delegate op ") + kApprovalId + " sam 0 end [maria]"));

  wire::ListDelegationsRequest list;
  list.set_parent("tenants/main");
  wire::ListDelegationsResponse found;
  for (const char* who : {"dora", "op", "audi"}) {
    ASSERT_TRUE(Call(who, &wire::ApprovalService::Stub::ListDelegations, list, &found).ok()) << who;
    EXPECT_EQ(found.delegations(0).to(), "sam");
  }
  EXPECT_EQ(ReasonIn(Call("ticketing", &wire::ApprovalService::Stub::ListDelegations, list)),
            "MISSING_ROLE");
}

TEST_F(RequestsTest, AnEditIsAnAnswerWithArguments) {
  wire::EditArgumentsRequest request;
  request.set_name(std::string("tenants/main/approvals/") + kApprovalId);
  request.set_reason("half of it");
  const auto edit = [&](const char* who, wire::Call* call = nullptr) {
    return Call(who, &wire::ApprovalService::Stub::EditArguments, request, call);
  };
  EXPECT_EQ(FieldIn(edit("dora")), "etag");
  request.set_etag("e1");
  EXPECT_EQ(FieldIn(edit("dora")), "args_json");
  request.set_args_json(std::string(256 * 1024 + 1, ' '));
  EXPECT_EQ(FieldIn(edit("dora")), "args_json");
  request.set_args_json(R"({"amount" : 1})");
  wire::Call call;
  ASSERT_TRUE(edit("dora", &call).ok());
  EXPECT_EQ(call.state(), wire::Call::STATE_PARKED);
  EXPECT_EQ(call.approvals(0), request.name());
  EXPECT_EQ(ReasonIn(edit("ticketing")), "MISSING_ROLE");
  EXPECT_EQ(ReasonIn(edit("op")), "MISSING_ROLE");
  request.set_answer_for(wire::ANSWER_FOR_RUN_USER);
  EXPECT_TRUE(edit("ticketing").ok());
  EXPECT_THAT(engine_.seen(), Contains(R"(EditArguments dora {"amount" : 1} e1 half of it [])"));
  EXPECT_THAT(engine_.seen(),
              Contains(R"(EditArguments ticketing {"amount" : 1} e1 half of it [user])"));
  wire::GetApprovalRequest get;
  get.set_name(request.name());
  wire::Approval approval;
  ASSERT_TRUE(Call("dora", &wire::ApprovalService::Stub::GetApproval, get, &approval).ok());
  EXPECT_EQ(approval.edited_by(0), "principal:maria");
}

TEST_F(RequestsTest, ResolveNeedsAFindingAndAReason) {
  wire::ResolveCallRequest request;
  request.set_name(std::string("tenants/main/calls/") + kCallId);
  request.set_reason("asked the bank");
  EXPECT_EQ(FieldIn(Call("op", &wire::CallService::Stub::ResolveCall, request)), "finding");
  request.set_finding(wire::ResolveCallRequest::FINDING_NOT_HAPPENED);
  EXPECT_TRUE(Call("op", &wire::CallService::Stub::ResolveCall, request).ok());
  request.clear_reason();
  EXPECT_EQ(FieldIn(Call("op", &wire::CallService::Stub::ResolveCall, request)), "reason");
  EXPECT_EQ(ReasonIn(Call("ticketing", &wire::CallService::Stub::ResolveCall, request)),
            "MISSING_ROLE");
}

TEST_F(RequestsTest, EntriesPageByIndexAndByRun) {
  for (std::uint64_t i = 0; i < 5; ++i) {
    audit::Entry entry;
    entry.index = i;
    if (i % 2 == 1) {
      entry.run = kRunId;
      entry.run_seq = static_cast<std::int64_t>(i / 2);
    }
    engine_.fake_log.entries.push_back(entry);
  }
  const auto list = [&](wire::ListEntriesRequest request) {
    std::vector<std::int64_t> indexes;
    request.set_parent("tenants/main");
    request.set_page_size(1);
    do {
      wire::ListEntriesResponse response;
      const grpc::Status status =
          Call("audi", &wire::AuditService::Stub::ListEntries, request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
      for (const auto& entry : response.entries()) indexes.push_back(entry.index());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return indexes;
  };
  wire::ListEntriesRequest all, range, run;
  range.set_start_index(1);
  range.set_end_index(3);
  run.set_run(RunName());
  EXPECT_THAT(list(all), ::testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(list(range), ::testing::ElementsAre(1, 2));
  EXPECT_THAT(list(run), ::testing::ElementsAre(1, 3));
  run.set_parent("tenants/main");
  run.set_end_index(3);
  EXPECT_EQ(FieldIn(Call("audi", &wire::AuditService::Stub::ListEntries, run)), "run");
}

TEST_F(RequestsTest, ProofsAreWithinTheLog) {
  engine_.fake_log.entries.resize(2);
  wire::GetInclusionProofRequest request;
  request.set_name("tenants/main/entries/1");
  wire::InclusionProof proof;
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::GetInclusionProof, request, &proof).ok());
  EXPECT_EQ(proof.tree_size(), 2);
  EXPECT_EQ(proof.hashes(0).size(), 32u);
  for (const std::int64_t size : {1, 3}) {
    request.set_tree_size(size);
    const grpc::Status status = Call("audi", &wire::AuditService::Stub::GetInclusionProof, request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE) << size;
    EXPECT_EQ(ReasonIn(status), "TREE_SIZE");
  }
  request.set_name("tenants/main/entries/2");
  EXPECT_EQ(ReasonIn(Call("audi", &wire::AuditService::Stub::GetInclusionProof, request)),
            "ENTRY_NOT_FOUND");
  request.set_name("tenants/main/entries/01");
  EXPECT_EQ(FieldIn(Call("audi", &wire::AuditService::Stub::GetInclusionProof, request)), "name");
}

TEST_F(RequestsTest, ConsistencyProofsAreWithinTheLog) {
  engine_.fake_log.entries.resize(3);
  wire::GetConsistencyProofRequest request;
  request.set_parent("tenants/main");
  request.set_old_tree_size(2);
  wire::ConsistencyProof proof;
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::GetConsistencyProof, request, &proof).ok());
  EXPECT_EQ(proof.tree_size(), 3);
  EXPECT_EQ(proof.hashes(0).size(), 32u);
  for (const auto& [old_size, size] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 2}, {3, 2}, {2, 4}, {-1, 2}}) {
    request.set_old_tree_size(old_size);
    request.set_tree_size(size);
    EXPECT_EQ(ReasonIn(Call("audi", &wire::AuditService::Stub::GetConsistencyProof, request)),
              "TREE_SIZE")
        << old_size << " " << size;
  }
}

TEST_F(RequestsTest, BlobsAreFoundByTheirDigest) {
  wire::GetBlobRequest request;
  request.set_parent("tenants/main");
  request.set_digest(core::DigestName(core::Sha256("a policy")));
  wire::Blob blob;
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::GetBlob, request, &blob).ok());
  EXPECT_EQ(blob.content(), "a policy");
  request.set_digest(core::DigestName(core::Sha256("another")));
  EXPECT_EQ(ReasonIn(Call("audi", &wire::AuditService::Stub::GetBlob, request)), "BLOB_NOT_FOUND");
  request.set_digest("sha256:12");
  EXPECT_EQ(FieldIn(Call("audi", &wire::AuditService::Stub::GetBlob, request)), "digest");
}

TEST_F(RequestsTest, OnlyAuditorsOpenPayloads) {
  engine_.fake_log.entries.resize(1);
  wire::DisclosePayloadsRequest request;
  request.set_name("tenants/main/entries/0");
  wire::DisclosePayloadsResponse response;
  ASSERT_TRUE(Call("audi", &wire::AuditService::Stub::DisclosePayloads, request, &response).ok());
  ASSERT_EQ(response.payloads_size(), 2);
  EXPECT_EQ(response.payloads(0).content(), "hello");
  EXPECT_TRUE(response.payloads(1).erased());
  EXPECT_EQ(response.access_index(), 7);
  EXPECT_EQ(Call("op", &wire::AuditService::Stub::DisclosePayloads, request).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace interlock::runtime
