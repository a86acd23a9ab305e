// The life of one seed: clients, approvers and operators work with a whole engine whose disk loses
// power at any write, or is full for a while, until everything that was begun has come to an end.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "audit/verify.h"
#include "board.h"
#include "checker.h"
#include "evidence.h"
#include "fault_vfs.h"
#include "world.h"

namespace interlock::runtime::sim {

class Day {
 public:
  explicit Day(std::uint64_t seed);
  Evidence Live();
  // Of what Live left behind.
  std::vector<std::string> Breaches(const Evidence& evidence);
  // Entries of this kind, at the end.
  std::uint64_t Kinds(const std::string& kind) const { return checker_.Kinds(kind); }
  // How often the log was compared with the model of labels in this.
  std::uint64_t Compared(const std::string& what) const {
    const auto at = compared_.find(what);
    return at == compared_.end() ? 0 : at->second;
  }

 private:
  struct Told;  // what clients were told
  struct Sent {
    bool run = false;
    std::string about;
    std::string request_id;
    const core::Principal* who = nullptr;
  };

  void Phase(int number);
  void PowerBack(audit::Kept kept);
  void Stop();
  // Until nothing moves by itself, or the log has stopped.
  void Work(const std::string& phase);
  // Everybody does his work, and nothing fails any more.
  void Settle();
  // Whether nothing is left to do; otherwise it was begun.
  bool SettleOnce();

  // --- clients (people.cc)
  void Submit(const std::string& phase);
  void Send(const Sent& sent, const std::string& phase);
  void Execute(const Sent& sent, const std::string& phase);
  void Wait(const std::string& about, const std::string& when, ToolCallSpec& spec);
  void LeaveSome(const std::string& phase, int look);
  void Create(const Sent& sent);
  void CancelSome(const std::string& phase);
  void DisturbWaiting(const std::string& phase);
  void Chat(const std::string& phase, int look);
  void Say(const std::string& run, const std::string& about);
  // Somebody speaks while calls stand between their decision and the log, or while what hung
  // answers.
  void Interrupt(const std::string& phase);
  void ReleaseAll(const std::string& phase);
  // --- approvers and operators
  void AnswerApprovals(const std::string& phase);
  void Answer(const ApprovalInfo& approval, const core::Principal& who, bool grant);
  void AnswerLater(const ApprovalInfo& approval, const std::string& about);
  void Edit(const ApprovalInfo& approval, const std::string& about);
  void ResolveUnknown(const std::vector<CallInfo>& calls);
  // What operators and the disk do at this look of this phase.
  void Operate(const std::string& phase, int look);
  void LiftAll();

  // --- what there is
  // Reads what is new in the log. Any thread.
  void CatchUp();
  void ReadAnew();
  bool HasIntent(const std::string& call);
  bool IsStill();
  std::string WhatMoves();  // for people, after a colon
  // Until the log is longer, or a moment.
  void AwaitGrowth(std::uint64_t size);
  void CheckBudgets();
  void CheckWaits();
  std::vector<RunInfo> Runs();
  std::vector<CallInfo> Calls(CallState state);
  std::vector<ApprovalInfo> Pending();
  void VerifyNow();
  audit::VerifyReport Verify() const;
  // What clients were told, by the names that their requests have in the log.
  void TakeAnswers(Evidence& evidence);
  std::string Story(const std::string& run) const;
  std::vector<std::string> Diverged(const std::vector<RunInfo>& runs);
  std::vector<std::string> Mislabelled();

  const Choice choice_;
  audit::Faults& faults_;
  test::Harness harness_;
  const core::Principal portal_;
  World world_;
  std::shared_ptr<Told> told_;
  std::vector<Sent> sent_;
  std::set<std::string> disturbed_;      // phase and run
  std::map<std::string, int> said_;      // by phase
  std::map<std::string, int> answered_;  // looks at an approval, by what it is about
  std::vector<std::string> on_the_way_;
  int power_cuts_ = 0;
  int looks_ = 0;
  bool full_ = false;  // the disk was
  std::map<std::string, std::uint64_t> compared_;

  std::mutex read_mutex_;
  std::vector<audit::Entry> kept_;  // that were read
  Board board_;
  Checker checker_;
};

}  // namespace interlock::runtime::sim
