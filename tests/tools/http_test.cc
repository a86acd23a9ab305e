// HTTP tools: what goes out, what a reply means, redirects, floods and bombs.
#include <gmock/gmock.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "executor_fixture.h"
#include "harness/temp_folder.h"
#include "loopback_server.h"

namespace interlock::tools {
namespace {

using interlock::testing::HttpReply;
using interlock::testing::LoopbackServer;
using interlock::testing::Scripted;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Gzip(std::string_view text) {
  z_stream stream{};
  constexpr int kGzipWindow = 15 + 16;
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, kGzipWindow, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class HttpTool : public ::testing::Test {
 protected:
  HttpTool() {
    fetcher_ = *MakeFetcher({});
    executor_ = MakeExecutor(
        {.launcher = nullptr, .clock = &clock_, .builtins = {}, .fetcher = fetcher_.get()});
  }
  static LoopbackServer::Answer Always(std::string bytes) {
    return [bytes = std::move(bytes)](int, const std::string&) { return Scripted{.bytes = bytes}; };
  }
  static Manifest Of(const std::string& url, Effect effect = Effect::kRead) {
    Manifest manifest = ProcessManifest(effect);
    manifest.process.reset();
    manifest.http = HttpSpec{};
    manifest.http->url = url;
    manifest.http->networks = {"127.0.0.1"};
    manifest.limits.wall_ms = 5000;
    return manifest;
  }
  std::future<Outcome> Start(Manifest manifest, const std::string& order = "o-1") {
    const std::shared_ptr<const Tool> tool = MakeTool(std::move(manifest));
    CallSpec spec;
    spec.tool = tool;
    spec.args = *tool->ValidateArgs(core::Json{{"order_id", order}});
    spec.session = {{"user", "c/1"}};
    spec.call_id = "call-1";
    spec.idempotency_key = "key-1";
    core::PermitTerms terms{.call_id = spec.call_id,
                            .tool_digest = tool->digest(),
                            .args_digest = spec.args.digest,
                            .limits_digest = tool->limits_digest(),
                            .expires_monotonic_us = clock_.now + core::kPermitLifeMicros};
    auto promise = std::make_shared<std::promise<Outcome>>();
    handle_ = executor_->Run(mint_.Mint(std::move(terms)), std::move(spec),
                             [promise](Outcome end) { promise->set_value(std::move(end)); });
    return promise->get_future();
  }
  Outcome Run(Manifest manifest, const std::string& order = "o-1") {
    return Start(std::move(manifest), order).get();
  }

  FakeClock clock_;
  core::PermitMint mint_;
  std::unique_ptr<Fetcher> fetcher_;
  std::unique_ptr<Executor> executor_;
  std::uint64_t handle_ = 0;
};

TEST_F(HttpTool, SendsItsArgumentsWhereTheManifestSays) {
  LoopbackServer server(Always(HttpReply(200, R"({"state":"paid"})")));
  const test::TempFolder folder;
  const std::string token = folder.File("token");
  std::ofstream(token) << "Bearer s3cret\nnot this\n";
  Manifest manifest = Of(server.url("/v1/{args.order_id}?user={session.user}"), Effect::kWrite);
  manifest.http->method = "POST";
  manifest.http->sends_args = true;
  manifest.http->headers = {{"X-Shop", "1"}};
  manifest.http->header_files = {{"Authorization", token}};
  EXPECT_THAT(MakeTool(manifest)->canonical_manifest(), Not(HasSubstr("s3cret")));
  const Outcome outcome = Run(manifest, "o/../1 ?#");
  ASSERT_EQ(outcome.kind, OutcomeKind::kOk) << outcome.error;
  EXPECT_EQ(outcome.result, (core::Json{{"state", "paid"}}));
  EXPECT_FALSE(outcome.sandboxed);
  const std::string request = server.requests().at(0);
  EXPECT_THAT(request, HasSubstr("POST /v1/o%2F..%2F1%20%3F%23?user=c%2F1 HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("X-Shop: 1\r\n"));
  EXPECT_THAT(request, HasSubstr("Authorization: Bearer s3cret\r\n"));
  EXPECT_THAT(request, HasSubstr("Idempotency-Key: key-1\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\n\r\n{\"order_id\":\"o/../1 ?#\"}"));
}

TEST_F(HttpTool, AnArgumentThatWouldMoveThePathIsRefused) {
  LoopbackServer server(Always(HttpReply(200, "{}")));
  for (const char* order : {"", ".", ".."}) {
    const Outcome outcome = Run(Of(server.url("/v1/{args.order_id}/x")), order);
    EXPECT_EQ(outcome.kind, OutcomeKind::kNotStarted);
    EXPECT_EQ(outcome.error_code, "REFUSED");
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpTool, PrivateAddressesNeedToBeNamed) {
  LoopbackServer server(Always(HttpReply(200, "{}")));
  Manifest manifest = Of(server.url("/"));
  manifest.http->networks.clear();
  const Outcome outcome = Run(manifest);
  EXPECT_EQ(outcome.kind, OutcomeKind::kNotStarted);
  EXPECT_EQ(outcome.error_code, "REFUSED");
  EXPECT_EQ(outcome.error, "address `127.0.0.1` is refused: loopback");
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpTool, AReplyMeansWhatItsStatusAndTheEffectSay) {
  struct Row {
    int status;
    const char* body;
    Effect effect;
    OutcomeKind kind;
    const char* code;
    bool reported;
  };
  const Row rows[] = {
      {200, "{}", Effect::kRead, OutcomeKind::kOk, "", false},
      {201, "7", Effect::kWrite, OutcomeKind::kOk, "", false},
      {204, "", Effect::kWrite, OutcomeKind::kOk, "", false},
      {200, "<html>", Effect::kRead, OutcomeKind::kFailed, "BAD_RESULT", false},
      {200, "{\"a\":1,\"a\":2}", Effect::kRead, OutcomeKind::kFailed, "BAD_RESULT", false},
      {404, "no", Effect::kRead, OutcomeKind::kFailed, "HTTP_404", true},
      {409, R"({"error":{"code":"CLOSED","message":"shut"}})", Effect::kWrite, OutcomeKind::kFailed,
       "CLOSED", true},
      {500, "", Effect::kRead, OutcomeKind::kFailed, "HTTP_500", false},
      {500, "", Effect::kWrite, OutcomeKind::kUnknown, "HTTP_500", false},
      {503, "", Effect::kMoney, OutcomeKind::kUnknown, "HTTP_503", false},
      {504, R"({"error":{"code":"UPSTREAM","message":"too late"}})", Effect::kMoney,
       OutcomeKind::kUnknown, "HTTP_504", false},
      {504, R"({"error":{"code":"UPSTREAM","message":"too late"}})", Effect::kRead,
       OutcomeKind::kFailed, "UPSTREAM", true},
  };
  for (const Row& row : rows) {
    LoopbackServer server(Always(HttpReply(row.status, row.body)));
    const Outcome outcome = Run(Of(server.url("/"), row.effect));
    EXPECT_EQ(outcome.kind, row.kind) << row.status << row.body << outcome.error;
    EXPECT_EQ(outcome.error_code, row.code) << row.status << row.body;
    EXPECT_EQ(outcome.reported_failure, row.reported) << row.status << row.body;
  }
}

TEST_F(HttpTool, NothingSentIsNotStartedAndALostReplyIsUnknown) {
  int port = 0;
  {
    LoopbackServer gone(Always(""));
    port = gone.port();
  }
  const std::string nobody = "http://127.0.0.1:" + std::to_string(port) + "/";
  EXPECT_EQ(Run(Of(nobody, Effect::kWrite)).error_code, "SETUP");
  EXPECT_EQ(Run(Of(nobody, Effect::kWrite)).kind, OutcomeKind::kNotStarted);
  LoopbackServer half(Always("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf"));
  EXPECT_EQ(Run(Of(half.url(), Effect::kWrite)).kind, OutcomeKind::kUnknown);
  EXPECT_EQ(Run(Of(half.url(), Effect::kWrite)).error_code, "LOST");
  EXPECT_EQ(Run(Of(half.url(), Effect::kRead)).kind, OutcomeKind::kFailed);
}

TEST_F(HttpTool, ASlowServerMeetsTheWallLimitAndACancelEndsIt) {
  LoopbackServer server(
      [](int, const std::string&) { return Scripted{.bytes = "", .hold = true}; });
  Manifest manifest = Of(server.url("/"));
  manifest.limits.wall_ms = 100;
  EXPECT_EQ(Run(manifest).kind, OutcomeKind::kTimeout);
  manifest.limits.wall_ms = 60'000;
  auto ended = Start(manifest);
  while (server.requests().size() < 2) std::this_thread::yield();
  executor_->Cancel(handle_);
  const Outcome outcome = ended.get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kFailed);
  EXPECT_EQ(outcome.error_code, "CANCELLED");
}

TEST_F(HttpTool, RedirectsStayWhereTheManifestAllows) {
  LoopbackServer other(Always(HttpReply(200, R"("moved")")));
  LoopbackServer server([&](int, const std::string& request) {
    const bool away = request.find("GET /away") == 0;
    const bool here = request.find("GET /here") == 0;
    const std::string to = away ? other.url("/x") : "/end";
    if (!away && !here) return Scripted{.bytes = HttpReply(200, R"("here")")};
    return Scripted{.bytes = HttpReply(302, "", "Location: " + to + "\r\n")};
  });
  Manifest manifest = Of(server.url("/here"));
  manifest.http->headers = {{"X-Token", "t"}};
  EXPECT_EQ(Run(manifest).result, "here");
  manifest.http->url = server.url("/away");
  const Outcome refused = Run(manifest);
  EXPECT_EQ(refused.kind, OutcomeKind::kFailed);
  EXPECT_EQ(refused.error_code, "REFUSED_REDIRECT");
  EXPECT_EQ(refused.error,
            "redirect to `" + other.url() + "` is refused: not among the tool's `redirects`");
  EXPECT_TRUE(other.requests().empty());
  manifest.http->redirects = {other.url()};
  EXPECT_EQ(Run(manifest).result, "moved");
  // What was meant for one place does not go to the other.
  EXPECT_THAT(other.requests().at(0), Not(HasSubstr("X-Token")));
  manifest.effect = Effect::kWrite;
  manifest.http->redirects.clear();
  EXPECT_EQ(Run(manifest).kind, OutcomeKind::kUnknown);
}

// The first place has perhaps done it, and the second refuses whom it does not know.
TEST_F(HttpTool, AFailureBehindARedirectDoesNotSayThatNothingHappened) {
  LoopbackServer server([](int, const std::string& request) {
    const bool first = request.find("POST /refund") == 0;
    return Scripted{.bytes = first ? HttpReply(303, "", "Location: /receipt\r\n")
                                   : HttpReply(401, R"({"error":{"code":"WHO","message":"?"}})")};
  });
  Manifest manifest = Of(server.url("/refund"), Effect::kMoney);
  manifest.http->method = "POST";
  const Outcome paid = Run(manifest);
  EXPECT_EQ(paid.kind, OutcomeKind::kUnknown);
  EXPECT_EQ(paid.error_code, "WHO");
  EXPECT_FALSE(paid.reported_failure);
  Manifest reads = Of(server.url("/refund"), Effect::kRead);
  reads.http->method = "POST";
  EXPECT_EQ(Run(reads).kind, OutcomeKind::kFailed);
}

// Being on the list says where a redirect may lead, not which address may stand behind it.
TEST_F(HttpTool, AListedRedirectIsJudgedAtTheSocketToo) {
  const std::pair<const char*, const char*> places[] = {
      {"http://10.0.0.1", "address `10.0.0.1` is refused: private"},
      {"http://169.254.169.254", "address `169.254.169.254` is refused: reserved"},
      {"http://[fd00:ec2::254]", "address `fd00:ec2::254` is refused: private"}};
  for (const auto& [to, error] : places) {
    LoopbackServer server(Always(HttpReply(302, "", "Location: " + std::string(to) + "/x\r\n")));
    Manifest manifest = Of(server.url("/"));
    manifest.http->redirects = {to};
    const Outcome outcome = Run(manifest);
    EXPECT_EQ(outcome.kind, OutcomeKind::kFailed) << to;
    EXPECT_EQ(outcome.error, error);
    EXPECT_EQ(server.requests().size(), 1u) << to;
  }
}

TEST_F(HttpTool, RedirectsToWhatIsNoPlaceAreRefused) {
  for (const char* to : {"http://169.254.169.254/", "http://[::1]/", "file:///etc/passwd",
                         "//127.0.0.2/", "http://user@127.0.0.1/", "gopher://127.0.0.1:6379/",
                         "http://2130706434/", "https://localhost/", "http://127.0.0.1/"}) {
    LoopbackServer server(Always(HttpReply(307, "", "Location: " + std::string(to) + "\r\n")));
    const Outcome outcome = Run(Of(server.url("/")));
    EXPECT_EQ(outcome.error_code, "REFUSED_REDIRECT") << to;
    EXPECT_EQ(server.requests().size(), 1u) << to;
  }
  LoopbackServer circle(Always(HttpReply(302, "", "Location: /again\r\n")));
  EXPECT_EQ(Run(Of(circle.url("/"))).error, "redirect is refused: more than 5 of them");
  EXPECT_EQ(circle.requests().size(), 6u);
}

TEST_F(HttpTool, FloodsAndBombsEndAtTheCap) {
  const std::string text = "\"" + std::string(100'000, 'x') + "\"";
  LoopbackServer small(Always(HttpReply(200, Gzip(text), "Content-Encoding: gzip\r\n")));
  Manifest manifest = Of(small.url("/"));
  EXPECT_EQ(Run(manifest).result, core::Json(std::string(100'000, 'x')));

  const std::string bomb = Gzip(std::string(64 << 20, ' '));
  ASSERT_LT(bomb.size(), 100'000u);
  LoopbackServer zeros(Always(HttpReply(200, bomb, "Content-Encoding: gzip\r\n")));
  const std::string twice = Gzip(bomb);
  LoopbackServer nested(Always(HttpReply(200, twice, "Content-Encoding: gzip, gzip\r\n")));
  const std::string plain(3 << 20, ' ');
  LoopbackServer liar(Always("HTTP/1.1 200 X\r\nConnection: close\r\n\r\n" + plain));
  LoopbackServer loud(Always("HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n" + plain));
  for (const LoopbackServer* server : {&zeros, &nested, &liar, &loud}) {
    manifest.http->url = server->url("/");
    manifest.limits.stdout_bytes = 1 << 20;
    const Outcome outcome = Run(manifest);
    EXPECT_EQ(outcome.kind, OutcomeKind::kViolation) << server->url() << outcome.error;
    EXPECT_EQ(outcome.error_code, "OUTPUT");
  }
}

TEST_F(HttpTool, ManifestsThatCannotBeMeantAreRefused) {
  const auto refused = [](auto change, const std::string& why) {
    Manifest manifest = Of("https://shop.example/v1/{args.order_id}");
    change(*manifest.http);
    const auto tool = Tool::FromManifest(manifest);
    EXPECT_THAT(std::string(core::Message(tool.status())), HasSubstr(why));
  };
  EXPECT_TRUE(Tool::FromManifest(Of("https://shop.example/v1/{args.order_id}")).ok());
  refused([](HttpSpec& h) { h.url = "https://{args.host}/"; }, "behind the host only");
  refused([](HttpSpec& h) { h.url = "https://shop.example:{args.port}/"; }, "behind the host");
  refused([](HttpSpec& h) { h.url = "https://u:p@shop.example/"; }, "no user name");
  refused([](HttpSpec& h) { h.url = "ftp://shop.example/"; }, "http or https");
  refused([](HttpSpec& h) { h.url = "https://shop.example/{nobody.x}"; }, "`url`");
  refused([](HttpSpec& h) { h.redirects = {"https://a.example/path"}; }, "without a path");
  refused([](HttpSpec& h) { h.redirects = {"*"}; }, "not a url");
  refused([](HttpSpec& h) { h.networks = {"0.0.0.0/0"}; }, "not a network");
  refused([](HttpSpec& h) { h.headers = {{"Host", "x"}}; }, "set by us");
  refused([](HttpSpec& h) { h.headers = {{"A", "x"}, {"a", "y"}}; }, "given twice");
  refused([](HttpSpec& h) { h.header_files = {{"A", "x"}}; }, "absolute path");
}

}  // namespace
}  // namespace interlock::tools
