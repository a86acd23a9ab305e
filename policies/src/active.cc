#include "policies/active.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "core/check.h"
#include "policies/detect.h"

namespace interlock::policies {
namespace {

const FiredRule* RuleIn(const Decision& decision, const std::string& id) {
  for (const FiredRule& rule : decision.rules) {
    if (rule.id == id) return &rule;
  }
  return nullptr;
}

// Rules that speak in one decision only, or differently.
std::vector<std::string> Differing(const Decision& a, const Decision& b) {
  std::vector<std::string> ids;
  for (const auto& [one, other] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
    for (const FiredRule& rule : one->rules) {
      const FiredRule* same = RuleIn(*other, rule.id);
      if (same == nullptr || same->verdict != rule.verdict) ids.push_back(rule.id);
    }
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace

void Divergence::Add(Verdict before, Verdict after, const std::vector<std::string>& rules) {
  const std::lock_guard lock(mutex_);
  ++count_.decisions;
  if (before == after) return;
  ++count_.parted;
  ++count_.by_change[std::string(VerdictName(before)) + " -> " + std::string(VerdictName(after))];
  for (const std::string& rule : rules) ++count_.by_rule[rule];
}

void Divergence::Take(const Decision& active, const Decision& other) {
  const bool parted = active.verdict != other.verdict;
  Add(active.verdict, other.verdict,
      parted ? Differing(active, other) : std::vector<std::string>());
}

void Divergence::TakeShadow(const Decision& decision) {
  std::vector<std::string> rules;
  for (const FiredRule& rule : decision.shadow) rules.push_back(rule.id);
  Add(decision.verdict, decision.shadow_verdict, rules);
}

Divergence::Count Divergence::Get() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

core::StatusOr<BundleSource> ReadBundleSource(const std::string& folder,
                                              std::vector<KnownTool> tools) {
  BundleSource source;
  INTERLOCK_ASSIGN_OR_RETURN(source.files, Bundle::ReadFolder(folder));
  source.tools = std::move(tools);
  std::ifstream in(folder + "/" + kSealFile, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  source.seal = std::move(text).str();
  return source;
}

core::StatusOr<SealedBundle> LoadSealed(BundleSource source, const TrustRoot& root,
                                        std::vector<Finding>* findings) {
  SealedBundle loaded;
  if (!root.keys.empty()) {
    INTERLOCK_ASSIGN_OR_RETURN(loaded.seal, CheckSeal(source.seal, source.files, root));
  }
  INTERLOCK_ASSIGN_OR_RETURN(
      loaded.bundle, Bundle::Load(std::move(source.files), std::move(source.tools), findings));
  WarmDetectors();
  // What an engine would stumble over is found here, not by the first call.
  INTERLOCK_RETURN_IF_ERROR(Engine::Make(loaded.bundle).status());
  return loaded;
}

core::Status CheckRevision(const Revision& next, const Revision& before) {
  const bool rises = next.number > before.number;
  if (rises || (next.number == before.number && next.files == before.files))
    return core::OkStatus();
  return core::FailedPrecondition("revision " + std::to_string(next.number) +
                                  " is not above the active one, " + std::to_string(before.number) +
                                  "; to go back, sign the old files as revision " +
                                  std::to_string(before.number + 1));
}

core::Status BundleStore::Activate(BundleSource source, std::vector<Finding>* findings) {
  const std::lock_guard one_at_a_time(loading_);
  INTERLOCK_ASSIGN_OR_RETURN(SealedBundle loaded, LoadSealed(std::move(source), root_, findings));
  const std::shared_ptr<const ActiveBundle> before = active();
  if (before != nullptr && !root_.keys.empty()) {
    INTERLOCK_RETURN_IF_ERROR(
        CheckRevision({loaded.seal.revision, FilesDigest(loaded.bundle->files())},
                      {before->seal.revision, FilesDigest(before->bundle->files())}));
  }
  auto next = std::make_shared<ActiveBundle>();
  next->bundle = std::move(loaded.bundle);
  next->seal = std::move(loaded.seal);
  next->candidate = before == nullptr ? nullptr : before->candidate;
  next->generation = before == nullptr ? 1 : before->generation + 1;
  const std::lock_guard lock(mutex_);
  active_ = std::move(next);
  return core::OkStatus();
}

core::Status BundleStore::Watch(BundleSource source, std::vector<Finding>* findings) {
  const std::lock_guard one_at_a_time(loading_);
  const std::shared_ptr<const ActiveBundle> before = active();
  if (before == nullptr) {
    return core::FailedPrecondition("no bundle is active; activate one before watching another");
  }
  INTERLOCK_ASSIGN_OR_RETURN(SealedBundle loaded, LoadSealed(std::move(source), root_, findings));
  auto next = std::make_shared<ActiveBundle>(*before);
  next->candidate = std::move(loaded.bundle);
  ++next->generation;
  const std::lock_guard lock(mutex_);
  active_ = std::move(next);
  return core::OkStatus();
}

void BundleStore::StopWatching() {
  const std::lock_guard one_at_a_time(loading_);
  const std::shared_ptr<const ActiveBundle> before = active();
  if (before == nullptr || before->candidate == nullptr) return;
  auto next = std::make_shared<ActiveBundle>(*before);
  next->candidate = nullptr;
  ++next->generation;
  const std::lock_guard lock(mutex_);
  active_ = std::move(next);
}

std::shared_ptr<const ActiveBundle> BundleStore::active() const {
  const std::lock_guard lock(mutex_);
  return active_;
}

void StoreEngine::Follow() {
  std::shared_ptr<const ActiveBundle> next = store_.active();
  if (next == now_) return;
  const bool same_bundle = now_ != nullptr && next != nullptr && now_->bundle == next->bundle;
  const bool same_candidate =
      now_ != nullptr && next != nullptr && now_->candidate == next->candidate;
  const auto make = [](const std::shared_ptr<const Bundle>& bundle) -> std::unique_ptr<Engine> {
    if (bundle == nullptr) return nullptr;
    auto engine = Engine::Make(bundle);
    INTERLOCK_CHECK(engine.ok());  // the store made one of it before it took over
    return *std::move(engine);
  };
  if (!same_bundle) engine_ = make(next == nullptr ? nullptr : next->bundle);
  if (!same_candidate) candidate_ = make(next == nullptr ? nullptr : next->candidate);
  now_ = std::move(next);
}

Decision StoreEngine::Decide(const DecisionInput& input, Divergence* divergence,
                             Divergence* shadow) {
  Follow();
  if (engine_ == nullptr) {
    Decision decision;
    decision.code = "NO_BUNDLE";
    decision.say = "No policy is active.";
    return decision;
  }
  Decision decision = engine_->Decide(input);
  if (shadow != nullptr && !decision.shadow.empty()) shadow->TakeShadow(decision);
  if (divergence != nullptr && candidate_ != nullptr) {
    divergence->Take(decision, candidate_->Decide(input));
  }
  return decision;
}

}  // namespace interlock::policies
