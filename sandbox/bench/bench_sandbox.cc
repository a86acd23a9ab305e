// What a box costs beside the bare start of the same program: `bench_sandbox [CALLS]`. Every row is
// measured in the same run, one call at a time and eight at once; a box's time ends when its whole
// tree is dead.
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
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "sandbox/launcher.h"

extern char** environ;

namespace interlock::sandbox {
namespace {
using Clock = std::chrono::steady_clock;
constexpr const char* kProgram = "/bin/true";

struct Row {
  std::string name;
  std::vector<double> micros;
  double seconds = 0;
};

double Percentile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

void Print(const Row& row, double floor) {
  const double p50 = Percentile(row.micros, 0.5);
  std::printf("%-34s %9.0f %9.0f %9.0f %8.2fx %9.0f\n", row.name.c_str(),
              Percentile(row.micros, 0.1), p50, Percentile(row.micros, 0.99),
              floor > 0 ? p50 / floor : 1.0, static_cast<double>(row.micros.size()) / row.seconds);
}

double Time(const std::function<void()>& call) {
  const auto begin = Clock::now();
  call();
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

// `pause_us` between calls lets what is refilled off the path be refilled.
Row Measure(std::string name, int calls, int at_once, unsigned pause_us,
            const std::function<void()>& call) {
  Row row{std::move(name), {}, 0};
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(at_once));
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < at_once; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < calls; i += at_once) {
        parts[static_cast<std::size_t>(t)].push_back(Time(call));
        if (pause_us > 0) ::usleep(pause_us);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  row.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  for (const auto& part : parts) row.micros.insert(row.micros.end(), part.begin(), part.end());
  return row;
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

void RunBox(Launcher& launcher) {
  BoxSpec spec;
  spec.level_min = Level::kLandlockOnly;
  spec.argv = {kProgram};
  std::promise<BoxResult> promise;
  launcher.Run(std::move(spec), [&](BoxResult result) { promise.set_value(std::move(result)); });
  const BoxResult result = promise.get_future().get();
  if (result.kind == EndKind::kExit && result.value == 0) return;
  std::fprintf(stderr, "a box ended with %s: %s\n", std::string(EndKindName(result.kind)).c_str(),
               result.detail.c_str());
  std::exit(1);
}

int Main(int calls) {
  std::printf("%-34s %9s %9s %9s %9s %9s\n", "start and end of /bin/true", "p10 us", "p50 us",
              "p99 us", "of floor", "per s");
  constexpr unsigned kPauseUs = 12'000;
  const auto floor = [] { Spawn({kProgram}); };
  for (const int at_once : {1, 8}) {
    const std::string suffix = at_once == 1 ? "" : ", 8 at once";
    const Row bare = Measure("posix_spawn (floor)" + suffix, calls, at_once, 0, floor);
    const double base = Percentile(bare.micros, 0.5);
    Print(bare, base);
    if (at_once == 1) {
      const auto warm = Start(Level::kFull, 2);
      RunBox(*warm);
      ::usleep(200'000);
      Print(Measure("posix_spawn, paced", calls, 1, kPauseUs, floor), base);
      Print(Measure(std::string(LevelName(warm->capabilities().level)) + ", ready box, paced",
                    calls, 1, kPauseUs, [&] { RunBox(*warm); }),
            base);
    }
    const auto cold = Start(Level::kFull, 0);
    Print(Measure(std::string(LevelName(cold->capabilities().level)) + ", cold" + suffix, calls,
                  at_once, 0, [&] { RunBox(*cold); }),
          base);
    const auto plain = Start(Level::kLandlockOnly, 0);
    Print(Measure("landlock-only, cold" + suffix, calls, at_once, 0, [&] { RunBox(*plain); }),
          base);
    if (::access("/usr/bin/bwrap", X_OK) == 0) {
      Print(Measure("bubblewrap, usual mounts" + suffix, calls / 2, at_once, 0,
                    [] {
                      Spawn({"/usr/bin/bwrap", "--unshare-all", "--ro-bind",
                             "/usr",           "/usr",          "--symlink",
                             "usr/lib",        "/lib",          "--symlink",
                             "usr/lib64",      "/lib64",        "--symlink",
                             "usr/bin",        "/bin",          "--proc",
                             "/proc",          "--dev",         "/dev",
                             "--tmpfs",        "/tmp",          "--die-with-parent",
                             kProgram});
                    }),
            base);
    }
  }
  return 0;
}
}  // namespace
}  // namespace interlock::sandbox

int main(int argc, char** argv) {
  return interlock::sandbox::Main(argc > 1 ? std::atoi(argv[1]) : 200);
}
