// One log follows another between two lives of a harness.
#pragma once

#include <gtest/gtest.h>

#include "audit/rotate.h"
#include "harness.h"

namespace interlock::runtime::test {

// Of a harness that is stopped.
inline core::StatusOr<audit::RotateReport> Rotate(
    Harness& h, audit::RotationCause cause = audit::RotationCause::kPlanned) {
  const auto signer = audit::OpenFileSigner(h.folder, "test/main");
  EXPECT_TRUE(signer.ok()) << signer.status();
  const StatePtr state = MakeState();
  audit::RotateOptions options;
  options.log.folder = h.folder;
  options.log.tenant = "main";
  options.log.origin = "test/main";
  options.log.clock = &h.clock;
  options.log.signer = signer->get();
  options.log.projectors = {ProjectorOf(*state)};
  options.actor = "local:uid-0";
  options.reason = "a year is over";
  options.cause = cause;
  return audit::Rotate(options);
}

inline void RotateAndRestart(Harness& h) {
  h.Stop();
  const auto report = Rotate(h);
  ASSERT_TRUE(report.ok()) << report.status();
  h.Start();
}

}  // namespace interlock::runtime::test
