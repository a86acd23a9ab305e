// What goes into an evidence bundle: entries, what they lean on, and what proves them.
#pragma once

#include <string>
#include <vector>

#include "audit/bundle.h"
#include "cli/evidence_source.h"
#include "core/status.h"

namespace interlock::runtime::cli {

struct EvidenceOptions {
  // One of three:
  std::string run;
  std::string entries;  // "3,7-9"
  std::string query;    // AIP-160, of calls
  std::string log;      // file of a closed log; empty: the daemon's
  bool cosigned = false;
  std::string out;
  std::string disclose = "none";
  std::string reason;
  std::string key;
  std::vector<std::string> since;  // files with notes kept earlier
};

// Errors: kNotFound when there are no such entries; kFailedPrecondition when no witness has
// cosigned in time, or content cannot be opened here; kResourceExhausted above 10,000 entries.
core::StatusOr<audit::BundleContents> CollectEvidence(EvidenceSource& source,
                                                      const EvidenceOptions& options);

}  // namespace interlock::runtime::cli
