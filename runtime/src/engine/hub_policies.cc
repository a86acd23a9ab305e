// The bundle in force, changed while calls go on (ADR 45): loaded aside, and then for all decisions
// from one entry of the log on.
#include <algorithm>
#include <charconv>
#include <future>

#include "engine/hub.h"
#include "engine/kept_bundle.h"
#include "policies/active.h"

namespace interlock::runtime {
namespace {

constexpr const char* kRevisionSetting = "bundle_revision";  // "<number> <digest of the files>"

std::string FilesJson(const policies::Bundle& bundle) {
  std::string files = "[";
  for (const policies::BundleFile& file : bundle.files()) {
    if (files.size() > 1) files += ',';
    core::JsonObjectWriter writer(files);
    writer.String("path", file.path);
    writer.String("sha256", core::Hex(core::Sha256(file.text)));
    writer.Close();
  }
  return files + "]";
}

policies::Revision RecordedRevision(State& state) {
  const std::string recorded = state.Setting(kRevisionSetting);
  policies::Revision revision;
  std::from_chars(recorded.data(), recorded.data() + recorded.size(), revision.number);
  revision.files = recorded.substr(std::min(recorded.find(' ') + 1, recorded.size()));
  return revision;
}

// The log knows the newest revision that was ever active, restarts included.
core::Status CheckRises(State& state, const policies::SealedBundle& next) {
  if (next.seal.revision == 0) return core::OkStatus();  // without a trust root
  const policies::Revision before = RecordedRevision(state);
  if (before.number == 0) return core::OkStatus();
  return policies::CheckRevision({next.seal.revision, policies::FilesDigest(next.bundle->files())},
                                 before);
}

core::StatusOr<audit::EntryRef> AppendActivated(Serial& serial, const policies::SealedBundle& next,
                                                const std::string& actor,
                                                const std::string& reason) {
  const policies::Bundle& bundle = *next.bundle;
  Draft activated;
  activated.kind = "bundle.activated";
  activated.actor = actor;
  const std::string id = core::DigestName(bundle.id());
  activated.cites.push_back(id);
  const bool sealed = next.seal.revision > 0;
  BodyWriter body(activated);
  body.String("bundle", id).Raw("files", FilesJson(bundle));
  if (sealed) body.String("files_digest", policies::FilesDigest(bundle.files()));
  body.Optional("reason", reason);
  if (sealed) body.Int("revision", next.seal.revision);
  body.Int("rules", static_cast<std::int64_t>(bundle.rule_count()));
  if (sealed) body.String("signed_by", next.seal.signed_by);
  body.Close();
  return serial.Append(activated);
}

void PutBundle(Serial& serial, const policies::Bundle& bundle) {
  serial.PutBlob(bundle.canonical_manifest());
  for (const policies::BundleFile& file : bundle.files()) serial.PutBlob(file.text);
}

core::Status Refused(const core::Status& why) {
  return WithReason(
      core::FailedPrecondition("the bundle of before stays: " + std::string(core::Message(why))),
      "BUNDLE_REFUSED");
}

}  // namespace

// What a decision is made by, for each worker and the journal, before any of them has it.
struct Hub::Engines {
  std::vector<std::unique_ptr<policies::Engine>> of_workers;
  std::unique_ptr<policies::Engine> of_journal;
  bool taken = false;                           // by the journal
  std::optional<audit::EntryRef> written = {};  // the entry of the swap
};

core::StatusOr<std::shared_ptr<Hub::Engines>> Hub::MakeEngines(
    const std::shared_ptr<const policies::Bundle>& bundle) const {
  auto engines = std::make_shared<Engines>();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    INTERLOCK_ASSIGN_OR_RETURN(engines->of_workers.emplace_back(), policies::Engine::Make(bundle));
  }
  INTERLOCK_ASSIGN_OR_RETURN(engines->of_journal, policies::Engine::Make(bundle));
  return engines;
}

// At start: a sealed bundle that falls behind the log is none.
core::Status Hub::ActivateBundle() {
  policy_.seal_required = !parts.policy_folders.trust.keys.empty();
  policy_.problem = parts.policy_folders.problem;
  std::string before;
  INTERLOCK_RETURN_IF_ERROR(CommitNow([this, &before](Serial& serial) -> core::Status {
    before = serial.state().Setting("bundle");
    for (const auto& tool : parts.registry->tools()) serial.PutBlob(tool->canonical_manifest());
    for (const AgentFile& agent : parts.agents) serial.PutBlob(agent.canonical);
    if (parts.bundle == nullptr) return core::OkStatus();
    const policies::SealedBundle first{parts.bundle, parts.policy_folders.seal};
    if (const core::Status rises = CheckRises(serial.state(), first); !rises.ok()) {
      parts.bundle = nullptr;
      policy_.problem = core::Message(rises);
      journal.Forget();
      return core::OkStatus();
    }
    PutBundle(serial, *parts.bundle);  // a log that was just opened has none
    NoteActive(first);
    if (before == policy_.bundle) return core::OkStatus();
    return AppendActivated(serial, first, "engine", "").status();
  }));
  if (parts.bundle != nullptr && !before.empty() && before != policy_.bundle) SayWhatBegins(before);
  return core::OkStatus();
}

// What `policy activate` would have said.
void Hub::SayWhatBegins(const std::string& before) const {
  if (!parts.warn) return;
  const auto digest = DigestOfBundle(before);
  const auto was = digest.ok()
                       ? KeptBundle(*parts.log, *digest, *parts.registry)
                       : core::StatusOr<std::shared_ptr<const policies::Bundle>>(digest.status());
  if (!was.ok()) {
    return parts.warn("whether budgets begin anew cannot be said: " +
                      std::string(core::Message(was.status())));
  }
  for (const policies::BudgetChange& change :
       policies::BudgetsAnew((*was)->budgets(), parts.bundle->budgets())) {
    parts.warn(policies::TextOf(change));
  }
}

core::StatusOr<policies::SealedBundle> Hub::LoadPolicies(const std::string& folder) const {
  if (folder.empty()) {
    return core::FailedPrecondition(
        "no folder is configured for this; set `candidate` of the tenant");
  }
  INTERLOCK_ASSIGN_OR_RETURN(policies::BundleSource source,
                             policies::ReadBundleSource(folder, KnownTools(*parts.registry)));
  // A folder in the middle of a deployment, more likely than the wish to deny everything.
  if (source.files.empty()) {
    return core::FailedPrecondition("`" + folder + "` holds no policies");
  }
  return policies::LoadSealed(std::move(source), parts.policy_folders.trust, nullptr);
}

core::StatusOr<PolicyInfo> Hub::Activate(const std::string& actor, const std::string& reason) {
  const std::lock_guard one_at_a_time(activating_);
  const auto next = LoadPolicies(parts.policy_folders.folder);
  auto engines = next.ok() ? MakeEngines(next->bundle)
                           : core::StatusOr<std::shared_ptr<Engines>>(next.status());
  core::Status status =
      engines.ok() ? CommitSwap(*next, *engines, actor, reason) : engines.status();
  if (!status.ok()) {
    const std::lock_guard lock(policy_mutex_);
    policy_.problem = core::Message(status);
    return Refused(status);
  }
  std::vector<policies::BudgetChange> anew =
      policies::BudgetsAnew(Budgets(), next->bundle->budgets());
  NoteActive(*next);
  PolicyInfo info = Policy();
  info.written = (*engines)->written;
  info.anew = std::move(anew);
  return info;
}

std::vector<policies::BudgetDecl> Hub::Budgets() const {
  const std::lock_guard lock(policy_mutex_);
  return budgets_;
}

void Hub::NoteActive(const policies::SealedBundle& now) {
  const std::lock_guard lock(policy_mutex_);
  budgets_ = now.bundle->budgets();
  policy_.bundle = core::DigestName(now.bundle->id());
  policy_.rules = static_cast<std::int64_t>(now.bundle->rule_count());
  policy_.revision = now.seal.revision;
  policy_.signed_by = now.seal.signed_by;
  policy_.problem.clear();
}

// One entry, and from it on every decision by the new bundle: the journal has it as soon as the
// entry is folded, workers when it is durable. What workers decided by the old one is decided
// again.
core::Status Hub::CommitSwap(const policies::SealedBundle& next,
                             const std::shared_ptr<Engines>& engines, const std::string& actor,
                             const std::string& reason) {
  // No text is shown under rules that would have judged it, nor any of before under new ones.
  const bool shown = texts->allowed();
  const bool show = !JudgesAnswers(*engines->of_journal);
  texts->Allow(false);
  auto durable = std::make_shared<std::promise<core::Status>>();
  auto body = [this, next, engines, actor, reason](Serial& serial) -> core::Status {
    INTERLOCK_RETURN_IF_ERROR(CheckRises(serial.state(), next));
    if (serial.state().Setting("bundle") != core::DigestName(next.bundle->id())) {
      PutBundle(serial, *next.bundle);
      INTERLOCK_ASSIGN_OR_RETURN(engines->written, AppendActivated(serial, next, actor, reason));
    }
    journal.Swap(engines->of_journal);
    engines->taken = true;
    return core::OkStatus();
  };
  auto done = [this, engines, durable](core::Status status) {
    if (!status.ok() && engines->taken) journal.Swap(engines->of_journal);
    for (std::size_t i = 0; status.ok() && i < workers_.size(); ++i) {
      Worker* const worker = workers_[i].get();
      asio::post(worker->io, [worker, engine = std::move(engines->of_workers[i])]() mutable {
        worker->engine = std::move(engine);
      });
    }
    durable->set_value(std::move(status));
  };
  journal.Submit(std::move(body), audit::Urgency::kNormal, std::move(done));
  core::Status status = durable->get_future().get();
  texts->Allow(status.ok() ? show : shown);
  return status;
}

core::StatusOr<PolicyInfo> Hub::Watch() {
  const std::lock_guard one_at_a_time(activating_);
  const auto next = LoadPolicies(parts.policy_folders.candidate);
  if (!next.ok()) return Refused(next.status());
  INTERLOCK_ASSIGN_OR_RETURN(const auto engines, MakeEngines(next->bundle));
  auto diverged = std::make_shared<policies::Divergence>();
  SetCandidate(engines, diverged);
  {
    const std::lock_guard lock(policy_mutex_);
    policy_.candidate = core::DigestName(next->bundle->id());
    diverged_ = std::move(diverged);
  }
  return Policy();
}

PolicyInfo Hub::StopWatching() {
  const std::lock_guard one_at_a_time(activating_);
  SetCandidate(nullptr, nullptr);
  {
    const std::lock_guard lock(policy_mutex_);
    policy_.candidate.clear();
    diverged_ = nullptr;
  }
  return Policy();
}

void Hub::SetCandidate(const std::shared_ptr<Engines>& engines,
                       const std::shared_ptr<policies::Divergence>& diverged) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Worker* const worker = workers_[i].get();
    std::unique_ptr<policies::Engine> engine;
    if (engines != nullptr) engine = std::move(engines->of_workers[i]);
    asio::post(worker->io, [worker, engine = std::move(engine), diverged]() mutable {
      worker->candidate = std::move(engine);
      worker->diverged = diverged;
    });
  }
}

PolicyInfo Hub::Policy() const {
  const std::lock_guard lock(policy_mutex_);
  PolicyInfo info = policy_;
  if (diverged_ != nullptr) info.diverged = diverged_->Get();
  return info;
}

std::string Hub::BundleId() const {
  const std::lock_guard lock(policy_mutex_);
  return policy_.bundle;
}

}  // namespace interlock::runtime
