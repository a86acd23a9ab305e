// A tree in memory, whose heads and proofs a signer asks for.
#pragma once

#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/merkle.h"

namespace interlock::audit {

class MemoryLog final : public SubtreeReader {
 public:
  MemoryLog(std::string origin, std::uint64_t size, const std::string& salt = "")
      : origin_(std::move(origin)) {
    for (std::uint64_t i = 0; i < size; ++i) Add(salt + std::to_string(i));
  }
  void Add(const std::string& entry) { leaves_.push_back(LeafHash(entry)); }
  std::uint64_t size() const { return leaves_.size(); }
  core::Digest Root(std::uint64_t size) { return *TreeRoot(*this, size); }
  core::StatusOr<core::Digest> Subtree(int level, std::uint64_t n) override {
    Frontier frontier;
    const std::uint64_t width = std::uint64_t{1} << level;
    for (std::uint64_t i = n * width; i < (n + 1) * width; ++i) frontier.Add(leaves_[i]);
    return frontier.Root();
  }
  // A request to sign the first `size` entries, with an honest proof.
  SignRequest Request(std::uint64_t size) {
    return {origin_, size, Root(size), [this](std::uint64_t old_size, std::uint64_t new_size) {
              return ConsistencyPath(*this, old_size, new_size);
            }};
  }

 private:
  std::string origin_;
  std::vector<core::Digest> leaves_;
};

}  // namespace interlock::audit
