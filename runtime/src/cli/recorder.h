// Decisions of a log as `policy backtest`, `explain --call`, `suggest` and `repl` take them.
// Content is opened for that, which the log records.
#pragma once

#include <functional>
#include <string>

#include "cli/evidence_source.h"
#include "policies/recorded.h"

namespace interlock::runtime::cli {

struct RecorderOptions {
  std::string filter{};  // AIP-160, of calls; empty: all
  std::string reason{};  // why content is opened
};

// The first decision of each call, runs one after another, each in its order. Errors: those of the
// source, and of `take`, which end it.
core::Status EachRecordedDecision(
    EvidenceSource& source, const RecorderOptions& options,
    const std::function<core::Status(policies::RecordedDecision)>& take);

}  // namespace interlock::runtime::cli
