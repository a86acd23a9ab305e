// What a verification found, and which entry it names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace interlock::audit {

struct VerifyReport;
// Of a log, or a folder of logs, that never stood still while it was read.
VerifyReport WrittenTo(const std::string& path);

// Keeps the finding with the lowest entry index; one entry that is named comes before a range that
// holds it, and findings without an index come last. One per thread.
class Findings {
 public:
  void Entry(std::uint64_t index, const std::string& what) {
    if (index_ && *index_ <= index && index >= range_end_) return;
    Keep(index, what);
    range_end_ = 0;
  }
  // One of the entries from `first` on, below `end`: a signed root does not say which.
  void Range(std::uint64_t first, std::uint64_t end, const std::string& what) {
    if (index_ && *index_ < end) return;
    Keep(first, "or one after it, below " + std::to_string(end) + ", " + what);
    range_end_ = end;
  }
  void General(const std::string& what) {
    if (reason_.empty()) reason_ = what;
  }
  bool any() const { return !reason_.empty(); }
  std::optional<std::uint64_t> index() const { return index_; }
  const std::string& reason() const { return reason_; }

 private:
  void Keep(std::uint64_t index, const std::string& what) {
    index_ = index;
    reason_ = "entry " + std::to_string(index) + " " + what;
  }

  std::optional<std::uint64_t> index_;
  std::uint64_t range_end_ = 0;  // of the finding that is kept; 0: it names its entry
  std::string reason_;
};

}  // namespace interlock::audit
