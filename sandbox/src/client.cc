// The daemon's side of the launcher.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "broker.h"
#include "cgroup.h"
#include "core/check.h"
#include "fd.h"
#include "message.h"
#include "program_digests.h"
#include "registry.h"
#include "sandbox/launcher.h"
#include "wire.h"

extern char** environ;

namespace interlock::sandbox {
namespace {
constexpr std::chrono::milliseconds kDeathPatience{10'000};
constexpr int kLauncherSocket = 3;
constexpr int kLauncherState = 4;

std::string Errno(std::string_view what) { return std::string(what) + ": " + std::strerror(errno); }

// A file that reads as `bytes` and can not be changed.
Fd SealedFile(std::string_view bytes) {
  Fd file(::memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return file;
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t size = ::write(file.get(), bytes.data() + at, bytes.size() - at);
    if (size <= 0) return Fd();
    at += static_cast<std::size_t>(size);
  }
  ::lseek(file.get(), 0, SEEK_SET);
  ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  return file;
}

bool ReadOutputs(const Fd& file, ResultMessage& message) {
  BoxResult& r = message.result;
  if (message.stdout_size > (1u << 30) || message.stderr_size > (1u << 30)) return false;
  r.stdout_bytes.resize(message.stdout_size);
  r.stderr_bytes.resize(message.stderr_size);
  off_t offset = 0;
  for (std::string* part : {&r.stdout_bytes, &r.stderr_bytes}) {
    for (std::size_t at = 0; at < part->size();) {
      const ssize_t size = ::pread(file.get(), part->data() + at, part->size() - at, offset);
      if (size <= 0) return false;
      at += static_cast<std::size_t>(size);
      offset += size;
    }
  }
  return true;
}

// Null with `why`.
std::unique_ptr<Broker> MakeBroker(BoxSpec& spec, Fd& channel, std::string& why) {
  Fd ours;
  if (!MessagePair(ours, channel)) {
    why = Errno("make the way to the broker");
    return nullptr;
  }
  AddressPolicy policy = spec.addresses;
  policy.ports.clear();
  for (const Destination& destination : spec.destinations) policy.ports.push_back(destination.port);
  spec.env.emplace_back("INTERLOCK_NET_FD", "3");
  return std::make_unique<Broker>(std::move(ours), spec.destinations, std::move(policy));
}

// What a result says of the box beside how it ended.
struct Identity {
  core::Digest profile{};
  core::Digest filter{};
  core::Digest program{};

  void Stamp(BoxResult& result) const {
    result.profile_digest = profile;
    result.filter_digest = filter;
    result.program_digest = program;
  }
};

std::vector<core::Digest> DigestsOf(const std::vector<std::string>& filters) {
  std::vector<core::Digest> digests;
  digests.reserve(filters.size());
  for (const std::string& filter : filters) digests.push_back(core::Sha256(filter));
  return digests;
}

// What was in force, as one digest: level, filter, mounts, limits.
core::Digest ProfileDigest(const BoxSpec& spec, Level level, const core::Digest& filter) {
  Writer writer;
  writer.Text(LevelName(level));
  writer.Text(ProfileName(spec.profile));
  writer.Text(core::AsBytes(filter));
  for (const Mount& mount : spec.mounts) {
    writer.Text(mount.host_path);
    writer.Text(mount.box_path);
    writer.U32(static_cast<std::uint32_t>(mount.access));
    writer.I64(mount.quota.bytes);
    writer.I64(mount.quota.files);
  }
  for (const Destination& destination : spec.destinations) {
    writer.Text(destination.host);
    writer.U32(destination.port);
  }
  const Limits& l = spec.limits;
  for (const std::int64_t value : {l.wall_ms, l.cpu_ms, l.memory_bytes, l.pids, l.stdout_bytes,
                                   l.stderr_bytes, l.file_bytes, l.tmp_bytes, l.tmp_inodes}) {
    writer.I64(value);
  }
  return core::Sha256(writer.bytes());
}

// Whether nothing that this box can write to may be its program, or lie on the way there. Then the
// digest is taken while the launcher is at work already: it is as true as one taken before, since
// who else could change the file could also do so between a digest taken first and exec.
bool NamedLater(const BoxSpec& spec, Level level) {
  if (level == Level::kNone) return false;
  return std::all_of(spec.mounts.begin(), spec.mounts.end(),
                     [](const Mount& mount) { return mount.access == Access::kReadOnly; });
}

class ProcessLauncher final : public Launcher {
 public:
  ProcessLauncher(pid_t pid, Fd socket, Fd state, Hello hello, bool allow_none)
      : pid_(pid),
        socket_(std::move(socket)),
        state_(std::move(state)),
        hello_(std::move(hello)),
        filters_(DigestsOf(hello_.filter_bytes)),
        allow_none_(allow_none),
        reader_([this] { Read(); }) {}
  ~ProcessLauncher() override;

  std::uint64_t Run(BoxSpec spec, std::function<void(BoxResult)> done) override;
  void Cancel(std::uint64_t handle) override;
  const Capabilities& capabilities() const override { return hello_.capabilities; }

 private:
  struct Pending {
    std::function<void(BoxResult)> done;
    std::future<Identity> identity;
    std::function<void(Output)> on_output;
    std::unique_ptr<Broker> broker;
  };

  std::string Refusal(const BoxSpec& spec) const;
  // Without its program: of a box that is not made.
  Identity IdentityOf(const BoxSpec& spec) const;
  Identity NamedWithProgram(const BoxSpec& spec);
  void Read();
  void OnResult(ResultMessage message, const std::vector<Fd>& fds);
  void OnDeath();
  void OnOutput(OutputMessage message);
  // A pending without `done` when no such call waits.
  Pending Take(std::uint64_t id);

  const pid_t pid_;
  const Fd socket_;
  const Fd state_;
  const Hello hello_;
  // By profile. The launcher has no others as long as it lives: filters are compiled before its
  // hello.
  const std::vector<core::Digest> filters_;
  const bool allow_none_;
  ProgramDigests programs_;
  std::atomic<std::uint64_t> next_id_{1};
  std::mutex mutex_;
  bool dead_ = false;
  bool closing_ = false;
  std::unordered_map<std::uint64_t, Pending> pending_;
  // Of boxes that have ended; their threads end by themselves. The reader's own.
  std::vector<std::unique_ptr<Broker>> ending_;
  std::thread reader_;  // last: started when all else is there
};

ProcessLauncher::~ProcessLauncher() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  SendMessage(socket_.get(), EncodeShutdown(), {}, 0);
  reader_.join();
}

std::string ProcessLauncher::Refusal(const BoxSpec& spec) const {
  if (std::string problem = SpecProblem(spec); !problem.empty()) return problem;
  const Capabilities& have = hello_.capabilities;
  if (have.level >= spec.level_min && (have.level > Level::kNone || allow_none_)) return "";
  std::string why = "this machine gives sandbox level `" + std::string(LevelName(have.level)) +
                    "`, the program demands `" + std::string(LevelName(spec.level_min)) + "`";
  for (const Feature& feature : have.features) {
    const bool wanted = feature.name != "landlock scopes" && feature.name != "idmapped mounts" &&
                        feature.name != "box user";
    if (feature.available || !wanted) continue;
    return why + ": " + feature.name + " missing (" + feature.detail + "); " + feature.fix;
  }
  return why;
}

Identity ProcessLauncher::IdentityOf(const BoxSpec& spec) const {
  const core::Digest& filter = filters_[static_cast<std::size_t>(spec.profile)];
  return {.profile = ProfileDigest(spec, hello_.capabilities.level, filter), .filter = filter};
}

Identity ProcessLauncher::NamedWithProgram(const BoxSpec& spec) {
  Identity identity = IdentityOf(spec);
  identity.program = programs_.Of(spec);
  return identity;
}

std::uint64_t ProcessLauncher::Run(BoxSpec spec, std::function<void(BoxResult)> done) {
  const std::uint64_t id = next_id_.fetch_add(1);
  std::string why = Refusal(spec);
  Fd input;
  if (why.empty() && !spec.stdin_bytes.empty()) {
    input = SealedFile(spec.stdin_bytes);
    if (!input.valid()) why = Errno("make the program's input");
  }
  const std::shared_ptr<InputPipe> open_input = std::move(spec.input);
  Fd channel;
  std::promise<Identity> identity;
  Pending pending{std::move(done), identity.get_future(), std::move(spec.on_output), nullptr};
  if (why.empty() && !spec.destinations.empty()) {
    pending.broker = MakeBroker(spec, channel, why);
  }
  const RunRequest request{id, std::move(spec), channel.valid(), pending.on_output != nullptr};
  const bool named_later = NamedLater(request.spec, hello_.capabilities.level);
  if (!named_later && why.empty()) identity.set_value(NamedWithProgram(request.spec));
  std::string bytes;
  if (why.empty()) {
    bytes = EncodeRun(request);
    if (bytes.size() > kMessageBytesMax) why = "argv, env and mounts together are above 160 KiB";
  }
  {
    const std::lock_guard lock(mutex_);
    if (why.empty() && dead_) why = "the sandbox launcher is gone; restart the daemon";
    if (why.empty()) pending_.emplace(id, std::move(pending));
  }
  const auto refuse = [&](Pending& refused) {
    BoxResult result;
    result.kind = EndKind::kNotRun;
    result.level = hello_.capabilities.level;
    result.detail = std::move(why);
    IdentityOf(request.spec).Stamp(result);
    refused.done(std::move(result));
    return id;
  };
  if (!why.empty()) return refuse(pending);
  std::vector<int> fds;
  if (input.valid()) fds.push_back(input.get());
  if (open_input != nullptr) fds.push_back(open_input->read_end());
  if (channel.valid()) fds.push_back(channel.get());
  const bool sent = SendMessage(socket_.get(), bytes, fds, 0);
  if (!sent) why = Errno("hand the call to the sandbox launcher");
  if (named_later) identity.set_value(NamedWithProgram(request.spec));
  if (sent) return id;
  // A message goes as a whole or not at all. Where the launcher is gone, the reader may have
  // answered by now.
  Pending unsent = Take(id);
  return unsent.done ? refuse(unsent) : id;
}

void ProcessLauncher::Cancel(std::uint64_t handle) {
  SendMessage(socket_.get(), EncodeCancel(handle), {}, 0);
}

ProcessLauncher::Pending ProcessLauncher::Take(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(id);
  if (found == pending_.end()) return {};
  Pending pending = std::move(found->second);
  pending_.erase(found);
  return pending;
}

void ProcessLauncher::OnOutput(OutputMessage message) {
  std::function<void(Output)> on_output;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(message.id);
    if (found != pending_.end()) on_output = found->second.on_output;
  }
  if (on_output) on_output({message.is_stderr, std::move(message.bytes)});
}

void ProcessLauncher::Read() {
  std::vector<char> room(kMessageBytesMax);
  std::string_view bytes;
  std::vector<Fd> fds;
  for (;;) {
    const Received got = ReceiveMessage(socket_.get(), room, bytes, fds, 0);
    if (got != Received::kMessage && got != Received::kStripped) break;
    Reader reader(bytes);
    const auto kind = static_cast<MessageKind>(reader.U32());
    if (kind == MessageKind::kOutput) {
      if (std::optional<OutputMessage> output = DecodeOutput(reader)) OnOutput(std::move(*output));
      continue;
    }
    if (kind != MessageKind::kResult) continue;
    if (std::optional<ResultMessage> message = DecodeResult(reader))
      OnResult(std::move(*message), fds);
  }
  OnDeath();
}

void ProcessLauncher::OnResult(ResultMessage message, const std::vector<Fd>& fds) {
  Pending pending = Take(message.id);
  if (!pending.done) return;
  BoxResult& result = message.result;
  pending.identity.get().Stamp(result);
  if (pending.broker != nullptr) ending_.push_back(std::move(pending.broker));
  std::erase_if(ending_, [](const auto& broker) { return broker->ended(); });
  if (message.outputs_in_fd != 0 && (fds.empty() || !ReadOutputs(fds[0], message))) {
    result.stdout_dropped += static_cast<std::int64_t>(message.stdout_size);
    result.stderr_dropped += static_cast<std::int64_t>(message.stderr_size);
    result.detail += "; the output was lost for want of memory or of open files";
  }
  pending.done(std::move(result));
}

void ProcessLauncher::OnDeath() {
  int status = 0;
  // The socket is at its end or out of step: a launcher that lives yet would be waited for forever.
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status, 0);
  // Nothing is reported before it is true: the boxes' inits die with the launcher, and we wait for
  // each.
  const bool gone = Registry(state_.get()).EndAll(kDeathPatience);
  for (const std::string& folder : hello_.cgroups) RemoveCgroupTree(folder);
  std::unordered_map<std::uint64_t, Pending> left;
  bool closing = false;
  {
    const std::lock_guard lock(mutex_);
    dead_ = true;
    closing = closing_;
    left.swap(pending_);
  }
  for (auto& [id, pending] : left) {
    BoxResult result;
    result.kind = EndKind::kLost;
    result.detail = closing ? "the launcher ended before it reported the end" : "the launcher died";
    if (!gone) result.detail += "; a box could not be proven dead";
    result.level = hello_.capabilities.level;
    pending.identity.get().Stamp(result);
    pending.done(std::move(result));
  }
}

core::StatusOr<Fd> OpenStateFile(const std::string& path, unsigned slots) {
  if (path.empty()) {
    Fd file(::memfd_create("boxes", MFD_CLOEXEC));
    if (!file.valid()) return core::Unavailable(Errno("memfd_create"));
    return file;
  }
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return core::InvalidArgument(Errno("open `" + path + "`"));
  if (!Registry(file.get()).EndAll(kDeathPatience)) {
    return core::FailedPrecondition("a box of an earlier daemon, listed in `" + path +
                                    "`, does not end; end it by hand and start again");
  }
  if (::ftruncate(file.get(), 0) != 0) return core::Unavailable(Errno("truncate `" + path + "`"));
  if (!Registry(file.get()).Reserve(slots)) {
    return core::Unavailable(Errno("write `" + path + "`") + "; make room there");
  }
  return file;
}

// Both descriptors become numbers in the child that nothing else has there.
core::StatusOr<pid_t> Spawn(const LauncherOptions& options, int socket, int state) {
  std::vector<std::string> words = {options.program,
                                    "--socket",
                                    std::to_string(kLauncherSocket),
                                    "--state",
                                    std::to_string(kLauncherState),
                                    "--boxes-max",
                                    std::to_string(options.boxes_max),
                                    "--pool",
                                    std::to_string(options.pool_per_profile),
                                    "--level-cap",
                                    std::to_string(static_cast<int>(options.level_cap)),
                                    "--allow-none",
                                    options.allow_none ? "1" : "0",
                                    "--name-refused",
                                    options.name_refused ? "1" : "0",
                                    "--parent",
                                    std::to_string(::getpid())};
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/bin:/bin";
  char* env[] = {path.data(), nullptr};  // the launcher must not know the daemon's secrets
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, socket, kLauncherSocket);
  ::posix_spawn_file_actions_adddup2(&actions, state, kLauncherState);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, kLauncherState + 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  // A session of its own: a Ctrl-C for the daemon must not end calls behind its back.
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, options.program.c_str(), &actions, &attributes, argv.data(), env);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return core::Unavailable("start `" + options.program + "`: " + std::strerror(error));
  }
  return pid;
}

core::StatusOr<Hello> ReadHello(int socket) {
  std::vector<char> room(kMessageBytesMax);
  std::string_view bytes;
  std::vector<Fd> fds;
  if (ReceiveMessage(socket, room, bytes, fds, 0) != Received::kMessage) {
    return core::Unavailable(
        "the sandbox launcher ended before its trial was done; its message is on stderr");
  }
  Reader reader(bytes);
  const bool is_hello = static_cast<MessageKind>(reader.U32()) == MessageKind::kHello;
  std::optional<Hello> hello = is_hello ? DecodeHello(reader) : std::nullopt;
  if (!hello) {
    return core::Unavailable(
        "the sandbox launcher is of another build; install all programs of one build together");
  }
  return std::move(*hello);
}
}  // namespace

core::StatusOr<std::unique_ptr<Launcher>> StartLauncher(const LauncherOptions& options) {
  constexpr int kBoxesMax = 512;
  if (options.boxes_max < 1 || options.boxes_max > kBoxesMax || options.pool_per_profile < 0 ||
      options.pool_per_profile > options.boxes_max) {
    return core::InvalidArgument("boxes_max must be 1 to 512, pool_per_profile 0 to boxes_max");
  }
  // Boxes on their way out and in the making have slots beside those that run.
  const int slots = 2 * (options.boxes_max + kProfiles * kPoolKinds * options.pool_per_profile);
  INTERLOCK_ASSIGN_OR_RETURN(Fd state,
                             OpenStateFile(options.state_file, static_cast<unsigned>(slots)));
  Fd ours;
  Fd theirs;
  if (!MessagePair(ours, theirs)) return core::Unavailable(Errno("socketpair"));
  // Out of the way of the numbers that the child wants.
  constexpr int kHighFd = 10;
  Fd socket(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, kHighFd));
  const Fd state_copy(::fcntl(state.get(), F_DUPFD_CLOEXEC, kHighFd));
  if (!socket.valid() || !state_copy.valid()) return core::Unavailable(Errno("dup"));
  INTERLOCK_ASSIGN_OR_RETURN(const pid_t pid, Spawn(options, socket.get(), state_copy.get()));
  theirs.reset();
  socket.reset();
  core::StatusOr<Hello> hello = ReadHello(ours.get());
  if (!hello.ok()) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return hello.status();
  }
  return std::unique_ptr<Launcher>(std::make_unique<ProcessLauncher>(
      pid, std::move(ours), std::move(state), *std::move(hello), options.allow_none));
}

}  // namespace interlock::sandbox
