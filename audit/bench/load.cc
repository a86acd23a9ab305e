// Writers that keep commands in flight.
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>

#include "audit/commitment.h"
#include "bench.h"
#include "core/clock.h"
#include "core/random.h"

namespace interlock::audit::bench {
namespace {

// The body of a decision, as long as a usual one.
std::string DecisionBody(const SealedPayload& payload) {
  return R"({"call":"0190c2a4-7d2e-7c3a-8b1f-0123456789ab","code":"OK","decision":)" +
         CommitmentText(payload, 0) +
         R"(,"effect":"allow","input":"sha256:1111111111111111111111111111111111111111111111111111111111111111","round":0})";
}
constexpr std::string_view kPlainBody =
    R"({"amount":"1250","budget":"refunds-daily","call":"0190c2a4-7d2e-7c3a-8b1f-0123456789ab","limit":"500000","unit":"USD","window_us":86400000000})";
constexpr std::size_t kPayloadBytes = 400;
constexpr int kCommandsARun = 8;             // then the writer begins another run
constexpr double kCommandsASecond = 60'000;  // more than any disk that was met takes

class Load {
 public:
  Load(Log& log, const SealedPayload& payload, int writers)
      : log_(log),
        payload_(payload),
        body_(DecisionBody(payload)),
        writers_(static_cast<std::size_t>(writers)) {}

  LoadFigures Run(double seconds) {
    LoadFigures figures;
    log_.SetListener([&](std::uint64_t, std::uint64_t end) { figures.commits.push_back(end); });
    MakeReady(seconds);
    const std::uint64_t before = log_.size();
    const double cpu = CpuSeconds();
    const double start = Seconds();
    until_ = start + seconds;
    in_flight_ = static_cast<int>(writers_.size());
    for (std::size_t i = 0; i < writers_.size(); ++i) Next(i);
    {
      std::unique_lock lock(mutex_);
      ended_.wait(lock, [&] { return in_flight_ == 0; });
    }
    figures.seconds = Seconds() - start;
    figures.cpu_seconds = CpuSeconds() - cpu;
    figures.entries = static_cast<double>(log_.size() - before);
    // The listener of the last commit comes after its Done: this waits for it.
    static_cast<void>(log_.Query([](sqlite3*) { return core::OkStatus(); }));
    log_.SetListener({});
    return figures;
  }

 private:
  struct Writer {
    std::string run;
    int commands = kCommandsARun;
  };
  class Write final : public Command {
   public:
    explicit Write(Load& load) : load_(load), payload_(load.payload_) {}
    void SetWriter(std::size_t writer) { writer_ = writer; }
    core::Status Apply(Transaction& transaction) override {
      const std::string_view run = load_.writers_[writer_].run;
      NewEntry entry{
          .kind = "call.decided", .run = run, .actor = "engine", .body = load_.body_, .cites = {}};
      INTERLOCK_RETURN_IF_ERROR(transaction.Append(entry, {&payload_, 1}).status());
      entry.kind = "budget.held";
      entry.body = kPlainBody;
      for (int i = 1; i < kEntriesACommand; ++i) {
        INTERLOCK_RETURN_IF_ERROR(transaction.Append(entry).status());
      }
      return core::OkStatus();
    }
    void Done(const core::Status& status) override {
      if (!status.ok()) {
        std::cerr << "bench_audit: " << status << "\n";
        std::abort();
      }
      load_.Next(writer_);
    }

   private:
    Load& load_;
    std::size_t writer_ = 0;
    SealedPayload payload_;
  };

  // As the floor's rows, commands are in memory before the clock starts.
  void MakeReady(double seconds) {
    const auto count = static_cast<std::size_t>(seconds * kCommandsASecond);
    ready_.reserve(count);
    while (ready_.size() < count) ready_.push_back(std::make_unique<Write>(*this));
  }
  std::unique_ptr<Write> Ready(std::size_t writer) {
    const std::lock_guard lock(mutex_);  // the first ones come from another thread than the rest
    if (ready_.empty()) ready_.push_back(std::make_unique<Write>(*this));
    std::unique_ptr<Write> command = std::move(ready_.back());
    ready_.pop_back();
    command->SetWriter(writer);
    return command;
  }

  void Next(std::size_t i) {
    if (Seconds() >= until_) {
      const std::lock_guard lock(mutex_);
      if (--in_flight_ == 0) ended_.notify_one();
      return;
    }
    Writer& writer = writers_[i];
    if (writer.commands++ == kCommandsARun) {
      writer.run = core::NewUuidV7(clock_, random_);
      writer.commands = 1;
    }
    log_.Submit(Ready(i), Urgency::kNormal);
  }

  Log& log_;
  const SealedPayload& payload_;
  const std::string body_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  std::vector<Writer> writers_;
  std::vector<std::unique_ptr<Write>> ready_;
  double until_ = 0;
  std::mutex mutex_;
  int in_flight_ = 0;
  std::condition_variable ended_;
};

}  // namespace

LoadFigures RunLoad(Log& log, const SealedPayload& payload, int writers, double seconds) {
  return Load(log, payload, writers).Run(seconds);
}

SealedPayload SealOne(const std::string& folder) {
  core::SystemRandom random;
  auto keys = KeyStore::Open(folder + "/keys", &random);
  if (!keys.ok()) std::abort();
  return (*keys)->Seal(**(*keys)->KeyFor("bench"), "application/json",
                       std::string(kPayloadBytes, 'x'));
}

}  // namespace interlock::audit::bench
