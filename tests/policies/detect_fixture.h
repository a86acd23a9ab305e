// Texts with something in them, for the tests of detectors.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "policies/detect.h"

namespace interlock::policies {

// `found` stands between two texts and is of this kind.
struct Hit {
  std::string kind{};
  std::string before{};
  std::string found{};
  std::string after{};
};

inline std::string Listed(std::string_view text, const Detections& detections) {
  std::string out;
  for (const Detection& one : detections.found) {
    out += std::string(one.kind) + "/" + std::to_string(static_cast<int>(one.confidence)) + " [" +
           std::string(text.substr(one.begin, one.end - one.begin)) + "] ";
  }
  return out;
}

// Found at its exact place, at medium confidence or more.
inline void ExpectHit(const Hit& hit, const DetectOptions& options) {
  const std::string text = hit.before + hit.found + hit.after;
  const Detections detections = Detect(text, options);
  bool there = false;
  for (const Detection& one : detections.found) {
    there = there || (one.kind == hit.kind && one.begin == hit.before.size() &&
                      one.end == hit.before.size() + hit.found.size() &&
                      one.confidence >= Confidence::kMedium);
  }
  EXPECT_TRUE(there) << hit.kind << " in `" << text << "`: " << Listed(text, detections);
}

// Nothing of medium confidence or more.
inline void ExpectNothing(std::string_view text, const DetectOptions& options) {
  const Detections detections = Detect(text, options);
  for (const Detection& one : detections.found) {
    EXPECT_EQ(one.confidence, Confidence::kLow) << text << ": " << Listed(text, detections);
  }
  EXPECT_FALSE(detections.truncated);
}

inline std::optional<Confidence> ConfidenceOf(std::string_view text, std::string_view kind,
                                              const DetectOptions& options) {
  for (const Detection& one : Detect(text, options).found) {
    if (one.kind == kind) return one.confidence;
  }
  return std::nullopt;
}

}  // namespace interlock::policies
