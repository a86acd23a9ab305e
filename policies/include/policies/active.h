// The bundle that decides, and beside it one that is only watched: changed as a whole, while calls
// go on.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "policies/bundle.h"
#include "policies/seal.h"

namespace interlock::policies {

// Everything that a change of bundles begins with.
struct BundleSource {
  std::vector<BundleFile> files{};
  std::vector<KnownTool> tools{};
  std::string seal{};  // the text of bundle.note; empty: there is none
};

// The *.lua files of a folder (tests are left out) and its seal. Errors: as Bundle::ReadFolder.
core::StatusOr<BundleSource> ReadBundleSource(const std::string& folder,
                                              std::vector<KnownTool> tools);

struct SealedBundle {
  std::shared_ptr<const Bundle> bundle{};
  Seal seal{};  // revision 0 without a trust root
};
// Aside: seal (mandatory once the root has keys), parse, check, examples, an engine to warm what is
// compiled on first use. Errors: as CheckSeal and Bundle::Load.
core::StatusOr<SealedBundle> LoadSealed(BundleSource source, const TrustRoot& root,
                                        std::vector<Finding>* findings);

// What a bundle must not fall behind: its revision and FilesDigest.
struct Revision {
  std::int64_t number = 0;
  std::string files{};
};
// kFailedPrecondition for one below `before`, or the same one for other files.
core::Status CheckRevision(const Revision& next, const Revision& before);

// What is in force. Immutable; a decision holds one of these from its start to its end.
struct ActiveBundle {
  std::shared_ptr<const Bundle> bundle{};     // never null
  Seal seal{};                                // revision 0 without a trust root
  std::shared_ptr<const Bundle> candidate{};  // null: nothing is watched
  std::uint64_t generation = 0;               // moves with every change of either
};

// Where decisions of two kinds part: of the active bundle with and without its rules in shadow, or
// of the active and the candidate bundle. Thread-safe.
class Divergence {
 public:
  struct Count {
    std::uint64_t decisions = 0;
    std::uint64_t parted = 0;
    std::map<std::string, std::uint64_t> by_change{};  // "allow -> deny"
    std::map<std::string, std::uint64_t> by_rule{};    // rules that said it, on either side
  };

  void Take(const Decision& active, const Decision& other);
  // Rules in shadow of the decision's own bundle.
  void TakeShadow(const Decision& decision);
  Count Get() const;

 private:
  void Add(Verdict before, Verdict after, const std::vector<std::string>& rules);

  mutable std::mutex mutex_;
  Count count_;
};

// Thread-safe. Readers never wait for a load.
class BundleStore {
 public:
  explicit BundleStore(TrustRoot root) : root_(std::move(root)) {}

  // Loads aside: seal (mandatory once the root has keys), revision (never below the active one; the
  // same one only for the same files), parse, check, examples, an engine to warm what is compiled
  // on first use. Only then it takes over, whole. On an error the old one stays, and `findings`
  // (may be null) says what is wrong. Errors: as CheckSeal and Bundle::Load; kFailedPrecondition
  // for an older revision.
  core::Status Activate(BundleSource source, std::vector<Finding>* findings);
  // The same up to the last step: beside the active one, deciding nothing. Its revision is not
  // compared. kFailedPrecondition without an active one.
  core::Status Watch(BundleSource source, std::vector<Finding>* findings);
  void StopWatching();

  // Null before the first activation: everything is denied.
  std::shared_ptr<const ActiveBundle> active() const;

 private:
  const TrustRoot root_;
  std::mutex loading_;  // one change at a time
  mutable std::mutex mutex_;
  std::shared_ptr<const ActiveBundle> active_;
};

// The engines of one thread: they follow the store. One per thread.
class StoreEngine {
 public:
  explicit StoreEngine(const BundleStore& store) : store_(store) {}

  // By the bundle that is active now; NO_BUNDLE denies when there is none. With a candidate, that
  // decides too, and `divergence` (may be null) is told where they part; `shadow` (may be null)
  // where rules in shadow part.
  Decision Decide(const DecisionInput& input, Divergence* divergence, Divergence* shadow);

 private:
  void Follow();

  const BundleStore& store_;
  std::shared_ptr<const ActiveBundle> now_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Engine> candidate_;
};

}  // namespace interlock::policies
