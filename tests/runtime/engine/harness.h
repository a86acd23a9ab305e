// A whole engine in a temporary folder: the real log, keys, policies and gate; fakes for planner
// and tools.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/keys.h"
#include "audit/log.h"
#include "core/permit.h"
#include "fakes.h"
#include "keys_that_fail.h"
#include "policies/bundle.h"
#include "runtime/make_engine.h"

namespace interlock::runtime::test {

// The system's clocks, shifted.
class ShiftClock final : public core::Clock {
 public:
  std::int64_t WallMicros() const override { return real_.WallMicros() + shift_.load(); }
  std::int64_t MonotonicMicros() const override { return real_.MonotonicMicros(); }
  void Shift(std::int64_t micros) { shift_ += micros; }

 private:
  core::SystemClock real_;
  std::atomic<std::int64_t> shift_{0};
};

struct ToolSpec {
  std::string name;
  tools::Effect effect = tools::Effect::kRead;
  std::string effect_key = {};
  std::vector<std::string> locks = {};
  tools::FailureMeaning failure = tools::FailureMeaning::kUnknown;
  bool idempotent = false;
  std::string reconcile = {};  // name of a read tool
  tools::CancelMeaning cancel = tools::CancelMeaning::kNever;
  bool money = false;  // result holds {"amount": "12.50", "currency": "USD"}
  tools::ResultTrust trust = tools::ResultTrust::kTrusted;
  std::string compensate = {};       // name of the tool that is given {"ref"} of the result
  std::int64_t settle_after_ms = 0;  // before `reconcile` is asked
};

// An agent of the planner "fake" that may use all tools of the folder.
AgentFile AgentNamed(const std::string& name, const std::string& lines,
                     const std::string& limits = "steps_max: 8");

class Harness {
 public:
  enum class Begin { kStarted, kStopped };
  explicit Harness(std::string policy, std::vector<ToolSpec> tools, Begin begin = Begin::kStarted);
  ~Harness();

  // Ends the engine and the log without their goodbyes being needed, and starts anew on the same
  // files.
  void Restart();
  // The files as a kill -9 now would leave them, to go on with by RestartFrom. Nothing must be in
  // the middle of a commit.
  std::string CopyFiles();
  void RestartFrom(const std::string& copy);
  // The same without the start, for who changes something while the daemon is down.
  void StopAndGoBackTo(const std::string& copy);
  // What the next Start has: other manifests, say.
  void SetTools(const std::vector<ToolSpec>& tools);
  // Further lines of the agent file; restarts.
  void SetAgent(const std::string& lines);
  // From the next start on.
  void SetPolicy(std::string policy) { policy_ = std::move(policy); }
  void Stop();
  void Start();
  // As Start; its error fails no test.
  core::Status TryStart();
  // The two halves of Start.
  void OpenLog();
  core::Status StartEngine();
  void StopEngine() { engine_.reset(); }

  core::Principal integrator{
      .tenant = "main", .id = "ticketing", .roles = {"integrator", "user-relay"}};
  core::Principal manager{.tenant = "main", .id = "maria", .roles = {"approver", "cs-manager"}};
  core::Principal second{.tenant = "main", .id = "sam", .roles = {"approver", "cs-manager"}};
  core::Principal operator_one{.tenant = "main", .id = "ops1", .roles = {"operator"}};
  core::Principal auditor{.tenant = "main", .id = "audra", .roles = {"auditor"}};
  core::Principal operator_two{.tenant = "main", .id = "ops2", .roles = {"operator"}};

  Engine& engine() { return *engine_; }
  audit::Log& log() { return *log_; }
  audit::KeyStore& keys() { return *keys_; }
  // With the engine's own tools, as of the newest start.
  const std::shared_ptr<const tools::Registry>& registry() const { return with_own_; }
  std::shared_ptr<const policies::Bundle> LoadPolicy(const std::string& text) const;
  const std::string& policy() const { return policy_; }
  // Full text on, from here on and after restarts.
  void WithSearch() {
    with_search_ = true;
    Restart();
  }
  void WithoutSearch() {
    with_search_ = false;
    Restart();
  }

  // --- blocking forms
  core::StatusOr<RunInfo> CreateRun(std::string message = "help", std::string user = "u1",
                                    std::string request_id = "");
  RunInfo WaitFor(const std::string& run, std::function<bool(const RunInfo&)> until);
  RunInfo WaitForState(const std::string& run, RunState state);
  core::StatusOr<CallInfo> Execute(const std::string& tool, const core::Json& args,
                                   std::string request_id = "", std::string user = "u1");
  core::StatusOr<CallInfo> Check(const std::string& tool, const core::Json& args);
  core::StatusOr<ApprovalInfo> AnswerApproval(const core::Principal& who,
                                              const std::string& approval, bool grant,
                                              std::string on_behalf_of = "");
  core::StatusOr<CallInfo> Resolve(const core::Principal& who, const std::string& call,
                                   bool happened);
  core::StatusOr<RunInfo> Send(const std::string& run, std::string text);
  core::StatusOr<RunInfo> SendAs(const core::Principal& who, const std::string& run,
                                 std::string text);
  core::StatusOr<RunInfo> Cancel(const std::string& run);
  std::vector<ApprovalInfo> Pending();
  std::vector<CallInfo> CallsOf(const std::string& run);
  BudgetInfo Budget(const std::string& name);
  // The first value of the first row that the log's tables give; -1: there is no row.
  std::int64_t Number(const std::string& sql);

  // Kinds of a run's entries, in order; with a run of "" those of all entries.
  std::vector<std::string> Kinds(const std::string& run);
  std::vector<audit::Entry> Entries(const std::string& run);
  std::string NewRequestId();

  ShiftClock clock;
  core::SystemRandom random;
  OpenFaults open_faults;
  FakeTools tools;
  FakePlanner planner;
  Planner* asked = &planner;  // who plans; taken at Start
  AgentFile agent;
  std::vector<AgentFile> versions;  // further ones; taken at Start
  std::vector<AgentFile> others;    // beside it; taken at Start
  EngineLimits limits;
  std::size_t runs_kept = kRowsOfRunsKept;  // taken at Start
  RetentionPolicy retention;                // taken at Start
  std::uint64_t search_fill_max = 20'000;
  std::uint64_t search_free_bytes_min = 0;  // taken at Start
  PolicyFolders policy_folders;             // taken at Start; `policy` is the bundle all the same
  ModelContext context;                     // what the planner's model reads; taken at Start
  std::shared_ptr<const std::vector<core::Principal>> principals;  // taken at Start
  std::mutex warned_mutex;
  std::vector<std::string> warned;  // lines for the operator
  std::string folder;

 private:
  core::Status TryOpenLog();

  std::string policy_;
  std::shared_ptr<const tools::Registry> registry_;  // as SetTools left it
  std::shared_ptr<const tools::Registry> with_own_;
  core::PermitMint mint_;
  std::unique_ptr<audit::Signer> signer_;
  std::unique_ptr<audit::KeyStore> keys_;
  StatePtr state_;
  std::unique_ptr<audit::Log> log_;
  bool with_search_ = false;
  std::unique_ptr<Engine> engine_;
};

// Makes SQL of somebody else's on a database that nobody has open, read-only ones included.
void EditDatabase(const std::string& path, const std::string& sql);

}  // namespace interlock::runtime::test
