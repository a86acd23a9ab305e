// What the launcher and the processes of one box tell each other.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "seccomp_filter.h"
#include "wire.h"

namespace interlock::sandbox {

// The one user inside a box with namespaces, whatever it is outside.
inline constexpr uid_t kUidInBox = 1000;
// Outside, when the launcher may choose: above every range that Debian, systemd or container
// managers hand out (systemd.io/UIDS-GIDS), below 2^31. Boxes without namespaces get one each, from
// the next on.
inline constexpr uid_t kUidOutside = 0x7ffe0000;
inline constexpr uid_t kUidLast = 0x7ffeffff;
inline constexpr uid_t kKeepUid = static_cast<uid_t>(-1);

// Known before the call. Copied into the box's init by fork.
struct BoxPlan {
  Profile profile = Profile::kStatic;
  bool namespaces = true;
  bool map_written_by_launcher = false;  // init waits for it
  bool keeps_host_tree = false;          // mounts come by path with the call, not as descriptors
  // Init waits for the call's mounts. Otherwise its tree is sealed and its capabilities are gone
  // before the box is ready, and a call concerns the program's process alone.
  bool takes_mounts = true;
  std::int64_t tmp_bytes = Limits{}.tmp_bytes;
  std::int64_t tmp_inodes = Limits{}.tmp_inodes;
  int landlock_abi = 0;  // 0: none is used (level none)
  const Filter* filter = nullptr;
  std::vector<int> cgroup_entrances;
};

// Known with the call. With namespaces it goes to the program's process, with the descriptors
// stdin and the way to the broker, as far as there are any; and to init if the box takes mounts,
// with one descriptor a mount if `mounts_are_fds`. Without namespaces it goes to init with all of
// them (stdin, mounts, way to the broker), and from there to the program's process.
struct Go {
  RunRequest request;
  bool has_input = false;  // the first descriptor is stdin; otherwise it is empty
  bool mounts_are_fds =
      false;  // namespaces: detached mount trees; without: the paths themselves, opened
  std::int64_t tasks_max = 0;     // RLIMIT_NPROC; 0 = the pids cgroup does it
  bool memory_by_rlimit = false;  // no memory cgroup
  uid_t uid = kKeepUid;           // without namespaces: run as
  gid_t gid = kKeepUid;
};
std::string EncodeGo(const Go& go);
bool DecodeGo(std::string_view bytes, Go& go);

enum class ReportKind : std::uint32_t {
  kReady,
  kTemporary,  // without namespaces: comes with the call's temporary folder
  kFailed,
  kEnded,
  kViolation,
  kRefused  // the filter answered EPERM, and names are wanted
};

// One message from init to the launcher, or from the program's process: to init until it is
// hardened, to the launcher from then until exec.
struct Report {
  ReportKind kind = ReportKind::kReady;
  std::int32_t error = 0;        // kFailed: errno
  std::int32_t wait_status = 0;  // kEnded: of wait4(2)
  std::int32_t number =
      0;  // kViolation, kRefused: the call; kEnded: 1 if a listener watched the filter
  std::uint32_t arch = 0;
  std::int64_t cpu_us = 0;  // kEnded: of all that init reaped
  std::int64_t rss_bytes = 0;
  std::int64_t tmp_full = 0;  // kEnded: 1 if /tmp had no byte or file left
  std::int64_t alone = 0;     // kEnded: 1 if nothing of the box was left but init
  char step[200] = {};        // kFailed: what was being done
};

void SendReport(int socket, const Report& report);

// Ends this process with a kFailed report when `result` is negative (errno says why).
class Steps {
 public:
  explicit Steps(int socket) : socket_(socket) {}
  void Must(long result, const char* step, const char* object = "") const {
    if (result < 0) Fail(step, object);
  }
  void Must(int result, const char* step, const char* object = "") const {
    if (result < 0) Fail(step, object);
  }
  void Must(bool ok, const char* step, const char* object = "") const {
    if (!ok) Fail(step, object);
  }
  [[noreturn]] void Fail(const char* step, const char* object) const;

 private:
  int socket_;
};

}  // namespace interlock::sandbox
