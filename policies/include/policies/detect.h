// Detectors: personal data, secrets, prompt injection and hidden Unicode in a text of any bytes.
//
// Thread-safe: the tables are built once, on first use (call WarmDetectors where that may not cost
// a decision), and never change. Time is linear in the text, memory is bounded, and equal texts
// give equal findings on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace interlock::policies {

inline constexpr std::size_t kDetectBytesMax = 1024 * 1024;  // read of one text
inline constexpr std::size_t kDetectionsMax = 256;           // reported of one text

enum class DetectGroup : std::uint8_t { kPii, kSecret, kInjection };

// Low: the form alone, which order numbers and versions have too. Medium: form and checksum, or
// form and a word beside it. High: nothing harmless is known to look so.
enum class Confidence : std::uint8_t { kLow, kMedium, kHigh };

struct Detection {
  std::string_view kind{};  // "card", "github_token"; lives as long as the process
  DetectGroup group = DetectGroup::kPii;
  Confidence confidence = Confidence::kLow;
  std::size_t begin = 0;  // byte offsets into the text as it was given
  std::size_t end = 0;

  friend bool operator==(const Detection&, const Detection&) = default;
};

struct DetectOptions {
  bool pii = false;
  bool secrets = false;
  bool injection = false;
  std::string_view field{};  // the name of the field that holds the text; "" if there is none
};

struct Detections {
  std::vector<Detection> found{};  // sorted by begin, end, kind; no two of a kind overlap
  bool truncated = false;          // the text or the findings were more than the limits above
  std::int64_t work = 0;           // candidates looked at, for whoever pays by work
};

Detections Detect(std::string_view text, const DetectOptions& options);

// Every kind that Detect can report, sorted by name.
struct DetectKind {
  std::string_view name{};
  DetectGroup group = DetectGroup::kPii;
};
const std::vector<DetectKind>& DetectKinds();

void WarmDetectors();

}  // namespace interlock::policies
