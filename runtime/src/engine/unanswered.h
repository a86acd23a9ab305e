// Approvals that nobody can give as principals are configured: they wait on, since a configuration
// changes, but somebody has to be told.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "engine/gate.h"

namespace interlock::runtime {

class Hub;

// Thread-safe.
class Unanswered {
 public:
  explicit Unanswered(Hub& hub) : hub_(hub) {}

  // Why nobody can give it; empty: somebody can, or nobody knows who is configured.
  std::string Why(const policies::ApprovalState& state) const;
  // The same of what a call would ask for now, where `told_by` told its run what to do.
  std::string WhyNot(const Ticket& ticket, std::vector<std::string> told_by) const;
  // On a worker, of a call that was parked just now. Says it once of each approval that nobody can
  // give.
  void Look(const Ticket& ticket);
  // The same of one that was asked before.
  void Note(const policies::ApprovalState& state);
  // One line on those that still wait; empty: there are none.
  std::string warning();

 private:
  Hub& hub_;
  std::mutex mutex_;
  std::map<std::string, std::string> why_;  // by approval, of those that waited when looked at last
};

}  // namespace interlock::runtime
