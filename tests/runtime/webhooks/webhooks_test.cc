// Webhooks: what is sent, to whom, how often, and what a restart makes of it; against a real server
// on loopback, by the one fetcher.
#include "runtime/webhooks.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <fstream>
#include <mutex>

#include "core/digest.h"
#include "core/json.h"
#include "fixture.h"
#include "loopback_server.h"
#include "webhooks/notice.h"

namespace interlock::runtime {
namespace {

using audit::EntryOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kSecret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr char kApproval[] = "0190c2a4-7d2e-7c3a-8b1f-00000000000a";
const std::string kRequested =
    std::string(R"({"approval":")") + kApproval +
    R"(","approvers":["role:cs-manager"],"call":"c1","demand":{"bytes":9,"commit":"ab","slot":0},)"
    R"("expires_us":1700003600000000,"quorum":1,"rule":"refund/large","tool":"refunds.create"})";

std::string HeaderIn(const std::string& request, const std::string& name) {
  const std::size_t at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 4;
  return request.substr(begin, request.find("\r\n", begin) - begin);
}

core::Json BodyIn(const std::string& request) {
  return core::Json::parse(request.substr(request.find("\r\n\r\n") + 4));
}

// Answers with the statuses of a list, then with 204, and lets a test wait for requests.
class Hook {
 public:
  explicit Hook(std::vector<std::string> replies = {})
      : replies_(std::move(replies)), server_([this](int number, const std::string&) {
          const std::lock_guard lock(mutex_);
          seen_ = number + 1;
          changed_.notify_all();
          const auto at = static_cast<std::size_t>(number);
          if (at >= replies_.size()) return testing::Scripted{testing::HttpReply(204, "")};
          return testing::Scripted{replies_[at]};
        }) {}
  void WaitFor(int requests) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(20), [&] { return seen_ >= requests; }))
        << seen_ << " of " << requests;
  }
  std::vector<std::string> requests() const { return server_.requests(); }
  std::string url() const { return server_.url("/hook"); }

 private:
  std::vector<std::string> replies_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int seen_ = 0;
  testing::LoopbackServer server_;
};

class WebhooksTest : public audit::LogFixture {
 protected:
  WebhooksTest() : log_(MustOpen()) {
    std::ofstream(SecretFile()) << kSecret << '\n';
    auto fetcher = tools::MakeFetcher({});
    EXPECT_TRUE(fetcher.ok()) << fetcher.status();
    fetcher_ = *std::move(fetcher);
  }
  std::string SecretFile() const { return folder_.path() + "/secret"; }
  std::string PlaceFile() const { return folder_.path() + "/webhook-desk"; }

  WebhookConfig ConfigOf(const std::string& url) const {
    WebhookConfig config;
    config.name = "desk";
    config.tenant = "main";
    config.url = url;
    config.secret_file = SecretFile();
    config.link = "https://console.example/{tenant}/approvals/{approval}";
    config.allow_private = true;
    return config;
  }
  WebhookConfig ChatOf(const std::string& url, std::vector<std::string> events) const {
    WebhookConfig config = ConfigOf(url);
    config.body = WebhookBody::kChat;
    config.events = std::move(events);
    return config;
  }
  core::StatusOr<std::unique_ptr<Webhooks>> Start(const WebhookConfig& config) {
    WebhooksOptions options;
    options.tenant = "main";
    options.folder = folder_.path();
    options.log = log_.get();
    options.fetcher = fetcher_.get();
    options.clock = &clock_;
    options.random = &random_;
    options.hooks = {config};
    options.interval_ms = 1;
    options.backoff_ms = 1;
    options.backoff_max_ms = 4;
    options.report = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      reported_.push_back(line);
      changed_.notify_all();
    };
    return StartWebhooks(std::move(options));
  }
  std::unique_ptr<Webhooks> MustStart(const WebhookConfig& config) {
    auto started = Start(config);
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? *std::move(started) : nullptr;
  }
  void Append(const std::string& kind, const std::string& body) {
    const auto added = log_->Append(EntryOf(kind, audit::kRunA, body), {});
    ASSERT_TRUE(added.ok()) << added.status();
  }
  std::vector<std::string> WaitForReports(std::size_t lines) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20),
                                  [&] { return reported_.size() >= lines; }));
    return reported_;
  }

  std::unique_ptr<audit::Log> log_;
  std::unique_ptr<tools::Fetcher> fetcher_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> reported_;
};

// The example of the Standard Webhooks specification.
TEST(Notice, SignsAsTheStandardSays) {
  const auto secret = SecretBytes(kSecret);
  ASSERT_TRUE(secret.ok()) << secret.status();
  const Headers headers =
      SignedHeaders(*secret, 1614265330,
                    {.id = "msg_p5jXN8AQM9LWM0D4loKWxJek", .body = R"({"test": 2432232314})"});
  EXPECT_EQ(headers[1].second, "msg_p5jXN8AQM9LWM0D4loKWxJek");
  EXPECT_EQ(headers[2].second, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  EXPECT_EQ(headers[3].second, "1614265330");
}

TEST(Notice, RefusesWeakSecrets) {
  for (const std::string& bad :
       {std::string("secret"), std::string("whsec_"), "whsec_" + core::Base64(std::string(23, 'x')),
        "whsec_" + core::Base64(std::string(65, 'x')), core::Base64(std::string(32, 'x'))}) {
    EXPECT_FALSE(SecretBytes(bad).ok()) << bad;
    EXPECT_THAT(std::string(core::Message(SecretBytes(bad).status())), Not(HasSubstr("xxxx")));
  }
  EXPECT_TRUE(SecretBytes("whsec_" + core::Base64(std::string(24, 'x')) + "\r\n").ok());
}

TEST(Notice, BacksOffUpToTheMost) {
  for (const std::uint32_t random : {0u, 7u, 4'000'000'000u}) {
    for (const auto& [failures, whole] :
         {std::pair{1, 100}, {2, 200}, {4, 800}, {5, 1000}, {99, 1000}}) {
      const std::int64_t pause = BackoffMs(100, 1000, failures, random);
      EXPECT_GE(pause, whole / 2);
      EXPECT_LE(pause, whole);
    }
  }
}

TEST_F(WebhooksTest, TellsOfAnApprovalSignedAndWithoutContent) {
  Hook hook;
  const auto webhooks = MustStart(ConfigOf(hook.url()));
  Append("run.started", R"({"n":1})");
  Append("approval.requested", kRequested);
  hook.WaitFor(1);
  const std::string request = hook.requests().at(0);
  const core::Json body = BodyIn(request);
  EXPECT_EQ(body["type"], "approval.requested");
  EXPECT_EQ(body["data"]["approval"], kApproval);
  EXPECT_EQ(body["data"]["run"], audit::kRunA);
  EXPECT_EQ(body["data"]["link"],
            std::string("https://console.example/main/approvals/") + kApproval);
  for (const char* absent : {"tool", "rule", "approvers", "demand"}) {
    EXPECT_FALSE(body["data"].contains(absent)) << absent;
  }
  const auto entry = log_->Read(1);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(HeaderIn(request, "webhook-id"), core::Hex(entry->leaf_hash));
  const std::string time = HeaderIn(request, "webhook-timestamp");
  EXPECT_EQ(time, "1700000000");
  const std::string text = request.substr(request.find("\r\n\r\n") + 4);
  const core::Digest mac = core::HmacSha256(*SecretBytes(kSecret),
                                            core::Hex(entry->leaf_hash) + "." + time + "." + text);
  EXPECT_EQ(HeaderIn(request, "webhook-signature"), "v1," + core::Base64(core::AsBytes(mac)));
}

TEST_F(WebhooksTest, DetailsAreThePlainFieldsAndNeverTheSealedOnes) {
  Hook hook;
  WebhookConfig config = ConfigOf(hook.url());
  config.details = true;
  const auto webhooks = MustStart(config);
  Append("approval.requested", kRequested);
  hook.WaitFor(1);
  const core::Json data = BodyIn(hook.requests().at(0))["data"];
  EXPECT_EQ(data["tool"], "refunds.create");
  EXPECT_EQ(data["rule"], "refund/large");
  EXPECT_EQ(data["approvers"], core::Json({"role:cs-manager"}));
  EXPECT_FALSE(data.contains("demand"));
}

TEST_F(WebhooksTest, AChatMessageIsATextWithALink) {
  Hook hook;
  auto webhooks = MustStart(ChatOf(hook.url(), {"approval.requested", "run.failed"}));
  Append("approval.granted", R"({"approval":"a","call":"c1"})");
  Append("approval.requested", kRequested);
  Append("run.failed", R"({"code":"LOOP"})");
  hook.WaitFor(2);
  webhooks.reset();
  ASSERT_THAT(hook.requests(), SizeIs(2));
  EXPECT_EQ(BodyIn(hook.requests()[0]),
            core::Json({{"text", std::string("An approval was requested, until 2023-11-14 23:13 "
                                             "UTC: https://console.example/main/approvals/") +
                                     kApproval}}));
  EXPECT_EQ(BodyIn(hook.requests()[1])["text"],
            "run failed: `interlock runs show " + audit::kRunA + "`")
      << "no link to no approval";
}

TEST_F(WebhooksTest, AChatMessageWithoutALinkNamesTheCommand) {
  Hook hook;
  WebhookConfig config = ChatOf(hook.url(), {"approval.granted"});
  config.link = "";
  auto webhooks = MustStart(config);
  Append("approval.granted", R"({"approval":"a","call":"c1"})");
  hook.WaitFor(1);
  webhooks.reset();
  EXPECT_EQ(BodyIn(hook.requests().at(0))["text"],
            "An approval was granted: `interlock approvals show a`");
}

TEST_F(WebhooksTest, AChatMessageOfOneYesOfSeveralSaysWhatIsMissing) {
  Hook hook;
  WebhookConfig config = ChatOf(hook.url(), {"approval.granted"});
  config.link = "https://console.example/{run}/{approval}";
  auto webhooks = MustStart(config);
  const std::string of = R"({"approval":"a","by":"principal:maria","call":"c1",)";
  Append("approval.granted", of + R"("complete":false,"missing":1})");
  Append("approval.granted", of + R"("complete":false,"missing":2,"stage":2})");
  Append("approval.granted", of + R"("complete":false,"stage":1,"stage_complete":true})");
  Append("approval.granted", of + R"("complete":true})");
  hook.WaitFor(4);
  webhooks.reset();
  ASSERT_THAT(hook.requests(), SizeIs(4));
  std::vector<std::string> lines;
  for (const auto& request : hook.requests()) lines.push_back(BodyIn(request)["text"]);
  const std::string link = lines.at(0).substr(lines.at(0).find(": "));
  EXPECT_THAT(link, ::testing::EndsWith("/a"));
  EXPECT_EQ(lines.at(0), "An approval has a yes and needs 1 more" + link);
  EXPECT_EQ(lines.at(1), "An approval has a yes in stage 2 and needs 2 more" + link);
  EXPECT_EQ(lines.at(2), "An approval was granted in stage 1, the next is asked" + link);
  EXPECT_EQ(lines.at(3), "An approval was granted" + link);
}

TEST_F(WebhooksTest, ALinkThatLacksItsIdIsLeftOutOfADocumentToo) {
  Hook hook;
  WebhookConfig config = ConfigOf(hook.url());
  config.events = {"run.failed", "approval.granted"};
  auto webhooks = MustStart(config);
  Append("run.failed", R"({"code":"LOOP"})");
  Append("approval.granted", R"({"approval":"a","call":"c1"})");
  hook.WaitFor(2);
  webhooks.reset();
  EXPECT_FALSE(BodyIn(hook.requests().at(0))["data"].contains("link"));
  EXPECT_THAT(BodyIn(hook.requests().at(1))["data"]["link"].get<std::string>(),
              ::testing::EndsWith("/approvals/a"));
}

TEST_F(WebhooksTest, TriesAgainWithTheSameIdUntilItIsTaken) {
  Hook hook({testing::HttpReply(500, ""), testing::HttpReply(302, "", "Location: /other\r\n"),
             "nonsense"});
  const auto webhooks = MustStart(ConfigOf(hook.url()));
  Append("approval.requested", kRequested);
  Append("approval.expired", R"({"approval":"a","call":"c1"})");
  hook.WaitFor(5);
  const std::vector<std::string> requests = hook.requests();
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(HeaderIn(requests[i], "webhook-id"), HeaderIn(requests[0], "webhook-id"));
    EXPECT_THAT(requests[i], ::testing::StartsWith("POST /hook ")) << "no redirect is followed";
  }
  EXPECT_NE(HeaderIn(requests[4], "webhook-id"), HeaderIn(requests[0], "webhook-id"))
      << "in the order of the log";
  EXPECT_THAT(WaitForReports(2).front(), HasSubstr("it answered with status 500"));
  EXPECT_EQ(reported_.back(), "webhook `desk`: is well again");
  EXPECT_THAT(webhooks->warnings(), IsEmpty());
}

// The status says that it took it, however long the rest of its answer is.
TEST_F(WebhooksTest, AHookThatTookItMaySayMuch) {
  Hook hook({testing::HttpReply(200, std::string(100'000, 'x'))});
  const auto webhooks = MustStart(ConfigOf(hook.url()));
  Append("approval.requested", kRequested);
  Append("approval.requested", kRequested);
  hook.WaitFor(2);
  const auto requests = hook.requests();
  EXPECT_NE(HeaderIn(requests.at(0), "webhook-id"), HeaderIn(requests.at(1), "webhook-id"));
  EXPECT_THAT(webhooks->warnings(), IsEmpty());
}

TEST_F(WebhooksTest, GivesUpSoThatOneNoticeDoesNotHoldUpTheRest) {
  Hook hook(std::vector<std::string>(1000, testing::HttpReply(404, "")));
  WebhookConfig config = ConfigOf(hook.url());
  config.give_up_ms = 60'000;
  const auto webhooks = MustStart(config);
  Append("approval.requested", kRequested);
  hook.WaitFor(2);
  clock_.Advance(61'000'000);
  EXPECT_THAT(WaitForReports(2).back(), HasSubstr("gave up on notice "));
  const std::size_t tries = hook.requests().size();
  Append("approval.expired", R"({"approval":"a","call":"c1"})");
  hook.WaitFor(static_cast<int>(tries) + 1);
  EXPECT_EQ(BodyIn(hook.requests().at(tries))["type"], "approval.expired");
}

TEST_F(WebhooksTest, WhatIsRefusedForGoodHoldsUpTheRestForAFewTriesOnly) {
  std::vector<std::string> replies(2, testing::HttpReply(503, ""));
  replies.insert(replies.end(), 5, testing::HttpReply(422, ""));
  Hook hook(replies);
  const auto webhooks = MustStart(ConfigOf(hook.url()));
  Append("approval.requested", kRequested);
  Append("approval.expired", R"({"approval":"a","call":"c1"})");
  hook.WaitFor(8);
  EXPECT_EQ(BodyIn(hook.requests().at(6))["type"], "approval.requested");
  EXPECT_EQ(BodyIn(hook.requests().at(7))["type"], "approval.expired");
}

TEST_F(WebhooksTest, ARestartGoesOnWhereItWas) {
  Hook hook;
  Append("approval.requested", kRequested);  // before there was a hook: nobody is told
  {
    const auto first = MustStart(ConfigOf(hook.url()));
    Append("approval.granted", R"({"approval":"a1","call":"c1"})");
    Append("approval.rejected", R"({"approval":"a3","call":"c2"})");
    hook.WaitFor(2);  // so the first was taken for good; whether the second was is open
  }
  Append("approval.consumed", R"({"approval":"a1","call":"c1"})");
  Hook other;
  const auto again = MustStart(ConfigOf(other.url()));
  other.WaitFor(1);
  const bool repeated = BodyIn(other.requests().at(0))["type"] == "approval.rejected";
  other.WaitFor(repeated ? 2 : 1);
  std::vector<std::string> types;
  for (const std::string& request : hook.requests()) types.push_back(BodyIn(request)["type"]);
  EXPECT_THAT(types, ElementsAre("approval.granted", "approval.rejected"));
  EXPECT_EQ(BodyIn(other.requests().at(repeated ? 1 : 0))["type"], "approval.consumed");
}

TEST_F(WebhooksTest, WhatWasNotTakenBeforeTheEndIsToldAgainAfterAStart) {
  Hook away(std::vector<std::string>(1000, testing::HttpReply(503, "")));
  {
    const auto first = MustStart(ConfigOf(away.url()));
    Append("approval.requested", kRequested);
    away.WaitFor(1);
  }
  Hook back;
  const auto again = MustStart(ConfigOf(back.url()));
  back.WaitFor(1);
  EXPECT_EQ(HeaderIn(back.requests().at(0), "webhook-id"),
            HeaderIn(away.requests().at(0), "webhook-id"));
}

TEST_F(WebhooksTest, AnotherLogIsToldFromItsBeginning) {
  Hook hook;
  { const auto first = MustStart(ConfigOf(hook.url())); }
  std::ofstream(PlaceFile()) << R"({"before":")" << std::string(64, '0') << R"(","next":1})";
  Append("approval.requested", kRequested);
  const auto again = MustStart(ConfigOf(hook.url()));
  hook.WaitFor(1);
  EXPECT_EQ(BodyIn(hook.requests().at(0))["type"], "approval.requested");
}

TEST_F(WebhooksTest, AddressesOfThisMachineAreRefusedUnlessAllowed) {
  Hook hook;
  WebhookConfig config = ConfigOf(hook.url());
  config.allow_private = false;
  const auto webhooks = MustStart(config);
  Append("approval.requested", kRequested);
  EXPECT_THAT(WaitForReports(1).front(), HasSubstr("webhook `desk`: "));
  EXPECT_THAT(webhooks->warnings(), SizeIs(1));
  EXPECT_THAT(hook.requests(), IsEmpty());
}

TEST_F(WebhooksTest, SaysWhatIsWrongAtTheStart) {
  WebhookConfig config = ConfigOf("http://127.0.0.1:1/");
  std::ofstream(SecretFile()) << "short\n";
  EXPECT_THAT(std::string(core::Message(Start(config).status())), HasSubstr("openssl rand"));
  std::ofstream(SecretFile()) << kSecret;
  std::ofstream(PlaceFile()) << "nonsense";
  EXPECT_EQ(Start(config).status().code(), core::StatusCode::kDataLoss);
  config.secret_file += ".gone";
  EXPECT_EQ(Start(config).status().code(), core::StatusCode::kNotFound);
}

}  // namespace
}  // namespace interlock::runtime
