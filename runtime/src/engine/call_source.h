// Which index of p_call answers a filter, and what it has, newest first. A filter is met by few
// calls or by many, and SQLite, which keeps no statistics here, cannot tell: what an index holds is
// looked at before it is used.
#pragma once

#include <sqlite3.h>

#include <bitset>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/status.h"
#include "engine/filter.h"
#include "engine/row_table.h"

namespace interlock::runtime {

// Where a list stands: when its last call was proposed, and which it was.
struct CallPosition {
  std::int64_t create_us = 0;
  std::string call;
};

// The indexes that calls are listed by; `p_call_subject` and the one of times among them.
std::vector<std::string> CallIndexSchema();

// ?1 and so on.
void BindValues(sqlite3_stmt* statement, const std::vector<SqlValue>& values);

struct CallIndex;

// Calls that may match, each once, the newest first; who asks looks at the whole filter. One per
// thread, within one transaction.
class CallSource final {
 public:
  // The best index for the filter; null: none of them says anything of it.
  static core::StatusOr<std::unique_ptr<CallSource>> For(sqlite3* db, const SqlFilter& filter,
                                                         const CallPosition& before);
  core::StatusOr<std::optional<std::string>> Next();

 private:
  using TermSet = std::bitset<2 * kFilterTermsMax>;
  // Calls of one tuple of values of the index.
  struct Stream {
    std::vector<SqlValue> tuple;
    std::vector<CallPosition> ready = {};
    std::size_t next = 0;
    bool whole = false;  // nothing is behind what is ready
  };

  CallSource(sqlite3* db, const SqlFilter& filter, const CallIndex& index)
      : db_(db), filter_(filter), index_(index) {}
  static core::StatusOr<std::unique_ptr<CallSource>> Of(sqlite3* db, const SqlFilter& filter,
                                                        const CallIndex& index,
                                                        const CallPosition& before);
  bool BetterThan(const CallSource& other) const;
  core::StatusOr<bool> FindTuples();
  std::string TupleSql(std::size_t fixed, int equal) const;
  std::string FromIndex() const;
  std::string CallSql() const;
  std::string Between(const std::string& of = "") const;
  core::Status Prime(const CallPosition& before);
  core::Status Refill(Stream& stream, const CallPosition& before);
  int EqualTo(CallFields field) const;
  int Mark(std::size_t at) const { return static_cast<int>(filter_.bound.size() + at); }
  std::string Marked(std::size_t at) const { return "?" + std::to_string(Mark(at)); }

  sqlite3* const db_;
  const SqlFilter& filter_;
  const CallIndex& index_;
  TermSet used_;
  std::vector<Stream> streams_;
  Statement select_;
  std::size_t chunk_ = 0;
  // Of the calls that were read first: when the newest was proposed, since when they are all there
  // are, and how many they are since then.
  std::int64_t newest_us_ = std::numeric_limits<std::int64_t>::min();
  std::int64_t horizon_us_ = std::numeric_limits<std::int64_t>::min();
  std::size_t primed_ = 0;
  bool whole_ = false;  // they are all
};

}  // namespace interlock::runtime
