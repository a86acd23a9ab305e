// Replay (rule 18): every entry of a run made anew from what was recorded, by the code that made
// it, and compared byte for byte. Nothing is asked, run or written.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/keys.h"
#include "audit/log.h"
#include "core/digest.h"
#include "core/status.h"
#include "engine/history.h"
#include "policies/bundle.h"
#include "tools/tool.h"

namespace interlock::runtime {

struct ReplayParts {
  std::string tenant;
  audit::Log* log = nullptr;        // borrowed; only read
  audit::KeyStore* keys = nullptr;  // borrowed; opens content
  std::shared_ptr<const tools::Registry> registry;
  // The bundle that the run was decided by; a candidate in its place, if there is one.
  std::shared_ptr<const policies::Bundle> bundle;
  std::shared_ptr<const policies::Bundle> candidate;
  History::AgentOf agent_of;
  StepFn step = &Step;
};

struct ReplayReport {
  std::string engine;        // version that wrote the run
  std::int64_t entries = 0;  // of the run
  std::int64_t rebuilt = 0;  // made anew and equal
  // Entries that stand for what came from outside (a request, an approval, a cancel), by kind: only
  // their place in the chain is made anew.
  std::map<std::string, std::int64_t> taken;
  // Entries that the engine made and replay does not make anew: the answer is incomplete.
  std::map<std::string, std::int64_t> left_out;
  // What a call.decided came to.
  struct Decided {
    std::string effect;              // "deny"
    std::string code;                // "OVER_REFUND"
    std::vector<std::string> rules;  // ids of those that it is by; empty: no rule's doing
  };
  // Both sides of one whose bytes differ.
  struct Decisions {
    Decided recorded;
    Decided rebuilt;
    // Members that differ: of the sealed decision ("demands", "say"), else of the entry's body.
    std::vector<std::string> differing;
  };
  struct Divergence {
    std::uint64_t index = 0;
    std::int64_t run_seq = 0;
    std::string kind;
    std::string recorded;  // the entry's bytes; empty: the log has no such entry
    std::string rebuilt;   // what replay made; empty: nothing
    std::string why;
    std::optional<Decisions> decisions{};  // of a call.decided
  };
  std::optional<Divergence> first;
  core::Digest recorded_root{};  // RFC 6962 root over the run's entries in run_seq order
  core::Digest rebuilt_root{};   // zero after a divergence

  bool passes() const { return !first && recorded_root == rebuilt_root; }
};

// Errors: kNotFound; kFailedPrecondition when it cannot be said: content was erased
// (PAYLOAD_ERASED), another engine wrote the run (ENGINE_VERSION), a tool, bundle or agent file is
// not the one of then (TOOL_CHANGED, BUNDLE_CHANGED, AGENT_GONE), a kind that replay does not know
// (KIND_NOT_REPLAYED); those of reading.
core::StatusOr<ReplayReport> ReplayRun(const ReplayParts& parts, const std::string& run);

// One line for people: "recorded: ask by a/b; now: deny by a/c". Codes are told where they differ;
// of two that say the same, what differs in them.
std::string InWords(const ReplayReport::Decisions& decisions);

}  // namespace interlock::runtime
