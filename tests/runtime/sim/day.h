// The life of one seed: clients, approvers and operators work with a whole engine whose disk loses
// power at any write, until everything that was begun has come to an end.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "evidence.h"
#include "fault_vfs.h"
#include "world.h"

namespace interlock::runtime::sim {

class Day {
 public:
  explicit Day(std::uint64_t seed);
  Evidence Live();

 private:
  struct Told;  // what clients were told

  void Phase(int number);
  void PowerBack(audit::Kept kept);
  void Submit(const std::string& phase);
  void Execute(const std::string& about, const std::string& request_id);
  void Create(const std::string& message, const std::string& request_id);
  // Until nothing moves by itself, or the log has stopped.
  void Work(const std::string& phase);
  bool IsStill();
  void AnswerApprovals(const std::string& phase);
  void Answer(const ApprovalInfo& approval, const core::Principal& who, bool grant);
  void AnswerLater(const ApprovalInfo& approval, const std::string& phase);
  void CancelSome(const std::string& phase);
  void DisturbWaiting(const std::string& phase);
  void Stop();
  // Until the log is longer, or a moment.
  void AwaitGrowth(std::uint64_t size);
  void Settle();
  void ResolveUnknown();
  std::vector<RunInfo> Runs();
  std::vector<CallInfo> Calls(CallState state);
  std::vector<ApprovalInfo> Pending();
  std::string Verdict() const;
  std::string Story(const std::string& run);
  std::vector<std::string> Diverged(const std::vector<RunInfo>& runs);

  const Choice choice_;
  audit::Faults& faults_;
  test::Harness harness_;
  World world_;
  std::shared_ptr<Told> told_;
  std::set<std::string> disturbed_;  // phase and run
  int power_cuts_ = 0;
};

}  // namespace interlock::runtime::sim
