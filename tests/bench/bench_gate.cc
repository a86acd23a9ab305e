// Governed calls a second through the real gate and log: schema, ten rules, one budget hold, sealed
// arguments and result, two durable commits; the tool is a compiled-in no-op. Beside it, in the
// same folder: a bare SQLite loop that writes the same rows in batches of the same size, and one 4
// KiB append with fdatasync.
//
// Then the same paced at 5,000 calls a second, and for a minute at 256 in flight, while the file
// grows: with what the slowest calls waited for.
#include <sqlite3.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "core/check.h"
#include "load.h"
#include "stack.h"
#include "syncs.h"

namespace interlock::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFloorRowsMax = 200'000;
constexpr int kPacedPerSecond = 5'000;
constexpr double kSustainedSeconds = 60;

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

struct Level {
  int in_flight = 0;
  Load::Figures figures;
  double entries_per_call = 0;
};

// `floor`: calls a second of the bare loop.
void PrintLevel(const Level& level, double floor, double sync_us) {
  const Load::Figures& figures = level.figures;
  const std::string at = ", " + std::to_string(level.in_flight) + " in flight";
  const double rate = figures.calls / figures.seconds;
  Row row{.what = "governed durable calls" + at,
          .figure = rate,
          .unit = "1/s",
          .floor = floor,
          .floor_name = "bare SQLite, same rows and batches",
          .target = ""};
  if (level.in_flight == 256) {
    row.target = ">= 20,000/s and >= 0.85 of the floor";
    row.met = rate >= 20'000 && rate >= 0.85 * floor;
  }
  Print(row);
  if (level.in_flight == 1) {
    Print({.what = "governed durable call, p50" + at,
           .figure = figures.p50_us,
           .unit = "us",
           .floor = sync_us,
           .floor_name = "4 KiB append + fdatasync",
           .target = "<= 2.5 x the floor",
           .met = figures.p50_us <= 2.5 * sync_us});
  }
  if (level.in_flight == 256) {
    Print({.what = "governed durable call, CPU" + at,
           .figure = figures.cpu_us,
           .unit = "us",
           .floor_name = "",
           .target = "<= 60",
           .met = figures.cpu_us <= 60});
  }
  std::cerr << level.in_flight << " in flight: " << figures.calls << " calls, p50 "
            << figures.p50_us << " us, " << figures.calls_per_commit << " calls a commit, "
            << figures.cpu_us << " us CPU a call, " << figures.sync_share * 100 << " % in sync, "
            << rate / floor << " of the floor; p99 " << figures.p99_us << " us\n";
}

// Some 5,000 calls a second are a quiet day; a call is late by what it waits for a place, too.
void PrintPaced(Stack& stack) {
  const Load::Figures figures = Load(stack, 256, 0).Paced(kPacedPerSecond, 10);
  const std::string what = "governed durable call, 5,000/s";
  const auto wall = [&what](const std::string& which, double us, const std::string& max, bool met) {
    Print({.what = what + ", " + which,
           .figure = us,
           .unit = "us",
           .floor_name = "",
           .target = "<= " + max,
           .met = met});
  };
  wall("p50", figures.p50_us, "2,000", figures.p50_us <= 2'000);
  wall("p99", figures.p99_us, "20,000", figures.p99_us <= 20'000);
  Print({.what = what + ", CPU",
         .figure = figures.cpu_us,
         .unit = "us",
         .floor_name = "",
         .target = ""});
  std::cerr << "5,000/s: " << figures.calls / figures.seconds << " were made a second; "
            << Explained(figures) << "\n";
}

// Ten seconds of it, and then a minute, on one growing file.
void PrintSustained(Stack& stack, const fs::path& database) {
  const Load::Figures ten = Load(stack, 256, 0).Run(10);
  const double first = ten.calls / ten.seconds;
  const std::uintmax_t before = fs::file_size(database);
  const Load::Figures figures = Load(stack, 256, 0).Run(kSustainedSeconds);
  Print({.what = "governed durable calls, 256 in flight, a minute",
         .figure = figures.calls / figures.seconds,
         .unit = "1/s",
         .floor = first,
         .floor_name = "ten seconds of it, before",
         .target = ""});
  Print({.what = "governed durable call, 256 in flight, a minute, p99",
         .figure = figures.p99_us,
         .unit = "us",
         .floor = figures.p50_us,
         .floor_name = "p50",
         .target = ""});
  std::cerr << "a minute: the file grew from " << (before >> 20) << " to "
            << (fs::file_size(database) >> 20) << " MiB; " << Explained(figures) << "\n";
}

struct Options {
  fs::path folder;
  std::vector<int> levels;
  std::size_t calls_max = 0;  // a level; 0: as many as there is time for
  bool all = true;            // not the levels alone
};

std::vector<Level> Measured(const fs::path& folder, const Options& options) {
  Stack stack({.folder = folder, .policy = kPolicy, .tools = {"bench.pay"}});
  Load(stack, 64, options.calls_max / 2).Run(0.5);  // warm
  std::vector<Level> measured;
  for (const int in_flight : options.levels) {
    const std::uint64_t size_before = stack.log->size();
    Level& level = measured.emplace_back();
    level.in_flight = in_flight;
    level.figures = Load(stack, in_flight, options.calls_max).Run(in_flight == 256 ? 10 : 4);
    level.entries_per_call = std::max(
        1.0,
        std::round(static_cast<double>(stack.log->size() - size_before) / level.figures.calls));
  }
  return measured;
}

int Main(const Options& options) {
  const OwnFolder own(options.folder);
  const fs::path& folder = own.path();
  const double sync_us = AppendAndSyncMicros(folder / "append");
  for (const Level& level : Measured(folder / "tenant", options)) {
    const auto per_commit = static_cast<std::int64_t>(
        std::max(1.0, level.figures.calls_per_commit * level.entries_per_call));
    const fs::path target = folder / ("floor" + std::to_string(level.in_flight) + ".db");
    const double floor_entries =
        FloorEntriesPerSecond(folder / "tenant" / "audit.db", target, per_commit);
    fs::remove(target);
    PrintLevel(level, floor_entries / level.entries_per_call, sync_us);
  }
  if (options.all) {
    Stack stack({.folder = folder / "long", .policy = kPolicy, .tools = {"bench.pay"}});
    Load(stack, 64, 0).Run(0.5);  // warm
    PrintPaced(stack);
    PrintSustained(stack, folder / "long" / "audit.db");
  }
  return 0;
}

}  // namespace
}  // namespace interlock::bench

int main(int argc, char** argv) {
  constexpr std::string_view kUsage =
      "usage: bench_gate [FOLDER [--calls N] [IN_FLIGHT...]]\n"
      "  FOLDER      its data are in a folder of their own below it; else beside the program\n"
      "  --calls N   that many calls a level, however long they take: for a profiler\n"
      "  IN_FLIGHT   these levels, and nothing else\n";
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0].starts_with("-")) {
    std::cerr << kUsage;
    return 2;
  }
  const std::filesystem::path here = std::filesystem::absolute(argv[0]).parent_path();
  interlock::bench::Options options;
  options.folder = (words.empty() ? here : std::filesystem::path(words[0])) / "bench_gate.data";
  for (std::size_t i = 1; i < words.size(); ++i) {
    options.all = false;
    const bool calls = words[i] == "--calls" && i + 1 < words.size();
    const int count = interlock::bench::CountOf(words[calls ? ++i : i], kUsage);
    if (calls) {
      options.calls_max = static_cast<std::size_t>(count);
    } else {
      options.levels.push_back(count);
    }
  }
  if (options.levels.empty()) options.levels = {1, 8, 64, 256, 1'024};
  return interlock::bench::Main(options);
}
