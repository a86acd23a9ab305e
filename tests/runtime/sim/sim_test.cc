// `./dev sim --seed N --runs M`: what a whole engine promises, on seeds. A failure names its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string_view>
#include <vector>

#include "day.h"

namespace interlock::runtime::sim {
namespace {

constexpr std::uint64_t kSeeds = 40;  // of a plain run of all tests; CI asks for more

std::uint64_t Asked(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// What must come about once in so many seeds, or they show nothing.
struct Met {
  const char* what;
  std::uint64_t one_in;
  std::uint64_t times = 0;
};

class Tally {
 public:
  void Add(const Day& day, const Evidence& evidence) {
    Of("effects") += evidence.effects.size();
    Of("power cuts") += static_cast<std::uint64_t>(evidence.power_cuts);
    Of("full disks") += evidence.was_full ? 1 : 0;
    Of("requests for nobody") += evidence.for_nobody.size();
    Of("reads stopped") += static_cast<std::uint64_t>(evidence.reads_stopped);
    Of("runs below others") += static_cast<std::uint64_t>(
        std::count_if(evidence.runs.begin(), evidence.runs.end(),
                      [](const RunInfo& run) { return !run.parent.empty(); }));
    for (const char* kind : {"approval.consumed", "call.edited", "call.compensated", "switch.set",
                             "rollout.set", "plan.refused"}) {
      Of(kind) += day.Kinds(kind);
    }
    for (const char* what : kOfLabels) Of(what) += day.Compared(what);
  }
  const std::vector<Met>& all() const { return all_; }

 private:
  std::uint64_t& Of(std::string_view what) {
    return std::find_if(all_.begin(), all_.end(),
                        [what](const Met& met) { return met.what == what; })
        ->times;
  }
  // Of what a model of labels has said again.
  static constexpr const char* kOfLabels[] = {"labels of arguments",
                                              "label of what it started",
                                              "asked for what was read",
                                              "code of a withheld result",
                                              "changed result",
                                              "foreign message",
                                              "kept secret"};
  std::vector<Met> all_ = {{"effects", 1},
                           {"power cuts", 4},
                           {"full disks", 40},
                           {"requests for nobody", 4},
                           {"reads stopped", 20},
                           {"runs below others", 4},
                           {"switch.set", 10},
                           {"approval.consumed", 10},
                           {"call.edited", 40},
                           {"rollout.set", 20},
                           {"call.compensated", 10},
                           {"plan.refused", 20},
                           {"labels of arguments", 1},
                           {"label of what it started", 4},
                           {"asked for what was read", 20},
                           {"code of a withheld result", 10},
                           {"changed result", 20},
                           {"foreign message", 4},
                           {"kept secret", 20}};
};

TEST(Simulation, HoldsOnEverySeed) {
  // What is durable is what the fault layer was told to sync: no real disk is needed.
  if (std::filesystem::exists("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 1);
  const std::uint64_t first = Asked("INTERLOCK_SIM_SEED", 1);
  const std::uint64_t seeds = Asked("INTERLOCK_SIM_RUNS", kSeeds);
  Tally tally;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    Day day(seed);
    const Evidence evidence = day.Live();
    tally.Add(day, evidence);
    for (const std::string& breach : day.Breaches(evidence)) {
      ADD_FAILURE() << "seed " << seed << ": " << breach;
    }
    if (HasFailure()) FAIL() << "again: ./dev sim --seed " << seed << " --runs 1";
  }
  std::cout << seeds << " seeds:";
  for (const Met& met : tally.all()) std::cout << " " << met.times << " " << met.what << ",";
  std::cout << "\n";
  if (seeds < kSeeds) return;
  for (const Met& met : tally.all()) {
    EXPECT_GE(met.times, seeds / met.one_in) << met.what << ": these seeds show nothing of it";
  }
}

}  // namespace
}  // namespace interlock::runtime::sim
