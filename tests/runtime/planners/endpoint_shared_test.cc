// Planners that share connections by HTTP/2, with a server that is not ours.
#include "endpoint_fixture.h"
#include "http2_peer.h"

namespace interlock::runtime::test {
namespace {

using interlock::testing::Http2Peer;

class SharedEndpointTest : public EndpointTest {
 protected:
  void SetUp() override {
    if (!Http2Peer::Installed()) GTEST_SKIP() << "node is not installed";
    EndpointTest::SetUp();
    peer_ = std::make_unique<Http2Peer>(Http2Peer::Speaks::kHttp2);
    tools::FetcherOptions fetching;
    fetching.addresses.allow_loopback = true;
    fetching.ca_file = peer_->certificate();
    auto fetcher = tools::MakeFetcher(std::move(fetching));
    ASSERT_TRUE(fetcher.ok()) << fetcher.status();
    fetcher_ = *std::move(fetcher);
  }
  void TearDown() override {
    planner_.reset();  // before the fetcher, which it borrows
    EndpointTest::TearDown();
  }

  ModelOptions Shared() {
    ModelOptions options = Options(peer_->url("/v1"));
    options.http2 = true;
    return options;
  }

  std::unique_ptr<Http2Peer> peer_;
};

TEST_F(SharedEndpointTest, RequestsShareAConnection) {
  Start(Shared());
  std::vector<std::future<Result>> all;
  all.reserve(20);
  for (int i = 0; i < 20; ++i) all.push_back(Begin());
  for (auto& one : all) {
    const Result plan = one.get();
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->text, "2.0");
  }
  EXPECT_EQ(peer_->Tell("connections"), "1");
}

TEST_F(SharedEndpointTest, WithoutTheSwitchEachHasItsOwn) {
  Start(Options(peer_->url("/v1")));
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "1.1");
}

// libcurl 7.88 may take it for whole.
TEST_F(SharedEndpointTest, AStreamThatIsResetInItsMiddleIsAskedForAgain) {
  ModelOptions options = Shared();
  options.stream = true;
  Start(std::move(options));
  const Result plan = Propose();
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->text, "2.0");
  EXPECT_EQ(peer_->Tell("requests"), "2");
}

}  // namespace
}  // namespace interlock::runtime::test
