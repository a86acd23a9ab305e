// Full text of all logs of the tenant, one index a log (audit/search.h): filled from the entries,
// searched as one list, and thrown away where something in it was erased.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "audit/search.h"
#include "engine/content_watch.h"
#include "engine/hub.h"

namespace interlock::runtime {

// The housekeeper's thread.
class FullText {
 public:
  // Asked between two slices of work, each a fraction of a second; true: no further one.
  using Pause = std::function<bool()>;

  FullText(Hub& hub, const ContentWatch& content) : hub_(hub), content_(content) {}

  bool on() const { return hub_.parts.search && !hub_.parts.folder.empty(); }
  // Removes what is of no log that is here and what an erasure has passed by; all where it is off.
  core::Status Start();
  // Takes up to `entries_max` entries in: of the open log, then of the closed ones, or of these
  // only (the open one is taken in by the next search in any case). Nothing where the disk has
  // little room.
  enum class Logs { kAll, kClosed };
  core::Status Fill(Logs logs, std::uint64_t entries_max, const Pause& pause);

  struct Hit {
    audit::SearchHit hit;
    std::string origin;
    std::string file;  // of a closed log, in the tenant's folder; empty: the open one
  };
  struct Found {
    std::vector<Hit> hits;  // newest log first, newest entry first
    std::string next_cursor;
    std::uint64_t unreadable = 0;
    // Closed logs that this page, or one before, did not wholly cover; and those that are not now.
    std::uint64_t unsearched = 0;
    std::vector<UnsearchedLog> unsearched_logs;
  };
  // Takes in all of the open log, and of closed ones as much as one search may. Errors:
  // kInvalidArgument for a text without words, or a cursor of a log that is gone; kUnavailable when
  // told to pause before the open log was taken in.
  core::StatusOr<Found> Find(const PageSpec& page, const std::string& text, const Pause& pause);
  // Why a closed log cannot be searched; empty: none is known.
  std::string problem() const;

  // A key was destroyed, or payloads of a log were erased (`origin`; empty: nobody knows of which):
  // their words stand in no file any more. Other logs keep their index. Errors: a file cannot be
  // removed; what is in it is found no more.
  core::Status ForgetKey(std::string_view key);
  core::Status ForgetLog(std::string_view origin);

 private:
  struct One {
    std::string origin;
    std::string database;
    const audit::Log* log = nullptr;  // null: it cannot be opened; its index is only forgotten in
    const History* history = nullptr;
    std::unique_ptr<audit::SearchIndex> index;
    core::Status problem;  // that the last try met
  };
  struct Position {
    std::size_t log = 0;
    std::int64_t before = 0;
    std::uint64_t unsearched = 0;  // closed logs, by the pages before
  };

  core::Status Take(One one);
  core::Status TryUnopened();
  core::Status CheckRoom(const One& one) const;
  core::Status FillOne(One& one, std::uint64_t& entries, const Pause& pause) const;
  core::Status FillFrom(One& one, std::uint64_t& entries, const Pause& pause) const;
  core::StatusOr<audit::SearchBatch> SliceOf(const One& one, std::uint64_t first, int max) const;
  core::Status AddText(const One& one, const audit::Entry& entry, audit::SearchBatch& batch) const;
  core::StatusOr<Position> PositionOf(const std::string& cursor) const;
  core::StatusOr<std::vector<audit::SearchHit>> FindIn(One& one, const std::string& text,
                                                       std::int64_t before, int max,
                                                       const Pause& pause) const;
  bool IsWhole(One& one, Found& found) const;
  void TellUnsearched(Found& found);
  core::Status Forget(const std::function<core::StatusOr<bool>(const One&)>& loses);

  Hub& hub_;
  const ContentWatch& content_;
  std::vector<One> logs_;  // newest first, so the open one; none where full text is off
};

}  // namespace interlock::runtime
