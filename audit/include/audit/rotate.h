// One log follows another (rule 23): closes a partition's log, keeps it read-only as
// `audit-<number>.db`, and opens a new origin that cites its head and carries its state.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "core/status.h"

namespace interlock::audit {

enum class RotationCause {
  kPlanned,   // yearly, or because the log is large
  kRestored,  // an older copy was restored; the signer refuses it for ever
};

struct RotateOptions {
  LogOptions log;      // as for Log::Open; nobody may have the log open
  std::string actor;   // of the entries
  std::string reason;  // stands in them: no personal data; 1 to 200 bytes
  RotationCause cause = RotationCause::kPlanned;
  // Called before each step by its name; tests end the process there.
  std::function<void(std::string_view step)> at_step;
};

struct RotateReport {
  std::string archive;     // name of the closed log's file
  std::string old_origin;  // its identity, size and root
  std::uint64_t old_size = 0;
  std::string root_hex;
  std::string new_origin;
  std::uint64_t carried_entries = 0;
  std::string lost;     // kRestored: what is missing, in words
  std::string warning;  // what did not work and holds nothing up; empty: nothing
};

// Closes the log in `options.log.folder` and puts its successor in its place. Errors:
// kFailedPrecondition: a daemon has it (with its pid), something is open (which names it), or the
// cause does not fit what the signer knows; kResourceExhausted: no room, nothing was changed. A
// process that ends at any step leaves a folder that the next Rotate or Log::Open finishes: the
// closed log takes no more entries, and its successor is in place whole or not at all.
core::StatusOr<RotateReport> Rotate(const RotateOptions& options);

// Names of the closed logs in a folder (`audit-0001.db`), oldest first. Errors: it is there and
// cannot be listed.
core::StatusOr<std::vector<std::string>> ListArchives(const std::string& folder);
// None where they cannot be listed.
std::vector<std::string> ArchivesIn(const std::string& folder);

// A closed log, or any other at rest, for reading: every read of Log works, all else is
// kFailedPrecondition. Not checked: that is what Verify does. Errors: kNotFound.
core::StatusOr<std::unique_ptr<Log>> OpenArchive(const std::string& database);

}  // namespace interlock::audit
