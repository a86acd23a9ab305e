// Governed calls a second through the real gate and log: schema, ten rules, one budget hold, sealed
// arguments and result, two durable commits; the tool is a compiled-in no-op. Beside it, in the
// same folder: a bare SQLite loop that writes the same rows in batches of the same size, and one 4
// KiB append with fdatasync.
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "core/check.h"
#include "stack.h"

namespace {

std::atomic<std::uint64_t> commits{0};
std::atomic<std::int64_t> commit_sync_ns{0};

bool OnLogWriter() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return std::string_view(name) == "audit-writer";
}

}  // namespace

// Counts the durable commits: SQLite's calls land here because a program's symbols come before a
// library's. Heads and copies of the write-ahead log are synced by other threads.
extern "C" int fdatasync(int fd) {
  thread_local const bool on_writer = OnLogWriter();
  const auto start = std::chrono::steady_clock::now();
  const int result = static_cast<int>(syscall(SYS_fdatasync, fd));
  if (on_writer) {
    ++commits;
    commit_sync_ns += (std::chrono::steady_clock::now() - start).count();
  }
  return result;
}

namespace interlock::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFloorRowsMax = 200'000;

constexpr const char* kPolicy = R"lua(
policy "bench" { version = "1", owner = "bench", tools = { "bench.*" }, default = "deny" }
local CALLS = budget "bench.calls" { unit = "calls", limit = 1000000000000, per = "tenant", window = "1d" }
on("bench.pay", "may", function(c) return allow() end)
on("bench.pay", "hold", function(c) return reserve(CALLS, 1) end)
on("bench.pay", "r1", function(c) if c.args.amount < 0 then return deny { code = "NEGATIVE" } end end)
on("bench.pay", "r2", function(c) if c.args.amount > 100000 then return deny { code = "LARGE" } end end)
on("bench.pay", "r3", function(c) if c.args.order_id == "none" then return deny { code = "NONE" } end end)
on("bench.pay", "r4", function(c) if c.user ~= "maria" then return deny { code = "USER" } end end)
on("bench.pay", "r5", function(c) if c.session.channel ~= "chat" then return deny { code = "CHANNEL" } end end)
on("bench.pay", "r6", function(c) if #c.args.reason > 200 then return deny { code = "REASON" } end end)
on("bench.pay", "r7", function(c) if contains(c.args.reason, "ignore") then return deny { code = "WORDS" } end end)
on("bench.pay", "r8", function(c) if c.principal.id ~= "bench" then return deny { code = "WHO" } end end)
)lua";

constexpr const char* kArgs =
    R"({"amount":1250,"order_id":"o-1001","reason":"the mug arrived broken, the customer sent a photo"})";

// Keeps `in_flight` calls going for a while; each answer starts the next call.
class Load {
 public:
  // `calls_max`: of one Run; 0: as many as its time allows.
  Load(Stack& stack, int in_flight, std::size_t calls_max)
      : stack_(stack), in_flight_(in_flight), calls_max_(calls_max) {
    who_ = {.tenant = "main", .id = "bench", .roles = {std::string(core::kRoleIntegrator)}};
  }

  struct Figures {
    double calls = 0;
    double seconds = 0;
    double cpu_us = 0;  // a call
    double p50_us = 0;
    double calls_per_commit = 0;
    double sync_share = 0;  // of the time, that the log's writer waited for the disk
  };

  Figures Run(double seconds) {
    const std::uint64_t commits_before = commits;
    const std::int64_t sync_ns_before = commit_sync_ns;
    const double cpu_before = CpuSeconds();
    const auto start = SteadyClock::now();
    end_ = start + std::chrono::duration_cast<SteadyClock::duration>(
                       std::chrono::duration<double>(seconds));
    open_ = in_flight_;
    for (int i = 0; i < in_flight_; ++i) Next();
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return open_ == 0; });
    Figures figures;
    figures.seconds = SecondsSince(start);
    figures.calls = static_cast<double>(latencies_us_.size());
    figures.cpu_us = (CpuSeconds() - cpu_before) / figures.calls * 1e6;
    figures.p50_us = Median(std::move(latencies_us_));
    figures.calls_per_commit =
        figures.calls / static_cast<double>(std::max<std::uint64_t>(commits - commits_before, 1));
    figures.sync_share =
        static_cast<double>(commit_sync_ns - sync_ns_before) * 1e-9 / figures.seconds;
    return figures;
  }

 private:
  void Next() {
    runtime::ToolCallSpec spec;
    spec.tool = "bench.pay";
    spec.args = kArgs;
    spec.user = "maria";
    spec.session = {{"channel", "chat"}};
    spec.request_id = core::NewUuidV7(stack_.clock, stack_.random);
    const auto start = SteadyClock::now();
    stack_.engine->ExecuteToolCall(
        who_, std::move(spec), [this, start](core::StatusOr<runtime::CallInfo> call) {
          const runtime::CallInfo info = Must(std::move(call));
          if (info.state != runtime::CallState::kOk) {
            std::cerr << "bench_gate: a call was not allowed: " << info.code << " " << info.say
                      << "\n";
            std::exit(2);
          }
          Answered(SecondsSince(start) * 1e6);
        });
  }

  void Answered(double latency_us) {
    bool more = false;
    {
      const std::lock_guard lock(mutex_);
      latencies_us_.push_back(latency_us);
      more = calls_max_ > 0 ? latencies_us_.size() + static_cast<std::size_t>(open_) <= calls_max_
                            : SteadyClock::now() < end_;
      if (!more && --open_ == 0) idle_.notify_all();
    }
    if (more) Next();
  }

  Stack& stack_;
  const int in_flight_;
  const std::size_t calls_max_;
  core::Principal who_;
  SteadyClock::time_point end_;
  std::mutex mutex_;
  std::condition_variable idle_;
  int open_ = 0;
  std::vector<double> latencies_us_;
};

// --- floors

struct Database {
  explicit Database(const fs::path& path) {
    INTERLOCK_CHECK(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  }
  ~Database() { sqlite3_close(db); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  void Do(const char* sql) const {
    INTERLOCK_CHECK(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  std::int64_t Number(const char* sql) const {
    sqlite3_stmt* query = nullptr;
    INTERLOCK_CHECK(sqlite3_prepare_v2(db, sql, -1, &query, nullptr) == SQLITE_OK);
    INTERLOCK_CHECK(sqlite3_step(query) == SQLITE_ROW);
    const std::int64_t number = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    return number;
  }
  sqlite3* db = nullptr;
};

// Writes the newest entries and payloads of `source` into a fresh database, `per_commit` entries a
// transaction. Returns entries a second. Reading is not in the time: rows are copied into memory
// tables first.
double FloorEntriesPerSecond(const fs::path& source, const fs::path& target,
                             std::int64_t per_commit) {
  const Database db(target);
  db.Do(
      "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA "
      "temp_store=MEMORY;"
      "CREATE TABLE entry(idx INTEGER PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;"
      "CREATE TABLE payload(id INTEGER PRIMARY KEY, key_id TEXT, commitment BLOB, media TEXT, "
      "plain_bytes INTEGER,"
      " sealed BLOB) STRICT;");
  db.Do(("ATTACH '" + source.string() + "' AS log").c_str());
  db.Do(("CREATE TEMP TABLE e AS SELECT idx, hash, bytes FROM log.entry ORDER BY idx DESC LIMIT " +
         std::to_string(kFloorRowsMax))
            .c_str());
  db.Do(
      "CREATE TEMP TABLE p AS SELECT id, key_id, commitment, media, plain_bytes, sealed FROM "
      "log.payload"
      " ORDER BY id DESC LIMIT (SELECT count(*) * (SELECT count(*) FROM log.payload) /"
      " (SELECT count(*) FROM log.entry) FROM e)");
  db.Do("CREATE INDEX temp.ei ON e(idx); CREATE INDEX temp.pi ON p(id);");
  const std::int64_t entries = db.Number("SELECT count(*) FROM e");
  const std::int64_t payloads = db.Number("SELECT count(*) FROM p");
  const std::int64_t first_entry = db.Number("SELECT min(idx) FROM e");
  const std::int64_t first_payload = db.Number("SELECT coalesce(min(id), 0) FROM p");
  const std::int64_t payload_ids = db.Number("SELECT coalesce(max(id) - min(id) + 1, 0) FROM p");
  INTERLOCK_CHECK(entries > 0 && payloads > 0);
  sqlite3_stmt* copy_entries = nullptr;
  sqlite3_stmt* copy_payloads = nullptr;
  sqlite3_prepare_v2(
      db.db, "INSERT INTO main.entry SELECT * FROM e WHERE idx >= ? AND idx < ? ORDER BY idx", -1,
      &copy_entries, nullptr);
  sqlite3_prepare_v2(
      db.db, "INSERT INTO main.payload SELECT * FROM p WHERE id >= ? AND id < ? ORDER BY id", -1,
      &copy_payloads, nullptr);
  const auto copy = [&db](sqlite3_stmt* statement, std::int64_t from, std::int64_t to) {
    sqlite3_bind_int64(statement, 1, from);
    sqlite3_bind_int64(statement, 2, to);
    if (sqlite3_step(statement) != SQLITE_DONE) {
      std::cerr << "bench_gate: floor: " << sqlite3_errmsg(db.db) << "\n";
      std::exit(2);
    }
    sqlite3_reset(statement);
  };
  const auto start = SteadyClock::now();
  for (std::int64_t done = 0; done < entries; done += per_commit) {
    db.Do("BEGIN IMMEDIATE");
    copy(copy_entries, first_entry + done, first_entry + done + per_commit);
    copy(copy_payloads, first_payload + done * payload_ids / entries,
         first_payload + std::min(done + per_commit, entries) * payload_ids / entries);
    db.Do("COMMIT");
  }
  const double seconds = SecondsSince(start);
  sqlite3_finalize(copy_entries);
  sqlite3_finalize(copy_payloads);
  return static_cast<double>(entries) / seconds;
}

int Main(const fs::path& folder, const std::vector<int>& levels, std::size_t calls_max) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  const double sync_us = AppendAndSyncMicros(folder / "append");

  std::vector<std::pair<int, Load::Figures>> measured;
  std::int64_t entries_per_call = 0;
  {
    Stack stack({.folder = folder / "tenant", .policy = kPolicy, .tools = {"bench.pay"}});
    Load(stack, 64, calls_max / 2).Run(0.5);  // warm
    for (const int in_flight : levels) {
      const std::uint64_t size_before = stack.log->size();
      measured.emplace_back(in_flight,
                            Load(stack, in_flight, calls_max).Run(in_flight == 256 ? 10 : 4));
      entries_per_call = std::max<std::int64_t>(
          1, static_cast<std::int64_t>(static_cast<double>(stack.log->size() - size_before) /
                                           measured.back().second.calls +
                                       0.5));
    }
  }

  for (const auto& [in_flight, figures] : measured) {
    const std::string at = ", " + std::to_string(in_flight) + " in flight";
    const auto per_commit =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(figures.calls_per_commit *
                                                            static_cast<double>(entries_per_call)));
    const fs::path target = folder / ("floor" + std::to_string(in_flight) + ".db");
    const double floor = FloorEntriesPerSecond(folder / "tenant" / "audit.db", target, per_commit) /
                         static_cast<double>(entries_per_call);
    const double rate = figures.calls / figures.seconds;
    Row row{.what = "governed durable calls" + at,
            .figure = rate,
            .unit = "1/s",
            .floor = floor,
            .floor_name = "bare SQLite, same rows and batches",
            .target = ""};
    if (in_flight == 256) {
      row.target = ">= 20,000/s and >= 0.85 of the floor";
      row.met = rate >= 20'000 && rate >= 0.85 * floor;
    }
    Print(row);
    if (in_flight == 1) {
      Print({.what = "governed durable call, p50" + at,
             .figure = figures.p50_us,
             .unit = "us",
             .floor = sync_us,
             .floor_name = "4 KiB append + fdatasync",
             .target = "<= 2.5 x the floor",
             .met = figures.p50_us <= 2.5 * sync_us});
    }
    if (in_flight == 256) {
      Print({.what = "governed durable call, CPU" + at,
             .figure = figures.cpu_us,
             .unit = "us",
             .floor_name = "",
             .target = "<= 60",
             .met = figures.cpu_us <= 60});
    }
    std::cerr << in_flight << " in flight: " << figures.calls << " calls, p50 " << figures.p50_us
              << " us, " << figures.calls_per_commit << " calls a commit, " << figures.cpu_us
              << " us CPU a call, " << figures.sync_share * 100 << " % in sync, " << rate / floor
              << " of the floor\n";
  }
  fs::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace interlock::bench

// bench_gate [FOLDER [--calls N] [IN_FLIGHT...]]
//   --calls N   that many calls a level, however long they take: for a profiler
int main(int argc, char** argv) {
  const std::filesystem::path here = std::filesystem::absolute(argv[0]).parent_path();
  std::vector<int> levels;
  std::size_t calls_max = 0;
  for (int i = 2; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--calls" && i + 1 < argc) {
      calls_max = static_cast<std::size_t>(std::max(1, std::atoi(argv[++i])));
    } else {
      levels.push_back(std::max(1, std::atoi(argv[i])));
    }
  }
  if (levels.empty()) levels = {1, 8, 64, 256};
  return interlock::bench::Main(
      argc > 1 ? std::filesystem::path(argv[1]) : here / "bench_gate.data", levels, calls_max);
}
