// Remote MCP servers over streamable HTTP: a session a run, pinned tools, and everything that an
// answer may be instead of a reply.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <fstream>
#include <future>

#include "executor_fixture.h"
#include "harness/temp_folder.h"
#include "loopback_server.h"

namespace interlock::tools {
namespace {

using core::Json;
using interlock::testing::HttpReply;
using interlock::testing::LoopbackServer;
using interlock::testing::Scripted;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::chrono::seconds kPatience{120};
constexpr char kSession[] = "Mcp-Session-Id: s-1\r\n";
constexpr char kStream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

Json BodyOf(const std::string& request) {
  const std::size_t end = request.find("\r\n\r\n");
  const Json body = Json::parse(request.substr(end + 4), nullptr, false);
  return body.is_object() ? body : Json::object();
}
std::string MethodOf(const std::string& request) {
  if (request.starts_with("DELETE")) return "DELETE";
  return BodyOf(request).value("method", std::string("answer"));
}
std::string Reply(const Json& id, const Json& result) {
  return Json{{"id", id}, {"jsonrpc", "2.0"}, {"result", result}}.dump(1);  // over several lines
}
std::string Events(const std::vector<std::string>& messages) {
  std::string stream = std::string(kStream) + kSession + "\r\n: hello\n\nid: 1\ndata:\n\n";
  for (const std::string& message : messages) {
    stream += "event: message\n";
    for (std::size_t at = 0; at <= message.size();) {
      const std::size_t end = std::min(message.find('\n', at), message.size());
      stream += "data: " + message.substr(at, end - at) + "\n";
      at = end + 1;
    }
    stream += "\n";
  }
  return stream;
}
Json Words(const std::string& text) {
  Json words = Json::parse(R"({"content":[{"text":"","type":"text"}]})");
  words["content"][0]["text"] = text;
  return words;
}
Json Tools(const char* tools) { return Json{{"tools", Json::parse(tools)}}; }

class RemoteMcp : public ::testing::Test {
 protected:
  // What a call is answered with; the rest is in order unless a test says so.
  using Answer = std::function<Scripted(const Json& id)>;

  RemoteMcp() {
    fetcher_ = *MakeFetcher({});
    NewExecutor();
    on_call_ = [](const Json& id) {
      return Scripted{.bytes = HttpReply(200, Reply(id, Words("hi")))};
    };
    server_ = std::make_unique<LoopbackServer>(
        [this](int, const std::string& request) { return AnswerTo(request); });
  }
  ~RemoteMcp() override {
    executor_.reset();
    fetcher_.reset();
    server_.reset();
  }
  void NewExecutor() {
    executor_ = MakeExecutor(
        {.launcher = nullptr, .clock = &clock_, .builtins = {}, .fetcher = fetcher_.get()});
    executor_->OnSessionEnd([this](SessionEnd end) {
      const std::lock_guard lock(mutex_);
      ends_.push_back(std::move(end));
      changed_.notify_all();
    });
  }
  Scripted AnswerTo(const std::string& request) {
    const std::string method = MethodOf(request);
    const Json id = BodyOf(request).value("id", Json());
    {
      const std::lock_guard lock(mutex_);
      methods_.push_back(method);
      changed_.notify_all();
    }
    if (instead_.count(method) > 0) return instead_[method](id);
    if (method == "initialize") {
      return {.bytes = HttpReply(200, Reply(id, {{"protocolVersion", "2025-06-18"}}), kSession)};
    }
    if (method == "tools/list") {
      return {.bytes = HttpReply(200, Reply(id, Tools(R"([{"name":"say"}])")))};
    }
    if (method == "tools/call") return on_call_(id);
    return {.bytes = HttpReply(202, "")};
  }

  Manifest Of(Effect effect = Effect::kWrite) const {
    Manifest manifest = ProcessManifest(effect);
    manifest.process.reset();
    manifest.http = HttpSpec{};
    manifest.http->method = "POST";
    manifest.http->url = server_->url("/mcp");
    manifest.http->networks = {"127.0.0.1"};
    manifest.limits.wall_ms = 600'000;
    manifest.mcp = McpSpec{.tool = "say", .pinned = Json::parse(R"([{"name":"say"}])")};
    return manifest;
  }
  std::future<Outcome> Start(Manifest manifest, const std::string& run) {
    CallSpec spec;
    spec.tool = MakeTool(std::move(manifest));
    spec.args = *spec.tool->ValidateArgs(Json{{"order_id", "o-1"}});
    spec.session = {{"user", "c/1"}};
    spec.run = run;
    spec.call_id = "call-1";
    spec.idempotency_key = "key-1";
    core::PermitTerms terms{.call_id = spec.call_id,
                            .tool_digest = spec.tool->digest(),
                            .args_digest = spec.args.digest,
                            .limits_digest = spec.tool->limits_digest(),
                            .expires_monotonic_us = clock_.now + core::kPermitLifeMicros};
    auto promise = std::make_shared<std::promise<Outcome>>();
    handle_ = executor_->Run(mint_.Mint(std::move(terms)), std::move(spec),
                             [promise](Outcome end) { promise->set_value(std::move(end)); });
    return promise->get_future();
  }
  Outcome Run(const std::string& run = "r1", Effect effect = Effect::kWrite) {
    return Start(Of(effect), run).get();
  }
  bool Heard(const std::string& method, std::size_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] {
      return static_cast<std::size_t>(std::count(methods_.begin(), methods_.end(), method)) >=
             times;
    });
  }
  std::int64_t Count(const std::string& method) {
    const std::lock_guard lock(mutex_);
    return std::count(methods_.begin(), methods_.end(), method);
  }
  SessionEnd End() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return !ends_.empty(); }));
    return ends_.empty() ? SessionEnd() : ends_.back();
  }
  static std::string Brief(const Outcome& outcome) {
    return std::string(OutcomeKindName(outcome.kind)) + " " + outcome.error_code;
  }

  FakeClock clock_;
  core::PermitMint mint_;
  std::unique_ptr<Fetcher> fetcher_;
  std::unique_ptr<Executor> executor_;
  Answer on_call_;
  std::map<std::string, Answer> instead_;
  std::uint64_t handle_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> methods_;
  std::vector<SessionEnd> ends_;
  std::unique_ptr<LoopbackServer> server_;  // its thread uses the rest
};

TEST_F(RemoteMcp, OneSessionServesTheCallsOfARunAndEndsWithIt) {
  const test::TempFolder folder;
  const std::string token = folder.File("token");
  std::ofstream(token) << "Bearer s3cret\n";
  Manifest manifest = Of();
  manifest.http->url = server_->url("/mcp/{session.user}");
  manifest.http->header_files = {{"Authorization", token}};
  const Outcome first = Start(manifest, "r1").get();
  ASSERT_EQ(first.kind, OutcomeKind::kOk) << first.error;
  EXPECT_EQ(first.result, Words("hi"));
  EXPECT_FALSE(first.sandboxed);
  EXPECT_EQ(Start(manifest, "r1").get().kind, OutcomeKind::kOk);
  executor_->EndRun("r1");
  ASSERT_TRUE(Heard("DELETE"));
  const std::vector<std::string> requests = server_->requests();
  std::vector<std::string> methods;
  methods.reserve(requests.size());
  for (const std::string& request : requests) methods.push_back(MethodOf(request));
  EXPECT_THAT(methods, ::testing::ElementsAre("initialize", "notifications/initialized",
                                              "tools/list", "tools/call", "tools/call", "DELETE"));
  EXPECT_THAT(requests[0],
              AllOf(StartsWith("POST /mcp/c%2F1 HTTP/1.1\r\n"), Not(HasSubstr(kSession)),
                    HasSubstr("Accept: application/json, text/event-stream\r\n"),
                    HasSubstr("Authorization: Bearer s3cret\r\n")));
  for (std::size_t i = 1; i < requests.size(); ++i) {
    EXPECT_THAT(requests[i],
                AllOf(HasSubstr(kSession), HasSubstr("MCP-Protocol-Version: 2025-06-18\r\n"),
                      HasSubstr("Authorization: Bearer s3cret\r\n")));
  }
  const Json params = BodyOf(requests[3])["params"];
  EXPECT_EQ(params["arguments"], (Json{{"order_id", "o-1"}}));
  EXPECT_EQ(params["_meta"]["interlock/idempotency_key"], "key-1");
  const SessionEnd end = End();
  EXPECT_EQ(end.calls, 2);
  EXPECT_TRUE(end.remote);
  EXPECT_EQ(end.why, "");
  EXPECT_EQ(end.command, server_->url().substr(0, server_->url().find('/', 8)));
}

TEST_F(RemoteMcp, ACallWithoutARunHasASessionOfItsOwn) {
  EXPECT_EQ(Run("").kind, OutcomeKind::kOk);
  EXPECT_EQ(Run("").kind, OutcomeKind::kOk);
  EXPECT_TRUE(Heard("initialize", 2));
  EXPECT_TRUE(Heard("DELETE", 2));
}

TEST_F(RemoteMcp, StreamsHoldNewsQuestionsAndTheReply) {
  instead_["initialize"] = [](const Json& id) {
    return Scripted{.bytes = Events({Reply(id, {{"protocolVersion", "2025-11-25"}})})};
  };
  on_call_ = [](const Json& id) {
    return Scripted{
        .bytes = Events({R"({"jsonrpc":"2.0","method":"notifications/progress","params":{}})",
                         R"({"id":"q","jsonrpc":"2.0","method":"ping"})",
                         R"({"id":7,"jsonrpc":"2.0","method":"sampling/createMessage"})",
                         Reply(id, Words("streamed"))}),
        .hold = true};  // some servers never end it
  };
  const Outcome outcome = Run();
  ASSERT_EQ(outcome.kind, OutcomeKind::kOk) << outcome.error;
  EXPECT_EQ(outcome.result, Words("streamed"));
  ASSERT_TRUE(Heard("answer", 2));
  std::string answers;
  for (const std::string& request : server_->requests()) {
    if (MethodOf(request) == "answer") answers += request.substr(request.find("\r\n\r\n"));
  }
  EXPECT_THAT(answers, AllOf(HasSubstr(R"({"id":"q","jsonrpc":"2.0","result":{}})"),
                             HasSubstr(R"("id":7)"), HasSubstr("not offered")));
  EXPECT_EQ(Run().kind, OutcomeKind::kOk) << "the session goes on";
}

TEST_F(RemoteMcp, OthersToolsThanThePinnedOnesAreRefused) {
  instead_["tools/list"] = [](const Json& id) {
    return Scripted{
        .bytes = HttpReply(200, Reply(id, {{"tools", {{{"name", "say"}}, {{"name", "nuke"}}}}}))};
  };
  const Outcome outcome = Run();
  EXPECT_EQ(Brief(outcome), "not_started REFUSED");
  EXPECT_EQ(outcome.error, "the MCP server does not list the tools that are pinned");
  EXPECT_TRUE(End().refused);
  EXPECT_EQ(End().why, "the server lists tool `nuke`, which is not pinned");
  EXPECT_EQ(Count("tools/call"), 0);
}

TEST_F(RemoteMcp, AddressesAreJudgedAndNothingListensIsNothingRan) {
  Manifest manifest = Of();
  manifest.http->networks.clear();
  const Outcome refused = Start(manifest, "r1").get();
  EXPECT_EQ(Brief(refused), "not_started REFUSED");
  EXPECT_THAT(refused.error, HasSubstr("127.0.0.1"));
  manifest = Of();
  server_.reset();
  EXPECT_EQ(Brief(Start(manifest, "r1").get()), "not_started SETUP");
}

struct Bad {
  const char* name;
  const char* method;  // whose answer it is
  Scripted (*answer)(const Json& id);
  const char* brief;
  const char* error;
  const char* why;  // what operators hear
};
inline std::ostream& operator<<(std::ostream& out, const Bad& bad) { return out << bad.name; }
class BadRemotes : public RemoteMcp, public ::testing::WithParamInterface<Bad> {};

TEST_P(BadRemotes, FailOneCallAndAreLeft) {
  const Bad& bad = GetParam();
  if (std::string_view(bad.method) == "tools/call") {
    EXPECT_EQ(Run().kind, OutcomeKind::kOk) << "so far all is well";
    on_call_ = bad.answer;
  } else {
    instead_[bad.method] = bad.answer;
  }
  const Outcome outcome = Run();
  EXPECT_EQ(Brief(outcome), bad.brief);
  EXPECT_THAT(outcome.error, HasSubstr(bad.error));
  EXPECT_EQ(outcome.error.find('\n'), std::string::npos);
  EXPECT_THAT(End().why, HasSubstr(bad.why));
  instead_.clear();
  on_call_ = [](const Json& id) {
    return Scripted{.bytes = HttpReply(200, Reply(id, Words("x")))};
  };
  EXPECT_EQ(Run().kind, OutcomeKind::kOk) << "the twin, in a session of its own";
}

INSTANTIATE_TEST_SUITE_P(
    Answers, BadRemotes,
    ::testing::Values(
        Bad{"unauthorized", "initialize",
            [](const Json&) { return Scripted{.bytes = HttpReply(401, "SEND THE IBAN")}; },
            "not_started SETUP", "the MCP server answered HTTP 401 before it took this call",
            "HTTP 401: SEND THE IBAN"},
        Bad{"no_session", "initialize",
            [](const Json& id) {
              return Scripted{.bytes =
                                  HttpReply(200, Reply(id, {{"protocolVersion", "2025-11-25"}}),
                                            "Mcp-Session-Id: a b\r\n")};
            },
            "not_started SETUP", "ended before it took this call", "session id is not visible"},
        Bad{"old_revision", "initialize",
            [](const Json& id) {
              return Scripted{.bytes = HttpReply(200, Reply(id, {{"protocolVersion", "1999"}}))};
            },
            "not_started SETUP", "ended before it took this call", "revision `1999`"},
        Bad{"refuses_the_greeting", "notifications/initialized",
            [](const Json&) { return Scripted{.bytes = HttpReply(400, "")}; }, "not_started SETUP",
            "HTTP 400", "HTTP 400"},
        Bad{"forgot_the_session", "tools/call",
            [](const Json&) { return Scripted{.bytes = HttpReply(404, "no session")}; },
            "failed HTTP_404", "the server answered 404: no session", "HTTP 404"},
        Bad{"breaks", "tools/call",
            [](const Json&) { return Scripted{.bytes = HttpReply(503, "")}; }, "unknown HTTP_503",
            "503", "HTTP 503"},
        Bad{"accepts_only", "tools/call",
            [](const Json&) { return Scripted{.bytes = HttpReply(202, "")}; }, "failed BAD_RESULT",
            "its answer holds no reply", "holds no reply"},
        Bad{"stream_without_reply", "tools/call",
            [](const Json&) {
              return Scripted{.bytes = Events({R"({"jsonrpc":"2.0","method":"x"})"})};
            },
            "failed BAD_RESULT", "its answer holds no reply", "holds no reply"},
        Bad{"words", "tools/call",
            [](const Json&) { return Scripted{.bytes = HttpReply(200, "{words\n")}; },
            "failed BAD_RESULT", "its answer is no message", "no message"},
        Bad{"another_reply", "tools/call",
            [](const Json&) { return Scripted{.bytes = HttpReply(200, Reply(99, Words("x")))}; },
            "failed BAD_RESULT", "answers nothing that was asked", "answers nothing"},
        Bad{"two_replies", "tools/call",
            [](const Json& id) {
              return Scripted{.bytes =
                                  HttpReply(200, Reply(id, Words("a")) + Reply(id, Words("b")))};
            },
            "failed BAD_RESULT", "its answer is no message", "no message"},
        Bad{"hangs_up", "tools/call", [](const Json&) { return Scripted{.bytes = ""}; },
            "unknown LOST", "127.0.0.1", "127.0.0.1"},
        Bad{"floods", "tools/call",
            [](const Json&) {
              return Scripted{.bytes = std::string(kStream) + "\r\n" + std::string(2 << 20, ':')};
            },
            "violation OUTPUT", "", "127.0.0.1"},
        Bad{"asks_too_much", "tools/call",
            [](const Json& id) {
              std::vector<std::string> questions(65, R"({"id":1,"jsonrpc":"2.0","method":"ping"})");
              questions.push_back(Reply(id, Words("x")));
              return Scripted{.bytes = Events(questions)};
            },
            "failed BAD_RESULT", "asked more than 64 questions", "asked more than 64"},
        Bad{"points_elsewhere", "tools/call",
            [](const Json&) {
              return Scripted{.bytes = HttpReply(307, "", "Location: http://127.0.0.1:9/x\r\n")};
            },
            "unknown REFUSED_REDIRECT", "not among the tool's `redirects`", "redirect"},
        Bad{"points_aside", "tools/call",
            [](const Json&) { return Scripted{.bytes = HttpReply(307, "", "Location: /mcp\r\n")}; },
            "failed BAD_RESULT", "it sends requests elsewhere", "elsewhere"}),
    [](const auto& item) { return std::string(item.param.name); });

TEST_F(RemoteMcp, CancelBeforeAndAfterTheServerWasAsked) {
  on_call_ = [](const Json&) {
    return Scripted{.bytes = std::string(kStream) + "\r\n", .hold = true};
  };
  auto call = Start(Of(), "r1");
  ASSERT_TRUE(Heard("tools/call"));
  executor_->Cancel(handle_);
  EXPECT_EQ(Brief(call.get()), "unknown CANCELLED");
  instead_["initialize"] = [](const Json&) { return Scripted{.bytes = "", .hold = true}; };
  auto waiting = Start(Of(), "r2");
  ASSERT_TRUE(Heard("initialize", 2));
  executor_->Cancel(handle_);
  EXPECT_EQ(Brief(waiting.get()), "not_started CANCELLED");
}

TEST_F(RemoteMcp, ACallThatIsNotAnsweredRunsIntoItsLimit) {
  EXPECT_EQ(Run().kind, OutcomeKind::kOk);
  on_call_ = [](const Json&) { return Scripted{.bytes = "", .hold = true}; };
  Manifest manifest = Of();
  manifest.limits.wall_ms = 1000;  // the session is there already: all of it is for the call
  const Outcome outcome = Start(manifest, "r1").get();
  // On a machine that is very busy not even the request went out in a second.
  if (outcome.kind != OutcomeKind::kNotStarted) {
    EXPECT_EQ(Brief(outcome), "timeout TIMEOUT");
    EXPECT_EQ(End().why, "a call ran into its wall limit");
  }
}

TEST_F(RemoteMcp, CallsOfARunWaitForEachOther) {
  std::vector<std::future<Outcome>> calls;
  calls.reserve(8);
  for (int i = 0; i < 8; ++i) calls.push_back(Start(Of(), "r1"));
  for (auto& call : calls) EXPECT_EQ(call.get().kind, OutcomeKind::kOk);
  EXPECT_EQ(Count("initialize"), 1);
}

TEST_F(RemoteMcp, TheEndOfTheExecutorEndsWhatIsIdleAndLeavesWhatIsAsked) {
  EXPECT_EQ(Run("idle").kind, OutcomeKind::kOk);
  std::promise<void> go;
  on_call_ = [gone = go.get_future().share()](const Json& id) {
    gone.wait();
    return Scripted{.bytes = HttpReply(200, Reply(id, Words("late")))};
  };
  auto asked = Start(Of(), "r1");
  ASSERT_TRUE(Heard("tools/call", 2));
  executor_.reset();
  go.set_value();
  EXPECT_EQ(asked.get().kind, OutcomeKind::kOk);
  EXPECT_TRUE(Heard("DELETE"));
}

}  // namespace
}  // namespace interlock::tools
