// The tree in the database: complete tiles of 256 hashes as rows, the right edge in memory.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "audit/merkle.h"
#include "core/status.h"
#include "schema.h"
#include "sqlite.h"

namespace interlock::audit {

inline constexpr int kTileHeight = 8;
inline constexpr std::uint64_t kTileWidth = 256;

// A complete tile, ready to store.
struct Tile {
  int level = 0;
  std::uint64_t n = 0;
  core::Digest root{};
  std::string hashes;  // 256 * 32 bytes
};

// The growing tree. A value: copy it to be able to go back. One per thread.
class GrowingTree {
 public:
  std::uint64_t size() const { return frontier_.size(); }
  core::Digest Root() const { return frontier_.Root(); }
  // Adds a leaf; tiles that it completes are appended to `completed`.
  void Add(const core::Digest& leaf, std::vector<Tile>& completed);

  // The tree of `size` stored entries, from tiles and the hashes of the unfinished rest: a few
  // reads, whatever the size. Errors: kDataLoss for a missing tile or row.
  static core::StatusOr<GrowingTree> Load(sqlite3* db, std::uint64_t size);

 private:
  Frontier frontier_;
  std::array<std::string, 8> open_;  // hashes of the unfinished tile of each level
};

// Reads subtrees from tiles, and from entry rows and tile roots where a tile is not complete. Keeps
// the last tile of each level. One per thread; borrows the connection.
class StoredTree final : public SubtreeReader {
 public:
  static core::StatusOr<StoredTree> On(sqlite3* db);
  core::StatusOr<core::Digest> Subtree(int level, std::uint64_t n) override;
  // `count` hashes of tile level `level` from number `first`; all of one tile.
  core::StatusOr<std::string> Hashes(int level, std::uint64_t first, std::uint64_t count);

 private:
  core::StatusOr<bool> LoadTile(int level, std::uint64_t n);

  struct Cached {
    bool loaded = false;
    std::uint64_t n = 0;
    std::string hashes;
  };
  Statement tile_;
  Statement entry_hashes_;
  Statement tile_roots_;
  std::array<Cached, 8> cache_;
};

// Inserts tiles. One per thread.
class TileWriter {
 public:
  static core::StatusOr<TileWriter> On(sqlite3* db);
  core::Status Write(const Tile& tile);

 private:
  Statement insert_;
};

}  // namespace interlock::audit
