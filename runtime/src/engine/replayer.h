// One replay at work. The state of the whole log is folded beside the run, so that balances, locks
// and approvals stand as they stood.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audit/merkle.h"
#include "engine/compensation_call.h"
#include "engine/replay.h"
#include "engine/replay_inputs.h"
#include "engine/run_entries.h"

namespace interlock::runtime {

// An entry of the run, with its content.
struct RecordedEntry {
  struct Payload {
    std::string media;
    std::string plaintext;
    std::string salt;
  };
  audit::Entry entry;
  std::string actor;
  core::Json body;
  std::vector<std::string> cites;
  std::vector<Payload> payloads;  // by slot

  std::string Text(const char* field) const;  // "" when there is none
  std::int64_t Int(const char* field, std::int64_t otherwise) const;
  core::Json Member(const char* field) const;  // null when there is none
  // The content that a commitment of the body names; "" when there is none.
  std::string Content(const char* field) const;
  // The same as JSON; null when there is none.
  core::Json JsonContent(const char* field) const;
};

// Used once, by one thread.
class Replayer {
 public:
  Replayer(const ReplayParts& parts, std::string run);
  ~Replayer();
  core::StatusOr<ReplayReport> Run();

  // Compares a draft with the entry that comes next in the log. kAborted: they differ, and the
  // report says how.
  core::StatusOr<audit::EntryRef> Expect(const audit::NewEntry& made,
                                         std::span<const audit::SealedPayload> payloads);
  std::int64_t now_us() const { return own_[std::min(at_, own_.size() - 1)].entry.time_us; }
  // Into the state of the log, as the journal does with each entry that it appends.
  core::Status TakeIn(std::uint64_t index);

 private:
  // --- what is there (replay_load.cc)
  core::Status Load();
  core::Status ReadOwn(const audit::Entry& entry);
  core::Status CheckEngine();
  core::Status CheckTool(const RecordedEntry& recorded) const;
  core::Status FoldUpTo(std::uint64_t index);
  core::Status Fold(std::uint64_t index);
  core::Status Remember(const RecordedEntry& recorded);

  // --- policies (replay_bundles.cc)
  core::Status TakeBundles();
  core::StatusOr<std::unique_ptr<policies::Engine>> EngineOf(const std::string& id);
  // From here on the worker decides by this bundle; "" has none.
  core::Status JudgeBy(const std::string& id);
  core::Status JudgeAs(const RecordedEntry& recorded);
  std::vector<std::string> InForce(const RecordedEntry& from, const RecordedEntry& to) const;
  std::vector<std::string> MayHaveJudged(const RecordedEntry& from, const RecordedEntry& to) const;
  // What only tells that a candidate is another folder is put as it was recorded: its id, and the
  // lines of rules; `then` is how the rules were recorded, an array.
  core::Digest Recorded(const core::Digest& bundle) const;
  void PutRecordedLines(const core::Json& then, std::vector<policies::FiredRule>& rules) const;

  // --- runs (replay.cc)
  core::Status Rebuild();
  core::Status Expect(const Draft& draft);
  core::Status Take();      // as it stands: an input
  core::Status LeaveOut();  // as it stands, and the report says so
  core::Status Chain();
  core::Status Differ(std::string why, std::string rebuilt);
  // --- two decisions that differ (replay_decided.cc)
  ReplayReport::Decisions DecisionsOf(const RecordedEntry& recorded, std::string_view body,
                                      std::span<const audit::SealedPayload> payloads) const;
  struct DueNow {
    std::vector<Effect> effects;
    RunCore core;  // as it is then
  };
  core::StatusOr<DueNow> Due();
  core::Status RebuildEffect();
  core::Status RebuildPlanRequested();
  core::Status RebuildWaitForPlanner(const DueNow& due);
  core::Status RebuildPlanReceived();
  core::Status RebuildLostPlan();
  core::Status RebuildMessage();
  core::Status RebuildChecked();

  // --- calls (replay_calls.cc)
  core::Status RebuildDecision();
  core::Status RebuildEdit();
  core::Status RebuildRetry();
  core::Status RebuildOutcome();
  core::Status RebuildRelease();
  core::Status RebuildResolved();
  std::optional<CallSlot> NextOfPlan() const;
  core::StatusOr<std::unique_ptr<Ticket>> NewTicket(const RecordedEntry& recorded);
  core::StatusOr<std::unique_ptr<Ticket>> NewCompensation(const RecordedEntry& recorded);
  core::StatusOr<RecordedCall> RecordedAs(const CallRow& row);
  core::Status JudgeResult(Ticket& ticket);
  core::Status DecideAsRecorded(Ticket& ticket);
  void DecideRound(Ticket& ticket, const RecordedEntry& decided);
  void GiveIds();
  std::string LevelAhead(const std::string& call) const;
  std::int64_t WallAhead(const std::string& call) const;
  void GiveRun(Ticket& ticket);
  std::string RefusedAs(const std::string& call) const;
  void GiveGrants(Ticket& ticket);

  const RecordedEntry& next() const { return own_[at_]; }
  std::int64_t LeftMs() const { return next().Int("left_ms", -1); }  // timers are inputs
  // The entry of this kind that comes first from here on and tells of the call; null: none.
  const RecordedEntry* Ahead(std::string_view kind, const std::string& call) const;

  const ReplayParts& parts_;
  const std::string run_;
  std::vector<RecordedEntry> own_;
  std::size_t at_ = 0;        // of own_: the next one
  std::uint64_t folded_ = 0;  // entries of the log in state_
  std::string prev_;          // leaf hash of the newest rebuilt entry, hex
  audit::Frontier recorded_root_;
  audit::Frontier rebuilt_root_;
  ReplayReport report_;

  ReplayKeys keys_;
  ReplayClock clock_;
  ReplayRandom random_;
  // A bundle that came into force somewhere in the log.
  struct Activated {
    std::uint64_t index = 0;
    std::int64_t time_us = 0;
    std::string id;  // sha256:<hex>
  };
  std::vector<Activated> activated_;  // oldest first
  // Of bundles that this one took the place of, by their id; the worker has that of judged_by_.
  std::map<std::string, std::unique_ptr<policies::Engine>> engines_;
  std::string judged_by_;
  core::Digest recorded_bundle_{};
  struct Database;
  std::unique_ptr<Database> database_;
  StatePtr state_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Gate> gate_;
  Worker worker_;

  History history_;
  CallsOfEnded below_;  // that are taken back
  RecordedRun recorded_;
  const AgentFile* agent_ = nullptr;
  std::optional<Sealer> sealer_;
  std::map<std::string, std::unique_ptr<Ticket>> tickets_;
  std::vector<std::string> released_;  // since the newest plan.requested
};

// What a command of the journal appends meets the entries that it appended then.
class ReplayTransaction final : public audit::Transaction {
 public:
  explicit ReplayTransaction(Replayer& replayer)
      : replayer_(replayer), now_us_(replayer.now_us()) {}
  std::int64_t now_us() const override { return now_us_; }
  std::uint64_t next_index() const override { return 0; }
  core::StatusOr<audit::EntryRef> Append(const audit::NewEntry& entry,
                                         std::span<audit::SealedPayload> payloads) override {
    auto made = replayer_.Expect(entry, payloads);
    if (!made.ok()) return made;
    if (core::Status taken = replayer_.TakeIn(made->index); !taken.ok()) return taken;
    return made;
  }
  void PutBlob(std::string_view) override {}
  void PutCosignature(std::uint64_t, std::string_view, std::string_view) override {}
  void ErasePayloads(std::span<const std::int64_t>) override {}

 private:
  Replayer& replayer_;
  const std::int64_t now_us_;
};

}  // namespace interlock::runtime
