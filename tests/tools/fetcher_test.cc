#include "tools/fetcher.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <future>

#include "loopback_server.h"

namespace interlock::tools {
namespace {

using interlock::testing::HttpReply;
using interlock::testing::LoopbackServer;
using interlock::testing::Scripted;
using ::testing::HasSubstr;
using ::testing::Not;
using Result = core::StatusOr<FetchResponse>;

class FetcherTest : public ::testing::Test {
 protected:
  void Make(AddressPolicy policy) {
    auto fetcher =
        MakeFetcher({.addresses = std::move(policy), .transfers_max = 100, .ca_file = ""});
    ASSERT_TRUE(fetcher.ok()) << fetcher.status();
    fetcher_ = *std::move(fetcher);
  }
  void SetUp() override { Make({.allow_loopback = true, .allow_private = false, .ports = {}}); }
  std::future<Result> Start(FetchRequest request) {
    auto promise = std::make_shared<std::promise<Result>>();
    handle_ = fetcher_->Fetch(std::move(request),
                              [promise](Result result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }
  Result Fetch(FetchRequest request) { return Start(std::move(request)).get(); }
  Result Get(const std::string& url) {
    FetchRequest request;
    request.url = url;
    return Fetch(std::move(request));
  }
  static LoopbackServer::Answer Always(std::string bytes) {
    return [bytes = std::move(bytes)](int, const std::string&) { return Scripted{.bytes = bytes}; };
  }

  std::unique_ptr<Fetcher> fetcher_;
  std::uint64_t handle_ = 0;
};

TEST_F(FetcherTest, SendsAndReceives) {
  LoopbackServer server(Always(HttpReply(404, "gone", "X-Test:  a b \r\n")));
  FetchRequest request;
  request.method = "POST";
  request.url = server.url("/path?q=1");
  request.headers = {{"X-One", "1"}, {"X-Empty", ""}};
  request.body = "hello";
  const Result result = Fetch(std::move(request));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->status, 404);
  EXPECT_EQ(result->body, "gone");
  EXPECT_EQ(result->Header("x-test"), "a b");
  EXPECT_EQ(result->Header("absent"), "");
  EXPECT_EQ(result->address, "127.0.0.1");
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_THAT(server.requests()[0], HasSubstr("POST /path?q=1 HTTP/1.1\r\n"));
  EXPECT_THAT(server.requests()[0], HasSubstr("X-One: 1\r\n"));
  EXPECT_THAT(server.requests()[0], HasSubstr("\r\n\r\nhello"));
}

TEST_F(FetcherTest, TheGuardStandsBeforeTheSocket) {
  LoopbackServer server(Always(HttpReply(200, "secret")));
  Make({});
  const std::string port = ":" + std::to_string(server.port()) + "/";
  for (const char* host :
       {"127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "localhost"}) {
    const Result result = Get("http://" + std::string(host) + port);
    EXPECT_EQ(result.status().code(), core::StatusCode::kPermissionDenied)
        << host << result.status();
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(FetcherTest, RefusesUrlsThatAreNotPlainHttp) {
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
                          "127.0.0.1", "", "http://user@127.0.0.1/", "http://user:pw@127.0.0.1/",
                          "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: 1", "http://①②⑦.0.0.1/",
                          "http://[fe80::1%25eth0]/", "http://", "javascript:alert(1)"}) {
    EXPECT_EQ(Get(url).status().code(), core::StatusCode::kInvalidArgument) << url;
  }
}

TEST_F(FetcherTest, RefusesHeadersThatWouldSmuggle) {
  for (const auto& header :
       std::vector<std::pair<std::string, std::string>>{{"X", "a\r\nY: b"},
                                                        {"X\r\nY", "a"},
                                                        {"", "a"},
                                                        {"X Y", "a"},
                                                        {"X", std::string("a\0b", 3)}}) {
    FetchRequest request;
    request.url = "http://127.0.0.1:1/";
    request.headers = {header};
    EXPECT_EQ(Fetch(std::move(request)).status().code(), core::StatusCode::kInvalidArgument);
  }
}

TEST_F(FetcherTest, DoesNotFollowRedirects) {
  LoopbackServer server(Always(HttpReply(302, "", "Location: http://127.0.0.1:1/\r\n")));
  const Result result = Get(server.url());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->status, 302);
  EXPECT_EQ(result->Header("location"), "http://127.0.0.1:1/");
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(FetcherTest, IgnoresProxiesOfTheEnvironment) {
  LoopbackServer server(Always(HttpReply(200, "direct")));
  setenv("http_proxy", "http://127.0.0.1:1/", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
  const Result result = Get(server.url());
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->body, "direct");
}

TEST_F(FetcherTest, CapsTheBodyWhateverItsLengthSays) {
  const std::string body(5000, 'x');
  LoopbackServer honest(Always(HttpReply(200, body)));
  LoopbackServer silent(Always("HTTP/1.1 200 X\r\nConnection: close\r\n\r\n" + body));
  for (const std::string& url : {honest.url(), silent.url()}) {
    FetchRequest request;
    request.url = url;
    request.body_bytes_max = 4999;
    EXPECT_EQ(Fetch(request).status().code(), core::StatusCode::kResourceExhausted);
    request.body_bytes_max = 5000;
    EXPECT_TRUE(Fetch(request).ok());
  }
}

TEST_F(FetcherTest, CapsHeaders) {
  std::string many;
  for (int i = 0; i < 300; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  LoopbackServer count(Always(HttpReply(200, "", many)));
  EXPECT_EQ(Get(count.url()).status().code(), core::StatusCode::kResourceExhausted);
  LoopbackServer bytes(Always(HttpReply(200, "", "X: " + std::string(70'000, 'x') + "\r\n")));
  EXPECT_EQ(Get(bytes.url()).status().code(), core::StatusCode::kResourceExhausted);
}

TEST_F(FetcherTest, ATimeoutIsADeadline) {
  LoopbackServer server(
      [](int, const std::string&) { return Scripted{.bytes = "", .hold = true}; });
  FetchRequest request;
  request.url = server.url();
  request.timeout_ms = 50;
  const Result result = Fetch(std::move(request));
  EXPECT_EQ(result.status().code(), core::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(core::Message(result.status()), "`127.0.0.1` did not answer in time");
}

TEST_F(FetcherTest, ABodyOfWhichNoMoreIsWantedEndsWell) {
  LoopbackServer server([](int, const std::string&) {
    return Scripted{.bytes = "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nall", .hold = true};
  });
  FetchRequest request;
  request.url = server.url();
  request.on_body = [](int status, std::string_view piece) -> core::StatusOr<Wanted> {
    EXPECT_EQ(status, 200);
    return piece == "all" ? Wanted::kNoMore : Wanted::kMore;
  };
  const Result result = Fetch(std::move(request));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, "all");
  // Its handle is in the middle of a transfer, and not used again.
  LoopbackServer next(Always(HttpReply(200, "next")));
  EXPECT_EQ(Get(next.url())->body, "next");
}

TEST_F(FetcherTest, AnErrorOfWhoReadsTheBodyEndsTheTransfer) {
  LoopbackServer server([](int, const std::string&) {
    return Scripted{.bytes = "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nbad", .hold = true};
  });
  FetchRequest request;
  request.url = server.url();
  request.on_body = [](int, std::string_view piece) -> core::StatusOr<Wanted> {
    return core::DataLoss("read " + std::string(piece));
  };
  const Result result = Fetch(std::move(request));
  EXPECT_EQ(result.status().code(), core::StatusCode::kDataLoss);
  EXPECT_EQ(core::Message(result.status()), "read bad");
}

TEST_F(FetcherTest, HalfARepliesAndGarbageAreErrors) {
  LoopbackServer half(Always("HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf"));
  EXPECT_EQ(Get(half.url()).status().code(), core::StatusCode::kUnavailable);
  LoopbackServer nothing(Always(""));
  EXPECT_EQ(Get(nothing.url()).status().code(), core::StatusCode::kUnavailable);
  LoopbackServer garbage(Always("\x01\x02 this is not http\r\n\r\n"));
  EXPECT_EQ(Get(garbage.url()).status().code(), core::StatusCode::kInvalidArgument);
}

TEST_F(FetcherTest, NobodyThereIsUnavailable) {
  int port = 0;
  {
    LoopbackServer server(Always(""));
    port = server.port();
  }
  const Result result = Get("http://127.0.0.1:" + std::to_string(port) + "/secret-path");
  EXPECT_EQ(result.status().code(), core::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(core::Message(result.status())), Not(HasSubstr("secret-path")));
}

TEST_F(FetcherTest, CancelEndsARunningAndAWaitingTransfer) {
  LoopbackServer server(
      [](int, const std::string&) { return Scripted{.bytes = "", .hold = true}; });
  FetchRequest request;
  request.url = server.url();
  auto running = Start(request);
  fetcher_->Cancel(handle_);
  EXPECT_EQ(running.get().status().code(), core::StatusCode::kCancelled);
  request.delay_ms = 3'600'000;
  auto waiting = Start(request);
  fetcher_->Cancel(handle_);
  fetcher_->Cancel(4711);
  EXPECT_EQ(waiting.get().status().code(), core::StatusCode::kCancelled);
}

TEST_F(FetcherTest, ItsEndCancelsWhatIsOpen) {
  LoopbackServer server(
      [](int, const std::string&) { return Scripted{.bytes = "", .hold = true}; });
  FetchRequest request;
  request.url = server.url();
  auto running = Start(request);
  request.delay_ms = 3'600'000;
  auto waiting = Start(request);
  fetcher_.reset();
  EXPECT_EQ(running.get().status().code(), core::StatusCode::kCancelled);
  EXPECT_EQ(waiting.get().status().code(), core::StatusCode::kCancelled);
}

TEST_F(FetcherTest, AskingAgainWhileItEndsIsCancelledToo) {
  FetchRequest request;
  request.url = "http://127.0.0.1:1/";
  request.delay_ms = 3'600'000;
  std::promise<core::StatusCode> second;
  fetcher_->Fetch(request, [&, fetcher = fetcher_.get()](Result) {
    fetcher->Fetch(request, [&](Result result) { second.set_value(result.status().code()); });
  });
  fetcher_.reset();
  EXPECT_EQ(second.get_future().get(), core::StatusCode::kCancelled);
}

TEST_F(FetcherTest, ACallbackMayFetchAgain) {
  LoopbackServer server([](int number, const std::string&) {
    return Scripted{.bytes = HttpReply(200, std::to_string(number))};
  });
  std::promise<std::string> second;
  FetchRequest request;
  request.url = server.url();
  fetcher_->Fetch(request, [&](Result) {
    fetcher_->Fetch(request,
                    [&](Result result) { second.set_value(result.ok() ? result->body : ""); });
  });
  EXPECT_EQ(second.get_future().get(), "1");
}

TEST_F(FetcherTest, ManyTransfersEndOnce) {
  LoopbackServer server(Always(HttpReply(200, "ok")));
  FetchRequest request;
  request.url = server.url();
  std::vector<std::future<Result>> results;
  for (int i = 0; i < 50; ++i) results.push_back(Start(request));
  for (auto& result : results) {
    const Result got = result.get();
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->body, "ok");
  }
}

}  // namespace
}  // namespace interlock::tools
