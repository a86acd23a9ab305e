// The properties that a seed must have. Entries are read one by one, as the log has them, so that
// what must hold after each step is seen at that step.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "evidence.h"

namespace interlock::runtime::sim {

class Checker {
 public:
  void Read(const audit::Entry& entry);
  // Whether the intent of this call stands in what was read, with what it needs.
  bool HasIntent(const std::string& call) const;
  // What the engine has of its budgets is what the entries come to. True: it is.
  bool Budgets(const std::vector<BudgetInfo>& budgets);
  // Every run has ended, or waits for something that is there; on the way also for what was just
  // answered, lifted or ended and is about to be taken up.
  enum class When { kOnTheWay, kAtEnd };
  void Waits(When when, const std::vector<RunInfo>& runs, const std::vector<CallInfo>& calls);
  // All that is left to say at the end of a day. Once.
  std::vector<std::string> Finish(const Evidence& evidence);
  const std::vector<std::string>& breaches() const { return breaches_; }
  std::uint64_t Kinds(const std::string& kind) const {
    const auto at = kinds_.find(kind);
    return at == kinds_.end() ? 0 : at->second;
  }

 private:
  struct Call {
    std::string run{};
    std::string tool{};
    std::string principal{};
    bool intended = false;
    bool allowed = false;   // its newest decision before the intent, or approvals that it consumed
    bool consumed = false;  // an approval
    bool by_rule = false;
    std::string starts{};   // the run that it starts
    std::int64_t lent = 0;  // tokens of its run, to that one
    int outcomes = 0;
    std::uint64_t ended_at = 0;       // its newest outcome
    std::set<std::string> editors{};  // who changed its arguments
  };
  // A run that a call of an agent started.
  struct Started {
    std::string parent;
    std::string call;
    int times = 0;
  };
  struct Asked {
    std::string run{};
    bool over = false;
    int needed = 1;
    int grants = 0;
    std::set<std::string> people;
  };
  struct Tokens {
    std::int64_t most = 0;  // 0: no limit
    std::int64_t lent = 0;
    std::int64_t used = 0;  // by its own model, and by runs below that have ended
  };
  struct Account {  // of a budget, a scope and a window
    std::string budget{};
    std::int64_t held = 0;
    std::int64_t settled = 0;
  };
  struct Hold {
    Account* account = nullptr;
    std::int64_t amount = 0;
  };

  void Breach(const std::string& property, const std::string& what) {
    breaches_.push_back(property + ": " + what);
  }
  void Once(const std::string& request, const std::string& what);
  void ReadCall(const audit::Entry& entry, const std::string& id, const core::Json& body);
  void ReadApproval(const audit::Entry& entry, const std::string& call, const core::Json& body);
  void ReadRun(const audit::Entry& entry, const core::Json& body);
  void ReadSwitch(const std::string& kind, const core::Json& body);
  void Request(Asked& asked, const core::Json& body);
  void Grant(Asked& asked, const std::string& call, const core::Json& body);
  void Intend(const std::string& name, Call& call);
  void Lend(const std::string& run, Call& call, std::int64_t tokens);
  void ReadPlan(const audit::Entry& entry, const core::Json& body);
  void Charge(const std::string& kind, const core::Json& body);

  void Intents(const Evidence& evidence);
  void Effects(const Evidence& evidence);
  void Allowed(const Evidence& evidence);
  void Money(const Evidence& evidence);
  void Below();
  void TakenBack(const Evidence& evidence);
  void Kept(const Evidence& evidence);
  void Waited(const Evidence& evidence);
  bool MayBeStopped(When when) const;
  bool HasOpenApproval(const std::string& run) const;
  bool WaitsForOne(When when, const RunInfo& run) const;
  enum class Fate { kStays, kGoes, kEither };
  Fate FateOf(const std::string& run, const std::map<std::string, RunState>& ends) const;
  std::int64_t SettledOf(const std::string& budget) const;

  std::map<std::string, Call> calls_;
  std::set<std::string> granted_;
  std::map<std::string, Asked> asked_;     // by approval
  std::map<std::string, bool> asks_user_;  // by run: its newest word is a question
  std::set<std::string> started_;
  std::map<std::string, Started> below_;        // by run
  std::map<std::string, std::uint64_t> ended_;  // runs
  std::map<std::string, Tokens> tokens_;        // by run
  std::map<std::string, Account> accounts_;
  std::map<std::string, Hold> holds_;
  std::set<std::string> requests_;             // that began something
  std::set<std::string> switches_;             // that are set
  std::map<std::string, std::string> newest_;  // run -> kind
  std::map<std::string, std::uint64_t> kinds_;
  std::vector<std::string> breaches_;
};

}  // namespace interlock::runtime::sim
