// Agents' steps through the real engine, log and model client: ten model calls a run, a compiled-in
// tool after each but the last, every plan, call and outcome durable. Beside it, against the same
// scripted model server and in the same program, the same conversations by a bare libcurl loop.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/check.h"
#include "curl_floor.h"
#include "harness/own_certificate.h"
#include "model_server.h"
#include "stack.h"

// Of jemalloc, where the program is linked with it; its header says where the name below comes from
// (MALLCTL_ARENAS_ALL).
extern "C" [[gnu::weak]] int mallctl(const char*, void*, size_t*, void*, size_t);

namespace interlock::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 10;  // model calls a run
constexpr int kWaiting = 1'000;
constexpr double kWaitingKib = 20;  // a run of those, over plain HTTP
constexpr double kWaitingTlsKib = 32;
constexpr int kHoldMs = 15'000;  // until the model answers those
constexpr int kParked = 10'000;

constexpr std::string_view kUsage =
    R"(usage: bench_engine [FOLDER]     the figures; data are below FOLDER, else beside the program
       bench_engine FOLDER --steps IN_FLIGHT RUNS [AT]
                                 so many runs of ours, and nothing else: for a profiler
       bench_engine FOLDER --waiting [AT]
                                 the runs that wait for their model alone: for a profiler of memory
       AT                        --at BASE_URL CA_FILE [--http1]: a model server that runs already,
                                 over TLS, by HTTP/2 unless told otherwise; none: plain HTTP
       bench_engine --certificate FILE KEY_FILE
                                 makes one for such a server on this machine
       bench_engine --serve      the model server alone, for other runtimes: prints its base url and
                                 serves until its input ends
)";

constexpr const char* kSchema = R"({
  "type": "object", "additionalProperties": false, "required": ["a", "b"],
  "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})";
constexpr const char* kPolicy = R"lua(
policy "bench" { version = "1", owner = "bench", tools = { "add" }, default = "deny" }
on("add", "may", function(c) return allow() end)
)lua";

runtime::AgentFile AgentOf(const std::string& name, const std::string& model,
                           const std::string& on_text) {
  return Must(runtime::ParseAgent(
      name + ".yaml", "name: " + name + "\nversion: '1'\nplanner: model\nmodel: " + model +
                          "\nprompt: Add.\ntools: [add]\non_text: " + on_text + "\n"));
}

// A model server.
struct At {
  std::string base_url;
  std::string ca_file = {};  // of one that is reached over TLS
  bool http2 = true;

  std::string over() const {
    if (ca_file.empty()) return "plain HTTP";
    return http2 ? "TLS by HTTP/2" : "TLS by HTTP/1.1";
  }
};

StackOptions OptionsOf(const fs::path& folder, const At& at) {
  runtime::PlannerConfig planner;
  planner.name = "model";
  planner.kind = runtime::PlannerKind::kModel;
  planner.model.name = "model";
  planner.model.base_url = at.base_url;
  planner.model.http2 = at.http2;
  const std::string steps = "mock-n" + std::to_string(kSteps);
  return {.folder = folder,
          .policy = kPolicy,
          .tools = {"add"},
          .schema = kSchema,
          .agents = {AgentOf("adder", steps, "answer"),
                     AgentOf("held", "mock-n1-d" + std::to_string(kHoldMs), "answer"),
                     AgentOf("asks", "mock-n1", "ask")},
          .planners = {planner},
          .ca_file = at.ca_file};
}

// Keeps runs of an agent going and waits until each has reached a state.
class Runs {
 public:
  Runs(Stack& stack, std::string agent, runtime::RunState until)
      : stack_(stack), agent_(std::move(agent)), until_(until) {
    who_ = {.tenant = "main", .id = "bench", .roles = {std::string(core::kRoleIntegrator)}};
  }

  void Start(int runs) {
    {
      const std::lock_guard lock(mutex_);
      open_ += runs;
    }
    for (int i = 0; i < runs; ++i) Create();
  }

  // All of `runs`, `in_flight` at once. Returns when the last one is there.
  void Run(int runs, int in_flight) {
    int left = runs - std::min(runs, in_flight);
    Start(runs - left);
    while (std::optional<std::string> id = Changed()) {
      const auto at = watched_.find(*id);
      if (at == watched_.end()) continue;
      const runtime::RunInfo info = Must(stack_.engine->GetRun(who_, *id));
      if (info.state != until_) {
        INTERLOCK_CHECK(!runtime::IsFinal(info.state));
        continue;
      }
      stack_.engine->Unsubscribe(at->second);
      watched_.erase(at);
      if (left > 0) {
        --left;
        Create();
      } else {
        const std::lock_guard lock(mutex_);
        --open_;
      }
    }
  }

 private:
  void Create() {
    runtime::CreateRunSpec spec{.agent = agent_,
                                .message = "What is 1 + 2?",
                                .user = "maria",
                                .subject = "",
                                .session = core::Json::object(),
                                .request_id = ""};
    stack_.engine->CreateRun(who_, std::move(spec), [this](core::StatusOr<runtime::RunInfo> run) {
      Tell(Must(std::move(run)).id, /*is_new=*/true);
    });
  }

  void Tell(std::string id, bool is_new) {
    {
      const std::lock_guard lock(mutex_);
      told_.emplace_back(std::move(id), is_new);
    }
    changed_.notify_one();  // who is woken finds the lock free
  }

  // The next run that may have moved; nothing once all are where they should be.
  std::optional<std::string> Changed() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !told_.empty() || open_ == 0; });
    if (told_.empty()) return std::nullopt;
    std::string id = std::move(told_.front().first);
    const bool is_new = told_.front().second;
    told_.pop_front();
    lock.unlock();
    if (is_new) {
      watched_[id] = stack_.engine->Subscribe(id, [this, id] { Tell(id, /*is_new=*/false); });
    }
    return id;
  }

  Stack& stack_;
  const std::string agent_;
  const runtime::RunState until_;
  core::Principal who_;
  std::map<std::string, std::uint64_t> watched_;  // run -> subscription
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<std::string, bool>> told_;
  int open_ = 0;
};

// What the allocator keeps of freed memory goes back first.
double ResidentKib() {
  ::malloc_trim(0);
  if (mallctl != nullptr) mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);  // of all
  std::ifstream status("/proc/self/statm");
  double total = 0;
  double resident = 0;
  status >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1024;
}

// `times`: what the bare loop may be exceeded by. `sync_us`: of an append that is made durable.
void Steps(Stack& stack, const ModelServer& server, int in_flight, int runs, double times,
           double sync_us) {
  const std::string model = "mock-n" + std::to_string(kSteps);
  Runs(stack, "adder", runtime::RunState::kCompleted).Run(std::max(in_flight, 16), in_flight);
  const FloorFigures floor = RunFloor(server.base_url(), model, in_flight, runs * 4);
  const double cpu_before = CpuSeconds();
  const double watching_before = ThreadCpuSeconds();
  const auto start = SteadyClock::now();
  Runs(stack, "adder", runtime::RunState::kCompleted).Run(runs, in_flight);
  const double steps = runs * kSteps;
  const double wall_us = SecondsSince(start) * 1e6 / steps;
  const double cpu_us = (CpuSeconds() - cpu_before) * 1e6 / steps;
  const double watching_us = (ThreadCpuSeconds() - watching_before) * 1e6 / steps;
  const std::string at = ", " + std::to_string(in_flight) + " in flight";
  char target[64];
  std::snprintf(target, sizeof target, "<= %.1f x the floor", times);
  Print({.what = "agent's step, CPU" + at,
         .figure = cpu_us,
         .unit = "us",
         .floor = floor.cpu_us,
         .floor_name = "bare libcurl loop",
         .target = target,
         .met = cpu_us <= times * floor.cpu_us});
  Print({.what = "of it, who watches the runs" + at,
         .figure = watching_us,
         .unit = "us",
         .floor_name = "",
         .target = ""});
  Row wall{.what = "agent's step, wall" + at,
           .figure = wall_us,
           .unit = "us",
           .floor = floor.wall_us,
           .floor_name = "bare libcurl loop",
           .target = ""};
  if (in_flight == 1) {
    wall.target = "<= the floor + 4 fdatasync + 1 ms";
    wall.met = wall_us - floor.wall_us <= 4 * sync_us + 1'000;
  }
  Print(wall);
}

void Waiting(Stack& stack, const At& at) {
  const double before = ResidentKib();
  Runs runs(stack, "held", runtime::RunState::kCompleted);
  std::thread all([&runs] { runs.Run(kWaiting, kWaiting); });
  std::this_thread::sleep_for(std::chrono::milliseconds(kHoldMs * 6 / 10));
  const double kib = (ResidentKib() - before) / kWaiting;
  all.join();
  const double kib_max = at.ca_file.empty() ? kWaitingKib : kWaitingTlsKib;
  char target[64];
  std::snprintf(target, sizeof target, "<= %.0f", kib_max);
  Print({.what = "run that waits for its model over " + at.over() + ", memory, 1,000 of them",
         .figure = kib,
         .unit = "KiB",
         .floor_name = "",
         .target = target,
         .met = kib <= kib_max});
}

// By a stack that has done something before: what is only set up once is not a run's.
void OnlyWaiting(const fs::path& folder, const At& at) {
  Stack stack(OptionsOf(folder / "waiting", at));
  Runs(stack, "adder", runtime::RunState::kCompleted).Run(1'024, 32);
  Waiting(stack, at);
}

void Parked(Stack& stack) {
  const double before = ResidentKib();
  Runs(stack, "asks", runtime::RunState::kWaitingForUser).Run(kParked, 256);
  const double kib = (ResidentKib() - before) / kParked;
  Print({.what = "run that waits for its user, memory, 10,000 of them",
         .figure = kib,
         .unit = "KiB",
         .floor_name = "",
         .target = "<= 1: rows, nothing of its own",
         .met = kib <= 1});
}

// What the system keeps of the files in memory goes.
void Forget(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    INTERLOCK_CHECK(fd >= 0);
    ::fdatasync(fd);
    INTERLOCK_CHECK(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    ::close(fd);
  }
}

// `how`: "warm" or "cold".
void Again(const StackOptions& options, const std::string& how, double ms_max) {
  const auto start = SteadyClock::now();
  const Stack stack(options);
  const double ms = SecondsSince(start) * 1e3;
  char target[64];
  std::snprintf(target, sizeof target, "<= %.0f", ms_max);
  Print({.what = "start with 10,000 open runs, " + how,
         .figure = ms,
         .unit = "ms",
         .floor_name = "",
         .target = target,
         .met = ms <= ms_max});
}

int Main(const fs::path& folder) {
  const ModelServer server;
  const std::string certificate = folder / "model.pem";
  const ModelServer tls_server(certificate);
  const double sync_us = AppendAndSyncMicros(folder / "append");
  const At at{.base_url = server.base_url()};
  const StackOptions options = OptionsOf(folder / "tenant", at);
  {
    Stack stack(options);
    Steps(stack, server, 1, 40, 4.5, sync_us);
    Steps(stack, server, 32, 400, 2.5, sync_us);
    Steps(stack, server, 256, 1'024, 2, sync_us);
    Waiting(stack, at);
    Parked(stack);
  }
  Again(options, "warm", 500);
  Forget(options.folder);
  Again(options, "cold", 1'000);
  OnlyWaiting(folder, {.base_url = tls_server.base_url(), .ca_file = certificate, .http2 = false});
  return 0;
}

// Ours alone, for a profiler.
void OnlySteps(const fs::path& folder, const At& at, int in_flight, int runs) {
  Stack stack(OptionsOf(folder / "tenant", at));
  Runs(stack, "adder", runtime::RunState::kCompleted).Run(in_flight, in_flight);
  const double cpu_before = CpuSeconds();
  Runs(stack, "adder", runtime::RunState::kCompleted).Run(runs, in_flight);
  std::cerr << (CpuSeconds() - cpu_before) * 1e6 / (runs * kSteps) << " us CPU a step\n";
}

int Usage() {
  std::cerr << kUsage;
  return 2;
}

// `words`: what follows the folder.
int Only(const fs::path& folder, std::vector<std::string> words) {
  const bool steps = words[0] == "--steps" && words.size() >= 3;
  if (!steps && words[0] != "--waiting") return Usage();
  std::unique_ptr<ModelServer> server;
  At at;
  if (const auto given = std::find(words.begin(), words.end(), "--at"); given == words.end()) {
    server = std::make_unique<ModelServer>();
    at.base_url = server->base_url();
  } else {
    if (words.end() - given < 3) return Usage();
    at = {.base_url = given[1], .ca_file = given[2], .http2 = words.back() != "--http1"};
  }
  if (steps) {
    OnlySteps(folder, at, CountOf(words[1], kUsage), CountOf(words[2], kUsage));
  } else {
    OnlyWaiting(folder, at);
  }
  return 0;
}

int Serve() {
  const ModelServer server;
  std::cout << server.base_url() << std::endl;
  while (std::cin.get() != EOF) {
  }
  return 0;
}

}  // namespace
}  // namespace interlock::bench

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "--serve") return interlock::bench::Serve();
  if (words.size() == 3 && words[0] == "--certificate") {
    interlock::test::WriteOwnCertificate(words[1], words[2]);
    return 0;
  }
  if (!words.empty() && words[0].starts_with("-")) return interlock::bench::Usage();
  const std::filesystem::path here = std::filesystem::absolute(argv[0]).parent_path();
  const interlock::bench::OwnFolder own((words.empty() ? here : std::filesystem::path(words[0])) /
                                        "bench_engine.data");
  if (words.size() < 2) return interlock::bench::Main(own.path());
  return interlock::bench::Only(own.path(), {words.begin() + 1, words.end()});
}
