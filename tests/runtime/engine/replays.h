// That a run of a harness is made anew by replay, to the last byte.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/replay.h"
#include "harness.h"

namespace interlock::runtime::test {

inline core::StatusOr<ReplayReport> ReplayOf(Harness& h, const std::string& run,
                                             const std::vector<const AgentFile*>& agents,
                                             StepFn step = &Step,
                                             const std::string& candidate = "") {
  ReplayParts parts;
  parts.tenant = "main";
  parts.log = &h.log();
  parts.keys = &h.keys();
  parts.registry = h.registry();
  if (!h.policy().empty()) parts.bundle = h.LoadPolicy(h.policy());
  parts.agent_of = [&agents](const std::string&, const std::string& digest) -> const AgentFile* {
    for (const AgentFile* agent : agents) {
      if (agent->digest == digest) return agent;
    }
    return nullptr;
  };
  parts.step = step;
  if (!candidate.empty()) parts.candidate = h.LoadPolicy(candidate);
  return ReplayRun(parts, run);
}

inline void ExpectMadeAnew(Harness& h, const std::string& run,
                           const std::vector<const AgentFile*>& agents) {
  const auto report = ReplayOf(h, run, agents);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->left_out.empty());
  EXPECT_GT(report->rebuilt, 3);
  EXPECT_TRUE(report->passes()) << (report->first
                                        ? report->first->kind + ": " + report->first->why +
                                              "\nrecorded " + report->first->recorded +
                                              "\nrebuilt  " + report->first->rebuilt
                                        : "roots differ");
}

}  // namespace interlock::runtime::test
