// What a box costs beside the bare start of the same program: `bench_sandbox [CALLS]`, lines for
// tests/bench/run.py. Every row is measured in the same run and in turn, one call at a time and
// eight at once; a box's time ends when its result is told, which is when its whole tree is dead.
// Exit 2 below level full: fewer walls are no comparison.
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sandbox/launcher.h"

extern char** environ;

namespace interlock::sandbox {
namespace {
using Clock = std::chrono::steady_clock;
constexpr const char* kProgram = "/bin/true";

double Percentile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

double MicrosSince(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::micro>(end - begin).count();
}

// Microseconds of one call.
using Subjected = std::function<double()>;

Subjected Timed(std::function<void()> call) {
  return [call = std::move(call)] {
    const auto begin = Clock::now();
    call();
    return MicrosSince(begin, Clock::now());
  };
}

void Spawn(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (::posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) std::abort();
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0) {
    std::fprintf(stderr, "%s ended with %d\n", words[0].c_str(), status);
    std::exit(1);
  }
}

std::unique_ptr<Launcher> Start(Level cap, int pool) {
  LauncherOptions options;
  options.program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "interlock-launcher";
  options.level_cap = cap;
  options.pool_per_profile = pool;
  auto launcher = StartLauncher(options);
  if (launcher.ok()) return std::move(*launcher);
  std::fprintf(stderr, "%s\n", std::string(core::Message(launcher.status())).c_str());
  std::exit(1);
}

// Up to when whoever asked is told; its own thread may wake later.
double RunBox(Launcher& launcher, const std::string& folder = "") {
  BoxSpec spec;
  spec.level_min = Level::kFull;
  spec.argv = {kProgram};
  if (!folder.empty()) spec.mounts = {{folder, "/work", Access::kReadWrite}};
  std::promise<BoxResult> promise;
  Clock::time_point end;
  const auto begin = Clock::now();
  launcher.Run(std::move(spec), [&](BoxResult result) {
    end = Clock::now();
    promise.set_value(std::move(result));
  });
  const BoxResult result = promise.get_future().get();
  if (result.kind == EndKind::kExit && result.value == 0) return MicrosSince(begin, end);
  std::fprintf(stderr, "a box ended with %s: %s\n", std::string(EndKindName(result.kind)).c_str(),
               result.detail.c_str());
  std::exit(1);
}

// What the calls with a mount write to; removed at the end.
class WorkFolder {
 public:
  WorkFolder() {
    char path[] = "/tmp/interlock-bench-XXXXXX";
    if (::mkdtemp(path) == nullptr) std::abort();
    path_ = path;
  }
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::int64_t AvailableKiB() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  for (std::int64_t value = 0; file >> name >> value; file.ignore(256, '\n')) {
    if (name == "MemAvailable:") return value;
  }
  return 0;
}

// A process of node that starts a program for each line it reads and answers when it has ended.
class NodeSpawner {
 public:
  NodeSpawner() {
    if (::access("/usr/bin/node", X_OK) != 0) return;
    int to[2];
    int from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    std::string script = std::string("const {spawn} = require('child_process');") +
                         "process.stdin.on('data', () => spawn('" + kProgram +
                         "').on('close', () => process.stdout.write('x')));";
    std::string program = "/usr/bin/node";
    std::string option = "-e";
    char* argv[] = {program.data(), option.data(), script.data(), nullptr};
    if (::posix_spawn(&pid_, argv[0], &actions, nullptr, argv, environ) != 0) pid_ = 0;
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
    if (works()) Spawn();  // node's own start is not the point
  }
  ~NodeSpawner() {
    if (pid_ > 0) {
      ::close(to_);
      ::waitpid(pid_, nullptr, 0);
      ::close(from_);
    }
  }
  NodeSpawner(const NodeSpawner&) = delete;
  NodeSpawner& operator=(const NodeSpawner&) = delete;

  bool works() const { return pid_ > 0; }
  void Spawn() const {
    char byte = 'x';
    if (::write(to_, &byte, 1) != 1 || ::read(from_, &byte, 1) != 1) std::abort();
  }

 private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
};

// Rows that are measured call by call in turn, so that the machine's mood falls on all alike.
struct Subject {
  std::string name;
  Subjected call;
  std::vector<double> micros = {};
};

// `at_once` threads; before each call of a thread, a pause lets what is refilled off the path be
// refilled.
void MeasureInTurn(std::vector<Subject>& subjects, int calls, int at_once, unsigned pause_us) {
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int t = 0; t < at_once; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < calls; i += at_once) {
        for (Subject& subject : subjects) {
          if (pause_us > 0) ::usleep(pause_us);
          const double micros = subject.call();
          const std::lock_guard lock(mutex);
          subject.micros.push_back(micros);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Calls a second with `at_once` callers and nothing else running.
double Rate(const Subjected& call, int calls, int at_once) {
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < at_once; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < calls; i += at_once) call();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return calls / std::chrono::duration<double>(Clock::now() - begin).count();
}

// What one more ready box costs: the free memory of the machine before and after `boxes` of them.
double PooledBoxKiB() {
  constexpr int kBoxes = 64;
  const auto few = Start(Level::kFull, 0);
  RunBox(*few);
  const std::int64_t before = AvailableKiB();
  const auto many = Start(Level::kFull, kBoxes);
  RunBox(*many);
  ::usleep(1'500'000);  // they are made one after the other, off the path
  return static_cast<double>(before - AvailableKiB()) / kBoxes;
}

struct Figure {
  std::string what;
  double value;
  const char* unit;
  double floor;  // below 0: none
  const char* floor_name;
  const char* target;
  int met;  // -1: no target
};

void Emit(const Figure& figure) {
  std::printf("BENCH {\"what\":\"%s\",\"p50\":%.3f,\"unit\":\"%s\",", figure.what.c_str(),
              figure.value, figure.unit);
  if (figure.floor < 0) {
    std::printf("\"floor\":null,\"floor_name\":\"\",");
  } else {
    std::printf("\"floor\":%.3f,\"floor_name\":\"%s\",", figure.floor, figure.floor_name);
  }
  const char* met = figure.met < 0 ? "null" : figure.met > 0 ? "true" : "false";
  std::printf("\"target\":\"%s\",\"target_met\":%s}\n", figure.target, met);
}

const std::vector<std::string>& BubblewrapWords() {
  static const std::vector<std::string> words = {
      "/usr/bin/bwrap", "--unshare-all", "--ro-bind",
      "/usr",           "/usr",          "--symlink",
      "usr/lib",        "/lib",          "--symlink",
      "usr/lib64",      "/lib64",        "--symlink",
      "usr/bin",        "/bin",          "--proc",
      "/proc",          "--dev",         "/dev",
      "--tmpfs",        "/tmp",          "--die-with-parent",
      kProgram};
  return words;
}

void Report(const std::vector<Subject>& subjects, int at_once) {
  const std::string suffix = at_once == 1 ? "" : ", " + std::to_string(at_once) + " at once";
  const double floor = Percentile(subjects[0].micros, 0.5);
  double warm = 0;
  for (const Subject& subject : subjects) {
    const double p50 = Percentile(subject.micros, 0.5);
    Figure figure{subject.name + suffix + ", p50", p50, "us", floor, "posix_spawn", "", -1};
    if (&subject == subjects.data()) figure.floor = -1;
    if (at_once == 1 && subject.name == "warm box") {
      warm = p50;
      figure.target = "floor + 500 us";
      figure.met = p50 <= floor + 500 ? 1 : 0;
    } else if (at_once == 1 && subject.name == "cold box") {
      figure.target = "5000 us";
      figure.met = p50 <= 5000 ? 1 : 0;
    } else if (at_once == 1 && subject.name == "bubblewrap") {
      figure.floor = warm;
      figure.floor_name = "warm box";
      figure.target = ">= 4 x a warm box";
      figure.met = p50 >= 4 * warm ? 1 : 0;
    }
    Emit(figure);
    Emit({subject.name + suffix + ", p99", Percentile(subject.micros, 0.99), "us",
          &subject == subjects.data() ? -1 : Percentile(subjects[0].micros, 0.99), "posix_spawn",
          "", -1});
  }
}

// One process of node answers one caller at a time: each thread has its own.
Subjected OfNodes(std::vector<std::unique_ptr<NodeSpawner>>& nodes) {
  auto next = std::make_shared<std::atomic<std::size_t>>(0);
  return Timed([&nodes, next] {
    thread_local std::size_t own = 0;
    thread_local const void* of = nullptr;
    if (of != next.get()) {
      of = next.get();
      own = next->fetch_add(1) % nodes.size();
    }
    nodes[own]->Spawn();
  });
}

int Main(int calls) {
  constexpr unsigned kPauseUs = 6'000;
  constexpr int kMany = 8;
  const auto warm = Start(Level::kFull, 16);
  const auto cold = Start(Level::kFull, 0);
  if (warm->capabilities().level != Level::kFull) {
    std::fprintf(stderr,
                 "not comparable: this machine gives level `%s`, not `full` (interlock "
                 "sandbox probe says why)\n",
                 std::string(LevelName(warm->capabilities().level)).c_str());
    return 2;
  }
  const WorkFolder work;
  for (int i = 0; i < 4; ++i) RunBox(*warm);
  for (int i = 0; i < 4; ++i) RunBox(*warm, work.path());
  ::usleep(500'000);
  std::vector<std::unique_ptr<NodeSpawner>> nodes;
  for (int i = 0; i < kMany; ++i) nodes.push_back(std::make_unique<NodeSpawner>());
  std::vector<Subject> subjects = {
      {"posix_spawn", Timed([] { Spawn({kProgram}); })},
      {"warm box", [&] { return RunBox(*warm); }},
      {"warm box with a writable mount", [&] { return RunBox(*warm, work.path()); }},
      {"cold box", [&] { return RunBox(*cold); }}};
  if (::access("/usr/bin/bwrap", X_OK) == 0) {
    subjects.push_back({"bubblewrap", Timed([] { Spawn(BubblewrapWords()); })});
  }
  if (nodes[0]->works()) subjects.push_back({"node child_process.spawn", OfNodes(nodes)});
  for (const int at_once : {1, kMany}) {
    std::vector<Subject> now = subjects;
    MeasureInTurn(now, at_once == 1 ? calls : calls * 2, at_once, at_once == 1 ? kPauseUs : 0);
    Report(now, at_once);
  }
  Emit({"warm boxes, 8 at once", Rate([&] { return RunBox(*warm); }, calls * 2, kMany), "boxes/s",
        -1, "", "", -1});
  Emit({"memory of a pooled box", PooledBoxKiB(), "KiB", -1, "", "", -1});
  std::fprintf(stderr, "level %s\n", std::string(LevelName(warm->capabilities().level)).c_str());
  return 0;
}
}  // namespace
}  // namespace interlock::sandbox

int main(int argc, char** argv) {
  return interlock::sandbox::Main(argc > 1 ? std::atoi(argv[1]) : 200);
}
