// The tree against a brute-force reading of RFC 6962 §2.1, and against published roots.
#include "audit/merkle.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace interlock::audit {
namespace {

constexpr std::uint64_t kSizesMax = 300;

std::vector<core::Digest> Leaves(std::uint64_t count) {
  std::vector<core::Digest> leaves;
  for (std::uint64_t i = 0; i < count; ++i) leaves.push_back(LeafHash("leaf " + std::to_string(i)));
  return leaves;
}

// MTH(D[first : first + count]) as the RFC writes it.
core::Digest BruteRoot(const std::vector<core::Digest>& leaves, std::uint64_t first,
                       std::uint64_t count) {
  if (count == 0) return EmptyRoot();
  if (count == 1) return leaves[first];
  std::uint64_t k = 1;
  while (k * 2 < count) k *= 2;
  return NodeHash(BruteRoot(leaves, first, k), BruteRoot(leaves, first + k, count - k));
}

class MemoryReader final : public SubtreeReader {
 public:
  explicit MemoryReader(const std::vector<core::Digest>& leaves) : levels_{leaves} {
    while (levels_.back().size() > 1) {
      std::vector<core::Digest> above;
      const auto& below = levels_.back();
      for (std::size_t i = 0; i + 1 < below.size(); i += 2) {
        above.push_back(NodeHash(below[i], below[i + 1]));
      }
      levels_.push_back(std::move(above));
    }
  }
  core::StatusOr<core::Digest> Subtree(int level, std::uint64_t n) override {
    const auto& nodes = levels_.at(static_cast<std::size_t>(level));
    if (n >= nodes.size()) return core::Internal("asked for a subtree that is not perfect");
    return nodes[n];
  }

 private:
  std::vector<std::vector<core::Digest>> levels_;
};

TEST(MerkleTest, MatchesThePublishedRoots) {
  // The eight leaves and roots that Certificate Transparency implementations test with.
  const std::vector<std::string> leaves = {"",
                                           "00",
                                           "10",
                                           "2021",
                                           "3031",
                                           "40414243",
                                           "5051525354555657",
                                           "606162636465666768696a6b6c6d6e6f"};
  const std::vector<std::string> roots = {
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  EXPECT_EQ(core::Hex(EmptyRoot()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Frontier frontier;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    frontier.Add(LeafHash(*core::BytesFromHex(leaves[i])));
    EXPECT_EQ(core::Hex(frontier.Root()), roots[i]) << "size " << i + 1;
  }
}

TEST(MerkleTest, FrontierEqualsBruteForceForAllSizes) {
  const auto leaves = Leaves(kSizesMax);
  MemoryReader reader(leaves);
  Frontier frontier;
  for (std::uint64_t size = 0; size <= kSizesMax; ++size) {
    const core::Digest root = BruteRoot(leaves, 0, size);
    ASSERT_EQ(frontier.Root(), root) << size;
    ASSERT_EQ(*TreeRoot(reader, size), root) << size;
    ASSERT_EQ(Frontier::Of(reader, size)->Root(), root) << size;
    if (size < kSizesMax) frontier.Add(leaves[size]);
  }
}

// The worked example of RFC 6962 §2.1.3: seven leaves, nodes named as there.
TEST(MerkleTest, TheExampleOfTheRfc) {
  const std::vector<core::Digest> d = Leaves(7);
  const core::Digest &a = d[0], &b = d[1], &c = d[2], &e = d[4], &f = d[5], &j = d[6];
  const core::Digest g = NodeHash(a, b), h = NodeHash(c, d[3]), i = NodeHash(e, f);
  const core::Digest k = NodeHash(g, h), l = NodeHash(i, j);
  MemoryReader tree(d);
  const struct {
    std::uint64_t leaf;
    std::vector<core::Digest> path;
  } paths[] = {{0, {b, h, l}}, {3, {c, g, l}}, {4, {f, j, k}}, {6, {i, k}}};
  for (const auto& one : paths) EXPECT_EQ(*InclusionPath(tree, one.leaf, 7), one.path) << one.leaf;
  const struct {
    std::uint64_t size;
    std::vector<core::Digest> proof;
  } proofs[] = {{3, {c, d[3], g, l}}, {4, {l}}, {6, {i, j, k}}};
  for (const auto& one : proofs)
    EXPECT_EQ(*ConsistencyPath(tree, one.size, 7), one.proof) << one.size;
  EXPECT_EQ(BruteRoot(d, 0, 7), NodeHash(k, l));
}

TEST(MerkleTest, EveryInclusionProofHoldsAndItsDamageDoesNot) {
  const auto leaves = Leaves(kSizesMax);
  MemoryReader reader(leaves);
  for (std::uint64_t size = 1; size <= kSizesMax; ++size) {
    const core::Digest root = *TreeRoot(reader, size);
    for (std::uint64_t index = 0; index < size; ++index) {
      auto proof = *InclusionPath(reader, index, size);
      const InclusionClaim claim{leaves[index], index, size, root};
      ASSERT_TRUE(InclusionHolds(claim, proof)) << index << " in " << size;
      InclusionClaim wrong = claim;
      wrong.leaf_hash = LeafHash("another");
      ASSERT_FALSE(InclusionHolds(wrong, proof));
      if (size > 1) {
        wrong = claim;
        wrong.index = (index + 1) % size;
        ASSERT_FALSE(InclusionHolds(wrong, proof)) << index << " in " << size;
        const core::Digest last = proof.back();
        proof.pop_back();
        ASSERT_FALSE(InclusionHolds(claim, proof));
        proof.push_back(last);
        proof[0][7] ^= 1;
        ASSERT_FALSE(InclusionHolds(claim, proof));
        proof[0][7] ^= 1;
      }
      proof.push_back(root);
      ASSERT_FALSE(InclusionHolds(claim, proof)) << "trailing garbage";
    }
  }
}

TEST(MerkleTest, EveryConsistencyProofHoldsAndItsDamageDoesNot) {
  const auto leaves = Leaves(kSizesMax);
  MemoryReader reader(leaves);
  std::vector<core::Digest> roots;
  for (std::uint64_t size = 0; size <= kSizesMax; ++size) roots.push_back(*TreeRoot(reader, size));
  for (std::uint64_t size = 1; size <= kSizesMax; ++size) {
    for (std::uint64_t old_size = 1; old_size <= size; ++old_size) {
      auto proof = *ConsistencyPath(reader, old_size, size);
      const ConsistencyClaim claim{old_size, roots[old_size], size, roots[size]};
      ASSERT_TRUE(ConsistencyHolds(claim, proof)) << old_size << " to " << size;
      ConsistencyClaim wrong = claim;
      wrong.old_root[0] ^= 1;
      ASSERT_FALSE(ConsistencyHolds(wrong, proof));
      wrong = claim;
      wrong.root[0] ^= 1;
      ASSERT_FALSE(ConsistencyHolds(wrong, proof));
      if (!proof.empty()) {
        proof.back()[3] ^= 1;
        ASSERT_FALSE(ConsistencyHolds(claim, proof)) << old_size << " to " << size;
        proof.back()[3] ^= 1;
        proof.pop_back();
        ASSERT_FALSE(ConsistencyHolds(claim, proof));
      }
    }
  }
}

TEST(MerkleTest, RefusesProofsOutsideTheTree) {
  const auto leaves = Leaves(4);
  MemoryReader reader(leaves);
  EXPECT_EQ(InclusionPath(reader, 4, 4).status().code(), core::StatusCode::kInvalidArgument);
  EXPECT_EQ(ConsistencyPath(reader, 0, 4).status().code(), core::StatusCode::kInvalidArgument);
  EXPECT_EQ(ConsistencyPath(reader, 5, 4).status().code(), core::StatusCode::kInvalidArgument);
  EXPECT_FALSE(InclusionHolds({leaves[0], 0, 0, EmptyRoot()}, {}));
  EXPECT_FALSE(ConsistencyHolds({5, EmptyRoot(), 4, EmptyRoot()}, {}));
}

}  // namespace
}  // namespace interlock::audit
