#include "engine/call_source.h"

#include <algorithm>
#include <limits>

namespace interlock::runtime {

// What stands in an index: a column, or an expression over columns.
struct IndexPart {
  const char* sql;
  CallFields fields;  // that can be told from it
  bool number;
};

// An index of calls: its leads, the time and the call, and what else can be told without the row.
struct CallIndex {
  const char* name;  // logs that an older version closed may not have it
  std::vector<IndexPart> leads;
  std::vector<IndexPart> rest = {};
  const char* partial = "";  // which calls are in it; empty: all
  CallFields set = 0;        // what a filter must say for that, one of them
  // Values of the lead are too many to go through: a filter must name one.
  bool equal_only = false;
  const char* table = "p_call";
};

namespace {

constexpr std::size_t kTuplesMax = 1024;
constexpr std::size_t kPrimeCalls = 128;
constexpr std::size_t kChunkMin = 8;
constexpr std::size_t kChunkMax = 256;
constexpr std::size_t kGatherMax = 1024;  // of rows that are in part put in order each time
constexpr const char* kCallUsers = "p_call_user";

const std::vector<CallIndex>& Indexes() {
  static const std::vector<CallIndex> indexes = {
      {.name = "p_call_subject",
       .leads = {{"subject_part", kSubjectField, true}},
       .rest = {{"subject", kSubjectField, false}},
       .equal_only = true},
      {.name = "p_call_user_time",
       .leads = {{"user", kUserField, false}},
       .equal_only = true,
       .table = kCallUsers},
      {.name = "p_call_approver",
       .leads = {{"approved_by", kApproverField, false}},
       .partial = "approved_by <> ''",
       .set = kApproverField},
      {.name = "p_call_refused",
       .leads = {{"verdict", kVerdictField, false}, {"code", kCodeField, false}},
       .partial = "(verdict <> 'allow' OR code <> '')",
       .set = kVerdictField | kCodeField},
      {.name = "p_call_money",
       .leads = {{INTERLOCK_AMOUNT_SIZE("amount"), kAmountSize, true}},
       .rest = {{"amount", kAmountField, true}, {"unit", kCurrencyField, false}},
       .partial = "amount <> 0",
       .set = kAmountField},
      {.name = "p_call_tool",
       .leads = {{"tool", kToolField, false},
                 {"verdict", kVerdictField, false},
                 {"effect", kEffectField, false},
                 {"outcome", kOutcomeField, false}}},
      {.name = "p_call_rules", .leads = {{"rules", kRuleField, false}}},
      {.name = "p_call_actor",
       .leads = {{"principal", kActorField, false}, {"agent", kAgentField, false}},
       .rest = {{"tool", kToolField, false}}},
  };
  return indexes;
}

bool IsOfUsers(const CallIndex& index) { return index.table == kCallUsers; }

// Fields that a call's place in the index tells, but for the time. Where users lead to it, the row
// is looked at as well.
CallFields Covered(const CallIndex& index) {
  CallFields covered = IsOfUsers(index) ? ~CallFields{0} : 0;
  for (const IndexPart& part : index.leads) covered |= part.fields;
  for (const IndexPart& part : index.rest) covered |= part.fields;
  return covered & ~kTimeField;
}

std::string SchemaOf(const CallIndex& index) {
  std::string columns;
  for (const IndexPart& part : index.leads) columns += std::string(part.sql) + ", ";
  columns += "create_us, call";
  for (const IndexPart& part : index.rest) columns += ", " + std::string(part.sql);
  std::string sql = "CREATE INDEX IF NOT EXISTS ";
  sql.append(index.name).append(" ON ").append(index.table).append("(" + columns + ")");
  if (*index.partial != '\0') sql.append(" WHERE ").append(index.partial);
  return sql;
}

bool Newer(const CallPosition& a, const CallPosition& b) {
  return a.create_us != b.create_us ? a.create_us > b.create_us : a.call > b.call;
}

void BindValue(sqlite3_stmt* statement, int at, const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    sqlite3_bind_int64(statement, at, *number);
  } else {
    BindText(statement, at, std::get<std::string>(value));
  }
}

SqlValue ValueAt(sqlite3_stmt* statement, int column, const IndexPart& lead) {
  if (lead.number) return sqlite3_column_int64(statement, column);
  return ColumnText(statement, column);
}

// The least value above `value`.
SqlValue After(const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number + 1;
  return std::get<std::string>(value) + '\0';
}

// The statement names its index, which SQLite knows without a look at the file.
bool LacksIndex(const core::Status& failed) {
  return core::Message(failed).find("no such index") != std::string_view::npos;
}

core::Status Failed(sqlite3* db) {
  return core::Internal(std::string("cannot list calls: ") + sqlite3_errmsg(db));
}

// `terms` whose fields all are among `fields`.
template <typename Each>
void EachWithin(const std::vector<SqlTerm>& terms, CallFields fields, Each each) {
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if ((terms[i].fields & ~fields) == 0) each(i, terms[i]);
  }
}

std::string And(std::string_view more) { return more.empty() ? "" : " AND " + std::string(more); }

}  // namespace

std::vector<std::string> CallIndexSchema() {
  std::vector<std::string> schema = {
      // Counts over a time read this index alone.
      "CREATE INDEX IF NOT EXISTS p_call_time ON p_call(create_us, call, tool, verdict)",
      "CREATE INDEX IF NOT EXISTS p_run_user ON p_run(user) WHERE user <> ''"};
  for (const CallIndex& index : Indexes()) schema.push_back(SchemaOf(index));
  return schema;
}

void BindValues(sqlite3_stmt* statement, const std::vector<SqlValue>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    BindValue(statement, static_cast<int>(i) + 1, values[i]);
  }
}

// Which bound value the filter says the field has; 0: it does not.
int CallSource::EqualTo(CallFields field) const {
  for (const SqlTerm& term : filter_.terms) {
    if (term.fields == field && term.equals > 0) return term.equals;
  }
  return 0;
}

core::StatusOr<std::unique_ptr<CallSource>> CallSource::For(sqlite3* db, const SqlFilter& filter,
                                                            const CallPosition& before) {
  std::unique_ptr<CallSource> best;
  CallFields set = 0;
  for (const SqlTerm& term : filter.terms) set |= term.set;
  for (const CallIndex& index : Indexes()) {
    if (index.set != 0 && (index.set & set) == 0) continue;
    TermSet used;
    EachWithin(filter.terms, Covered(index), [&](std::size_t i, const SqlTerm&) { used.set(i); });
    // One that adds nothing to what is known is not looked at.
    if (used.none() || (best != nullptr && (used & ~best->used_).none())) continue;
    INTERLOCK_ASSIGN_OR_RETURN(auto source, Of(db, filter, index, before));
    if (source == nullptr) continue;
    source->used_ = used;
    if (best == nullptr || source->BetterThan(*best)) best = std::move(source);
    if (best->whole_ && best->primed_ <= kChunkMin) break;
  }
  return best;
}

// Few calls are best; of many, those that lie farthest apart.
bool CallSource::BetterThan(const CallSource& other) const {
  if (whole_ != other.whole_) return whole_;
  if (whole_) return primed_ < other.primed_;
  const double from_us = static_cast<double>(std::max(newest_us_, other.newest_us_));
  return (from_us - static_cast<double>(horizon_us_)) * static_cast<double>(other.primed_) >
         (from_us - static_cast<double>(other.horizon_us_)) * static_cast<double>(primed_);
}

// Null: the log has no such index, or too many values stand in it.
core::StatusOr<std::unique_ptr<CallSource>> CallSource::Of(sqlite3* db, const SqlFilter& filter,
                                                           const CallIndex& index,
                                                           const CallPosition& before) {
  std::unique_ptr<CallSource> source(new CallSource(db, filter, index));
  if (index.equal_only && source->EqualTo(index.leads.front().fields) == 0) return nullptr;
  auto select = Prepare(db, source->CallSql());
  if (!select.ok() && LacksIndex(select.status())) return nullptr;
  if (!select.ok()) return select.status();
  source->select_ = *std::move(select);
  INTERLOCK_ASSIGN_OR_RETURN(const bool few, source->FindTuples());
  if (!few) return nullptr;
  INTERLOCK_RETURN_IF_ERROR(source->Prime(before));
  return source;
}

// Every tuple of the leads that stands in the index and that the filter allows, by one seek each.
// False: they are too many.
core::StatusOr<bool> CallSource::FindTuples() {
  const int equal = EqualTo(index_.leads.front().fields);
  std::vector<SqlValue> tuple;
  if (equal > 0) tuple.push_back(filter_.bound[static_cast<std::size_t>(equal) - 1]);
  const std::size_t fixed = tuple.size();
  if (fixed == index_.leads.size()) {
    streams_.push_back({.tuple = std::move(tuple)});
    return true;
  }
  std::vector<SqlValue> from;
  for (std::size_t i = fixed; i < index_.leads.size(); ++i) {
    from.push_back(index_.leads[i].number ? SqlValue(std::int64_t{0}) : SqlValue(std::string()));
  }
  INTERLOCK_ASSIGN_OR_RETURN(const Statement select, Prepare(db_, TupleSql(fixed, equal)));
  BindValues(select.get(), filter_.bound);
  for (std::size_t looked = 0; looked < kTuplesMax; ++looked) {
    for (std::size_t i = 0; i < from.size(); ++i) BindValue(select.get(), Mark(i + 1), from[i]);
    const int code = sqlite3_step(select.get());
    if (code == SQLITE_DONE) return true;
    if (code != SQLITE_ROW) return Failed(db_);
    for (std::size_t i = 0; i < from.size(); ++i) {
      from[i] = ValueAt(select.get(), static_cast<int>(i) + 1, index_.leads[fixed + i]);
    }
    if (sqlite3_column_int(select.get(), 0) != 0) {
      streams_.push_back({.tuple = tuple});
      for (const SqlValue& value : from) streams_.back().tuple.push_back(value);
    }
    sqlite3_reset(select.get());
    from.back() = After(from.back());
  }
  return false;
}

// The next tuple from one on, the leads before `fixed` being what the filter says, and whether it
// fits.
std::string CallSource::TupleSql(std::size_t fixed, int equal) const {
  CallFields fields = 0;
  std::string list;
  std::string marks;
  for (const IndexPart& lead : index_.leads) fields |= lead.fields;
  for (std::size_t i = fixed; i < index_.leads.size(); ++i) {
    list += (list.empty() ? "" : ", ") + std::string(index_.leads[i].sql);
    marks += (marks.empty() ? "" : ", ") + Marked(i - fixed + 1);
  }
  std::string fits = "1";
  EachWithin(filter_.terms, fields,
             [&](std::size_t, const SqlTerm& term) { fits += And(term.sql); });
  std::string where = "(" + list + ") >= (" + marks + ")" + And(index_.partial);
  if (fixed > 0) where += And(index_.leads.front().sql + (" = ?" + std::to_string(equal)));
  return "SELECT " + fits + ", " + list + FromIndex() + " WHERE " + where + " ORDER BY " + list +
         " LIMIT 1";
}

std::string CallSource::FromIndex() const {
  return std::string(" FROM ") + index_.table + " c INDEXED BY " + index_.name;
}

// The calls of one tuple, newest first, of which the index itself can tell.
std::string CallSource::CallSql() const {
  std::string where = Between() + And(index_.partial);
  CallFields known = index_.equal_only ? CallFields{0} : kUserField;
  for (std::size_t i = 0; i < index_.leads.size(); ++i) {
    where += And(index_.leads[i].sql + (" = " + Marked(i + 1)));
    if (!index_.equal_only || IsOfUsers(index_)) known |= index_.leads[i].fields;
  }
  std::string met;
  EachWithin(filter_.terms, Covered(index_), [&](std::size_t, const SqlTerm& term) {
    if ((term.fields & ~known) != 0) met += And(term.sql);
  });
  const std::string order = " ORDER BY 1 DESC, 2 DESC LIMIT " + Marked(index_.leads.size() + 3);
  if (!IsOfUsers(index_)) {
    return "SELECT create_us, call" + FromIndex() + " WHERE " + where + met + order;
  }
  // Calls in the user's runs, which are few, and those without a run, which stand in their order.
  return "SELECT c.create_us, c.call FROM p_run r INDEXED BY p_run_user "
         "CROSS JOIN p_call c INDEXED BY p_call_run ON c.run = r.run "
         "WHERE r.user <> '' AND r.user = " +
         Marked(1) + And(Between("c.")) + met + " UNION SELECT u.create_us, u.call FROM " +
         kCallUsers + " u INDEXED BY " + index_.name +
         (met.empty() ? "" : " CROSS JOIN p_call c ON c.call = u.call") +
         " WHERE u.user = " + Marked(1) + And(Between("u.")) + met + order;
}

// Of the times that the filter keeps, what is older than a call.
std::string CallSource::Between(const std::string& of) const {
  std::int64_t from_us = std::numeric_limits<std::int64_t>::min();
  for (const SqlTerm& term : filter_.terms) from_us = std::max(from_us, term.from_us);
  const std::size_t leads = index_.leads.size();
  return of + "create_us >= " + std::to_string(from_us) + " AND (" + of + "create_us, " + of +
         "call) < (" + Marked(leads + 1) + ", " + Marked(leads + 2) + ")";
}

core::Status CallSource::Prime(const CallPosition& before) {
  BindValues(select_.get(), filter_.bound);
  chunk_ = std::max(kChunkMin, kPrimeCalls / std::max<std::size_t>(streams_.size(), 1));
  whole_ = true;
  for (Stream& stream : streams_) {
    INTERLOCK_RETURN_IF_ERROR(Refill(stream, before));
    whole_ = whole_ && stream.whole;
    if (stream.ready.empty()) continue;
    newest_us_ = std::max(newest_us_, stream.ready.front().create_us);
    if (!stream.whole) horizon_us_ = std::max(horizon_us_, stream.ready.back().create_us);
  }
  for (const Stream& stream : streams_) {
    primed_ += static_cast<std::size_t>(
        std::count_if(stream.ready.begin(), stream.ready.end(),
                      [&](const CallPosition& at) { return at.create_us >= horizon_us_; }));
  }
  return core::OkStatus();
}

core::Status CallSource::Refill(Stream& stream, const CallPosition& before) {
  stream.ready.clear();
  stream.next = 0;
  const std::size_t last = index_.leads.size();
  for (std::size_t i = 0; i < last; ++i) BindValue(select_.get(), Mark(i + 1), stream.tuple[i]);
  sqlite3_bind_int64(select_.get(), Mark(last + 1), before.create_us);
  BindText(select_.get(), Mark(last + 2), before.call);
  sqlite3_bind_int64(select_.get(), Mark(last + 3), static_cast<sqlite3_int64>(chunk_));
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(select_.get())) == SQLITE_ROW) {
    stream.ready.push_back({sqlite3_column_int64(select_.get(), 0), ColumnText(select_.get(), 1)});
  }
  sqlite3_reset(select_.get());
  stream.whole = stream.ready.size() < chunk_;
  return code == SQLITE_DONE ? core::OkStatus() : Failed(db_);
}

core::StatusOr<std::optional<std::string>> CallSource::Next() {
  Stream* newest = nullptr;
  for (Stream& stream : streams_) {
    if (stream.next == stream.ready.size() && !stream.whole) {
      const CallPosition last = stream.ready.back();
      chunk_ = std::min(chunk_ * 2, IsOfUsers(index_) ? kGatherMax : kChunkMax);
      INTERLOCK_RETURN_IF_ERROR(Refill(stream, last));
    }
    if (stream.next == stream.ready.size()) continue;
    if (newest == nullptr || Newer(stream.ready[stream.next], newest->ready[newest->next])) {
      newest = &stream;
    }
  }
  if (newest == nullptr) return std::optional<std::string>();
  return std::optional<std::string>(newest->ready[newest->next++].call);
}

}  // namespace interlock::runtime
