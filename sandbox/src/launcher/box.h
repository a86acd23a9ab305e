// One box as the launcher sees it, from its making to its result. Used once.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cgroup.h"
#include "plan.h"
#include "quota.h"
#include "steering.h"

namespace interlock::sandbox {

inline constexpr std::int64_t kQuotaPauseUs = 50'000;  // between two counts of its folders

// What of a box must be settled when it is made.
struct Shape {
  uid_t uid = 0;  // outside
  gid_t gid = 0;
  bool keeps_host_tree = true;
  bool takes_mounts = true;
  std::int64_t tmp_bytes = Limits{}.tmp_bytes;
  std::int64_t tmp_inodes = Limits{}.tmp_inodes;
};

// What a program wrote, up to its cap.
struct Stream {
  Fd pipe;
  // Kept: the end of the pipe says nothing that the end of the tree does not, and each would wake
  // the launcher while the program dies.
  Fd write_end;
  std::string kept;
  std::int64_t dropped = 0;
  std::int64_t cap = 0;
  std::size_t told = 0;  // of `kept`, to a daemon that watches

  // Makes the pipe. False with errno.
  bool Open();
  // Reads what is there. Never blocks.
  void Drain();
  bool over() const { return dropped > 0; }
};

struct Call {
  RunRequest request;
  Fd input;                     // -1: empty
  Fd channel;                   // to the broker; -1: no network
  std::int64_t give_up_us = 0;  // by when it must have a box
};

class Box {
 public:
  Box(unsigned in_slot, BoxPlan with_plan, Level at_level)
      : slot(in_slot), plan(std::move(with_plan)), level(at_level) {}

  // Reads the waiting reports. Returns false at the end of init's.
  bool TakeReports();
  // Made ahead, for whoever comes and needs no more than this.
  bool Serves(const Shape& shape) const;
  // The first reason counts, and none counts after the program has ended by itself.
  void Decide(EndKind kind, std::string detail);
  void Kill();
  // Its set-up went wrong.
  bool failed() const { return failed_.has_value(); }
  bool has_quota() const;
  // Which stream passed its cap; empty: none.
  std::string OverflowLine() const;
  // The program has ended, and init ends by itself.
  bool ended() const { return ended_.has_value(); }
  // And nothing else of the box was left: no process is there any more that could write or use
  // anything, so that all of its result is settled but the time.
  bool settled() const { return ended_ && ended_->alone != 0; }
  // Once it is settled, or init was reaped, and the pipes are drained.
  void WorkOut(CountBudget& counting);
  bool worked_out() const { return result_.has_value(); }
  // After that, and after init was reaped.
  BoxResult Result();

  const unsigned slot;
  const BoxPlan plan;
  const Level level;
  pid_t pid = 0;
  Fd pidfd;
  Fd control;
  Fd program;                 // to the program's process, until exec
  bool program_left = false;  // its end of file was read: whoever watches it closes it
  // Held open, the box's namespaces are taken down when these close, after the result is out, and
  // not while pid 1 dies: the kernel waits for grace periods there.
  std::vector<Fd> spaces;
  std::unique_ptr<BoxGroup> group;  // null: no control groups
  bool ready = false;
  bool pooled = false;  // made ahead, for whoever comes
  bool killed = false;  // on its way out: nobody else gets it
  bool reaped = false;
  int init_status = 0;

  bool called = false;
  std::uint64_t call_id = 0;
  bool streams = false;
  Limits limits;
  std::vector<WritableFolder> folders;
  Stream out;
  Stream err;
  bool watched = true;           // its sockets wake the launcher: until it is ready, or has started
  bool control_watched = true;   // init's last word does
  std::int64_t handed_us = 0;    // when it got its call
  std::int64_t start_us = 0;     // exec seen
  std::int64_t deadline_us = 0;  // of set-up, then of the program
  std::int64_t cpu_check_us = 0;
  std::int64_t quota_check_us = 0;  // 0: no folder has a quota

 private:
  bool TakeFrom(const Fd& socket);
  void TakeReport(const Report& report);
  void Started();
  void BlameLimit(BoxResult& result, const CgroupUsage& usage) const;
  void BlameQuotas(BoxResult& result, CountBudget& counting) const;
  void BlameLeavings(BoxResult& result) const;
  void Conclude(BoxResult& result, const CgroupUsage& usage) const;

  bool start_seen_ = false;     // while init lived
  bool has_temporary_ = false;  // the last of `folders` is, and goes with the box
  std::optional<EndKind> decided_;
  std::string decided_detail_;
  std::optional<Report> ended_;
  std::optional<BoxResult> result_;
  std::optional<Report> failed_;
  std::optional<Report> violation_;
  std::vector<std::string> refused_;
};

}  // namespace interlock::sandbox
