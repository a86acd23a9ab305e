// RFC 6962 (RFC 9162 §2.1) Merkle tree: hashes, roots, proofs, and their checks. No I/O of its own.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/status.h"

namespace interlock::audit {

core::Digest LeafHash(std::string_view entry);  // SHA-256(0x00 || entry)
core::Digest NodeHash(const core::Digest& left,
                      const core::Digest& right);  // SHA-256(0x01 || l || r)
core::Digest EmptyRoot();                          // SHA-256("")

class SubtreeReader;

// The right edge of a growing tree: the roots of its perfect subtrees, largest first when read from
// the top. A value; one per thread. Adding a leaf costs one node hash on average; Root() at
// most 63.
class Frontier {
 public:
  // The frontier of the first `size` leaves.
  static core::StatusOr<Frontier> Of(SubtreeReader& reader, std::uint64_t size);
  std::uint64_t size() const { return size_; }
  core::Digest Root() const;
  // Adds a leaf. `completed(level, hash)` is called for every perfect subtree that it closes, leaf
  // included (level 0), from the bottom up.
  template <typename Completed>
  void Add(const core::Digest& leaf, Completed&& completed) {
    core::Digest hash = leaf;
    int level = 0;
    completed(level, hash);
    for (; ((size_ >> level) & 1) != 0; ++level) {
      hash = NodeHash(nodes_[static_cast<std::size_t>(level)], hash);
      completed(level + 1, hash);
    }
    nodes_[static_cast<std::size_t>(level)] = hash;
    ++size_;
  }
  void Add(const core::Digest& leaf) {
    Add(leaf, [](int, const core::Digest&) {});
  }

 private:
  std::uint64_t size_ = 0;
  std::array<core::Digest, 64> nodes_{};  // nodes_[l] holds when bit l of size_ is set
};

// Where hashes of perfect subtrees come from (tiles in a database, or memory in a test). One per
// thread.
class SubtreeReader {
 public:
  virtual ~SubtreeReader() = default;
  // Root of the leaves [n << level, (n + 1) << level).
  virtual core::StatusOr<core::Digest> Subtree(int level, std::uint64_t n) = 0;
};

// Root of the tree of the first `size` leaves.
core::StatusOr<core::Digest> TreeRoot(SubtreeReader& reader, std::uint64_t size);
// RFC 6962 §2.1.1. Errors: kInvalidArgument unless index < size.
core::StatusOr<std::vector<core::Digest>> InclusionPath(SubtreeReader& reader, std::uint64_t index,
                                                        std::uint64_t size);
// RFC 6962 §2.1.2. Errors: kInvalidArgument unless 0 < old_size <= size.
core::StatusOr<std::vector<core::Digest>> ConsistencyPath(SubtreeReader& reader,
                                                          std::uint64_t old_size,
                                                          std::uint64_t size);

struct InclusionClaim {
  core::Digest leaf_hash{};
  std::uint64_t index = 0;
  std::uint64_t size = 0;
  core::Digest root{};
};
// RFC 9162 §2.1.3.2.
bool InclusionHolds(const InclusionClaim& claim, std::span<const core::Digest> proof);

struct ConsistencyClaim {
  std::uint64_t old_size = 0;
  core::Digest old_root{};
  std::uint64_t size = 0;
  core::Digest root{};
};
// RFC 9162 §2.1.4.2. An empty old tree is consistent with every tree (and takes no proof).
bool ConsistencyHolds(const ConsistencyClaim& claim, std::span<const core::Digest> proof);

}  // namespace interlock::audit
