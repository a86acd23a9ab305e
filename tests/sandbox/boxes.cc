#include "boxes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <sstream>

#include "ordinary_user.h"

extern char** environ;

namespace interlock::sandbox::test {
namespace fs = std::filesystem;
namespace {
constexpr unsigned kOwner = 61234;  // of the folder, where the launcher is root
}  // namespace

Folder::Folder(bool for_nobody) {
  char path[] = "/tmp/interlock-test-XXXXXX";
  if (::mkdtemp(path) == nullptr) std::abort();
  path_ = path;
  ::chmod(path, 0755);
  fs::copy_file(INTERLOCK_HOSTILE, hostile());
  ::chmod(hostile().c_str(), 0755);
  fs::create_directory(work());
  std::ofstream(Path("secret")) << "secret";
  if (::geteuid() != 0) return;
  const unsigned owner = for_nobody ? OrdinaryUser(::getpid()) : kOwner;
  for (const std::string& name : {work(), hostile(), Path("secret")}) {
    if (::chown(name.c_str(), owner, owner) != 0) std::abort();
  }
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Boxes::Boxes(const Ground& ground, int pool) : folder_(ground.as_nobody) {
  const bool root = ::geteuid() == 0;
  if (!root && !ground.as_nobody) {
    why_not_ = "needs root";
    return;
  }
  LauncherOptions options;
  options.program =
      root && ground.as_nobody ? INTERLOCK_AS_NOBODY : INTERLOCK_BIN_DIR "/interlock-launcher";
  if (ground.old_landlock) options.program = INTERLOCK_AS_OLD;
  // At level full, with groups that a service manager would give it.
  if (root && ground.as_nobody && ground.level_cap == Level::kFull) {
    options.program = INTERLOCK_AS_DELEGATED;
  }
  options.level_cap = ground.level_cap;
  options.pool_per_profile = pool;
  auto launcher = StartLauncher(options);
  if (!launcher.ok() && options.program == INTERLOCK_AS_DELEGATED) {
    options.program = INTERLOCK_AS_NOBODY;
    launcher = StartLauncher(options);
  }
  if (!launcher.ok()) {
    why_not_ = std::string(core::Message(launcher.status()));
    return;
  }
  launcher_ = std::move(*launcher);
  const Level have = launcher_->capabilities().level;
  const Level wanted = ground.level_cap == Level::kFull ? Level::kFullNoCgroup : ground.level_cap;
  if (have >= wanted) return;
  why_not_ = "this machine gives `" + std::string(LevelName(have)) + "`";
  for (const Feature& feature : launcher_->capabilities().features) {
    if (!feature.available) why_not_ += "; " + feature.name + ": " + feature.detail;
  }
}

Boxes::~Boxes() {
  launcher_.reset();
  RemoveDelegatedGroups();
}

void RemoveDelegatedGroups() {
  std::error_code ignored;
  for (const auto& controller : fs::directory_iterator("/sys/fs/cgroup", ignored)) {
    for (const auto& group : fs::directory_iterator(controller, ignored)) {
      if (group.path().filename().string().starts_with("delegated-")) {
        ::rmdir(group.path().c_str());
      }
    }
  }
}

bool Boxes::namespaces() const { return launcher_->capabilities().level >= Level::kFullNoCgroup; }

bool Boxes::cgroups() const {
  for (const Feature& feature : launcher_->capabilities().features) {
    if (feature.name == "control groups") return feature.available;
  }
  return false;
}

BoxSpec Boxes::Hostile(std::vector<std::string> args) const {
  BoxSpec spec;
  spec.level_min = Level::kLandlockOnly;
  spec.limits.wall_ms = 60'000;  // a busy machine must not decide; tests of limits set their own
  spec.argv = {folder_.hostile()};
  spec.argv.insert(spec.argv.end(), args.begin(), args.end());
  spec.mounts = {{folder_.hostile(), folder_.hostile(), Access::kReadOnly}};
  return spec;
}

BoxSpec Boxes::HostileWithWork(std::vector<std::string> args) const {
  BoxSpec spec = Hostile(std::move(args));
  spec.mounts.push_back({folder_.work(), folder_.work(), Access::kReadWrite});
  return spec;
}

BoxResult Boxes::Run(BoxSpec spec) {
  std::promise<BoxResult> promise;
  launcher_->Run(std::move(spec), [&](BoxResult result) { promise.set_value(std::move(result)); });
  return promise.get_future().get();
}

std::string RunOutside(const std::vector<std::string>& argv) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "pipe failed";
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, words[0], &actions, nullptr, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string text;
  char part[4096];
  for (ssize_t n; error == 0 && (n = ::read(ends[0], part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  if (error == 0) ::waitpid(pid, nullptr, 0);
  return text;
}

std::string Describe(const BoxResult& result) {
  return std::string(EndKindName(result.kind)) + " " + std::to_string(result.value) + " at " +
         std::string(LevelName(result.level)) + ": " + result.detail +
         "\nstdout: " + result.stdout_bytes + "\nstderr: " + result.stderr_bytes;
}

std::vector<int> ProcessesWith(const std::string& token) {
  std::vector<int> pids;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || pid == ::getpid()) continue;
    std::ifstream file(entry.path() / "cmdline");
    // Through the stream: its process may end meanwhile, and a bare stream buffer would throw then.
    std::ostringstream text;
    text << file.rdbuf();
    if (text.str().find(token) != std::string::npos) pids.push_back(pid);
  }
  return pids;
}

std::string Token() {
  static int count = 0;
  return "token-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

}  // namespace interlock::sandbox::test
