// Durable entries a second beside a bare SQLite loop that writes the same rows in the same batches.
//   bench_audit --benchmark_filter=…      compare the two `entries/s` of one run; machines differ.
#include <benchmark/benchmark.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/keys.h"
#include "audit/log.h"
#include "core/clock.h"
#include "core/random.h"

namespace interlock::audit {
namespace {

constexpr int kEntriesACommand = 4;  // one of the two commits of a governed call: about 4 entries
constexpr std::size_t kPayloadBytes = 400;
constexpr std::int64_t kEntriesARun = 200'000;  // entries a measurement

std::string TempFolder() {
  // Beside the build, not in a memory file system: a sync must be one.
  std::string pattern = "bench-audit-XXXXXX";
  return std::filesystem::absolute(::mkdtemp(pattern.data())).string();
}

double CpuMicros() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto micros = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

// The body of a decision, as long as a usual one.
std::string Body(const std::string& commit) {
  return R"({"call":"0190c2a4-7d2e-7c3a-8b1f-0123456789ab","code":"OK","decision":{"bytes":400,"commit":")" +
         commit +
         R"(","slot":0},"effect":"allow","input":"sha256:1111111111111111111111111111111111111111111111111111111111111111","round":0})";
}
constexpr std::string_view kPlainBody =
    R"({"amount":"1250","budget":"refunds-daily","call":"0190c2a4-7d2e-7c3a-8b1f-0123456789ab","limit":"500000","unit":"USD","window_us":86400000000})";

// Keeps `writers` commands in flight: each Done submits the next.
class Load {
 public:
  Load(Log& log, const SealedPayload& payload, int writers)
      : log_(log), payload_(payload), body_(Body(core::Hex(payload.commitment))) {
    core::SystemClock clock;
    core::SystemRandom random;
    for (int i = 0; i < writers; ++i) runs_.push_back(core::NewUuidV7(clock, random));
  }

  void Run(std::int64_t commands) {
    left_ = commands;
    pending_ = commands;
    for (std::size_t i = 0; i < runs_.size(); ++i) Next(i);
    std::unique_lock lock(mutex_);
    all_done_.wait(lock, [&] { return pending_ == 0; });
  }

 private:
  class Write final : public Command {
   public:
    Write(Load& load, std::size_t writer) : load_(load), writer_(writer), payload_(load.payload_) {}
    core::Status Apply(Transaction& transaction) override {
      const std::string& run = load_.runs_[writer_];
      INTERLOCK_RETURN_IF_ERROR(transaction
                                    .Append({.kind = "call.decided",
                                             .run = run,
                                             .actor = "engine",
                                             .body = load_.body_,
                                             .cites = {}},
                                            {&payload_, 1})
                                    .status());
      for (int i = 1; i < kEntriesACommand; ++i) {
        INTERLOCK_RETURN_IF_ERROR(transaction
                                      .Append({.kind = "budget.held",
                                               .run = run,
                                               .actor = "engine",
                                               .body = kPlainBody,
                                               .cites = {}})
                                      .status());
      }
      return core::OkStatus();
    }
    void Done(const core::Status& status) override {
      if (!status.ok()) std::abort();
      load_.Next(writer_);
      load_.Finished();
    }

   private:
    Load& load_;
    const std::size_t writer_;
    SealedPayload payload_;
  };

  void Next(std::size_t writer) {
    if (left_.fetch_sub(1) > 0)
      log_.Submit(std::make_unique<Write>(*this, writer), Urgency::kNormal);
  }
  void Finished() {
    if (pending_.fetch_sub(1) != 1) return;
    const std::lock_guard lock(mutex_);
    all_done_.notify_one();
  }

  Log& log_;
  const SealedPayload& payload_;
  const std::string body_;
  std::vector<std::string> runs_;
  std::atomic<std::int64_t> left_{0};
  std::atomic<std::int64_t> pending_{0};
  std::mutex mutex_;
  std::condition_variable all_done_;
};

std::int64_t CommandsFor(std::int64_t writers) {
  return std::min<std::int64_t>(kEntriesARun / kEntriesACommand, writers * 400);
}

SealedPayload SealOne(const std::string& folder) {
  core::SystemRandom random;
  auto keys = KeyStore::Open(folder + "/keys", &random);
  if (!keys.ok()) std::abort();
  return (*keys)->Seal(**(*keys)->KeyFor("bench"), "application/json",
                       std::string(kPayloadBytes, 'x'));
}

void Report(benchmark::State& state, std::int64_t entries, double cpu_us) {
  state.counters["entries/s"] =
      benchmark::Counter(static_cast<double>(entries), benchmark::Counter::kIsRate);
  state.counters["cpu_us/entry"] = cpu_us / static_cast<double>(std::max<std::int64_t>(entries, 1));
}

void LogAppends(benchmark::State& state) {
  const std::string folder = TempFolder();
  const SealedPayload payload = SealOne(folder);
  core::SystemClock clock;
  auto signer = OpenFileSigner(folder + "/signer", "bench.example/main");
  LogOptions options;
  options.folder = folder + "/tenants/main";
  options.tenant = "main";
  options.origin = "bench.example/main";
  options.clock = &clock;
  options.signer = signer->get();
  auto log = Log::Open(options);
  if (!log.ok()) std::abort();
  std::int64_t entries = 0;
  const double cpu = CpuMicros();
  for (auto _ : state) {
    const std::int64_t commands = CommandsFor(state.range(0));
    Load(**log, payload, static_cast<int>(state.range(0))).Run(commands);
    entries += commands * kEntriesACommand;
  }
  Report(state, entries, CpuMicros() - cpu);
  log->reset();
  std::filesystem::remove_all(folder);
}

// The floor: the same row sizes in the same batches through the same pragmas, without hashes,
// envelopes, triggers, queue, tree or projections.
void BareSqlite(benchmark::State& state) {
  const std::string folder = TempFolder();
  sqlite3* db = nullptr;
  sqlite3_open((folder + "/bare.db").c_str(), &db);
  sqlite3_exec(
      db,
      "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
      "CREATE TABLE entry(idx INTEGER PRIMARY KEY, hash BLOB, bytes BLOB);"
      "CREATE TABLE payload(id INTEGER PRIMARY KEY, key_id TEXT, commitment BLOB, media TEXT,"
      "plain_bytes INTEGER, sealed BLOB)",
      nullptr, nullptr, nullptr);
  sqlite3_stmt* entry = nullptr;
  sqlite3_stmt* payload = nullptr;
  sqlite3_prepare_v2(db, "INSERT INTO entry VALUES(?, ?, ?)", -1, &entry, nullptr);
  sqlite3_prepare_v2(db, "INSERT INTO payload VALUES(?, ?, ?, ?, ?, ?)", -1, &payload, nullptr);
  const std::string hash(32, 'h');
  const std::string decided(640, 'd');
  const std::string held(480, 'b');
  const std::string sealed(kPayloadBytes + 72, 's');
  std::int64_t index = 0;
  const auto insert_entry = [&](const std::string& bytes) {
    sqlite3_bind_int64(entry, 1, index++);
    sqlite3_bind_blob(entry, 2, hash.data(), 32, SQLITE_STATIC);
    sqlite3_bind_blob(entry, 3, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
    sqlite3_step(entry);
    sqlite3_reset(entry);
  };
  const auto insert_payload = [&] {
    sqlite3_bind_int64(payload, 1, index << 8);
    sqlite3_bind_text(payload, 2, "0123456789abcdef01234567", 24, SQLITE_STATIC);
    sqlite3_bind_blob(payload, 3, hash.data(), 32, SQLITE_STATIC);
    sqlite3_bind_text(payload, 4, "application/json", 16, SQLITE_STATIC);
    sqlite3_bind_int64(payload, 5, kPayloadBytes);
    sqlite3_bind_blob(payload, 6, sealed.data(), static_cast<int>(sealed.size()), SQLITE_STATIC);
    sqlite3_step(payload);
    sqlite3_reset(payload);
  };
  std::int64_t entries = 0;
  const double cpu = CpuMicros();
  for (auto _ : state) {
    const std::int64_t commands = CommandsFor(state.range(0));
    for (std::int64_t done = 0; done < commands; done += state.range(0)) {
      sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
      for (std::int64_t i = 0; i < state.range(0); ++i) {
        insert_payload();
        insert_entry(decided);
        for (int n = 1; n < kEntriesACommand; ++n) insert_entry(held);
      }
      if (sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr) != SQLITE_OK) std::abort();
    }
    entries += commands * kEntriesACommand;
  }
  Report(state, entries, CpuMicros() - cpu);
  sqlite3_finalize(entry);
  sqlite3_finalize(payload);
  sqlite3_close(db);
  std::filesystem::remove_all(folder);
}

void KeyForCached(benchmark::State& state) {
  const std::string folder = TempFolder();
  core::SystemRandom random;
  auto keys = *KeyStore::Open(folder, &random);
  for (auto _ : state) benchmark::DoNotOptimize(keys->KeyFor("customer-7"));
  std::filesystem::remove_all(folder);
}

void Seal1KiB(benchmark::State& state) {
  const std::string folder = TempFolder();
  core::SystemRandom random;
  auto keys = *KeyStore::Open(folder, &random);
  const auto key = *keys->KeyFor("customer-7");
  const std::string text(1024, 'x');
  for (auto _ : state) benchmark::DoNotOptimize(keys->Seal(*key, "text/plain", text));
  std::filesystem::remove_all(folder);
}

BENCHMARK(BareSqlite)
    ->Arg(1)
    ->Arg(8)
    ->Arg(64)
    ->Arg(256)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(LogAppends)
    ->Arg(1)
    ->Arg(8)
    ->Arg(64)
    ->Arg(256)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(KeyForCached);
BENCHMARK(Seal1KiB);

}  // namespace
}  // namespace interlock::audit

BENCHMARK_MAIN();
