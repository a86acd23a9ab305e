// Verification of a partition's folder, read-only, by anyone who has the files (and better: an
// outside checkpoint and the verifier key).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/log.h"
#include "core/status.h"

namespace interlock::audit {

// kHashes: entry bytes, stored tree, checkpoints and cited files; kFull: form, runs, payloads and
// projections as well.
enum class VerifyDepth { kFull, kHashes };

// kOneLog: what the log goes on from is not looked at, and one that does is incomplete. kOfFolder:
// somebody checks the log before it too.
enum class VerifyScope { kOneLog, kOfFolder };

// What entries of later logs say was erased from earlier ones.
struct ErasedElsewhere {
  std::set<std::string> keys;                              // every payload under them
  std::map<std::string, std::set<std::int64_t>> payloads;  // rows, by the origin of their log
  std::uint64_t newest_size = 0;  // of the newest log when it was read: it goes on meanwhile
};

class KeyStore;

struct VerifyOptions {
  std::string database;      // path of audit.db
  std::string verifier_key;  // pinned; empty: the one in the file is used and the report says so
  std::vector<std::string>
      outside_checkpoints;  // notes kept elsewhere: catch truncation and roll-back
  // So many of these must have cosigned a head of all signed entries; 0: all of them.
  std::vector<std::string> witness_keys;
  std::size_t witnesses_needed = 0;
  const ErasedElsewhere* erased_later = nullptr;  // null: what later logs say is not known
  VerifyDepth depth = VerifyDepth::kFull;
  VerifyScope scope = VerifyScope::kOneLog;
  KeyStore* keys = nullptr;  // borrowed; given: every payload is opened (kFull)
  // Recomputed into a scratch database and compared row by row; none: the runtime's projections are
  // left out, and the report says so.
  std::vector<Projector*> projectors;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

// What the entry `log.opened` says.
struct Opening {
  std::uint64_t number = 0;  // of the log that it opens; the first of all has none and is 1
  std::string origin;        // of the log before
  std::uint64_t size = 0;
  std::string root_hex;
  std::string checkpoint;  // its newest signed note; may be empty after a restore
  std::string carried;     // digest of the entries `state.carried`
  std::uint64_t carried_entries = 0;
  bool restored = false;  // the log before was not closed: a backup was all that was left
  std::string lost;       // what is missing then, in words
};

enum class Verdict { kIntact, kTampered, kCouldNotCheck, kIncomplete };  // exit codes 0, 1, 2, 3

struct VerifyReport {
  Verdict verdict = Verdict::kCouldNotCheck;
  std::string reason;                      // one line; empty when intact
  std::optional<std::uint64_t> first_bad;  // index of the first bad entry
  std::uint64_t entries = 0;
  std::uint64_t checkpoints = 0;  // that hold
  std::uint64_t opened = 0;       // payloads, with VerifyOptions::keys
  std::uint64_t signed_entries =
      0;  // covered by the newest checkpoint that holds, outside ones included
  std::string root_hex;
  bool key_pinned = false;
  std::string scope;    // of a bundle: what it says that it proves
  std::string claimed;  // of a bundle: what its maker says, and nothing proves
  // Incomplete only as far as a daemon at work has not signed or folded yet: read again.
  bool may_pass = false;
  // kCouldNotCheck only since somebody wrote to the file meanwhile: a daemon that came, an erasure
  // in a closed log. Read again.
  bool written_to = false;
  // Names on signature lines of the newest head that holds, of which no key was given.
  std::vector<std::string> unchecked_signers;
  std::string not_checked;  // what was asked to be left out, in words; empty: nothing

  // --- for the logs before and after it, see VerifyFolder
  std::string tenant;
  std::string origin;
  std::vector<std::string> keys;   // that signed for it, in the order in which they were in force
  std::optional<Opening> opening;  // what its first entry cites, when it follows another log
  std::optional<std::string> closed_with;  // digest of what it closed with; nullopt: not closed
  std::string carried;  // digest of what its entries fold to; empty: not computed
  ErasedElsewhere erased;
};

// NAME+ID+BASE64 of an Ed25519 key that signs notes, with the right id.
bool IsVerifierKey(std::string_view text);

// Checks: tables and triggers, dense indexes, leaf hashes, canonical form, envelope (run_seq
// contiguous, prev links, time never back), stored tree, every checkpoint's signature and root,
// outside checkpoints, key rotations, that each commitment has its payload row (which opens, when
// `keys` are given) and erased ones an entry that says so, cited files, projections with their
// indexes and views. `projectors` must be fresh. kTampered: something differs; `first_bad` is the
// first entry that cannot be trusted, where one can be named. kCouldNotCheck: no such file, not a
// log, an unreadable page, or an outside checkpoint that is no checkpoint. kIncomplete: entries
// that no checkpoint covers (while a daemon holds the folder: more than a little), unwitnessed (too
// few of the witnesses cosigned), projections of another version of the program, a log before it
// that was not checked, or payloads whose key is missing though no entry says that it was erased.
// Never writes. One thread. Beside a daemon at work one state of the log is read.
VerifyReport Verify(const VerifyOptions& options);

using MakeProjector = std::function<std::vector<std::unique_ptr<Projector>>()>;
// Verify, and again while the file was written to, kReadingsMax times in all. `options.projectors`
// is not used.
inline constexpr int kReadingsMax = 5;
VerifyReport VerifyAgain(VerifyOptions options, const MakeProjector& projectors);

// All logs of a tenant's folder, oldest first: `audit-0001.db`, …, and `audit.db`.
struct FolderReport {
  VerifyReport report;  // of the first log that is not good, else of the newest
  std::string log;      // its file's name
  std::vector<std::pair<std::string, VerifyReport>> logs;
};
// Each log as Verify, outside checkpoints by their origin; and that each begins with the origin,
// size, root and carried state with which the one before it ended, under keys that were handed
// over. `options.database`, `.scope` and `.projectors` are not used. kIncomplete also: a log before
// the oldest one at hand, or what a restore lost. All of it again when content was erased from a
// closed log, or a log was closed, meanwhile.
FolderReport VerifyFolder(const std::string& folder, const VerifyOptions& options,
                          const MakeProjector& projectors);

}  // namespace interlock::audit
