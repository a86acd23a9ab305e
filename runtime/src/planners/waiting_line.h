// Who waits for a place, in order, and until when. Pure; the caller locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

namespace interlock::runtime {

class WaitingLine {
 public:
  // Handles grow: who comes later stands behind. `deadline_us` 0: it waits as long as it takes.
  void Add(std::uint64_t handle, std::int64_t deadline_us);
  void Remove(std::uint64_t handle, std::int64_t deadline_us);  // none of these: no-op
  std::optional<std::uint64_t> First() const;
  // Of those whose deadline is the earliest, the first; nullopt: nobody has one.
  std::optional<std::uint64_t> FirstDue() const;
  std::int64_t next_deadline_us() const;  // 0: nobody has one
  std::size_t size() const { return line_.size(); }
  bool empty() const { return line_.empty(); }

 private:
  std::set<std::uint64_t> line_;
  std::set<std::pair<std::int64_t, std::uint64_t>> due_;  // deadline and handle
};

}  // namespace interlock::runtime
