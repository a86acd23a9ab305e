// Runs a program in a box. A small helper process (`interlock-launcher`, one thread, started before
// any other thread) does all cloning; the daemon never forks. Knows nothing of agents.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/digest.h"
#include "core/status.h"
#include "sandbox/address_guard.h"
#include "sandbox/input_pipe.h"

namespace interlock::sandbox {

// Weakest first. Decided by a full trial at start and reported in every result.
enum class Level { kNone, kLandlockOnly, kFullNoCgroup, kFull };
std::string_view LevelName(Level level);  // "landlock-only"
core::StatusOr<Level> ParseLevel(std::string_view name);

enum class Profile { kStatic, kShell, kPython, kNode };
std::string_view ProfileName(Profile profile);
core::StatusOr<Profile> ParseProfile(std::string_view name);

struct Limits {
  std::int64_t wall_ms = 10'000;
  std::int64_t cpu_ms = 10'000;
  std::int64_t memory_bytes = 256ll << 20;
  std::int64_t pids = 32;
  std::int64_t stdout_bytes = 1 << 20;
  std::int64_t stderr_bytes = 64 << 10;
  std::int64_t file_bytes = 64ll << 20;  // RLIMIT_FSIZE
  std::int64_t tmp_bytes = 64ll << 20;   // size of /tmp in the box
  std::int64_t tmp_inodes = 16'384;
};

inline constexpr std::size_t kStdinBytesMax = 1 << 20;
inline constexpr std::size_t kArgvBytesMax = 64 << 10;  // argv, and env, each
inline constexpr std::size_t kMountsMax = 64;
inline constexpr std::size_t kRefusedMax = 16;
inline constexpr std::int64_t kProgramBytesMax = 256ll << 20;
inline constexpr std::size_t kDestinationsMax = 16;
inline constexpr std::int64_t kQuotaFilesDefault = 16'384;
inline constexpr std::int64_t kQuotaFilesMax = 65'536;

enum class Access { kReadOnly, kReadWrite };

// What a writable folder may hold over all the calls that use it. Counted before a call (above it,
// nothing runs) and while one runs (above it, the call ends as kDisk), so one call may pass it by
// what it writes between two counts. 0 bytes: no quota.
struct Quota {
  std::int64_t bytes = 0;
  std::int64_t files = kQuotaFilesDefault;  // 1 to kQuotaFilesMax
};

struct Mount {
  std::string host_path;  // absolute, no symlink in it; opened by the launcher beneath its root
  // Absolute and normal (no `.`, `..`, `//`). At landlock-only nothing can be moved: it must equal
  // host_path, so give both the same path when a program accepts that level.
  std::string box_path;
  Access access = Access::kReadOnly;  // a writable folder holds no `.git`, `.bashrc`: ADR 21
  Quota quota = {};                   // of a writable folder
};

// A place on the network that a program may ask for.
struct Destination {
  std::string host;  // a name or an address, exactly as the program will write it
  std::uint16_t port = 0;
};

// A part of a stream, as it came.
struct Output {
  bool is_stderr = false;
  std::string bytes;
};

struct BoxSpec {
  Profile profile = Profile::kStatic;
  Level level_min = Level::kFull;
  std::vector<std::string> argv;  // argv[0] is an absolute path inside the box; no shell
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<Mount> mounts;         // besides /usr, /lib*, /bin, /sbin read-only
  std::string work_dir = "/";        // inside the box
  std::string stdin_bytes;           // at most kStdinBytesMax; the program sees a file, then EOF
  std::shared_ptr<InputPipe> input;  // instead of stdin_bytes, for who writes while it runs
  Limits limits;
  // None: no network at all. Otherwise the program has descriptor 3 (INTERLOCK_NET_FD): it sends
  // `CONNECT host:port` as one message and receives `OK` with a connected stream, or `ERR why`.
  // The connection is made outside the box, by a broker; each address is judged when its socket is
  // made. At most kDestinationsMax.
  std::vector<Destination> destinations;
  AddressPolicy addresses;  // of the broker; its ports are the destinations'
  // Called from the launcher's reader thread (must not block) with each part of the output while
  // the program runs, and before its result, which holds all of it again. Bytes are the program's:
  // escape them before they are shown. Empty: nobody looks.
  std::function<void(Output)> on_output;
};

enum class EndKind {
  kExit,     // value = exit status
  kSignal,   // value = signal
  kTimeout,  // wall limit
  kCpu,
  kMemory,  // killed by the memory limit, or failed after it killed a process of the box
  kOutput,  // a stream passed its cap
  kPids,    // failed after the limit refused a process or thread; value = its status or signal
  kDisk,  // a file passed its size, it failed with /tmp full, a folder passed its quota, or it left
          // a steering name (Mount)
  kViolation,  // seccomp: `detail` names the syscall
  kCancelled,
  kNotRun,  // set-up failed or refused: nothing of the program ran; `detail` says why and what to
            // do
  kLost,    // launcher or init died, or set-up took 15 s: the program is dead, its effect unknown
};
std::string_view EndKindName(EndKind kind);  // "exit", "violation", …

struct BoxResult {
  EndKind kind = EndKind::kNotRun;
  int value = 0;
  std::string detail;
  std::string stdout_bytes;
  std::string stderr_bytes;
  std::int64_t stdout_dropped = 0;
  std::int64_t stderr_dropped = 0;
  std::int64_t wall_us = 0;
  std::int64_t cpu_us = 0;
  std::int64_t memory_peak_bytes = 0;
  Level level = Level::kNone;
  // The system calls that the filter answered with EPERM, each once, at most kRefusedMax; only with
  // LauncherOptions::name_refused.
  std::vector<std::string> refused;
  core::Digest profile_digest{};  // of the filter and mounts in force
  core::Digest filter_digest{};   // of the filter alone
  // Of the file that argv[0] named when the call was handed over. Zero where that cannot be said:
  // a link or a writable mount, a file that is not ours to read, more than kProgramBytesMax.
  core::Digest program_digest{};
};

// What a trial at start found; a row per feature for `interlock sandbox probe`.
struct Feature {
  std::string name;  // "user namespaces"
  bool available = false;
  std::string detail;  // what was seen
  std::string fix;     // what to do about it; empty when available
};
struct Capabilities {
  Level level = Level::kNone;
  std::vector<Feature> features;
};

// Thread-safe.
class Launcher {
 public:
  virtual ~Launcher() = default;  // kills every box, waits for their end

  // Starts a program. `done` is called exactly once, from the launcher's reader thread (must not
  // block), after the whole process tree is dead. Returns a handle for Cancel.
  virtual std::uint64_t Run(BoxSpec spec, std::function<void(BoxResult)> done) = 0;
  // Kills the tree of a running box; its result is kCancelled unless it ended before. Unknown
  // handle: no-op.
  virtual void Cancel(std::uint64_t handle) = 0;
  virtual const Capabilities& capabilities() const = 0;
};

struct LauncherOptions {
  std::string program;             // path of interlock-launcher
  bool allow_none = false;         // operator's flag: level `none` when nothing else works
  Level level_cap = Level::kFull;  // for tests: do not use more than this
  int boxes_max = 64;              // running at once; more wait in the launcher's queue
  int pool_per_profile = 2;  // ready boxes kept for each profile that was used; 0 = always cold
  // For authors of tools: results name the system calls that were refused. Verdicts are the same,
  // but each refused call waits for the box's init, so nobody serves with it.
  bool name_refused = false;
  // Where the running boxes are written down, so that the next StartLauncher with the same file can
  // kill and wait for what a dead daemon left behind before it returns (DESIGN rule 9). Empty: this
  // process only.
  std::string state_file;
};

// Starts the helper and waits for its trial. Call before any thread exists, from the thread that
// lives as long as the process (the helper dies with it). Boxes named in `state_file` are dead when
// it returns. Errors: kInvalidArgument for bad options, kUnavailable when the helper or its trial
// did not come up, kFailedPrecondition when a box of an earlier daemon could not be proven dead.
core::StatusOr<std::unique_ptr<Launcher>> StartLauncher(const LauncherOptions& options);

}  // namespace interlock::sandbox
