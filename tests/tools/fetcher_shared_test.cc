// Requests that share a connection by HTTP/2, with a server that is not ours.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <random>
#include <string>
#include <vector>

#include "http2_peer.h"
#include "loopback_server.h"
#include "tools/fetcher.h"

namespace interlock::tools {
namespace {

using core::StatusCode;
using interlock::testing::Http2Peer;
using interlock::testing::LoopbackServer;
using interlock::testing::Scripted;
using Result = core::StatusOr<FetchResponse>;

struct Asked {
  std::future<Result> result;
  std::shared_ptr<std::atomic<bool>> sent;
  std::uint64_t handle = 0;
};

class SharedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Http2Peer::Installed()) GTEST_SKIP() << "node is not installed";
    Use(Http2Peer::Speaks::kHttp2);
  }

  void Use(Http2Peer::Speaks speaks, FetcherOptions options = {}) {
    fetcher_.reset();
    peer_ = std::make_unique<Http2Peer>(speaks);
    options.addresses.allow_loopback = true;
    options.ca_file = peer_->certificate();
    auto fetcher = MakeFetcher(std::move(options));
    ASSERT_TRUE(fetcher.ok()) << fetcher.status();
    fetcher_ = *std::move(fetcher);
  }

  FetchRequest Of(const std::string& path) const {
    FetchRequest request;
    request.method = "POST";
    request.url = peer_->url(path);
    request.may_share = true;
    request.timeout_ms = 30'000;
    return request;
  }

  Asked Ask(FetchRequest request) {
    auto promise = std::make_shared<std::promise<Result>>();
    Asked asked{.result = promise->get_future(),
                .sent = std::make_shared<std::atomic<bool>>(false)};
    request.sent = asked.sent;
    asked.handle = fetcher_->Fetch(
        std::move(request), [promise](Result result) { promise->set_value(std::move(result)); });
    return asked;
  }
  Asked Ask(const std::string& path) { return Ask(Of(path)); }
  Result Get(const std::string& path) { return Ask(path).result.get(); }

  // So many that the server has, and does not answer.
  std::vector<Asked> Hold(int count) {
    std::vector<Asked> held;
    held.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) held.push_back(Ask("/hold"));
    EXPECT_EQ(peer_->Tell("held " + std::to_string(count)), "ok");
    return held;
  }

  void ExpectOk(std::vector<Asked>& all) {
    for (Asked& one : all) {
      const Result got = one.result.get();
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(got->body, "ok");
    }
  }

  std::unique_ptr<Http2Peer> peer_;
  std::unique_ptr<Fetcher> fetcher_;
};

TEST_F(SharedTest, ManyRequestsShareOneConnection) {
  std::vector<Asked> held = Hold(30);
  EXPECT_EQ(peer_->Tell("connections"), "1");
  peer_->Tell("release");
  ExpectOk(held);
  const Result got = Get("/ok");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->body, "2.0");
  EXPECT_EQ(peer_->Tell("connections"), "1");
}

TEST_F(SharedTest, MoreRequestsShareMoreConnections) {
  for (int round = 0; round < 3; ++round) {
    std::vector<Asked> held = Hold(100);
    EXPECT_EQ(peer_->Tell("connections"), "4");
    peer_->Tell("release");
    ExpectOk(held);
  }
}

TEST_F(SharedTest, WhoMayNotShareSpeaksHttp1) {
  FetchRequest request = Of("/ok");
  request.may_share = false;
  EXPECT_EQ(Ask(std::move(request)).result.get()->body, "1.1");
  request = Of("/ok");
  request.addresses = AddressPolicy{.allow_loopback = true, .allow_private = false, .ports = {}};
  EXPECT_EQ(Ask(std::move(request)).result.get()->body, "1.1");
  EXPECT_EQ(Get("/ok")->body, "2.0");
}

TEST_F(SharedTest, AServerOfHttp1HasAConnectionForEach) {
  Use(Http2Peer::Speaks::kHttp1);
  EXPECT_EQ(Get("/ok")->body, "1.1");
  for (int round = 0; round < 2; ++round) {
    std::vector<Asked> held = Hold(40);
    peer_->Tell("release");
    ExpectOk(held);
  }
}

// Its first requests at once: nobody knows yet what it speaks.
TEST_F(SharedTest, AServerOfHttp1AnswersABurst) {
  Use(Http2Peer::Speaks::kHttp1);
  std::vector<Asked> held = Hold(100);
  peer_->Tell("release");
  ExpectOk(held);
}

TEST_F(SharedTest, AResetOfOneLeavesTheOthers) {
  std::vector<Asked> held = Hold(5);
  for (const char* const path : {"/reset", "/refuse", "/half"}) {
    Asked one = Ask(path);
    EXPECT_EQ(one.result.get().status().code(), StatusCode::kUnavailable) << path;
    EXPECT_TRUE(*one.sent);
  }
  EXPECT_TRUE(Get("/ok").ok());
  peer_->Tell("release");
  ExpectOk(held);
  EXPECT_EQ(peer_->Tell("requests"), "9") << "something was sent twice";
}

TEST_F(SharedTest, WhatAServerThatGoesAwayHasNotProcessedFails) {
  std::vector<Asked> held = Hold(10);
  peer_->Tell("goaway 9");  // streams have odd numbers
  for (int i = 9; i >= 5; --i) {
    EXPECT_EQ(held.back().result.get().status().code(), StatusCode::kUnavailable) << i;
    held.pop_back();
  }
  EXPECT_TRUE(Get("/ok").ok());
  EXPECT_EQ(peer_->Tell("connections"), "2");
  peer_->Tell("release");
  ExpectOk(held);
}

TEST_F(SharedTest, EachFailsByItselfWhereTheConnectionDies) {
  std::vector<Asked> held = Hold(30);
  peer_->Tell("kill");
  for (Asked& one : held) {
    EXPECT_EQ(one.result.get().status().code(), StatusCode::kUnavailable);
    EXPECT_TRUE(*one.sent);
  }
  EXPECT_EQ(peer_->Tell("requests"), "30") << "something was sent twice";
  EXPECT_TRUE(Get("/ok").ok());
}

TEST_F(SharedTest, OneThatEndsWhileItIsIdleIsNotUsedAgain) {
  for (int i = 0; i < 5; ++i) {
    const Result got = Get("/ok");
    ASSERT_TRUE(got.ok()) << got.status();
    peer_->Tell("kill");
  }
  EXPECT_EQ(peer_->Tell("connections"), "5");
}

TEST_F(SharedTest, ASlowOneTimesOutAlone) {
  FetchRequest slow = Of("/hold");
  slow.timeout_ms = 300;
  std::vector<Asked> held = Hold(1);
  EXPECT_EQ(Ask(std::move(slow)).result.get().status().code(), StatusCode::kDeadlineExceeded);
  // Nobody knows whether the connection is well: it takes no more.
  EXPECT_TRUE(Get("/ok").ok());
  EXPECT_EQ(peer_->Tell("connections"), "2");
  peer_->Tell("release");
  ExpectOk(held);
}

TEST_F(SharedTest, TheServerLearnsOfACancel) {
  std::vector<Asked> held = Hold(1);
  fetcher_->Cancel(held[0].handle);
  EXPECT_EQ(held[0].result.get().status().code(), StatusCode::kCancelled);
  EXPECT_EQ(peer_->Tell("aborted 1"), "ok");
  EXPECT_TRUE(Get("/ok").ok());
}

TEST_F(SharedTest, ACancelLeavesTheOthers) {
  std::vector<Asked> held = Hold(3);
  fetcher_->Cancel(held.back().handle);
  EXPECT_EQ(held.back().result.get().status().code(), StatusCode::kCancelled);
  held.pop_back();
  peer_->Tell("release");
  ExpectOk(held);
}

TEST_F(SharedTest, EventsComeWholeAndInOrder) {
  std::string whole;
  for (int i = 0; i < 50; ++i) whole += "data: " + std::to_string(i) + "\n\n";
  std::vector<std::string> told(20);
  std::vector<Asked> all;
  for (std::string& text : told) {
    FetchRequest request = Of("/events");
    request.on_body = [&text](int status, std::string_view piece) {
      text += std::to_string(status).substr(0, status == 200 ? 0 : 3);
      text += piece;
      return Wanted::kMore;
    };
    all.push_back(Ask(std::move(request)));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Result got = all[i].result.get();
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->body, whole);
    EXPECT_EQ(told[i], whole);
  }
}

TEST_F(SharedTest, AStreamOfWhichNoMoreIsWantedDoesNotCloseTheConnection) {
  std::vector<Asked> held = Hold(2);
  for (int i = 0; i < 3; ++i) {
    FetchRequest request = Of("/endless");
    request.on_body = [](int, std::string_view) { return Wanted::kNoMore; };
    const Result got = Ask(std::move(request)).result.get();
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->body, "data: [DONE]\n\n");
  }
  EXPECT_EQ(peer_->Tell("connections"), "1");
  peer_->Tell("release");
  ExpectOk(held);
}

TEST_F(SharedTest, WhatIsTooLargeIsRefusedAlone) {
  std::vector<Asked> held = Hold(3);
  std::vector<Asked> large;
  large.reserve(10);
  for (int i = 0; i < 5; ++i) large.push_back(Ask("/big"));
  for (int i = 0; i < 5; ++i) {
    FetchRequest request = Of("/headers");
    request.header_bytes_max = 1'000;
    large.push_back(Ask(std::move(request)));
  }
  for (Asked& one : large) {
    EXPECT_EQ(one.result.get().status().code(), StatusCode::kResourceExhausted);
  }
  peer_->Tell("release");
  ExpectOk(held);
}

TEST_F(SharedTest, LargeHeadersComeWhole) {
  for (int round = 0; round < 10; ++round) {
    std::vector<Asked> all;
    all.reserve(20);
    for (int i = 0; i < 20; ++i) all.push_back(Ask("/headers"));
    for (Asked& one : all) {
      const Result got = one.result.get();
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(got->body, "ok");
      for (int i = 0; i < 60; ++i) {
        ASSERT_EQ(got->Header("x-" + std::to_string(i)), std::string(100, 'y')) << i;
      }
    }
  }
}

TEST_F(SharedTest, LargeBodiesComeAndGoWhole) {
  std::vector<Asked> all;
  for (int i = 0; i < 10; ++i) {
    FetchRequest up = Of("/count");
    up.body.assign((1 << 20) + static_cast<std::size_t>(i), 'u');
    all.push_back(Ask(std::move(up)));
    FetchRequest down = Of("/big");
    down.body_bytes_max = 8 << 20;
    all.push_back(Ask(std::move(down)));
  }
  for (std::size_t i = 0; i < all.size(); i += 2) {
    const Result up = all[i].result.get();
    ASSERT_TRUE(up.ok()) << up.status();
    EXPECT_EQ(up->body, std::to_string((1 << 20) + i / 2));
    const Result down = all[i + 1].result.get();
    ASSERT_TRUE(down.ok()) << down.status();
    EXPECT_EQ(down->body, std::string(4 << 20, 'x'));
  }
}

double CpuSeconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

// libcurl 7.88 would ask all the time whether it may write.
TEST_F(SharedTest, ABodyThatItsServerDoesNotReadCostsNothing) {
  ASSERT_TRUE(Get("/ok").ok());
  FetchRequest request = Of("/hold");
  request.body.assign(500'000, 'u');
  request.timeout_ms = 1'000;
  const double before = CpuSeconds();
  EXPECT_EQ(Ask(std::move(request)).result.get().status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_LT(CpuSeconds() - before, 0.4);
}

// Whatever becomes of the others: no byte of one reply is in another's.
TEST_F(SharedTest, EachGetsItsOwnReply) {
  std::minstd_rand random(19);
  std::vector<std::string> bodies;
  std::vector<Asked> all;
  for (int i = 0; i < 600; ++i) {
    FetchRequest request = Of("/echo");
    request.body =
        std::to_string(i) + ":" +
        std::string(random() % (i % 10 == 0 ? 200'000 : 9'000), static_cast<char>('a' + i % 26));
    if (i % 7 == 0) request.body_bytes_max = request.body.size() / 2;
    bodies.push_back(request.body);
    all.push_back(Ask(std::move(request)));
    if (i % 11 == 0) fetcher_->Cancel(all[random() % all.size()].handle);
    if (i % 50 == 49) {
      EXPECT_TRUE(Get("/ok").ok());
    }
  }
  int good = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Result got = all[i].result.get();
    if (got.ok()) {
      EXPECT_EQ(got->body, bodies[i]);
      ++good;
    } else if (got.status().code() != StatusCode::kCancelled) {
      EXPECT_EQ(got.status().code(), StatusCode::kResourceExhausted) << got.status();
      EXPECT_EQ(i % 7, 0u);
    }
  }
  EXPECT_GE(good, 400);
}

// It takes connections, and says nothing.
TEST_F(SharedTest, WhoWaitsForAConnectionWaitsNoLongerThanItSaid) {
  LoopbackServer mute([](int, const std::string&) { return Scripted{.bytes = "", .hold = true}; });
  std::vector<Asked> all;
  for (int i = 0; i < 10; ++i) {
    FetchRequest request = Of("/");
    request.url = "https://127.0.0.1:" + std::to_string(mute.port()) + "/";
    request.connect_timeout_ms = 400;
    all.push_back(Ask(std::move(request)));
  }
  for (Asked& one : all) {
    EXPECT_EQ(one.result.get().status().code(), StatusCode::kDeadlineExceeded);
    EXPECT_FALSE(*one.sent);
  }
}

TEST_F(SharedTest, WhoWaitsForAConnectionCanBeCancelled) {
  LoopbackServer mute([](int, const std::string&) { return Scripted{.bytes = "", .hold = true}; });
  std::vector<Asked> all;
  for (int i = 0; i < 10; ++i) {
    FetchRequest request = Of("/");
    request.url = "https://127.0.0.1:" + std::to_string(mute.port()) + "/";
    all.push_back(Ask(std::move(request)));
  }
  for (Asked& one : all) {
    fetcher_->Cancel(one.handle);
    EXPECT_EQ(one.result.get().status().code(), StatusCode::kCancelled);
    EXPECT_FALSE(*one.sent);
  }
}

// Those that wait for a connection are counted when it is their turn.
TEST_F(SharedTest, NoMoreAreUnderWayThanTheFetcherMayHave) {
  FetcherOptions options;
  options.transfers_max = 10;
  Use(Http2Peer::Speaks::kHttp2, std::move(options));
  std::vector<Asked> all;
  all.reserve(20);
  for (int i = 0; i < 20; ++i) all.push_back(Ask("/hold"));
  EXPECT_EQ(peer_->Tell("held 10"), "ok");
  EXPECT_EQ(all.back().result.get().status().code(), StatusCode::kResourceExhausted);
  all.pop_back();
  peer_->Tell("release");
  const auto taken = std::count_if(all.begin(), all.end(), [](Asked& one) {
    const Result got = one.result.get();
    if (!got.ok()) {
      EXPECT_EQ(got.status().code(), StatusCode::kResourceExhausted) << got.status();
    }
    return got.ok();
  });
  EXPECT_EQ(taken, 10);
}

TEST_F(SharedTest, NobodyToConnectToFailsEach) {
  std::vector<Asked> all;
  for (int i = 0; i < 40; ++i) {
    FetchRequest request = Of("/");
    request.url = "https://127.0.0.1:1/";
    all.push_back(Ask(std::move(request)));
  }
  for (Asked& one : all) {
    EXPECT_EQ(one.result.get().status().code(), StatusCode::kUnavailable);
    EXPECT_FALSE(*one.sent);
  }
}

TEST_F(SharedTest, TheFetcherEndsWithItsRequests) {
  std::vector<Asked> held = Hold(40);
  fetcher_.reset();
  for (Asked& one : held) EXPECT_EQ(one.result.get().status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace interlock::tools
