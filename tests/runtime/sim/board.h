// What stands open in a log, as those see it who work with the engine: read on entry by entry, so
// that a look at what is new costs what is new.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "audit/log.h"
#include "runtime/engine.h"

namespace interlock::runtime::sim {

class Board {
 public:
  void Read(const audit::Entry& entry);
  void Clear() { *this = Board(); }

  // Whether some run or call goes on without anybody's doing.
  bool Moves() const;
  const std::map<std::string, RunState>& runs() const { return runs_; }
  // Approvals of which there is something new to answer, in the log's order; each once.
  std::vector<std::string> TakeNews();
  bool IsPending(const std::string& approval) const { return pending_.contains(approval); }

 private:
  std::map<std::string, RunState> runs_;
  std::set<std::string> at_work_;  // calls
  std::set<std::string> pending_;  // approvals
  std::vector<std::string> news_;
};

}  // namespace interlock::runtime::sim
