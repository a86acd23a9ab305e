// A log of a million entries, written by the real gate, as its auditors meet it: how long it takes
// to open and to verify, what their queries cost, what they cost the writer, bytes an entry.
// `bench_log --entries N --folder DIR --keep`; with `--open` only how long such a log takes to
// open. The verifier is bin/interlock beside this program.
#include <sqlite3.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "core/check.h"
#include "core/digest.h"
#include "stack.h"

namespace interlock::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kInFlight = 256;
constexpr int kPeople = 1000;
constexpr int kReaders = 64;
constexpr int kQueryRounds = 101;
constexpr int kPairs = 3;
constexpr int kOpens = 5;
constexpr int kApproved = 120;
constexpr double kLoadSeconds = 4;

constexpr const char* kPolicy = R"lua(
policy "bench" { version = "1", owner = "bench", tools = { "bench.*" }, default = "deny" }
local CALLS = budget "bench.calls" { unit = "calls", limit = 1000000000000, per = "tenant", window = "1d" }
on("bench.*", "may", function(c) return allow() end)
on("bench.gift", "ask", function(c) return require_approval { approvers = { "role:cs-manager" }, quorum = 1, expires = "1h" } end)
on("bench.note", "odd", function(c) if c.args.amount % 1000 == 711 then return allow() end end)
on("bench.*", "hold", function(c) return reserve(CALLS, 1) end)
on("bench.pay", "small", function(c) if c.args.amount > 95000 then return deny { code = "LARGE" } end end)
)lua";

const std::vector<std::string>& ToolNames() {
  static const std::vector<std::string> names = {"bench.pay", "bench.book", "bench.mail",
                                                 "bench.note"};
  return names;
}

constexpr const char* kGift = "bench.gift";  // that people approve

StackOptions OptionsOf(const fs::path& folder) {
  std::vector<std::string> tools = ToolNames();
  tools.emplace_back(kGift);
  return {.folder = folder,
          .policy = kPolicy,
          .tools = std::move(tools),
          .search = true,
          .money_tool = "bench.pay"};
}

core::Principal Auditor() {
  return {.tenant = "main", .id = "audi", .roles = {std::string(core::kRoleAuditor)}};
}

// Keeps kInFlight calls of many people and tools going while `more()`.
class Load {
 public:
  Load(Stack& stack, std::function<bool()> more)
      : stack_(stack), more_(std::move(more)), random_(20'000 + stack.log->size()) {}

  // Returns calls a second.
  double Run() {
    const auto start = SteadyClock::now();
    open_ = kInFlight;
    for (int i = 0; i < kInFlight; ++i) Next();
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return open_ == 0; });
    return static_cast<double>(done_) / SecondsSince(start);
  }

 private:
  runtime::ToolCallSpec Spec() {
    const std::lock_guard lock(mutex_);
    runtime::ToolCallSpec spec;
    spec.tool = ToolNames()[random_() % ToolNames().size()];
    core::Json args = {{"amount", random_() % 100'000},
                       {"order_id", "o-" + std::to_string(random_() % 50'000)},
                       {"reason", "the mug number " + std::to_string(random_() % 500'000) +
                                      " arrived broken, the customer sent a photo"}};
    spec.args = args.dump();
    spec.user = "person-" + std::to_string(random_() % kPeople);
    spec.request_id = core::NewUuidV7(stack_.clock, stack_.random);
    return spec;
  }
  void Next() {
    const bool night = night_++ % kNightly == 0;
    stack_.engine->ExecuteToolCall(
        night ? night_job_ : who_, Spec(), [this](core::StatusOr<runtime::CallInfo> call) {
          const runtime::CallInfo info = Must(std::move(call));
          INTERLOCK_CHECK(info.state == runtime::CallState::kOk || info.code == "LARGE");
          const bool again = more_();
          {
            const std::lock_guard lock(mutex_);
            ++done_;
            if (!again && --open_ == 0) idle_.notify_all();
          }
          if (again) Next();
        });
  }

  Stack& stack_;
  const std::function<bool()> more_;
  static constexpr int kNightly = 2000;  // calls of the one for each of the other
  const core::Principal who_{
      .tenant = "main", .id = "bench", .roles = {std::string(core::kRoleIntegrator)}};
  const core::Principal night_job_{
      .tenant = "main", .id = "night", .roles = {std::string(core::kRoleIntegrator)}};
  std::atomic<int> night_{1};
  std::mutex mutex_;
  std::condition_variable idle_;
  std::mt19937_64 random_;  // another for each, or all its payments would be made already
  int open_ = 0;
  std::int64_t done_ = 0;
};

double RateFor(Stack& stack, double seconds) {
  const auto end = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                            std::chrono::duration<double>(seconds));
  return Load(stack, [end] { return SteadyClock::now() < end; }).Run();
}

// Waits for what an engine answers from a thread of its own.
template <typename T>
T Answered(const std::function<void(std::function<void(core::StatusOr<T>)>)>& ask) {
  std::promise<T> promise;
  ask([&](core::StatusOr<T> reply) { promise.set_value(Must(std::move(reply))); });
  return promise.get_future().get();
}

// Calls that somebody approved, one after another.
void Approved(Stack& stack, int calls) {
  const core::Principal who{
      .tenant = "main", .id = "bench", .roles = {std::string(core::kRoleIntegrator)}};
  const core::Principal maria{.tenant = "main", .id = "maria", .roles = {"approver", "cs-manager"}};
  for (int i = 0; i < calls; ++i) {
    runtime::ToolCallSpec spec;
    spec.tool = kGift;
    spec.args = R"({"amount": 1, "order_id": "o-1", "reason": "a birthday"})";
    spec.user = "person-1";
    spec.request_id = core::NewUuidV7(stack.clock, stack.random);
    const auto execute = [&](auto reply) { stack.engine->ExecuteToolCall(who, spec, reply); };
    const auto parked = Answered<runtime::CallInfo>(execute);
    INTERLOCK_CHECK(parked.approvals.size() == 1);
    const auto asked = Must(stack.engine->GetApproval(maria, parked.approvals.front()));
    Answered<runtime::ApprovalInfo>([&](auto reply) {
      stack.engine->AnswerApproval(maria,
                                   {.approval = parked.approvals.front(),
                                    .grant = true,
                                    .etag = asked.etag,
                                    .reason = "",
                                    .on_behalf_of = "",
                                    .request_id = core::NewUuidV7(stack.clock, stack.random)},
                                   reply);
    });
    INTERLOCK_CHECK(Answered<runtime::CallInfo>(execute).state == runtime::CallState::kOk);
  }
}

double MedianMicros(const std::function<void()>& query) {
  std::vector<double> micros;
  query();  // warm
  for (int i = 0; i < kQueryRounds; ++i) {
    const auto start = SteadyClock::now();
    query();
    micros.push_back(SecondsSince(start) * 1e6);
  }
  return Median(std::move(micros));
}

// "1 M entries: "; rows of another size are not those of the table of targets.
std::string Size(std::uint64_t entries) {
  const std::uint64_t rounded = (entries + 500'000) / 1'000'000;
  return (rounded == 0 ? std::to_string(entries / 1000) + " k" : std::to_string(rounded) + " M") +
         " entries: ";
}

void QueryRow(const Stack& stack, const std::string& what, double micros, double max_micros) {
  Print({.what = Size(stack.log->size()) + what,
         .figure = micros,
         .unit = "us",
         .floor_name = "",
         .target = "<= " + std::to_string(static_cast<int>(max_micros)) + " us",
         .met = micros <= max_micros});
}

// When the first call of the log was made, and the last: a log that is there is asked again.
struct TimeSpan {
  std::int64_t first_us = 0;
  std::int64_t last_us = 0;
};

TimeSpan SpanOf(Stack& stack) {
  TimeSpan span;
  const core::Status status = stack.log->Query([&](sqlite3* db) {
    sqlite3_stmt* query = nullptr;
    const char* sql = "SELECT min(create_us), max(create_us) FROM v_calls";
    INTERLOCK_CHECK(sqlite3_prepare_v2(db, sql, -1, &query, nullptr) == SQLITE_OK);
    INTERLOCK_CHECK(sqlite3_step(query) == SQLITE_ROW);
    span = {sqlite3_column_int64(query, 0), sqlite3_column_int64(query, 1) + 1};
    sqlite3_finalize(query);
    return core::OkStatus();
  });
  INTERLOCK_CHECK(status.ok());
  return span;
}

void Filters(Stack& stack, const TimeSpan& span) {
  const core::Principal auditor = Auditor();
  // In a log of another size what is rare may not be there.
  const bool finds = stack.log->size() >= 1'000'000;
  const auto row = [&](const std::string& what, const std::string& filter) {
    QueryRow(stack, what, MedianMicros([&] {
               const auto page =
                   Must(stack.engine->QueryCalls(auditor, {.size = 50, .cursor = ""}, filter));
               INTERLOCK_CHECK(!page.items.empty() || !finds);
             }),
             1000);
  };
  const auto ago = [&](int part) {
    return std::to_string(span.first_us + (span.last_us - span.first_us) * part / 30);
  };
  row("50 newest calls", "");
  row("50 calls of a day of thirty", "time >= " + ago(11) + " AND time < " + ago(12));
  row("50 calls of a tool", "tool = \"bench.book\"");
  row("50 calls of some tools", "tool = \"bench.*\" AND NOT tool = \"*.note\"");
  row("50 newest denials", "verdict = \"deny\"");
  row("50 calls that were not allowed", "verdict != \"allow\"");
  row("50 denials of a tool", "tool = \"bench.pay\" AND verdict = \"deny\"");
  row("50 denials of a day of thirty",
      "verdict = \"deny\" AND time >= " + ago(11) + " AND time < " + ago(12));
  row("50 calls with a code", "code = \"LARGE\"");
  row("50 calls of a subject", "subject = \"person-7\"");
  row("50 calls of a user", "user = \"person-8\"");
  row("50 payments for a user", "user = \"person-8\" AND amount > 0");
  row("50 calls of an actor", "actor = \"bench\"");
  row("50 calls of an actor who is seldom seen", "actor = \"night\"");
  row("50 calls of an actor with a tool", "actor = \"bench\" AND tool = \"bench.book\"");
  row("50 calls of a rare actor with a tool", "actor = \"night\" AND tool = \"bench.book\"");
  row("50 calls under a rule", "rule:bench/hold");
  row("calls under a rule that seldom fires", "rule:bench/odd");
  row("50 calls under a rule that denies", "rule:bench/small AND verdict = \"deny\"");
  row("50 calls that somebody approved", "approver:maria");
  row("50 calls with an outcome", "outcome = \"ok\"");
  row("50 payments", "amount != 0");
  row("50 payments above an amount", "amount >= 50000");
  row("payments above an amount that few are", "amount >= 94900");
  row("50 payments of a currency and an effect", "currency = \"EUR\" AND effect = \"money\"");
}

// All calls of the log are of one day, which is more than a day's share of a log of a million
// entries: `span` takes a part of them.
void Counts(Stack& stack, const std::string& of, const TimeSpan& span, double max_micros) {
  const std::string sql = "SELECT tool, verdict, count(*) FROM v_calls WHERE create_us >= " +
                          std::to_string(span.first_us) + " AND create_us < " +
                          std::to_string(span.last_us) + " GROUP BY tool, verdict";
  const double micros = MedianMicros([&] {
    const core::Status status = stack.log->Query([&](sqlite3* db) {
      sqlite3_stmt* query = nullptr;
      INTERLOCK_CHECK(sqlite3_prepare_v2(db, sql.c_str(), -1, &query, nullptr) == SQLITE_OK);
      int rows = 0;
      while (sqlite3_step(query) == SQLITE_ROW) ++rows;
      sqlite3_finalize(query);
      INTERLOCK_CHECK(rows >= 4);
      return core::OkStatus();
    });
    INTERLOCK_CHECK(status.ok());
  });
  const bool aimed = max_micros > 0;
  Print({.what = Size(stack.log->size()) + "counts by tool and verdict of " + of,
         .figure = micros,
         .unit = "us",
         .floor_name = "",
         .target = aimed ? "<= " + std::to_string(static_cast<int>(max_micros)) + " us" : "",
         .met = micros <= max_micros || !aimed});
}

void FullText(Stack& stack) {
  const double micros = MedianMicros([&] {
    std::mutex mutex;
    std::condition_variable answered;
    bool done = false;
    stack.engine->SearchCalls(Auditor(), {.size = 50, .cursor = ""}, "4711",
                              [&](core::StatusOr<runtime::FoundTexts> found) {
                                Must(std::move(found));
                                const std::lock_guard lock(mutex);
                                done = true;
                                answered.notify_all();
                              });
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return done; });
  });
  // Two durable entries' time and more: what was found is opened, and that is an entry first.
  QueryRow(stack, "full text, a rare word, its entry of access included", micros, 20'000);
}

// The writer beside 64 readers with one query a second each, and alone; in turns.
void Readers(Stack& stack) {
  std::vector<double> with;
  std::vector<double> alone;
  std::vector<double> shares;
  for (int pair = 0; pair < kPairs; ++pair) {
    alone.push_back(RateFor(stack, kLoadSeconds));
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    readers.reserve(kReaders);
    for (int i = 0; i < kReaders; ++i) {
      readers.emplace_back([&stack, &stop, i] {
        std::this_thread::sleep_for(std::chrono::milliseconds(i * 1000 / kReaders));
        while (!stop) {
          Must(stack.engine->QueryCalls(Auditor(), {.size = 50, .cursor = ""},
                                        "tool = \"bench.pay\" AND verdict = \"deny\""));
          std::this_thread::sleep_for(std::chrono::seconds(1));
        }
      });
    }
    with.push_back(RateFor(stack, kLoadSeconds));
    stop = true;
    for (std::thread& reader : readers) reader.join();
    shares.push_back(with.back() / alone.back());
  }
  const double share = Median(std::move(shares));
  Print({.what = "calls beside 64 readers, 256 in flight",
         .figure = Median(std::move(with)),
         .unit = "1/s",
         .floor = Median(std::move(alone)),
         .floor_name = "without readers",
         .target = ">= 0.8 of it",
         .met = share >= 0.8});
}

double VerifySeconds(const fs::path& program, const fs::path& folder, const char* how) {
  const std::string command = "'" + program.string() + "' audit verify " + how + " '" +
                              folder.string() + "' > '" + (folder / "verify.txt").string() + "'";
  const auto start = SteadyClock::now();
  const int status = std::system(command.c_str());  // NOLINT: paths of our own
  const double seconds = SecondsSince(start);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::cerr << "bench_log: the log does not verify:\n"
              << std::ifstream(folder / "verify.txt").rdbuf() << "\n";
    std::exit(2);
  }
  return seconds;
}

void Open(const fs::path& folder) {
  std::vector<double> millis;
  std::uint64_t entries = 0;
  for (int i = 0; i < kOpens; ++i) {
    const auto start = SteadyClock::now();
    const Stack stack(OptionsOf(folder));
    millis.push_back(SecondsSince(start) * 1e3);
    entries = stack.log->size();
  }
  const double open_ms = Median(std::move(millis));
  Print({.what = Size(entries) + "open, whole engine",
         .figure = open_ms,
         .unit = "ms",
         .floor_name = "",
         .target = "<= 200 ms",
         .met = open_ms <= 200});
}

void OpenAndVerify(const fs::path& program, const fs::path& folder, std::uint64_t entries) {
  Open(folder);
  const std::string of = Size(entries);
  const double scale = std::max(1.0, static_cast<double>(entries) / 1e6);
  const double hashes = VerifySeconds(program, folder, "--hashes");
  Print({.what = of + "verify --hashes",
         .figure = hashes,
         .unit = "s",
         .floor_name = "",
         .target = "<= 3 s a million",
         .met = hashes <= 3 * scale});
  const double full = VerifySeconds(program, folder, "");
  Print({.what = of + "verify, projections and payloads too",
         .figure = full,
         .unit = "s",
         .floor_name = "",
         .target = "<= 25 s a million",
         .met = full <= 25 * scale});
}

struct Args {
  std::uint64_t entries = 1'000'000;
  fs::path folder;
  bool keep = false;
  bool open = false;
};

// bin/interlock of the build that this program is of.
fs::path Verifier(const fs::path& program) {
  for (fs::path folder = program.parent_path(); folder != folder.root_path();
       folder = folder.parent_path()) {
    if (fs::exists(folder / "bin" / "interlock")) return folder / "bin" / "interlock";
  }
  std::cerr << "bench_log: build `interlock` beside this program\n";
  std::exit(2);
}

int Main(const fs::path& verifier, const Args& args) {
  const fs::path folder = args.folder / "tenant";
  if (args.open) return Open(folder), 0;
  std::uint64_t entries = 0;
  {
    Stack stack(OptionsOf(folder));
    Approved(stack, kApproved);  // long ago, when the rest is there
    const auto start = SteadyClock::now();
    if (stack.log->size() < args.entries) {
      Load(stack, [&] { return stack.log->size() < args.entries; }).Run();
    }
    entries = stack.log->size();
    std::cerr << entries << " entries after " << SecondsSince(start) << " s\n";
    const TimeSpan span = SpanOf(stack);
    Filters(stack, span);
    Counts(stack, "all calls", span, 0);
    const std::int64_t day_us = (span.last_us - span.first_us) / 30;
    Counts(stack, "a day's calls of thirty",
           {span.first_us + 11 * day_us, span.first_us + 12 * day_us}, 10'000);
    FullText(stack);
    Readers(stack);
    entries = stack.log->size();
  }
  OpenAndVerify(verifier, folder, entries);
  const auto bytes = static_cast<double>(fs::file_size(folder / "audit.db"));
  Print({.what = "audit.db, sealed payloads and projections included",
         .figure = bytes / static_cast<double>(entries),
         .unit = "bytes an entry",
         .floor_name = "",
         .target = ""});
  if (!args.keep) fs::remove_all(args.folder);
  return 0;
}

}  // namespace
}  // namespace interlock::bench

int main(int argc, char** argv) {
  const std::filesystem::path program = std::filesystem::absolute(argv[0]);
  interlock::bench::Args args;
  args.folder = program.parent_path();
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--keep") {
      args.keep = true;
    } else if (flag == "--open") {
      args.open = true;
    } else if (flag == "--entries" && i + 1 < argc) {
      args.entries = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--folder" && i + 1 < argc) {
      args.folder = argv[++i];
    } else {
      std::cerr << "usage: bench_log [--entries N] [--folder DIR] [--keep] [--open]\n";
      return 2;
    }
  }
  args.folder /= "bench_log.data";  // it goes at the end, unless it is kept
  return interlock::bench::Main(interlock::bench::Verifier(program), args);
}
