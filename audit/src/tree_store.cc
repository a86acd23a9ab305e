#include "tree_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace interlock::audit {
namespace {

core::Digest DigestAt(std::string_view hashes, std::uint64_t i) {
  core::Digest digest;
  std::memcpy(digest.data(), hashes.data() + i * digest.size(), digest.size());
  return digest;
}

// Root of 2^k hashes.
core::Digest PerfectRoot(std::string_view hashes) {
  Frontier frontier;
  for (std::uint64_t i = 0; i < hashes.size() / 32; ++i) frontier.Add(DigestAt(hashes, i));
  return frontier.Root();
}

}  // namespace

void GrowingTree::Add(const core::Digest& leaf, std::vector<Tile>& completed) {
  const std::uint64_t index = frontier_.size();
  frontier_.Add(leaf, [&](int level, const core::Digest& hash) {
    if (level % kTileHeight != 0) return;
    const auto tile_level = static_cast<std::size_t>(level / kTileHeight);
    if (tile_level > 0) {  // the tile below has just become full, and `hash` is its root
      std::string& full = open_[tile_level - 1];
      completed.push_back(
          {static_cast<int>(tile_level) - 1, index >> level, hash, std::move(full)});
      full.clear();
    }
    if (tile_level < open_.size()) open_[tile_level] += core::AsBytes(hash);
  });
}

core::StatusOr<StoredTree> StoredTree::On(sqlite3* db) {
  StoredTree tree;
  INTERLOCK_ASSIGN_OR_RETURN(tree.tile_,
                             Statement::Prepare(db, "SELECT hashes FROM tile WHERE id = ?"));
  INTERLOCK_ASSIGN_OR_RETURN(
      tree.entry_hashes_,
      Statement::Prepare(db, "SELECT hash FROM entry WHERE idx >= ? ORDER BY idx LIMIT ?"));
  INTERLOCK_ASSIGN_OR_RETURN(
      tree.tile_roots_,
      Statement::Prepare(db, "SELECT root FROM tile WHERE id >= ? ORDER BY id LIMIT ?"));
  return tree;
}

core::StatusOr<bool> StoredTree::LoadTile(int level, std::uint64_t n) {
  Cached& cached = cache_[static_cast<std::size_t>(level)];
  if (cached.loaded && cached.n == n) return true;
  ResetAtExit reset(tile_);
  tile_.Int(1, TileKey(level, n));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, tile_.Step());
  if (!row) return false;
  cached.hashes.assign(tile_.Bytes(0));
  if (cached.hashes.size() != kTileWidth * 32) {
    return core::DataLoss("tile " + std::to_string(level) + "/" + std::to_string(n) +
                          " has a wrong size");
  }
  cached.loaded = true;
  cached.n = n;
  return true;
}

core::StatusOr<std::string> StoredTree::Hashes(int level, std::uint64_t first,
                                               std::uint64_t count) {
  INTERLOCK_ASSIGN_OR_RETURN(const bool complete, LoadTile(level, first / kTileWidth));
  if (complete) {
    return cache_[static_cast<std::size_t>(level)].hashes.substr(first % kTileWidth * 32,
                                                                 count * 32);
  }
  Statement& rows = level == 0 ? entry_hashes_ : tile_roots_;
  ResetAtExit reset(rows);
  rows.Int(1, level == 0 ? static_cast<std::int64_t>(first) : TileKey(level - 1, first));
  rows.Int(2, static_cast<std::int64_t>(count));
  std::string hashes;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    if (rows.Bytes(0).size() != 32) break;
    hashes += rows.Bytes(0);
  }
  if (hashes.size() != count * 32) {
    return core::DataLoss("hashes of tile level " + std::to_string(level) + " from " +
                          std::to_string(first) + " are missing");
  }
  return hashes;
}

core::StatusOr<core::Digest> StoredTree::Subtree(int level, std::uint64_t n) {
  const int tile_level = level / kTileHeight;
  const int inside = level % kTileHeight;
  if (tile_level >= static_cast<int>(cache_.size())) {
    return core::InvalidArgument("no subtree of level " + std::to_string(level));
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::string hashes,
                             Hashes(tile_level, n << inside, std::uint64_t{1} << inside));
  return PerfectRoot(hashes);
}

core::StatusOr<GrowingTree> GrowingTree::Load(sqlite3* db, std::uint64_t size) {
  INTERLOCK_ASSIGN_OR_RETURN(StoredTree stored, StoredTree::On(db));
  GrowingTree tree;
  for (std::size_t level = 0; level < tree.open_.size(); ++level) {
    const std::uint64_t hashes = size >> (kTileHeight * level);
    const std::uint64_t open = hashes % kTileWidth;
    if (open == 0) continue;
    INTERLOCK_ASSIGN_OR_RETURN(tree.open_[level],
                               stored.Hashes(static_cast<int>(level), hashes - open, open));
  }
  INTERLOCK_ASSIGN_OR_RETURN(tree.frontier_, Frontier::Of(stored, size));
  return tree;
}

core::StatusOr<TileWriter> TileWriter::On(sqlite3* db) {
  TileWriter writer;
  INTERLOCK_ASSIGN_OR_RETURN(
      writer.insert_, Statement::Prepare(db, "INSERT INTO tile(id, root, hashes) VALUES(?, ?, ?)"));
  return writer;
}

core::Status TileWriter::Write(const Tile& tile) {
  return insert_.Int(1, TileKey(tile.level, tile.n))
      .Blob(2, core::AsBytes(tile.root))
      .Blob(3, tile.hashes)
      .Run();
}

}  // namespace interlock::audit
