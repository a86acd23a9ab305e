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
  FullText(Hub& hub, const ContentWatch& content) : hub_(hub), content_(content) {}

  bool on() const { return hub_.parts.search && !hub_.parts.folder.empty(); }
  // Removes what is of no log that is here and what an erasure has passed by; all where it is off.
  core::Status Start();
  // Takes up to `entries_max` entries in: of the open log, then of the closed ones.
  core::Status Fill(std::uint64_t entries_max);

  struct Hit {
    audit::SearchHit hit;
    std::string origin;
    std::string file;  // of a closed log, in the tenant's folder; empty: the open one
  };
  struct Found {
    std::vector<Hit> hits;  // newest log first, newest entry first
    std::string next_cursor;
    std::uint64_t unreadable = 0;
    std::uint64_t unsearched =
        0;  // closed logs that this page, or one before, did not wholly cover
  };
  // Takes in all of the open log, and of closed ones as much as one search may. Errors:
  // kInvalidArgument for a text without words, or a cursor of a log that is gone.
  core::StatusOr<Found> Find(const PageSpec& page, const std::string& text);
  // Why a closed log cannot be searched; empty: none is known.
  const std::string& problem() const { return problem_; }

  // A key was destroyed, or payloads of a log were erased (`origin`; empty: nobody knows of which):
  // their words stand in no file any more. Other logs keep their index.
  core::Status ForgetKey(std::string_view key);
  core::Status ForgetLog(std::string_view origin);

 private:
  struct One {
    std::string origin;
    std::string database;
    const audit::Log* log = nullptr;
    const History* history = nullptr;
    std::unique_ptr<audit::SearchIndex> index;
  };
  struct Position {
    std::size_t log = 0;
    std::int64_t before = 0;
    std::uint64_t unsearched = 0;  // closed logs, by the pages before
  };

  core::Status Take(One one);
  core::Status TakeClosed(const std::vector<Archives::File>& closed);
  core::Status KnowClosed();
  core::Status FillOne(One& one, std::uint64_t& entries);
  core::Status FillFrom(One& one, std::uint64_t& entries) const;
  core::Status AddText(const One& one, const audit::Entry& entry, audit::SearchBatch& batch) const;
  core::StatusOr<Position> PositionOf(const std::string& cursor) const;
  core::StatusOr<std::vector<audit::SearchHit>> FindIn(One& one, const std::string& text,
                                                       std::int64_t before, int max);
  bool IsWhole(One& one, Found& found);
  void Note(const One& one, const core::Status& status);
  core::Status Forget(const std::function<core::StatusOr<bool>(const One&)>& loses);

  Hub& hub_;
  const ContentWatch& content_;
  std::vector<One> logs_;  // newest first, so the open one; none where full text is off
  bool closed_known_ = false;
  std::string problem_;
};

}  // namespace interlock::runtime
