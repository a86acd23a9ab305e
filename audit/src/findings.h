// What a verification found, and which entry it names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace interlock::audit {

// Keeps the finding with the lowest entry index; findings without one come last. One per thread.
class Findings {
 public:
  void Entry(std::uint64_t index, const std::string& what) {
    if (index_ && *index_ <= index) return;
    index_ = index;
    reason_ = "entry " + std::to_string(index) + " " + what;
  }
  void General(const std::string& what) {
    if (reason_.empty()) reason_ = what;
  }
  bool any() const { return !reason_.empty(); }
  std::optional<std::uint64_t> index() const { return index_; }
  const std::string& reason() const { return reason_; }

 private:
  std::optional<std::uint64_t> index_;
  std::string reason_;
};

}  // namespace interlock::audit
