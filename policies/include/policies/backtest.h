// What another bundle would have decided about calls that were decided before (rule 19).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policies/recorded.h"

namespace interlock::policies {

inline constexpr std::size_t kBacktestExamplesMax = 5;

// What becomes of a demand for an approval that nobody was asked for then.
enum class Assume { kGranted, kRefused };

struct BacktestOptions {
  Assume assume = Assume::kRefused;
  std::int64_t since_us = 0;  // earlier ones move budgets and counters only
};

struct BacktestChange {
  std::string tool{};
  std::string change{};              // "allow -> deny LIMIT"
  std::vector<std::string> rules{};  // of the candidate that denied, asked or erred; sorted
  std::size_t calls = 0;
  std::size_t seeded = 0;                       // of these: BacktestReport::seeded
  std::map<std::string, std::int64_t> money{};  // that moved then, minor units by currency
  std::vector<std::string> examples{};          // calls, at most kBacktestExamplesMax
};

struct BacktestReport {
  std::size_t decisions = 0;  // decided again
  std::size_t same = 0;
  std::vector<BacktestChange> changes{};             // most calls first
  std::map<std::string, std::size_t> undecidable{};  // reason: decisions
  std::size_t newly_allowed = 0;  // what was denied, or asked about, and would not be
  std::size_t newly_denied = 0;
  // Decided with a balance or counter that looks back to before the record, which says nothing of
  // it: taken as empty then, so that a limit may have been met and is not known to be.
  std::size_t seeded = 0;
};

// Decides the calls in the order of their time. Calls are taken as they were proposed, whatever the
// candidate would have answered to those before. Budgets and counters are kept as the candidate
// would have moved them; one that it reads first begins as it was recorded, else empty. A demand of
// a rule that asked then has the answer that was given then. Facts that the candidate needs and no
// one recorded make a decision undecidable, never a denial. Pure: nothing is carried out.
BacktestReport Backtest(const std::shared_ptr<const Bundle>& candidate,
                        std::vector<RecordedDecision> recorded, const BacktestOptions& options);

}  // namespace interlock::policies
