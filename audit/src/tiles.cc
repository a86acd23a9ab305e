#include "audit/tiles.h"

#include <filesystem>
#include <fstream>

#include "audit/checkpoint.h"
#include "read_only.h"
#include "schema.h"
#include "sqlite.h"
#include "tree_store.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;

// "x001/x234/067" for 1234067.
std::string TilePath(std::uint64_t n) {
  const auto three = [](std::uint64_t value) {
    const std::string digits = std::to_string(value);
    return std::string(3 - digits.size(), '0') + digits;
  };
  std::string path = three(n % 1000);
  for (n /= 1000; n > 0; n /= 1000) path = "x" + three(n % 1000) + "/" + path;
  return path;
}

class Exporter {
 public:
  Exporter(sqlite3* db, std::string folder, std::uint64_t size)
      : db_(db), folder_(std::move(folder)), size_(size) {}

  core::Status Write(const std::string& note) {
    INTERLOCK_ASSIGN_OR_RETURN(StoredTree tree, StoredTree::On(db_));
    for (int level = 0; level < 8; ++level) {
      const std::uint64_t hashes = size_ >> (kTileHeight * level);
      for (std::uint64_t first = 0; first < hashes; first += kTileWidth) {
        const std::uint64_t count = std::min(kTileWidth, hashes - first);
        INTERLOCK_ASSIGN_OR_RETURN(const std::string bytes, tree.Hashes(level, first, count));
        INTERLOCK_RETURN_IF_ERROR(
            Put(Name("tile/" + std::to_string(level), first / kTileWidth, count), bytes));
      }
    }
    INTERLOCK_RETURN_IF_ERROR(WriteEntries());
    return Put("checkpoint", note);
  }

 private:
  static std::string Name(const std::string& kind, std::uint64_t n, std::uint64_t width) {
    const std::string path = kind + "/" + TilePath(n);
    return width == kTileWidth ? path : path + ".p/" + std::to_string(width);
  }

  core::Status WriteEntries() {
    INTERLOCK_ASSIGN_OR_RETURN(
        Statement rows,
        Statement::Prepare(db_, "SELECT idx, bytes FROM entry WHERE idx < ? ORDER BY idx"));
    rows.Int(1, static_cast<std::int64_t>(size_));
    std::string bundle;
    for (std::uint64_t index = 0; index < size_; ++index) {
      INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row || rows.Int(0) != static_cast<std::int64_t>(index)) {
        return core::DataLoss("entry " + std::to_string(index) +
                              " is missing; run `interlock audit verify`");
      }
      const std::string_view bytes = rows.Bytes(1);
      bundle += static_cast<char>(bytes.size() >> 8);
      bundle += static_cast<char>(bytes.size() & 0xFF);
      bundle += bytes;
      const std::uint64_t count = index % kTileWidth + 1;
      if (count != kTileWidth && index + 1 != size_) continue;
      INTERLOCK_RETURN_IF_ERROR(Put(Name("tile/entries", index / kTileWidth, count), bundle));
      bundle.clear();
    }
    return core::OkStatus();
  }

  core::Status Put(const std::string& name, std::string_view bytes) {
    const fs::path path = fs::path(folder_) / name;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (error || !out) return core::DataLoss("cannot write `" + path.string() + "`");
    return core::OkStatus();
  }

  sqlite3* const db_;
  const std::string folder_;
  const std::uint64_t size_;
};

}  // namespace

core::StatusOr<std::uint64_t> ExportTiles(const std::string& database, const std::string& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    return core::FailedPrecondition("`" + folder + "` is not empty");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const LogReading log, OpenAtRest(database));
  INTERLOCK_RETURN_IF_ERROR(CheckFormat(log.db()));
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement newest,
      Statement::Prepare(log.db(), "SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1"));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, newest.Step());
  if (!row) return core::FailedPrecondition("the log has no checkpoint yet");
  const auto size = static_cast<std::uint64_t>(newest.Int(0));
  const std::string note(newest.Bytes(1));
  INTERLOCK_RETURN_IF_ERROR(Exporter(log.db(), folder, size).Write(note));
  if (!log.IsOneState()) {
    return core::Unavailable("`" + database + "` was written to while it was read; empty `" +
                             folder + "` and export again");
  }
  return size;
}

}  // namespace interlock::audit
