// What replay reads before it begins: the run with its content, the bundle and the tools of then,
// and the state of the log, folded anew in memory.
#include <sqlite3.h>

#include <algorithm>
#include <iterator>

#include "audit/payload_key.h"
#include "engine/entry_pager.h"
#include "engine/replayer.h"
#include "engine/version.h"

namespace interlock::runtime {
namespace {

constexpr int kPage = 1000;
constexpr core::JsonLimits kEntryLimits{.bytes_max = 65'535, .depth_max = 64};

core::Status CannotTell(std::string message, std::string_view reason) {
  return WithReason(core::FailedPrecondition(std::move(message)), reason);
}

// Kinds of runs and calls that replay knows what to do with. Of another it cannot know what follows
// from it.
constexpr std::string_view kKnown[] = {
    "run.started",   "run.parked",     "run.resumed",       "run.waiting",      "run.completed",
    "run.failed",    "run.cancelled",  "run.escalated",     "run.cancelling",   "call.proposed",
    "call.decided",  "call.edited",    "call.edit_refused", "call.intended",    "call.outcome",
    "call.resolved", "call.withdrawn", "run.compensating",  "call.compensated",
};

core::Status CheckKind(const audit::Entry& entry) {
  const bool must = entry.kind.starts_with("run.") || entry.kind.starts_with("call.");
  const bool known =
      std::find(std::begin(kKnown), std::end(kKnown), entry.kind) != std::end(kKnown);
  if (known || !must) return core::OkStatus();
  return CannotTell("entry " + std::to_string(entry.index) + " is of kind `" + entry.kind +
                        "`, which replay does not make anew yet",
                    "KIND_NOT_REPLAYED");
}

std::string KeyIdIn(const core::Json& body) {
  for (const auto& [name, value] : body.items()) {
    if (value.is_object() && value.contains("commit") && value.contains("key")) {
      return value.value("key", "");
    }
  }
  return "";
}

}  // namespace

// The tables of the state in memory; they are never written to, as nothing flushes them.
struct Replayer::Database {
  sqlite3* db = nullptr;
  ~Database() { sqlite3_close(db); }
};

Replayer::Replayer(const ReplayParts& parts, std::string run)
    : parts_(parts),
      run_(std::move(run)),
      keys_(*parts.keys),
      random_(clock_),
      history_(*parts.log, *parts.keys, parts.registry.get(), parts.step) {}

Replayer::~Replayer() {
  state_.reset();  // its statements are of the database
}

core::Status Replayer::ReadOwn(const audit::Entry& entry) {
  RecordedEntry recorded;
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json json, core::ParseJson(entry.bytes, kEntryLimits));
  recorded.entry = entry;
  recorded.actor = json.value("actor", "");
  recorded.body = json.value("body", core::Json::object());
  recorded.cites = json.value("cites", std::vector<std::string>{});
  for (int slot = 0; slot < audit::kSlotsMax; ++slot) {
    const auto row = parts_.log->ReadPayload(entry.index, slot);
    if (row.status().code() == core::StatusCode::kNotFound) break;  // slots are dense
    if (!row.ok()) return row.status();
    auto opened = row->erased ? core::StatusOr<audit::OpenedPayload>(core::NotFound("erased"))
                              : parts_.keys->Open(row->payload);
    if (opened.status().code() == core::StatusCode::kNotFound) {
      return CannotTell("content of entry " + std::to_string(entry.index) +
                            " was erased; the run cannot be made anew",
                        "PAYLOAD_ERASED");
    }
    if (!opened.ok()) return opened.status();
    recorded.payloads.push_back(
        {std::move(opened->media), std::move(opened->plaintext), std::move(opened->salt)});
  }
  recorded_root_.Add(entry.leaf_hash);
  own_.push_back(std::move(recorded));
  return core::OkStatus();
}

// Of the run's beginning, and of every start of a daemon while it was open.
core::Status Replayer::CheckEngine() {
  report_.engine = own_.front().Text("engine");
  std::string other = report_.engine == kEngineVersion ? "" : report_.engine;
  bool unlike = report_.engine != kEngineVersion;
  const std::uint64_t last = own_.back().entry.index;
  for (std::uint64_t next = own_.front().entry.index; next <= last && !unlike;) {
    INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryPage page, parts_.log->ReadRange(next, kPage));
    if (page.entries.empty()) break;
    for (const audit::Entry& entry : page.entries) {
      next = entry.index + 1;
      if (entry.kind != "recovery" || entry.index > last) continue;
      const auto view = core::JsonObjectView::Of(entry.bytes);
      const auto body = view.ok() ? view->Object("body") : std::nullopt;
      other = body ? body->String("engine").value_or("") : "";
      unlike = other != kEngineVersion;
      if (unlike) break;
    }
  }
  if (!unlike) return core::OkStatus();
  return CannotTell("the run was written by engine version `" +
                        (other.empty() ? "unknown" : other) + "`, this is `" +
                        std::string(kEngineVersion) + "`; replay it with the program of then",
                    "ENGINE_VERSION");
}

// A tool that is registered now under the name of then must be the one of then.
core::Status Replayer::CheckTool(const RecordedEntry& recorded) const {
  const std::string name = recorded.Text("tool");
  const auto tool = parts_.registry->Find(name);
  const std::string digest = tool == nullptr ? "" : core::DigestName(tool->digest());
  const bool was = !recorded.cites.empty();
  const bool same =
      was ? std::find(recorded.cites.begin(), recorded.cites.end(), digest) != recorded.cites.end()
          : tool == nullptr;
  if (same) return core::OkStatus();
  return CannotTell("tool `" + name + "` is not the one that entry " +
                        std::to_string(recorded.entry.index) + " cites",
                    "TOOL_CHANGED");
}

core::Status Replayer::Load() {
  // By entries alone: the tables that find those of a run lag behind them beside a daemon.
  EntryPager pager(*parts_.log);
  for (;;) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::vector<audit::Entry> entries, pager.Next());
    if (entries.empty()) break;
    for (const audit::Entry& entry : entries) {
      if (entry.run == run_) INTERLOCK_RETURN_IF_ERROR(ReadOwn(entry));
      if (entry.kind == "bundle.activated") {
        INTERLOCK_ASSIGN_OR_RETURN(const auto view, core::JsonObjectView::Of(entry.bytes));
        const auto body = view.Object("body");
        activated_.push_back({.index = entry.index,
                              .time_us = entry.time_us,
                              .id = body ? body->String("bundle").value_or("") : ""});
      }
    }
  }
  if (own_.empty()) {
    return WithReason(core::NotFound("there is no run `" + run_ + "`"), "RUN_NOT_FOUND");
  }
  for (const RecordedEntry& recorded : own_) {
    INTERLOCK_RETURN_IF_ERROR(CheckKind(recorded.entry));
  }
  report_.entries = static_cast<std::int64_t>(own_.size());
  INTERLOCK_RETURN_IF_ERROR(CheckEngine());
  INTERLOCK_RETURN_IF_ERROR(TakeBundles());
  for (const RecordedEntry& recorded : own_) {
    if (recorded.entry.kind == "call.proposed") INTERLOCK_RETURN_IF_ERROR(CheckTool(recorded));
  }
  agent_ = parts_.agent_of(own_.front().Text("agent"), own_.front().Text("agent_digest"));
  if (agent_ == nullptr) {
    return CannotTell("the agent file that the run began with is not there", "AGENT_GONE");
  }
  sealer_.emplace(keys_, ReplayKeys::KeyOfId(KeyIdIn(own_.front().body)));
  recorded_.core.run = run_;
  recorded_.base.run = run_;

  database_ = std::make_unique<Database>();
  if (sqlite3_open(":memory:", &database_->db) != SQLITE_OK) {
    return core::Internal("cannot open a database in memory");
  }
  state_ = MakeState();
  for (const std::string& statement : state_->Schema()) {
    if (!statement.starts_with("CREATE TABLE ")) continue;  // nobody looks for rows there
    if (sqlite3_exec(database_->db, statement.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      return core::Internal(std::string("cannot make the tables: ") +
                            sqlite3_errmsg(database_->db));
    }
  }
  INTERLOCK_RETURN_IF_ERROR(state_->Attach(database_->db));
  journal_ = std::make_unique<Journal>(*parts_.log, *state_, nullptr);
  gate_ = std::make_unique<Gate>(GateParts{.tenant = parts_.tenant,
                                           .journal = journal_.get(),
                                           .keys = &keys_,
                                           .clock = &clock_,
                                           .random = &random_,
                                           .registry = parts_.registry,
                                           .limits = {},
                                           .outputs = nullptr});  // it starts no tool
  return core::OkStatus();
}

core::Status Replayer::Fold(std::uint64_t index) {
  while (folded_ < index) {
    const auto left = std::min<std::uint64_t>(kPage, index - folded_);
    INTERLOCK_ASSIGN_OR_RETURN(const audit::EntryPage page,
                               parts_.log->ReadRange(folded_, static_cast<int>(left)));
    if (page.entries.empty()) return core::DataLoss("the log ends before the run does");
    for (const audit::Entry& entry : page.entries) {
      if (entry.index >= index) break;
      INTERLOCK_ASSIGN_OR_RETURN(const core::JsonObjectView view,
                                 core::JsonObjectView::Of(entry.bytes));
      const auto body = view.Object("body");
      if (!body) return core::DataLoss("entry " + std::to_string(entry.index) + " has no body");
      INTERLOCK_RETURN_IF_ERROR(state_->Apply({.index = entry.index,
                                               .time_us = entry.time_us,
                                               .kind = entry.kind,
                                               .run = entry.run,
                                               .run_seq = entry.run_seq,
                                               .body = *body,
                                               .bytes = entry.bytes,
                                               .leaf_hash = entry.leaf_hash}));
      folded_ = entry.index + 1;
    }
  }
  return core::OkStatus();
}

core::Status Replayer::FoldUpTo(std::uint64_t index) {
  INTERLOCK_RETURN_IF_ERROR(Fold(index));
  state_->Committed();
  return core::OkStatus();
}

core::Status Replayer::TakeIn(std::uint64_t index) { return Fold(index + 1); }

core::Status Replayer::Remember(const RecordedEntry& recorded) {
  return history_.FoldEntry(recorded.entry, parts_.agent_of, recorded_);
}

}  // namespace interlock::runtime
