// The daemon's side of witnesses, with real witnesses behind a net that the test owns.
#include "runtime/witnesses.h"

#include <gmock/gmock.h>

#include <future>
#include <map>
#include <mutex>

#include "audit/cosignature.h"
#include "audit/proof.h"
#include "audit/verify.h"
#include "audit/witness.h"
#include "fixture.h"

namespace interlock::runtime {
namespace {

using audit::EntryOf;
using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Hands requests to functions by their URL; null: never answers until it is cancelled.
class Net final : public tools::Fetcher {
 public:
  using Host = std::function<core::StatusOr<tools::FetchResponse>(const std::string& body)>;

  void Set(const std::string& url, Host host) {
    const std::lock_guard lock(mutex_);
    hosts_[url + "/add-checkpoint"] = std::move(host);
  }
  std::uint64_t Fetch(tools::FetchRequest request,
                      std::function<void(core::StatusOr<tools::FetchResponse>)> done) override {
    Host host;
    {
      const std::lock_guard lock(mutex_);
      ++asked_;
      host = hosts_[request.url];
      if (!host) {
        held_[asked_] = std::move(done);
        hung_.notify_all();
        return asked_;
      }
    }
    done(host(request.body));
    return 0;
  }
  void Cancel(std::uint64_t handle) override {
    std::function<void(core::StatusOr<tools::FetchResponse>)> done;
    {
      const std::lock_guard lock(mutex_);
      done = std::move(held_[handle]);
    }
    if (done) done(core::Error(core::StatusCode::kCancelled, "cancelled"));
  }
  void WaitForHang() {
    std::unique_lock lock(mutex_);
    hung_.wait(lock, [this] { return !held_.empty(); });
  }
  std::uint64_t asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable hung_;
  std::map<std::string, Host> hosts_;
  std::map<std::uint64_t, std::function<void(core::StatusOr<tools::FetchResponse>)>> held_;
  std::uint64_t asked_ = 0;
};

constexpr char kUrl[] = "http://w1.example";

class WitnessesTest : public audit::LogFixture {
 protected:
  WitnessesTest() : log_(MustOpen()), witness_(MakeWitness("w1")) { Grow(*log_, 3); }

  std::unique_ptr<audit::Witness> MakeWitness(const std::string& name) {
    auto witness = audit::Witness::Open({.folder = folder_.path() + "/" + name,
                                         .name = "witness.example/" + name,
                                         .log_keys = {signer_->verifier_key()},
                                         .clock = &clock_});
    EXPECT_TRUE(witness.ok()) << witness.status();
    return *std::move(witness);
  }
  static void Grow(audit::Log& log, int entries) {
    for (int i = 0; i < entries; ++i) {
      ASSERT_TRUE(log.Append(EntryOf("call.decided", "")).ok());
    }
  }
  static Net::Host HostOf(audit::Witness& witness) {
    return [&witness](const std::string& body) {
      const audit::WitnessReply reply = witness.AddCheckpoint(body);
      tools::FetchResponse response;
      response.status = reply.status;
      response.headers = {{"content-type", reply.content_type}};
      response.body = reply.body;
      return response;
    };
  }
  // Shows the witness what a thief with the log's key makes of it: so many other entries.
  void ShowFork(int entries) {
    audit::TempFolder elsewhere;
    std::filesystem::copy_file(folder_.path() + "/signer/signer.key",
                               elsewhere.path() + "/signer.key");
    std::filesystem::permissions(elsewhere.path(), std::filesystem::perms::owner_all);
    const auto thief = *audit::OpenFileSigner(elsewhere.path(), "interlock.example/main");
    audit::LogOptions options = Options();
    options.folder = elsewhere.path() + "/log";
    options.signer = thief.get();
    const auto fork = MustOpen(options);
    for (int i = 0; i < entries; ++i) {
      ASSERT_TRUE(fork->Append(EntryOf("call.decided", "", R"({"n":2})")).ok());
    }
    const audit::ConsistencyText text{0, {}, fork->CheckpointNow()->note};
    ASSERT_EQ(witness_->AddCheckpoint(audit::ConsistencyBody(text)).status, 200);
  }
  void Start(std::int64_t interval_ms = 1) {
    WitnessesOptions options;
    options.log = log_.get();
    options.fetcher = &net_;
    options.clock = &clock_;
    options.witnesses = {{kUrl, witness_->verifier_key()}};
    options.interval_ms = interval_ms;
    options.patience_ms = 60'000;
    options.report = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      reports_.push_back(line);
      reported_.notify_all();
    };
    auto witnesses = StartWitnesses(std::move(options));
    ASSERT_TRUE(witnesses.ok()) << witnesses.status();
    witnesses_ = *std::move(witnesses);
  }
  core::Status AwaitCosigned(std::uint64_t index,
                             std::chrono::milliseconds limit = std::chrono::seconds(60)) {
    std::promise<core::Status> done;
    witnesses_->AwaitCosigned(index, steady_clock::now() + limit,
                              [&](const core::Status& status) { done.set_value(status); });
    return done.get_future().get();
  }
  std::string WaitForReport(std::size_t number) {
    std::unique_lock lock(mutex_);
    const auto come = [&] { return reports_.size() > number; };
    return reported_.wait_for(lock, std::chrono::seconds(60), come) ? reports_[number] : "";
  }

  std::unique_ptr<audit::Log> log_;
  std::unique_ptr<audit::Witness> witness_;
  Net net_;
  std::mutex mutex_;
  std::condition_variable reported_;
  std::vector<std::string> reports_;
  std::unique_ptr<Witnesses> witnesses_;
};

TEST_F(WitnessesTest, KeepsWhatAWitnessCosignsAndGoesOnFromThere) {
  net_.Set(kUrl, HostOf(*witness_));
  ASSERT_TRUE(log_->CheckpointNow().ok());
  Start();
  ASSERT_TRUE(AwaitCosigned(2).ok());
  for (int round = 0; round < 3; ++round) {
    Grow(*log_, 5);
    ASSERT_TRUE(log_->CheckpointNow().ok());
    ASSERT_TRUE(AwaitCosigned(log_->size() - 1).ok());
  }
  const auto head = log_->CosignedCheckpoint();
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->size, 18u);
  EXPECT_TRUE(audit::CosignedAt(head->note, witness_->verifier_key()).ok());
  EXPECT_TRUE(audit::OpenCheckpoint(head->note, signer_->verifier_key()).ok());
  EXPECT_THAT(witnesses_->warnings(), IsEmpty());
}

TEST_F(WitnessesTest, TheLastHeadIsCosignedAtTheEnd) {
  net_.Set(kUrl, HostOf(*witness_));
  ASSERT_TRUE(log_->CheckpointNow().ok());
  Start(3'600'000);
  ASSERT_TRUE(AwaitCosigned(2).ok());
  Grow(*log_, 4);
  witnesses_.reset();
  log_.reset();
  audit::VerifyOptions options;
  options.database = Database();
  options.witness_keys = {witness_->verifier_key()};
  const audit::VerifyReport report = audit::Verify(options);
  EXPECT_EQ(report.verdict, audit::Verdict::kIntact) << report.reason;
  EXPECT_EQ(report.signed_entries, 7u);
}

TEST_F(WitnessesTest, AForkIsALoudWarningWhateverItsSize) {
  for (const int entries : {2, 3, 9}) {
    witness_.reset();
    std::filesystem::remove_all(folder_.path() + "/w1");
    witness_ = MakeWitness("w1");
    ShowFork(entries);
    net_.Set(kUrl, HostOf(*witness_));
    ASSERT_TRUE(log_->CheckpointNow().ok());
    const std::size_t before = reports_.size();
    Start();
    EXPECT_THAT(WaitForReport(before), HasSubstr("CONTRADICTS THIS LOG")) << entries;
    EXPECT_THAT(witnesses_->warnings(), ElementsAre(HasSubstr("CONTRADICTS THIS LOG")));
    EXPECT_EQ(log_->CosignedCheckpoint().status().code(), core::StatusCode::kNotFound);
    witnesses_.reset();
  }
}

TEST_F(WitnessesTest, AForeignKeyIsRefused) {
  const auto other = MakeWitness("w2");
  net_.Set(kUrl, HostOf(*other));
  ASSERT_TRUE(log_->CheckpointNow().ok());
  Start();
  EXPECT_THAT(WaitForReport(0), HasSubstr("answers with other keys"));
  witnesses_.reset();  // before `other`
  EXPECT_EQ(log_->CosignedCheckpoint().status().code(), core::StatusCode::kNotFound);
}

TEST_F(WitnessesTest, AwayIsAWarningOnlyAfterAWhile) {
  net_.Set(kUrl, [](const std::string&) -> core::StatusOr<tools::FetchResponse> {
    return core::Unavailable("cannot connect to w1");
  });
  ASSERT_TRUE(log_->CheckpointNow().ok());
  Start();
  EXPECT_EQ(AwaitCosigned(2, std::chrono::milliseconds(30)).code(),
            core::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(witnesses_->warnings(), IsEmpty());
  clock_.Advance(61'000'000);
  EXPECT_THAT(WaitForReport(0), HasSubstr("has not cosigned for 61 s: cannot connect to w1"));
  EXPECT_THAT(witnesses_->warnings(), ElementsAre(HasSubstr("has not cosigned for 61 s")));
  net_.Set(kUrl, HostOf(*witness_));
  EXPECT_TRUE(AwaitCosigned(2).ok());
  EXPECT_THAT(WaitForReport(1), HasSubstr("is well again"));
  EXPECT_THAT(witnesses_->warnings(), IsEmpty());
}

TEST_F(WitnessesTest, AWitnessThatHangsHoldsUpNobody) {
  net_.Set(kUrl, nullptr);
  ASSERT_TRUE(log_->CheckpointNow().ok());
  Start();
  net_.WaitForHang();
  Grow(*log_, 300);
  EXPECT_EQ(log_->CheckpointNow()->size, 303u);
  net_.Set(kUrl, HostOf(*witness_));
  witnesses_.reset();  // cuts the hanging one short, then shows the last head
  EXPECT_EQ(log_->CosignedCheckpoint()->size, 303u);
}

TEST_F(WitnessesTest, IsAskedNoMoreOftenThanTheInterval) {
  net_.Set(kUrl, HostOf(*witness_));
  ASSERT_TRUE(log_->CheckpointNow().ok());
  Start(3'600'000);
  ASSERT_TRUE(AwaitCosigned(2).ok());
  const std::uint64_t asked = net_.asked();
  for (int i = 0; i < 20; ++i) {
    Grow(*log_, 1);
    ASSERT_TRUE(log_->CheckpointNow().ok());
    EXPECT_EQ(AwaitCosigned(log_->size() - 1, std::chrono::milliseconds(1)).code(),
              core::StatusCode::kDeadlineExceeded);
  }
  EXPECT_EQ(net_.asked(), asked);
}

}  // namespace
}  // namespace interlock::runtime
