#include "audit/merkle.h"

#include <bit>
#include <string>

namespace interlock::audit {
namespace {

using Path = std::vector<core::Digest>;

// The largest power of two smaller than `n` (n >= 2).
std::uint64_t SplitPoint(std::uint64_t n) { return std::bit_floor(n - 1); }

// MTH(D[first : first + count]) where `first` is a multiple of the largest power of two below
// `count`, which holds for every range that the RFC's recursions reach.
core::StatusOr<core::Digest> RangeRoot(SubtreeReader& reader, std::uint64_t first,
                                       std::uint64_t count) {
  if (std::has_single_bit(count)) {
    const int level = std::countr_zero(count);
    return reader.Subtree(level, first >> level);
  }
  const std::uint64_t k = SplitPoint(count);
  INTERLOCK_ASSIGN_OR_RETURN(const core::Digest left, RangeRoot(reader, first, k));
  INTERLOCK_ASSIGN_OR_RETURN(const core::Digest right, RangeRoot(reader, first + k, count - k));
  return NodeHash(left, right);
}

core::Status AppendRoot(SubtreeReader& reader, std::uint64_t first, std::uint64_t count,
                        Path& path) {
  INTERLOCK_ASSIGN_OR_RETURN(core::Digest root, RangeRoot(reader, first, count));
  path.push_back(root);
  return core::OkStatus();
}

// PATH(m, D[first : first + count]).
core::Status AppendInclusion(SubtreeReader& reader, std::uint64_t m, std::uint64_t first,
                             std::uint64_t count, Path& path) {
  if (count == 1) return core::OkStatus();
  const std::uint64_t k = SplitPoint(count);
  if (m < k) {
    INTERLOCK_RETURN_IF_ERROR(AppendInclusion(reader, m, first, k, path));
    return AppendRoot(reader, first + k, count - k, path);
  }
  INTERLOCK_RETURN_IF_ERROR(AppendInclusion(reader, m - k, first + k, count - k, path));
  return AppendRoot(reader, first, k, path);
}

struct Subproblem {
  std::uint64_t old_size;
  std::uint64_t first;
  std::uint64_t count;
  bool old_root_known;  // the verifier knows MTH of the old part already
};

// SUBPROOF(m, D[first : first + count], b).
core::Status AppendConsistency(SubtreeReader& reader, const Subproblem& p, Path& path) {
  if (p.old_size == p.count) {
    return p.old_root_known ? core::OkStatus() : AppendRoot(reader, p.first, p.count, path);
  }
  const std::uint64_t k = SplitPoint(p.count);
  if (p.old_size <= k) {
    INTERLOCK_RETURN_IF_ERROR(
        AppendConsistency(reader, {p.old_size, p.first, k, p.old_root_known}, path));
    return AppendRoot(reader, p.first + k, p.count - k, path);
  }
  INTERLOCK_RETURN_IF_ERROR(
      AppendConsistency(reader, {p.old_size - k, p.first + k, p.count - k, false}, path));
  return AppendRoot(reader, p.first, k, path);
}

}  // namespace

core::Digest LeafHash(std::string_view entry) {
  return core::Sha256({std::string_view("\x00", 1), entry});
}

core::Digest NodeHash(const core::Digest& left, const core::Digest& right) {
  return core::Sha256({std::string_view("\x01", 1), core::AsBytes(left), core::AsBytes(right)});
}

core::Digest EmptyRoot() { return core::Sha256(std::string_view()); }

core::StatusOr<Frontier> Frontier::Of(SubtreeReader& reader, std::uint64_t size) {
  Frontier frontier;
  frontier.size_ = size;
  for (int level = 0; level < 64; ++level) {
    if (((size >> level) & 1) == 0) continue;
    // Bits above `level` count the leaves to the left of this subtree.
    INTERLOCK_ASSIGN_OR_RETURN(frontier.nodes_[static_cast<std::size_t>(level)],
                               reader.Subtree(level, (size >> level) - 1));
  }
  return frontier;
}

core::Digest Frontier::Root() const {
  if (size_ == 0) return EmptyRoot();
  int level = std::countr_zero(size_);
  core::Digest root = nodes_[static_cast<std::size_t>(level)];
  for (++level; level < 64; ++level) {
    if (((size_ >> level) & 1) != 0) root = NodeHash(nodes_[static_cast<std::size_t>(level)], root);
  }
  return root;
}

core::StatusOr<core::Digest> TreeRoot(SubtreeReader& reader, std::uint64_t size) {
  if (size == 0) return EmptyRoot();
  return RangeRoot(reader, 0, size);
}

core::StatusOr<Path> InclusionPath(SubtreeReader& reader, std::uint64_t index, std::uint64_t size) {
  if (index >= size) {
    return core::InvalidArgument("index `" + std::to_string(index) +
                                 "` is not in a tree of size `" + std::to_string(size) + "`");
  }
  Path path;
  INTERLOCK_RETURN_IF_ERROR(AppendInclusion(reader, index, 0, size, path));
  return path;
}

core::StatusOr<Path> ConsistencyPath(SubtreeReader& reader, std::uint64_t old_size,
                                     std::uint64_t size) {
  if (old_size == 0 || old_size > size) {
    return core::InvalidArgument("no consistency proof from size `" + std::to_string(old_size) +
                                 "` to `" + std::to_string(size) + "`");
  }
  Path path;
  INTERLOCK_RETURN_IF_ERROR(AppendConsistency(reader, {old_size, 0, size, true}, path));
  return path;
}

bool InclusionHolds(const InclusionClaim& claim, std::span<const core::Digest> proof) {
  if (claim.index >= claim.size) return false;
  std::uint64_t fn = claim.index;
  std::uint64_t sn = claim.size - 1;
  core::Digest root = claim.leaf_hash;
  for (const core::Digest& p : proof) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      root = NodeHash(p, root);
      for (; fn != 0 && (fn & 1) == 0; fn >>= 1) sn >>= 1;
    } else {
      root = NodeHash(root, p);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && root == claim.root;
}

bool ConsistencyHolds(const ConsistencyClaim& claim, std::span<const core::Digest> proof) {
  if (claim.old_size > claim.size) return false;
  if (claim.old_size == claim.size) return proof.empty() && claim.old_root == claim.root;
  if (claim.old_size == 0) return proof.empty() && claim.old_root == EmptyRoot();
  // When the old size is a power of two its root is the first node of the walk and is not sent.
  const bool implied = std::has_single_bit(claim.old_size);
  if (!implied && proof.empty()) return false;
  const core::Digest first = implied ? claim.old_root : proof.front();
  if (!implied) proof = proof.subspan(1);

  std::uint64_t fn = claim.old_size - 1;
  std::uint64_t sn = claim.size - 1;
  for (; (fn & 1) != 0; fn >>= 1) sn >>= 1;
  core::Digest old_root = first;
  core::Digest root = first;
  for (const core::Digest& c : proof) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      old_root = NodeHash(c, old_root);
      root = NodeHash(c, root);
      for (; fn != 0 && (fn & 1) == 0; fn >>= 1) sn >>= 1;
    } else {
      root = NodeHash(root, c);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && old_root == claim.old_root && root == claim.root;
}

}  // namespace interlock::audit
