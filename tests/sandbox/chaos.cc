// sandbox_chaos HOSTILE [CALLS] [AT_ONCE] [KILLS] [SEED] [LEVEL]: many calls at once, with random
// cancels, timeouts, floods, deaths of programs and of launchers, and the daemon killed -9 among
// them, at LEVEL (`full` and so on; the machine must give it). Afterwards nothing may be left:
// processes, zombies, mounts, mount namespaces, control groups, folders, System V objects and
// descriptors are counted before and after, and the launcher's own descriptors before and after the
// calls of the last daemon. Exit 0: as many after as before, and every call ended once.
//
// The parent kills; the child is the daemon: it runs calls and counts their ends in shared memory.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "boxes.h"

namespace interlock::sandbox::test {
namespace {
namespace fs = std::filesystem;
using std::chrono::milliseconds;

struct Shared {
  std::atomic<int> started;
  std::atomic<int> ended;  // of those whose daemon lived to hear of it
  std::array<std::atomic<int>, 12> kinds;
  std::atomic<int> doubled;
  // Of the last daemon's launcher, at rest: before its calls and after them.
  std::atomic<int> launcher_before;
  std::atomic<int> launcher_after;
};

struct Plan {
  std::string hostile;
  std::string launcher;
  int calls = 500;
  int at_once = 64;
  int kills = 4;
  unsigned seed = 1;
  std::string level;  // empty: the best that the machine gives
};

std::size_t LinesOf(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::size_t count = 0;
  while (std::getline(file, line)) ++count;
  return count;
}

std::set<std::string> FoldersLike(const std::string& folder, const std::string& prefix, bool deep) {
  std::error_code ignored;
  std::set<std::string> found;
  for (fs::recursive_directory_iterator
           at(folder, fs::directory_options::skip_permission_denied, ignored),
       end;
       at != end; at.increment(ignored)) {
    if (at->path().filename().string().starts_with(prefix)) found.insert(at->path());
    if (!deep) at.disable_recursion_pending();
  }
  return found;
}

// A control group is named after its launcher, `interlock-PIDNAMESPACE-PID-…`.
constexpr char kGroups[] = "interlock-";
bool LauncherLives(const std::string& group) {
  const std::string name = group.substr(group.rfind('/') + 1);
  const std::size_t dash = name.find('-', sizeof kGroups - 1);
  const int launcher = dash == std::string::npos ? 0 : std::atoi(name.c_str() + dash + 1);
  return launcher > 0 && (::kill(launcher, 0) == 0 || errno == EPERM);
}

// What is there now and was not before: other daemons of this machine come and go meanwhile.
std::set<std::string> New(const std::set<std::string>& before, std::set<std::string> now) {
  std::erase_if(now, [&](const std::string& path) { return before.contains(path); });
  return now;
}
std::size_t GroupsLeft(const std::set<std::string>& before, const std::set<std::string>& now) {
  std::set<std::string> left = New(before, now);
  std::erase_if(left, LauncherLives);  // ours are dead
  return left.size();
}

// The state and the name of a process, from proc(5)'s stat.
std::pair<char, std::string> StateAndName(const fs::path& process) {
  std::ifstream file(process / "stat");
  std::string line;
  std::getline(file, line);
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 2 >= line.size()) {
    return {'?', ""};
  }
  return {line[close + 2], line.substr(open + 1, close - open - 1)};
}

// The kernel keeps 15 characters of a name.
std::string NameInKernel(const std::string& program) {
  return fs::path(program).filename().string().substr(0, 15);
}

struct Standing {
  std::size_t zombies = 0;       // of ours, by name: a zombie has no command line
  std::set<std::string> spaces;  // mount namespaces
};

Standing LookAtProcesses(const std::set<std::string>& names) {
  Standing standing;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    if (std::atoi(entry.path().filename().c_str()) <= 0) continue;
    const auto [state, name] = StateAndName(entry.path());
    if (!names.contains(name)) continue;
    if (state == 'Z') ++standing.zombies;
    const fs::path space = fs::read_symlink(entry.path() / "ns/mnt", ignored);
    if (!space.empty()) standing.spaces.insert(space);
  }
  return standing;
}

// Of this machine's ipc namespace, where a box without namespaces would leave them.
std::size_t SystemVObjects() {
  std::size_t count = 0;
  for (const char* kind : {"shm", "sem", "msg"}) {
    const std::size_t lines = LinesOf((std::string("/proc/sysvipc/") + kind).c_str());
    count += lines > 0 ? lines - 1 : 0;
  }
  return count;
}

// Of this process, whichever thread made it: its launcher.
int OnlyChild() {
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "children");
    if (int pid = 0; file >> pid) return pid;
  }
  return 0;
}

int DescriptorsOf(int pid) {
  std::error_code ignored;
  const fs::directory_iterator all("/proc/" + std::to_string(pid) + "/fd", ignored);
  return static_cast<int>(std::distance(fs::begin(all), fs::end(all)));
}

// When it has not changed for a while: what a launcher fills and clears up takes some milliseconds.
int DescriptorsAtRest(int pid) {
  int count = DescriptorsOf(pid);
  for (int same = 0, waited = 0; same < 20 && waited < 1000; ++waited) {
    std::this_thread::sleep_for(milliseconds(10));
    const int now = DescriptorsOf(pid);
    same = now == count ? same + 1 : 0;
    count = now;
  }
  return count;
}

struct Counts {
  std::size_t processes = 0;  // ours: by token, launchers, zombies of this process
  std::size_t zombies = 0;
  std::size_t mounts = 0;
  std::size_t mount_spaces = 0;
  std::size_t system_v = 0;
  std::set<std::string> groups;
  std::set<std::string> folders;
  std::size_t descriptors = 0;
};

Counts Count(const std::string& token, const std::string& hostile, const std::string& launcher) {
  Counts counts;
  counts.processes = ProcessesWith(token).size() + ProcessesWith(launcher).size();
  const Standing standing = LookAtProcesses({NameInKernel(hostile), NameInKernel(launcher)});
  counts.zombies = standing.zombies;
  counts.mount_spaces = standing.spaces.size();
  counts.system_v = SystemVObjects();
  counts.mounts = LinesOf("/proc/self/mountinfo");
  counts.groups = FoldersLike("/sys/fs/cgroup", kGroups, true);
  counts.folders = FoldersLike("/tmp", "interlock-box-", false);
  counts.descriptors = static_cast<std::size_t>(
      std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
  return counts;
}

void Print(const char* when, const Counts& counts) {
  std::printf(
      "%-7s processes %zu, zombies %zu, mounts %zu, mount namespaces %zu, control groups %zu, "
      "folders %zu, System V objects %zu, descriptors %zu\n",
      when, counts.processes, counts.zombies, counts.mounts, counts.mount_spaces,
      counts.groups.size(), counts.folders.size(), counts.system_v, counts.descriptors);
}

constexpr unsigned kKindsOfCalls = 11;

BoxSpec SpecOf(const Plan& plan, const std::string& token, unsigned kind) {
  BoxSpec spec;
  spec.level_min = Level::kLandlockOnly;
  spec.mounts = {{plan.hostile, plan.hostile, Access::kReadOnly}};
  spec.limits.memory_bytes = 32 << 20;
  spec.limits.wall_ms = 20'000;
  static const std::vector<std::vector<std::string>> kKinds = {
      {"exit-with", "0"}, {"exit-with", "5"}, {"sleep-tree"}, {"stubborn"},
      {"flood"},          {"eat-memory"},     {"fork-bomb"},  {"trace-me"},
      {"raise", "11"},    {"unleash"},        {"leave-state"}};
  spec.argv = {plan.hostile};
  for (const std::string& word : kKinds[kind % kKinds.size()]) spec.argv.push_back(word);
  spec.argv.push_back(token);
  if (spec.argv[1] == "stubborn") spec.limits.wall_ms = 30;
  return spec;
}

void RunOnce(Launcher& launcher, BoxSpec spec) {
  std::promise<void> done;
  launcher.Run(std::move(spec), [&](const BoxResult&) { done.set_value(); });
  done.get_future().wait();
}

// Until the shared count of started calls is reached. A call is cancelled, or its program killed
// from outside, at random.
int RunDaemon(const Plan& plan, const std::string& token, const std::string& state, Shared& shared,
              unsigned seed) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  LauncherOptions options;
  options.program = plan.launcher;
  options.state_file = state;
  options.boxes_max = plan.at_once;
  options.pool_per_profile = std::min(8, plan.at_once);
  for (const Level level : {Level::kLandlockOnly, Level::kFullNoCgroup}) {
    if (plan.level == LevelName(level)) options.level_cap = level;
  }
  auto launcher = StartLauncher(options);
  if (!launcher.ok()) {
    std::fprintf(stderr, "%s\n", std::string(core::Message(launcher.status())).c_str());
    return 3;
  }
  if (!plan.level.empty() && plan.level != LevelName((*launcher)->capabilities().level)) {
    std::fprintf(stderr, "this machine gives level %s\n",
                 std::string(LevelName((*launcher)->capabilities().level)).c_str());
    return 3;
  }
  std::mt19937 random(seed);
  std::atomic<int> open{0};
  RunOnce(**launcher, SpecOf(plan, token, 0));  // its pool is filled from now on
  const int own = OnlyChild();
  shared.launcher_before = DescriptorsAtRest(own);
  while (shared.started < plan.calls) {
    while (open >= plan.at_once) std::this_thread::sleep_for(milliseconds(1));
    ++shared.started;
    ++open;
    const auto kind = static_cast<unsigned>(random() % kKindsOfCalls);
    auto once = std::make_shared<std::atomic<int>>(0);
    const std::uint64_t handle =
        (*launcher)->Run(SpecOf(plan, token, kind), [&, once](const BoxResult& result) {
          shared.doubled += once->fetch_add(1) > 0 ? 1 : 0;
          ++shared.kinds[static_cast<std::size_t>(result.kind)];
          ++shared.ended;
          --open;
        });
    if (kind == 2 || random() % 16 == 0) (*launcher)->Cancel(handle);
    if (random() % 64 == 0) {
      const std::vector<int> pids = ProcessesWith(token);
      if (!pids.empty()) ::kill(pids[random() % pids.size()], SIGKILL);
    }
  }
  for (int waited = 0; open > 0 && waited < 60'000; ++waited) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  shared.launcher_after = DescriptorsAtRest(own);
  return open > 0 ? 4 : 0;
}

// The daemon's status, or -1 after it was killed.
int OneDaemon(const Plan& plan, const std::string& token, const std::string& state, Shared& shared,
              unsigned seed, int kill_at) {
  const pid_t daemon = ::fork();
  if (daemon == 0) std::_Exit(RunDaemon(plan, token, state, shared, seed));
  int status = 0;
  while (::waitpid(daemon, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(milliseconds(2));
    if (shared.started < kill_at) continue;
    ::kill(daemon, SIGKILL);
    ::waitpid(daemon, &status, 0);
    return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

bool Same(const Counts& before, const Counts& after) {
  return after.processes == before.processes && after.zombies <= before.zombies &&
         after.mount_spaces <= before.mount_spaces && after.system_v <= before.system_v &&
         after.mounts == before.mounts && after.descriptors == before.descriptors &&
         GroupsLeft(before.groups, after.groups) == 0 && New(before.folders, after.folders).empty();
}

int Main(Plan plan) {
  auto* shared = static_cast<Shared*>(
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (shared == MAP_FAILED) return 2;
  const std::string token = Token();
  // Started by a name of its own, so that this program's launchers and boxes can be told from
  // others.
  const std::string launcher = "/tmp/interlock-chaos-" + std::to_string(::getpid());
  const std::string state = launcher + ".state";
  std::error_code ignored;
  fs::create_symlink(INTERLOCK_BIN_DIR "/interlock-launcher", launcher, ignored);
  plan.launcher = launcher;
  const Counts before = Count(token, plan.hostile, launcher);
  Print("before", before);
  int status = -1;
  int kills = 0;
  for (unsigned round = 0; status == -1; ++round) {
    const int kill_at =
        kills < plan.kills ? (kills + 1) * plan.calls / (plan.kills + 1) : plan.calls * 2;
    status = OneDaemon(plan, token, state, *shared, plan.seed + round, kill_at);
    if (status == -1) ++kills;
  }
  // The last daemon's launcher and boxes end with it; nobody waits for them but us.
  Counts after = Count(token, plan.hostile, launcher);
  for (int i = 0; i < 500 && !Same(before, after); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    after = Count(token, plan.hostile, launcher);
  }
  Print("after", after);
  std::printf("launcher's descriptors %d before the last daemon's calls, %d after\n",
              shared->launcher_before.load(), shared->launcher_after.load());
  std::printf("left    control groups %zu, folders %zu\n", GroupsLeft(before.groups, after.groups),
              New(before.folders, after.folders).size());
  fs::remove(state, ignored);
  fs::remove(launcher, ignored);
  std::printf("%d calls, %d at once, %d daemon kills; ended:", shared->started.load(), plan.at_once,
              kills);
  for (std::size_t i = 0; i < shared->kinds.size(); ++i) {
    if (shared->kinds[i] > 0) {
      std::printf(" %s %d", std::string(EndKindName(static_cast<EndKind>(i))).c_str(),
                  shared->kinds[i].load());
    }
  }
  std::printf("; with their daemon: %d\n", shared->started - shared->ended);
  const auto ended = [&](EndKind kind) {
    return shared->kinds[static_cast<std::size_t>(kind)].load();
  };
  // A run in which nothing happened would leave nothing too.
  const bool happened = ended(EndKind::kExit) > 0 && ended(EndKind::kCancelled) > 0 &&
                        ended(EndKind::kTimeout) > 0 && ended(EndKind::kOutput) > 0 &&
                        ended(EndKind::kViolation) > 0 && ended(EndKind::kSignal) > 0;
  const bool held =
      shared->launcher_before > 0 && shared->launcher_after == shared->launcher_before;
  const bool good = status == 0 && Same(before, after) && held && shared->doubled == 0 &&
                    happened && ended(EndKind::kNotRun) == 0;
  if (!good) std::printf("FAILED: status %d, %d ended twice\n", status, shared->doubled.load());
  return good ? 0 : 1;
}
}  // namespace
}  // namespace interlock::sandbox::test

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "sandbox_chaos HOSTILE [CALLS] [AT_ONCE] [KILLS] [SEED] [LEVEL]\n");
    return 2;
  }
  interlock::sandbox::test::Plan plan;
  plan.hostile = argv[1];
  if (argc > 2) plan.calls = std::atoi(argv[2]);
  if (argc > 3) plan.at_once = std::atoi(argv[3]);
  if (argc > 4) plan.kills = std::atoi(argv[4]);
  if (argc > 5) plan.seed = static_cast<unsigned>(std::atoi(argv[5]));
  if (argc > 6) plan.level = argv[6];
  return interlock::sandbox::test::Main(std::move(plan));
}
