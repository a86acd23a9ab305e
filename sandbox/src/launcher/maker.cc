#include "maker.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "init.h"
#include "message.h"
#include "mounts.h"
#include "process.h"

namespace interlock::sandbox {
namespace {
std::string Errno(const char* what) { return std::string(what) + ": " + std::strerror(errno); }
}  // namespace

Shape Maker::UsualShape() const {
  if (!ground_.privileged) return {::geteuid(), ::getegid(), true};
  return {kUidOutside, kUidOutside, !ground_.idmap};
}

std::unique_ptr<BoxGroup> Maker::MakeGroup(unsigned slot, std::string& problem) const {
  CgroupPlace place = ground_.place;
  // A pid namespace dies as one; only without it is a group needed for killing.
  if (ground_.level >= Level::kFullNoCgroup && place.version == 1) place.kill.clear();
  if (!ground_.cgroups && place.kill.empty()) return nullptr;
  auto group = std::make_unique<BoxGroup>();
  const std::string name = "b" + std::to_string(slot) + "-" + std::to_string(MonotonicMicros());
  group->Create(place, name, problem);
  return group;
}

std::unique_ptr<Box> Maker::Make(unsigned slot, Profile profile, const Shape& shape,
                                 std::string& problem) const {
  std::unique_ptr<BoxGroup> group = MakeGroup(slot, problem);
  if (!problem.empty()) return nullptr;
  BoxPlan plan;
  plan.profile = profile;
  plan.namespaces = ground_.level >= Level::kFullNoCgroup;
  plan.map_written_by_launcher = ground_.privileged;
  plan.keeps_host_tree = shape.keeps_host_tree;
  plan.takes_mounts = shape.takes_mounts;
  plan.landlock_abi = ground_.landlock_abi;
  plan.filter = &filters_[static_cast<std::size_t>(profile)];
  plan.tmp_bytes = shape.tmp_bytes;
  plan.tmp_inodes = shape.tmp_inodes;
  if (group != nullptr) plan.cgroup_entrances = group->entrances();
  auto box = std::make_unique<Box>(slot, std::move(plan), ground_.level);
  Fd init_end;
  Fd program_end;
  if (!MessagePair(box->control, init_end) || !MessagePair(box->program, program_end)) {
    problem = Errno("socketpair");
    return nullptr;
  }
  const Fd no_input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!no_input.valid() || !box->out.Open() || !box->err.Open()) {
    problem = Errno("input and pipes");
    return nullptr;
  }
  const std::uint64_t flags = box->plan.namespaces
                                  ? CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC |
                                        CLONE_NEWUTS | CLONE_NEWCGROUP
                                  : 0;
  box->pid = CloneProcess(flags, &box->pidfd);
  if (box->pid == 0) {
    RunInit(box->plan, {init_end.get(), program_end.get(), no_input.get(), box->out.write_end.get(),
                        box->err.write_end.get()});
  }
  if (box->pid < 0) {
    problem = Errno("clone");
    return nullptr;
  }
  box->group = std::move(group);
  if (box->plan.namespaces && !MapIds(*box, shape, problem)) box->Kill();
  return box;
}

bool Maker::MapIds(const Box& box, const Shape& shape, std::string& problem) const {
  if (WriteIdMaps(box.pid, kUidInBox, shape.uid, kUidInBox, shape.gid, ground_.privileged) &&
      ::send(box.control.get(), "m", 1, MSG_NOSIGNAL) == 1) {
    return true;
  }
  problem = Errno("write the user map");
  return false;
}

}  // namespace interlock::sandbox
