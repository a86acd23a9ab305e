// What lies outside the engine and survives its crashes: a shop whose tools fail, hang and answer
// late, and a planner that errs and attacks. All of it follows from the seed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "callers.h"
#include "choice.h"
#include "harness.h"
#include "runtime/planner.h"

namespace interlock::runtime::sim {

// Something that happened and cannot be taken back.
struct Effect {
  std::string tool;
  std::string call;
  std::string object;  // what it happened to: "o3"
  std::int64_t amount_minor = 0;
};

// Refunds of the shop, dollars: above kAskAbove a manager is asked, above kBothAbove a director
// after him, above kNeverAbove it is denied.
inline constexpr std::int64_t kAskAbove = 100;
inline constexpr std::int64_t kBothAbove = 200;
inline constexpr std::int64_t kNeverAbove = 300;
inline constexpr std::int64_t kBudget = 1'000;

inline constexpr const char* kRefund = "pay.refund";
inline constexpr const char* kBookStay = "stay.book";
inline constexpr const char* kCancelStay = "stay.cancel";
inline constexpr const char* kReadMail = "mail.read";   // whose words nobody trusts
inline constexpr const char* kFindPayee = "book.find";  // whose words are ours
inline constexpr const char* kPost = "post.send";       // to a payee, about one
inline constexpr const char* kDesk = "desk.state";      // what rules look up before that

// One of the few payees that people, mails and books name: runs meet on them.
std::string Payee(const Choice& choice, const std::string& about);

std::vector<test::ToolSpec> ShopTools();
// With budgets of tokens and of their cost, which are tight for some seeds.
std::string ShopPolicy(const Choice& choice);

// Thread-safe. The tools of `harness`, and the planner of its agent.
class World final : public Planner {
 public:
  World(const Choice& choice, test::Harness& harness);

  // Asked before each effect, on the engine's thread: whether the intent of this call is in the
  // log.
  std::function<bool(const std::string& call)> has_intent;

  // What hangs answers now; whoever it answers may be gone. Not what is read for callers who have
  // left: the engine stops it.
  void ReleaseAll();
  // From now on, or no more, nothing hangs for longer than a moment.
  void Hurry(bool on);
  // Afterwards tools do what they are asked, at once.
  void Calm();
  bool HasHanging() const;

  std::vector<Effect> effects() const;
  std::vector<std::string> without_intent() const;
  // Calls that change something and were told to stop, or given less time than their own.
  std::vector<std::string> hurried() const;
  // Something is read for callers who have left.
  bool ReadsForNobody() const;
  int reads_stopped() const;  // while they hung
  // Look-ups of the gate that wait for their answer, each once.
  struct Looking {
    std::string run;
    std::function<void()> answer;
  };
  std::vector<Looking> TakeLooking();
  bool IsLooking() const;
  Callers& callers() { return callers_; }
  // Whether the effect of this call happened: what a person finds who looks.
  bool Happened(const std::string& call) const;

  std::uint64_t Propose(PlanRequest request,
                        std::function<void(core::StatusOr<Plan>)> done) override;
  policies::ModelUse Bound(const PlanRequest& request) const override;
  void Cancel(std::uint64_t handle) override;

 private:
  struct Asked {  // of the planner, which has not answered yet
    core::StatusOr<Plan> plan;
    std::function<void(core::StatusOr<Plan>)> done;
  };

  struct Reading {  // hangs
    std::string about;
    core::Json found;
    test::FakeTools::Done done;
  };

  void Do(const tools::CallSpec& spec, test::FakeTools::Done done);
  void Get(const tools::CallSpec& spec, const test::FakeTools::Done& done);
  core::Json FoundBy(const tools::CallSpec& spec) const;
  void LookUp(const tools::CallSpec& spec, const test::FakeTools::Done& done);
  void ReleaseReads();
  void Stop(const std::string& tool, const std::string& call);
  // Some callers leave when their tool is at work.
  void LeaveAtWork(const std::string& about);
  // It happens at once when everybody is in a hurry.
  void Hang(std::function<void()> answer);
  void Happen(const tools::CallSpec& spec);
  static std::string AboutOf(const PlanRequest& request);
  core::StatusOr<Plan> PlanOf(const PlanRequest& request, const std::string& about) const;
  std::shared_ptr<Asked> TakeThinking(std::uint64_t handle);
  ProposedCall CallOf(const std::string& about, const PlanRequest& request) const;
  std::string PayeeOf(const std::string& about, const PlanRequest& request) const;

  const Choice choice_;
  mutable std::mutex mutex_;
  bool calm_ = false;
  std::vector<Effect> effects_;
  std::vector<std::string> without_intent_;
  std::vector<std::string> hurried_;
  std::set<std::string> keys_;           // idempotency keys that had their effect
  std::map<std::string, int> attempts_;  // by call
  std::vector<std::function<void()>> hanging_;
  std::map<std::string, Reading> reading_;  // by call
  std::vector<Looking> looking_;
  std::map<std::string, int> looks_;  // by what is looked up
  int reads_stopped_ = 0;
  bool hurry_ = false;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, std::shared_ptr<Asked>> thinking_;
  Callers callers_;
};

}  // namespace interlock::runtime::sim
