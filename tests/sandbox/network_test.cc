// What a box can reach when it is given a place on the network, and its output while it runs.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "boxes.h"

namespace interlock::sandbox::test {
namespace {

// Answers each connection with what it read, until it is destroyed.
class Echo {
 public:
  Echo() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* at = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, at, size) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, at, &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~Echo() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }

 private:
  void Serve() const {
    for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(fd)) {
      char part[256];
      for (ssize_t n; (n = ::read(fd, part, sizeof part)) > 0;) {
        if (::send(fd, part, static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) break;
      }
    }
  }
  const int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

class Network : public ::testing::TestWithParam<Ground> {
 protected:
  void SetUp() override {
    boxes_ = std::make_unique<Boxes>(GetParam(), 1);
    if (!boxes_->why_not().empty()) GTEST_SKIP() << GetParam().name << ": " << boxes_->why_not();
  }
  // A box that may reach the echo by `host`, where 127.0.0.1 is named unless `nothing_named`.
  BoxSpec Spec(const std::string& host, std::vector<std::string> args) const {
    BoxSpec spec = boxes_->Hostile(std::move(args));
    spec.destinations = {{host, echo_.port()}};
    spec.addresses.networks = {*sandbox::Network::Parse("127.0.0.1")};
    return spec;
  }
  std::string At(const std::string& host) const {
    return host + ":" + std::to_string(echo_.port());
  }
  std::string Says(const BoxSpec& spec) { return boxes_->Run(spec).stdout_bytes; }

  Echo echo_;
  std::unique_ptr<Boxes> boxes_;
};

TEST_P(Network, ReachesWhatItsCallNames) {
  EXPECT_EQ(Says(Spec("127.0.0.1", {"ask-broker", At("127.0.0.1")})), "hello\n");
  EXPECT_EQ(Says(Spec("localhost", {"ask-broker", At("localhost")})), "hello\n");
}

TEST_P(Network, ReachesNothingElse) {
  const std::string refusal = "ERR this destination is not among the call's";
  for (const std::string& place :
       {At("localhost"), At("127.0.0.2"), At("127.1"), std::string("127.0.0.1:22"),
        std::string("127.0.0.1"), At("127.0.0.1") + " ", At("127.0.0.1") + "/x", std::string()}) {
    EXPECT_EQ(Says(Spec("127.0.0.1", {"ask-broker", place})), refusal) << place;
  }
}

TEST_P(Network, TheAddressIsJudgedWhateverTheNameIs) {
  BoxSpec spec = Spec("localhost", {"ask-broker", At("localhost")});
  spec.addresses.networks.clear();
  const std::string said = Says(spec);
  EXPECT_TRUE(said == "ERR address `127.0.0.1` is refused: loopback" ||
              said == "ERR address `::1` is refused: loopback")
      << said;
}

TEST_P(Network, WithoutDestinationsThereIsNoChannel) {
  EXPECT_EQ(Says(boxes_->Hostile({"ask-broker", At("127.0.0.1")})), "no channel");
  EXPECT_EQ(Says(boxes_->Hostile({"descriptors"})), "0");
}

TEST_P(Network, ItsSocketsLeadNowhereElse) {
  const std::string said = Says(Spec("127.0.0.1", {"turn-broker-stream", At("127.0.0.1")}));
  EXPECT_EQ(said, "shut shut ");  // the channel and the stream
}

TEST_P(Network, OutputIsToldWhileTheProgramRuns) {
  std::mutex mutex;
  std::string told;
  bool before_end = false;
  BoxSpec spec = boxes_->Hostile({"drip"});
  spec.limits.wall_ms = 1500;
  spec.on_output = [&](Output output) {
    const std::lock_guard lock(mutex);
    before_end = true;
    if (!output.is_stderr) told += output.bytes;
  };
  const BoxResult result = boxes_->Run(spec);
  EXPECT_TRUE(before_end);
  EXPECT_GT(told.size(), 1u);
  EXPECT_EQ(told, result.stdout_bytes);
}

TEST_P(Network, AFloodIsToldUpToItsCap) {
  std::string told;
  BoxSpec spec = boxes_->Hostile({"flood"});
  spec.limits.stdout_bytes = 300 << 10;
  spec.on_output = [&](Output output) { told += output.bytes; };
  const BoxResult result = boxes_->Run(spec);
  EXPECT_EQ(result.kind, EndKind::kOutput);
  EXPECT_EQ(told, result.stdout_bytes);
}

INSTANTIATE_TEST_SUITE_P(Grounds, Network, ::testing::ValuesIn(kGrounds),
                         [](const auto& item) { return std::string(item.param.name); });

}  // namespace
}  // namespace interlock::sandbox::test
