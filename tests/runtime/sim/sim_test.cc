// `./dev sim --seed N --runs M`: what a whole engine promises, on seeds. A failure names its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "day.h"

namespace interlock::runtime::sim {
namespace {

constexpr std::uint64_t kSeeds = 40;  // of a plain run of all tests; CI asks for more

std::uint64_t Asked(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

std::uint64_t Kinds(const Evidence& evidence, std::string_view kind) {
  return static_cast<std::uint64_t>(
      std::count_if(evidence.entries.begin(), evidence.entries.end(),
                    [kind](const audit::Entry& entry) { return entry.kind == kind; }));
}

TEST(Simulation, HoldsOnEverySeed) {
  // What is durable is what the fault layer was told to sync: no real disk is needed.
  if (std::filesystem::exists("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 1);
  const std::uint64_t first = Asked("INTERLOCK_SIM_SEED", 1);
  const std::uint64_t seeds = Asked("INTERLOCK_SIM_RUNS", kSeeds);
  std::uint64_t effects = 0;
  std::uint64_t approved = 0;
  std::uint64_t below = 0;
  int power_cuts = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const Evidence evidence = Day(seed).Live();
    effects += evidence.effects.size();
    approved += Kinds(evidence, "approval.consumed");
    below += static_cast<std::uint64_t>(
        std::count_if(evidence.runs.begin(), evidence.runs.end(),
                      [](const RunInfo& run) { return !run.parent.empty(); }));
    power_cuts += evidence.power_cuts;
    for (const std::string& breach : Breaches(evidence)) {
      ADD_FAILURE() << "seed " << seed << ": " << breach;
    }
    if (HasFailure()) FAIL() << "again: ./dev sim --seed " << seed << " --runs 1";
  }
  std::cout << seeds << " seeds: " << effects << " effects, " << approved << " approvals consumed, "
            << below << " runs below others, " << power_cuts << " power cuts\n";
  if (seeds < kSeeds) return;
  EXPECT_GE(effects, seeds) << "the shop is hardly used: these seeds show nothing";
  EXPECT_GE(approved, seeds / 10);
  EXPECT_GE(below, seeds / 4);
  EXPECT_GE(static_cast<std::uint64_t>(power_cuts), seeds / 4);
}

}  // namespace
}  // namespace interlock::runtime::sim
