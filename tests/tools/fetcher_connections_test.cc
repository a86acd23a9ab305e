// What becomes of connections between transfers.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "core/check.h"
#include "tools/fetcher.h"

namespace interlock::tools {
namespace {

using Result = core::StatusOr<FetchResponse>;

// Answers all requests on all connections, and keeps these open. One thread.
class KeepingServer {
 public:
  // Answers as soon as so many requests are open. With `ends`, it ends each connection behind its
  // answer, of which the answer says nothing.
  struct Ways {
    std::size_t together = 1;
    bool ends = false;
  };
  explicit KeepingServer(Ways ways) : ways_(ways), wake_(::eventfd(0, EFD_CLOEXEC)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    INTERLOCK_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    INTERLOCK_CHECK(::listen(listener_, 256) == 0);
    INTERLOCK_CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Loop(); });
  }
  ~KeepingServer() {
    const std::uint64_t one = 1;
    INTERLOCK_CHECK(::write(wake_, &one, sizeof one) == sizeof one);
    thread_.join();
    for (const auto& [fd, ignored] : read_) ::close(fd);
    ::close(listener_);
    ::close(wake_);
  }
  KeepingServer(const KeepingServer&) = delete;
  KeepingServer& operator=(const KeepingServer&) = delete;

  std::string url(const std::string& host) const {
    return "http://" + host + ":" + std::to_string(port_) + "/";
  }
  int accepted() const { return accepted_.load(); }

 private:
  void Loop() {
    for (;;) {
      std::vector<pollfd> fds{{listener_, POLLIN, 0}, {wake_, POLLIN, 0}};
      for (const auto& [fd, ignored] : read_) fds.push_back({fd, POLLIN, 0});
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      if (fds[1].revents != 0) return;
      if (fds[0].revents != 0) Accept();
      for (std::size_t i = 2; i < fds.size(); ++i) {
        if (fds[i].revents != 0) Read(fds[i].fd);
      }
    }
  }

  void Accept() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    read_[fd];
    ++accepted_;
  }

  void Read(int fd) {
    char buffer[4096];
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) return Drop(fd);
    std::string& request = read_[fd].append(buffer, static_cast<std::size_t>(got));
    if (request.find("\r\n\r\n") == std::string::npos) return;
    request.clear();
    open_.push_back(fd);
    if (open_.size() < ways_.together) return;
    for (const int answered : std::exchange(open_, {})) {
      constexpr std::string_view kReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
      ::send(answered, kReply.data(), kReply.size(), MSG_NOSIGNAL);
      if (ways_.ends) Drop(answered);
    }
  }

  void Drop(int fd) {
    ::close(fd);
    read_.erase(fd);
  }

  const Ways ways_;
  const int wake_;
  int listener_ = -1;
  int port_ = 0;
  std::map<int, std::string> read_;  // by connection, of a request that is not whole yet
  std::vector<int> open_;            // connections whose request waits for its answer
  std::atomic<int> accepted_ = 0;
  std::thread thread_;
};

class ConnectionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    FetcherOptions options;
    options.addresses.allow_loopback = true;
    auto fetcher = MakeFetcher(std::move(options));
    ASSERT_TRUE(fetcher.ok()) << fetcher.status();
    fetcher_ = *std::move(fetcher);
  }
  std::future<Result> Start(const std::string& url) {
    FetchRequest request;
    request.url = url;
    return Start(std::move(request));
  }
  std::future<Result> Start(FetchRequest request) {
    auto promise = std::make_shared<std::promise<Result>>();
    fetcher_->Fetch(std::move(request),
                    [promise](Result result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }
  Result Get(const std::string& url) { return Start(url).get(); }

  std::unique_ptr<Fetcher> fetcher_;
};

TEST_F(ConnectionsTest, AsManyAreKeptAsWereUsedAtOnce) {
  constexpr int kAtOnce = 150;
  KeepingServer server({.together = kAtOnce, .ends = false});
  for (int round = 0; round < 3; ++round) {
    std::vector<std::future<Result>> all;
    for (int i = 0; i < kAtOnce; ++i) all.push_back(Start(server.url("127.0.0.1")));
    for (auto& one : all) {
      const Result got = one.get();
      ASSERT_TRUE(got.ok()) << got.status();
      EXPECT_EQ(got->body, "ok");
    }
  }
  EXPECT_EQ(server.accepted(), kAtOnce);
}

TEST_F(ConnectionsTest, OneIsKeptWhenItsBodyEndsBehindWhatWasWanted) {
  KeepingServer server({.together = 1, .ends = false});
  for (int i = 0; i < 5; ++i) {
    FetchRequest request;
    request.url = server.url("127.0.0.1");
    request.on_body = [](int, std::string_view) { return Wanted::kNoMore; };
    const Result got = Start(std::move(request)).get();
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->body, "ok");
  }
  EXPECT_EQ(server.accepted(), 1);
}

TEST_F(ConnectionsTest, OneThatItsServerHasEndedIsNotUsedAgain) {
  KeepingServer server({.together = 1, .ends = true});
  for (int i = 0; i < 50; ++i) {
    const Result got = Get(server.url("127.0.0.1"));
    ASSERT_TRUE(got.ok()) << got.status();
  }
  EXPECT_EQ(server.accepted(), 50);
}

// The numbers of sockets come again: of connections that failed, of libcurl's own for the name, and
// of those that its server has ended.
TEST_F(ConnectionsTest, ASocketOfAnOlderOnesNumberIsWatchedAnew) {
  for (int i = 0; i < 10; ++i) {
    KeepingServer server({.together = 1, .ends = i % 2 == 0});
    for (int j = 0; j < 5; ++j) {
      EXPECT_EQ(Get("http://127.0.0.1:1/").status().code(), core::StatusCode::kUnavailable);
      const Result named = Get(server.url("localhost"));  // another port is another look-up
      ASSERT_TRUE(named.ok()) << named.status();
      const Result got = Get(server.url("127.0.0.1"));
      ASSERT_TRUE(got.ok()) << got.status();
    }
  }
}

// Each of the requests finds the loop asleep, or on its way there.
TEST_F(ConnectionsTest, ARequestOfAnyThreadIsTakenAtOnce) {
  KeepingServer server({.together = 1, .ends = false});
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) good += Get(server.url("127.0.0.1")).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good.load(), 800);
}

}  // namespace
}  // namespace interlock::tools
