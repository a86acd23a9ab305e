// The signed heads that a log must agree with: its own checkpoints and those kept elsewhere, each
// under the key that was in force at its size.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/status.h"
#include "entry_text.h"
#include "findings.h"
#include "schema.h"
#include "sqlite.h"

namespace interlock::audit {

// One per thread. Sizes are asked for in ascending order, rotations told in between.
class HeadCheck {
 public:
  HeadCheck(LogIdentity identity, std::string pinned_key, Findings* findings);

  // Reads tables `checkpoint` and `cosignature` (which version 1 lacks) and notes kept elsewhere.
  // Errors: kInvalidArgument for a note that is none; those of the database.
  core::Status Load(sqlite3* db, const std::vector<std::string>& outside);

  struct Head {
    core::Digest root{};
    std::string by;  // "checkpoint 256", "outside checkpoint 256"
    std::string note;
  };
  // The heads of exactly this size that are properly signed; a finding for each that is not.
  std::vector<Head> At(std::uint64_t size);
  // All heads above `size`, smallest first; findings as for At.
  std::vector<Head> Above(std::uint64_t size);

  // An entry `signer.rotated`: from the next size on its new key signs. A finding when the key
  // before did not sign it.
  void Rotate(std::uint64_t index, const ParsedEntry& entry);

  // The keys that were in force so far, oldest first.
  const std::vector<std::string>& keys() const { return keys_; }
  // The pinned key (or, with none, the log's own word) vouches from here on.
  bool trusted() const { return trusted_; }

 private:
  struct Waiting {
    std::string note;
    std::string by;
    bool stored = false;
    std::string stored_root;
  };
  core::Status LoadCosignatures(sqlite3* db);
  void Open(std::uint64_t size, const Waiting& waiting, std::vector<Head>& out);

  const LogIdentity identity_;
  const std::string pinned_key_;
  Findings* const findings_;
  std::string key_;
  std::vector<std::string> keys_;
  bool trusted_ = false;
  std::multimap<std::uint64_t, Waiting> waiting_;
};

}  // namespace interlock::audit
