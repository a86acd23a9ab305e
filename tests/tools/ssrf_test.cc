// Ways to make a request reach what it must not, each against a real fetcher, the real resolver
// seam and a server on loopback that must not be asked; and the same ways of writing an address,
// used harmlessly, which must work.
#include <gmock/gmock.h>

#include <future>
#include <map>

#include "loopback_server.h"
#include "tools/fetcher.h"

namespace interlock::tools {
namespace {

using interlock::testing::HttpReply;
using interlock::testing::LoopbackServer;
using interlock::testing::Scripted;
using Result = core::StatusOr<FetchResponse>;
using core::StatusCode;
using ::testing::MatchesRegex;

constexpr StatusCode kGuard = StatusCode::kPermissionDenied;  // refused at the socket
constexpr StatusCode kParser = StatusCode::kInvalidArgument;  // refused as a URL
constexpr StatusCode kNoName = StatusCode::kUnavailable;      // nobody has that name

// What names resolve to: as the public rebinding and echo services answer.
const std::map<std::string, std::vector<std::string>>& Names() {
  static const std::map<std::string, std::vector<std::string>> names = {
      {"127.0.0.1.nip.io", {"127.0.0.1"}},
      {"app.10.8.0.1.nip.io", {"10.8.0.1"}},
      {"7f000001.nip.io", {"127.0.0.1"}},
      {"localtest.me", {"127.0.0.1"}},
      {"spoofed.burpcollaborator.net", {"127.0.0.1"}},
      {"127.0.0.1.xip.example", {"127.0.0.1"}},
      {"ipv6-loopback.example", {"::1"}},
      {"mapped.example", {"::ffff:127.0.0.1"}},
      {"nat64.example", {"64:ff9b::7f00:1"}},
      {"metadata.google.internal", {"169.254.169.254"}},
      {"metadata.example", {"169.254.169.254"}},
      {"instance-data", {"169.254.169.254"}},
      {"alibaba.example", {"100.100.100.200"}},
      {"azure-wire.example", {"168.63.129.16"}},
      {"ula-metadata.example", {"fd00:ec2::254"}},
      {"intranet.example", {"192.168.1.10"}},
      {"kubernetes.default.svc", {"10.96.0.1"}},
      {"many.example", {"10.0.0.1", "127.0.0.1", "169.254.169.254"}},
      {"zero.example", {"0.0.0.0"}},
      {"localhost", {"127.0.0.1", "::1"}},
      {"localhost.", {"127.0.0.1"}},
      {"shop.example", {"127.0.0.1"}},
  };
  return names;
}

struct Case {
  const char* url;  // {p}: the loopback server's port
  StatusCode refused;
};

// Forms of 127.0.0.1 itself: refused by default, and the harmless twins where an operator names it.
const Case kForms[] = {
    {"http://127.0.0.1:{p}/", kGuard},
    {"http://2130706433:{p}/", kGuard},
    {"http://0x7f000001:{p}/", kGuard},
    {"http://0X7F000001:{p}/", kGuard},
    {"http://017700000001:{p}/", kGuard},
    {"http://0177.0.0.1:{p}/", kGuard},
    {"http://0177.0.0.01:{p}/", kGuard},
    {"http://00000177.0.0.1:{p}/", kGuard},
    {"http://0x7f.0x0.0x0.0x1:{p}/", kGuard},
    {"http://0x7f.1:{p}/", kGuard},
    {"http://0x7f.0.1:{p}/", kGuard},
    {"http://127.1:{p}/", kGuard},
    {"http://127.0.1:{p}/", kGuard},
    {"http://127.0x0.0.1:{p}/", kGuard},
    {"http://127.00000.000.0x1:{p}/", kGuard},
    {"http://%31%32%37.0.0.1:{p}/", kGuard},
    {"http://127%2e0%2e0%2e1:{p}/", kGuard},
    {"http://%31%32%37%2E%30%2E%30%2E%31:{p}/", kGuard},
    {"http:///127.0.0.1:{p}/", kGuard},
    {"HTTP://127.0.0.1:{p}/", kGuard},
    {"http:\\\\127.0.0.1:{p}/", kParser},
    {"http://localhost:{p}/", kGuard},
    {"http://LOCALHOST:{p}/", kGuard},
    {"http://lOcAlHoSt:{p}/a/../b", kGuard},
    {"http://%6c%6f%63%61%6c%68%6f%73%74:{p}/", kGuard},
    {"http://localtest.me:{p}/", kGuard},
    {"http://127.0.0.1.nip.io:{p}/", kGuard},
    {"http://7f000001.nip.io:{p}/", kGuard},
    {"http://127.0.0.1.xip.example:{p}/", kGuard},
    {"http://spoofed.burpcollaborator.net:{p}/", kGuard},
    {"http://shop.example:{p}/", kGuard},
    {"http://127.0.0.1:{p}/?url=https://good.example/", kGuard},
    {"http://127.0.0.1:{p}/#@good.example", kGuard},
    {"http://127.0.0.1:{p}?@good.example/", kGuard},
};

// Refused even where 127.0.0.1 is named.
const Case kHostile[] = {
    // neighbours and other spellings of this machine
    {"http://127.0.0.2:{p}/", kGuard},
    {"http://127.127.127.127/", kGuard},
    {"http://127.255.255.254/", kGuard},
    {"http://0/", kGuard},
    {"http://0.0.0.0:{p}/", kGuard},
    {"http://0.0.0.0:22/", kGuard},
    {"http://0x0/", kGuard},
    {"http://00.00.00.00/", kGuard},
    {"http://0.1.2.3/", kGuard},
    {"http://zero.example:{p}/", kGuard},
    {"http://255.255.255.255/", kGuard},
    {"http://4294967295/", kGuard},
    {"http://[::1]:{p}/", kGuard},
    {"http://[0:0:0:0:0:0:0:1]:{p}/", kGuard},
    {"http://[0000:0000:0000:0000:0000:0000:0000:0001]/", kGuard},
    {"http://[::]:{p}/", kGuard},
    {"http://[::]:25/", kGuard},
    {"http://ipv6-loopback.example:{p}/", kGuard},
    // IPv4 inside IPv6
    {"http://[::ffff:127.0.0.1]:{p}/", kGuard},
    {"http://[::ffff:7f00:1]:{p}/", kGuard},
    {"http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/", kGuard},
    {"http://[::ffff:0:127.0.0.1]/", kGuard},
    {"http://[::127.0.0.1]:{p}/", kGuard},
    {"http://[::7f00:1]:{p}/", kGuard},
    {"http://[::ffff:169.254.169.254]/", kGuard},
    {"http://[::ffff:a9fe:a9fe]/", kGuard},
    {"http://[::ffff:10.0.0.1]/", kGuard},
    {"http://[64:ff9b::7f00:1]/", kGuard},
    {"http://[64:ff9b::127.0.0.1]/", kGuard},
    {"http://[64:ff9b::a9fe:a9fe]/", kGuard},
    {"http://[64:ff9b:1::7f00:1]/", kGuard},
    {"http://[2002:7f00:1::]/", kGuard},
    {"http://[2002:a9fe:a9fe::]/", kGuard},
    {"http://[2002:0a00:0001::1]/", kGuard},
    {"http://[2001:0:53aa:64c:0:fbc4:80ff:fffe]/", kGuard},
    {"http://mapped.example:{p}/", kGuard},
    {"http://nat64.example/", kGuard},
    // other IPv6 that is not the internet
    {"http://[fe80::1]/", kGuard},
    {"http://[fe80::a9fe:a9fe]/", kGuard},
    {"http://[fe80::1%25lo]/", kParser},
    {"http://[fe80::1%lo]/", kParser},
    {"http://[fc00::1]/", kGuard},
    {"http://[fd00:ec2::254]/latest/meta-data/", kGuard},
    {"http://ula-metadata.example/", kGuard},
    {"http://[fec0::1]/", kGuard},
    {"http://[ff02::1]/", kGuard},
    {"http://[2001:db8::1]/", kGuard},
    {"http://[100::1]/", kGuard},
    {"http://[4000::1]/", kGuard},
    // metadata services
    {"http://169.254.169.254/latest/meta-data/", kGuard},
    {"http://169.254.169.254:80/", kGuard},
    {"http://2852039166/", kGuard},
    {"http://0xa9fea9fe/", kGuard},
    {"http://0xA9.0xFE.0xA9.0xFE/", kGuard},
    {"http://0251.0376.0251.0376/", kGuard},
    {"http://025177524776/", kGuard},
    {"http://169.254.43518/", kGuard},
    {"http://169.16689662/", kGuard},
    {"http://0xa9.254.0251.254/", kGuard},
    {"http://%31%36%39.254.169.254/", kGuard},
    {"http://169.254.170.2/v2/credentials", kGuard},
    {"http://169.254.0.1/", kGuard},
    {"http://metadata.google.internal/computeMetadata/v1/", kGuard},
    {"http://metadata.example/", kGuard},
    {"http://instance-data/latest/", kGuard},
    {"http://100.100.100.200/latest/meta-data/", kGuard},
    {"http://alibaba.example/", kGuard},
    {"http://168.63.129.16/", kGuard},
    {"http://azure-wire.example/", kGuard},
    {"http://192.0.0.192/latest/", kGuard},
    // private, shared, reserved
    {"http://10.0.0.1/", kGuard},
    {"http://167772161/", kGuard},
    {"http://012.0.0.1/", kGuard},
    {"http://0xa000001/", kGuard},
    {"http://10.1/", kGuard},
    {"http://172.16.0.1/", kGuard},
    {"http://172.31.255.254/", kGuard},
    {"http://192.168.0.1/", kGuard},
    {"http://192.168.257/", kGuard},
    {"http://3232235521/", kGuard},
    {"http://0xc0.0xa8.1/", kGuard},
    {"http://100.64.0.1/", kGuard},
    {"http://100.127.255.254/", kGuard},
    {"http://198.18.0.1/", kGuard},
    {"http://203.0.113.5/", kGuard},
    {"http://224.0.0.1/", kGuard},
    {"http://240.0.0.1/", kGuard},
    {"http://intranet.example/", kGuard},
    {"http://app.10.8.0.1.nip.io/", kGuard},
    {"http://kubernetes.default.svc/", kGuard},
    {"https://10.0.0.1/", kGuard},
    // user names, and confusion about where the host is
    {"http://good.example@127.0.0.1:{p}/", kParser},
    {"http://good.example:80@127.0.0.1:{p}/", kParser},
    {"http://127.0.0.1:{p}@good.example/", kParser},
    {"http://127.0.0.1%2f@good.example/", kParser},
    {"http://a:b@c:d@127.0.0.1:{p}/", kParser},
    {"http://@127.0.0.1:{p}/", kParser},
    {"http://good.example%40127.0.0.1:{p}/", kParser},
    {"http://good.example\\@127.0.0.1:{p}/", kParser},
    {"http://127.0.0.1:{p}\\@good.example/", kParser},
    {"http://good.example#@127.0.0.1:{p}/", kNoName},
    {"http://127.0.0.1:{p}:80/", kParser},
    {"http://127.0.0.1:0/", kParser},
    {"http://127.0.0.1:99999/", kParser},
    {"http://127.0.0.1:+80/", kParser},
    {"http://[::1/", kParser},
    {"http://::1/", kParser},
    {"http://[127.0.0.1]:{p}/", kParser},
    // characters that some resolver or browser would fold into digits and dots
    {"http://①②⑦.⓪.⓪.①:{p}/", kParser},
    {"http://127。0。0。1:{p}/", kParser},
    {"http://127．0．0．1:{p}/", kParser},
    {"http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{p}/", kParser},
    {"http://１２７.0.0.1:{p}/", kParser},
    {"http://127.0.0.1\xe2\x80\x8b:{p}/", kParser},
    {"http://%e2%91%a0%e2%91%a1%e2%91%a6.0.0.1/", kParser},
    {"http://local\thost:{p}/", kParser},
    {"http://127.0.0.1:{p}/\r\nHost: good.example", kParser},
    {"http://127.0.0.1\r\n:{p}/", kParser},
    {" http://127.0.0.1:{p}/", kParser},
    {"http://127.0.0.1%00.good.example:{p}/", kParser},
    {"http://127.0.0.1%0d%0a:{p}/", kParser},
    {"http://127.0.0.1%09:{p}/", kParser},
    // other schemes, and none
    {"file:///etc/passwd", kParser},
    {"file://localhost/etc/passwd", kParser},
    {"gopher://127.0.0.1:6379/_INFO", kParser},
    {"dict://127.0.0.1:11211/stats", kParser},
    {"ftp://127.0.0.1/", kParser},
    {"ldap://127.0.0.1/", kParser},
    {"tftp://127.0.0.1/x", kParser},
    {"smb://127.0.0.1/share", kParser},
    {"telnet://127.0.0.1:22", kParser},
    {"imap://127.0.0.1/", kParser},
    {"ws://127.0.0.1:{p}/", kParser},
    {"unix:///run/docker.sock", kParser},
    {"netdoc:///etc/passwd", kParser},
    {"jar:http://127.0.0.1:{p}/!/", kParser},
    {"data:text/plain,x", kParser},
    {"javascript:alert(1)", kParser},
    {"127.0.0.1:{p}/", kParser},
    {"//127.0.0.1:{p}/", kParser},
    {"localhost", kParser},
    {"http:", kParser},
    {"", kParser},
    {"http://127.0.0.1.:{p}/", kNoName},
    // names with several answers: none of them may be reached
    {"http://many.example/", kGuard},
};

// Other ports of an address that is named.
const Case kOtherPorts[] = {
    {"http://127.0.0.1:22/", kGuard},
    {"http://127.0.0.1/", kGuard},
    {"http://localtest.me:6379/", kGuard},
    {"http://shop.example:11211/", kGuard},
};

class Ssrf : public ::testing::Test {
 protected:
  Ssrf()
      : server_([](int, const std::string&) {
          return Scripted{.bytes = HttpReply(200, "from loopback")};
        }) {}

  void Make(AddressPolicy policy) {
    FetcherOptions options;
    options.addresses = std::move(policy);
    options.resolver = [this](const std::string& host) {
      const auto found = Names().find(host);
      if (host == "rebind.example") {
        return std::vector<std::string>{++lookups_ == 1 ? "127.0.0.1" : "10.8.0.1"};
      }
      return found == Names().end() ? std::vector<std::string>() : found->second;
    };
    auto fetcher = MakeFetcher(std::move(options));
    ASSERT_TRUE(fetcher.ok()) << fetcher.status();
    fetcher_ = *std::move(fetcher);
  }
  // Only 127.0.0.1, only the server's port.
  AddressPolicy NamesLoopback() const {
    AddressPolicy policy;
    policy.ports = {static_cast<std::uint16_t>(server_.port())};
    policy.networks = {*sandbox::Network::Parse("127.0.0.1")};
    return policy;
  }
  std::string Filled(std::string url) const {
    const std::size_t at = url.find("{p}");
    return at == std::string::npos ? url : url.replace(at, 3, std::to_string(server_.port()));
  }
  Result Get(const std::string& url) {
    FetchRequest request;
    request.url = Filled(url);
    request.timeout_ms = 5000;
    std::promise<Result> promise;
    fetcher_->Fetch(std::move(request),
                    [&](Result result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }

  LoopbackServer server_;
  std::unique_ptr<Fetcher> fetcher_;
  int lookups_ = 0;
};

TEST_F(Ssrf, EveryFormOfLoopbackIsRefusedByDefault) {
  Make({});
  for (const Case& item : kForms) {
    EXPECT_EQ(Get(item.url).status().code(), item.refused) << item.url;
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Ssrf, TheSameFormsPassWhereTheAddressIsNamed) {
  Make(NamesLoopback());
  int passed = 0;
  for (const Case& item : kForms) {
    const Result result = Get(item.url);
    if (item.refused == kParser) {
      EXPECT_EQ(result.status().code(), kParser) << item.url;
      continue;
    }
    ASSERT_TRUE(result.ok()) << item.url << ": " << result.status();
    EXPECT_EQ(result->body, "from loopback") << item.url;
    EXPECT_EQ(result->address, "127.0.0.1") << item.url;
    ++passed;
  }
  EXPECT_GE(passed, 30);
}

TEST_F(Ssrf, HostileUrlsReachNothingEvenThen) {
  static_assert(std::size(kForms) + std::size(kHostile) >= 120);
  Make(NamesLoopback());
  for (const Case& item : kHostile) {
    const Result result = Get(item.url);
    EXPECT_EQ(result.status().code(), item.refused) << item.url << ": " << result.status();
    if (item.refused != kGuard) continue;
    // For what it is, not for its port: that would hide an address that the table does not know.
    EXPECT_THAT(std::string(core::Message(result.status())),
                MatchesRegex("address `.*` is refused: (reserved|loopback|private)"))
        << item.url;
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Ssrf, ANamedAddressIsReachedOnItsPortsOnly) {
  Make(NamesLoopback());
  for (const Case& item : kOtherPorts) {
    const Result result = Get(item.url);
    EXPECT_EQ(result.status().code(), item.refused) << item.url;
    EXPECT_THAT(std::string(core::Message(result.status())),
                MatchesRegex("address `127.0.0.1` is refused: port [0-9]* is not on the list"));
  }
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Ssrf, ANameThatAnswersDifferentlyIsJudgedEachTime) {
  Make(NamesLoopback());
  const Result first = Get("http://rebind.example:{p}/");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->body, "from loopback");
  const Result second = Get("http://rebind.example:{p}/");
  EXPECT_EQ(second.status().code(), kGuard);
  EXPECT_EQ(core::Message(second.status()), "address `10.8.0.1` is refused: private");
  EXPECT_EQ(lookups_, 2) << "no answer is kept";
  EXPECT_EQ(server_.requests().size(), 1u);
}

TEST_F(Ssrf, ABodyWithoutEndIsCut) {
  const LoopbackServer endless([](int, const std::string&) {
    return Scripted{
        .bytes = "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n" + std::string(3 << 20, 'x'),
        .hold = true};
  });
  AddressPolicy policy;
  policy.allow_loopback = true;
  Make(policy);
  const Result result = Get(endless.url("/"));  // far below its deadline
  EXPECT_EQ(result.status().code(), StatusCode::kResourceExhausted) << result.status();
}

}  // namespace
}  // namespace interlock::tools
