#include "audit/verify.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "audit/bundle.h"
#include "audit/cosignature.h"
#include "audit/merkle.h"
#include "chain_check.h"
#include "entry_text.h"
#include "erased_since.h"
#include "findings.h"
#include "folder_lock.h"
#include "hashed_entries.h"
#include "head_check.h"
#include "note_key.h"
#include "payload_check.h"
#include "projection_check.h"
#include "read_only.h"
#include "rotation_check.h"
#include "schema.h"
#include "sqlite.h"
#include "succession.h"
#include "tree_store.h"
#include "witness_check.h"

namespace interlock::audit {
namespace {

constexpr std::uint64_t kProgressEntries = 4096;
// Whoever may open `lock` looks like a daemon at work, so its allowance is small: a daemon signs
// every 256 entries and every 60 s, and folds in bulk.
constexpr std::uint64_t kUnsignedWhileLiveMax = 1024;
constexpr std::int64_t kUnsignedWhileLiveUs = 120'000'000;  // from the first to the last of them
constexpr std::uint64_t kUnfoldedWhileLiveMax = 4096;

constexpr const char* kLeftOutByHashes =
    "form of entries, runs, payloads, projections and views, and that the state with which a log "
    "was closed is what its entries fold to";
constexpr const char* kLeftOutWithoutFold =
    "the runtime's projections and views, and that the state with which a log was closed is what "
    "its entries fold to";

// Whether a text may be an entry that says more than its hash: found without parsing it.
bool IsOfNote(std::string_view bytes) {
  constexpr std::string_view kLabel = R"(,"kind":")";
  const std::size_t at = bytes.rfind(kLabel);  // behind the body: only fixed fields follow
  if (at == std::string_view::npos) return false;
  const std::string_view rest = bytes.substr(at + kLabel.size());
  const std::string_view kind = rest.substr(0, rest.find('"'));
  return kind == kRotatedKind || kind == kOpenedKind || kind == kClosedKind || kind == kCarriedKind;
}

class Verifier {
 public:
  explicit Verifier(const VerifyOptions& options) : options_(options) {}

  VerifyReport Run() {
    const core::Status status = Check();
    report_.first_bad = findings_.index();
    if (findings_.any()) {
      report_.verdict = Verdict::kTampered;
      report_.reason = findings_.reason();
    } else if (!status.ok()) {
      report_.verdict = Verdict::kCouldNotCheck;
      report_.reason = core::Message(status);
      report_.first_bad = unreadable_;
    } else if (!incomplete_.empty()) {
      report_.verdict = Verdict::kIncomplete;
      report_.reason = incomplete_;
    } else {
      report_.verdict = Verdict::kIntact;
      report_.reason = waiting_;
    }
    // What the pages of two states say together is said by neither, unless all of it holds.
    if (report_.verdict != Verdict::kIntact && reading_ && !reading_->IsOneState()) {
      return WrittenTo(options_.database);
    }
    return std::move(report_);
  }

 private:
  core::Status Check() {
    was_live_ = IsLive();
    INTERLOCK_ASSIGN_OR_RETURN(LogReading reading, OpenAtRest(options_.database));
    reading_.emplace(std::move(reading));
    INTERLOCK_RETURN_IF_ERROR(CheckFormat(reading_->db()));
    INTERLOCK_RETURN_IF_ERROR(CheckTables());
    INTERLOCK_ASSIGN_OR_RETURN(identity_, ReadIdentity(reading_->db()));
    if (!IsTenantName(identity_.tenant)) {
      findings_.General("the log's tenant is not a word of a-z, 0-9, `-` and `_`");
    }
    report_.key_pinned = !options_.verifier_key.empty();
    if (HashesOnly()) {
      report_.not_checked = kLeftOutByHashes;
    } else if (options_.projectors.empty()) {
      report_.not_checked = kLeftOutWithoutFold;
    }
    report_.tenant = identity_.tenant;
    report_.origin = identity_.origin;
    heads_.emplace(identity_, options_.verifier_key, &findings_);
    INTERLOCK_RETURN_IF_ERROR(heads_->Load(reading_->db(), options_.outside_checkpoints));
    INTERLOCK_RETURN_IF_ERROR(projections_.Start(reading_->db(), options_.projectors));
    INTERLOCK_RETURN_IF_ERROR(CheckEntries());
    INTERLOCK_RETURN_IF_ERROR(CheckEnd());
    if (!findings_.any()) INTERLOCK_RETURN_IF_ERROR(CheckBlobs());
    if (!findings_.any()) INTERLOCK_RETURN_IF_ERROR(CheckWitnesses());
    if (findings_.any() || HashesOnly()) return core::OkStatus();
    INTERLOCK_RETURN_IF_ERROR(CheckCarried());
    return projections_.Compare(&findings_);
  }

  core::Status CheckCarried();
  void NoteKind(std::uint64_t index, const ParsedEntry& entry);

  core::Status CheckTables();
  core::Status CheckEntries();
  core::Status CheckEntry(std::uint64_t index, const HashedEntry& row);
  core::Status CheckTile(const Tile& tile);
  core::Status CheckContent(std::uint64_t index, const HashedEntry& row);
  core::Status CheckBlobs();
  void NoteCites(std::uint64_t index, std::string_view cites);
  bool IsLive() const;
  core::Status CheckWitnesses();
  core::StatusOr<std::uint64_t> CosignedBy(const std::string& key);
  void CheckHash(std::uint64_t index, const HashedEntry& row);
  bool HashesOnly() const { return options_.depth == VerifyDepth::kHashes; }
  core::Status Fold(std::uint64_t index, const ParsedEntry& entry, std::string_view bytes,
                    const core::Digest& hash);
  void CheckRoot(std::uint64_t size);
  core::Status ExplainKeyless(std::uint64_t size);
  void NoteWaiting(std::uint64_t index, std::int64_t time_us);
  void CheckCoverage(std::uint64_t size);
  void NameBrokenLinks();
  core::Status CheckEnd();

  const VerifyOptions& options_;
  VerifyReport report_;
  Findings findings_;
  std::string incomplete_;
  std::string waiting_;              // said of a log that is intact as far as its heads reach
  std::int64_t waits_since_us_ = 0;  // of the first entry that no head covers
  std::int64_t last_time_us_ = 0;
  std::optional<std::uint64_t> unreadable_;
  std::optional<LogReading> reading_;
  bool was_live_ = false;
  LogIdentity identity_;
  std::optional<HeadCheck> heads_;
  std::vector<std::pair<std::uint64_t, std::string>> cosigned_;  // heads that hold
  std::string newest_note_;                                      // of them
  GrowingTree tree_;
  std::vector<Tile> completed_;
  std::uint64_t tiles_ = 0;
  std::uint64_t in_tiles_ = 0;           // entries below are in complete tiles ...
  std::set<std::uint64_t> unlike_tile_;  // ... and these are not what their tile says
  Statement tile_row_;
  bool has_tiles_ = true;
  std::map<std::string, std::uint64_t, std::less<>> cited_;  // file, the first entry that cites it
  PayloadCheck payloads_{&findings_};
  ProjectionCheck projections_;
  SuccessionCheck succession_{&findings_};
  std::optional<ChainCheck> chain_;
};

// Our own tables and triggers must stand as they were made: a dropped trigger is how an edit
// begins.
core::Status Verifier::CheckTables() {
  constexpr const char* kTables =
      "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'trigger', 'index') "
      "AND NOT (type = 'index' AND sql IS NULL AND name LIKE 'sqlite\\_autoindex\\_%' ESCAPE '\\') "
      "AND NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4')) "
      "AND (tbl_name = 'p_watermark' OR tbl_name NOT LIKE 'p\\_%' ESCAPE '\\') "
      "ORDER BY type, name";
  INTERLOCK_ASSIGN_OR_RETURN(Db fresh,
                             OpenDb(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t version,
                             QueryInt(reading_->db(), "PRAGMA user_version"));
  INTERLOCK_RETURN_IF_ERROR(CreateTables(fresh.get(), version));
  INTERLOCK_ASSIGN_OR_RETURN(Statement expected, Statement::Prepare(fresh.get(), kTables));
  INTERLOCK_ASSIGN_OR_RETURN(Statement stored, Statement::Prepare(reading_->db(), kTables));
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool want, expected.Step());
    INTERLOCK_ASSIGN_OR_RETURN(const bool have, stored.Step());
    if (!want && !have) return core::OkStatus();
    bool same = want && have;
    for (int column = 0; same && column < 3; ++column) {
      same = expected.Bytes(column) == stored.Bytes(column);
    }
    if (same) continue;
    findings_.General("the database's tables or triggers were changed near `" +
                      std::string((want ? expected : stored).Bytes(1)) + "`");
    return core::OkStatus();
  }
}

core::Status Verifier::CheckEntries() {
  auto tiles = Statement::Prepare(reading_->db(), "SELECT root, hashes FROM tile WHERE id = ?");
  has_tiles_ = tiles.ok();
  if (has_tiles_) {
    tile_row_ = *std::move(tiles);
  } else {  // the entries can still say which of them is damaged
    findings_.General("the table `tile` cannot be read: " +
                      std::string(core::Message(tiles.status())));
  }
  INTERLOCK_RETURN_IF_ERROR(payloads_.Start(reading_->db(), identity_.origin, options_.erased_later,
                                            HashesOnly() ? nullptr : options_.keys));
  INTERLOCK_ASSIGN_OR_RETURN(
      const std::int64_t end,
      QueryInt(reading_->db(), "SELECT coalesce(max(idx), -1) + 1 FROM entry"));
  const auto total = static_cast<std::uint64_t>(end);
  HashedEntries entries;
  INTERLOCK_RETURN_IF_ERROR(entries.Start(reading_->db()));
  chain_.emplace(identity_.tenant, &findings_);
  CheckRoot(0);  // an outside checkpoint may be of the empty log
  for (std::uint64_t index = 0;; ++index) {
    const core::StatusOr<const HashedEntry*> entry = entries.Next();
    if (!entry.ok()) {
      unreadable_ = index;
      return entry.status();
    }
    if (*entry == nullptr) return core::OkStatus();
    if ((*entry)->index != static_cast<std::int64_t>(index)) {
      findings_.Entry(index, "is missing");
      return core::OkStatus();  // without it no later root can be computed
    }
    INTERLOCK_RETURN_IF_ERROR(CheckEntry(index, **entry));
    ++report_.entries;
    if (options_.progress && report_.entries % kProgressEntries == 0) {
      options_.progress(report_.entries, total);
    }
  }
}

core::Status Verifier::CheckEntry(std::uint64_t index, const HashedEntry& row) {
  tree_.Add(row.leaf_hash, completed_);
  for (const Tile& tile : completed_) INTERLOCK_RETURN_IF_ERROR(CheckTile(tile));
  completed_.clear();
  if (!HashesOnly()) {
    INTERLOCK_RETURN_IF_ERROR(CheckContent(index, row));
  } else {
    CheckHash(index, row);
  }
  return core::OkStatus();
}

// What the hashes alone can say: the bytes, and the keys that sign.
void Verifier::CheckHash(std::uint64_t index, const HashedEntry& row) {
  if (core::AsBytes(row.leaf_hash) != row.stored_hash) {
    findings_.Entry(index, "is not what its stored hash says");
  }
  if (succession_.Concerns(index) || IsOfNote(row.bytes)) {
    if (const auto entry = ParseEntry(row.bytes)) NoteKind(index, *entry);
  }
  CheckRoot(index + 1);
}

void Verifier::NoteWaiting(std::uint64_t index, std::int64_t time_us) {
  if (index == report_.signed_entries) waits_since_us_ = time_us;
  last_time_us_ = time_us;
}

// What keys sign, and where a log begins and ends.
void Verifier::NoteKind(std::uint64_t index, const ParsedEntry& entry) {
  if (entry.kind == kRotatedKind) heads_->Rotate(index, entry);
  succession_.Next(index, entry);
}

core::Status Verifier::CheckContent(std::uint64_t index, const HashedEntry& row) {
  const auto entry = chain_->Next({index, row.bytes, row.stored_hash}, row.leaf_hash);
  INTERLOCK_RETURN_IF_ERROR(payloads_.Next(index, row.bytes));
  if (entry && entry->kind == kPayloadErasedKind) payloads_.NoteErasure(index, *entry);
  if (entry) NoteWaiting(index, entry->envelope.time_us);
  if (entry) NoteKind(index, *entry);
  if (entry) NoteCites(index, entry->cites);
  CheckRoot(index + 1);
  if (!entry || findings_.any() || chain_->has_broken_links()) return core::OkStatus();
  return Fold(index, *entry, row.bytes, row.leaf_hash);
}

core::Status Verifier::CheckTile(const Tile& tile) {
  if (!has_tiles_) return core::OkStatus();
  ++tiles_;
  if (tile.level == 0) in_tiles_ = (tile.n + 1) * kTileWidth;
  const std::uint64_t first = tile.n * kTileWidth << (kTileHeight * tile.level);
  const std::string name = "tile " + std::to_string(tile.level) + "/" + std::to_string(tile.n);
  ResetAtExit reset(tile_row_);
  tile_row_.Int(1, TileKey(tile.level, tile.n));
  INTERLOCK_ASSIGN_OR_RETURN(const bool row, tile_row_.Step());
  if (!row) {
    findings_.Entry(first, "and those after it have no " + name);
    return core::OkStatus();
  }
  const std::string_view stored = tile_row_.Bytes(1);
  if (stored == tile.hashes && tile_row_.Bytes(0) == core::AsBytes(tile.root)) {
    return core::OkStatus();
  }
  const auto same = [&](std::uint64_t i) {
    return stored.substr(std::min<std::size_t>(stored.size(), i * 32), 32) ==
           std::string_view(tile.hashes).substr(i * 32, 32);
  };
  std::uint64_t at = kTileWidth;
  for (std::uint64_t i = kTileWidth; i-- > 0;) {
    if (same(i)) continue;
    at = i;
    if (tile.level == 0) unlike_tile_.insert(first + i);
  }
  const std::uint64_t width = std::uint64_t{1} << (kTileHeight * tile.level);
  const std::uint64_t from = first + (at % kTileWidth) * width;
  if (tile.level == 0) {
    findings_.Entry(from, "and the stored " + name + " do not agree");
  } else {
    const std::uint64_t end = at == kTileWidth ? first + kTileWidth * width : from + width;
    findings_.Range(from, end, "is not the one that the stored " + name + " was made of");
  }
  return core::OkStatus();
}

core::Status Verifier::Fold(std::uint64_t index, const ParsedEntry& entry, std::string_view bytes,
                            const core::Digest& hash) {
  const auto body = core::JsonObjectView::Of(entry.body);
  if (!body.ok()) return body.status();
  return projections_.Fold({index, entry.envelope.time_us, entry.kind, entry.run,
                            entry.envelope.run_seq, *body, bytes, hash});
}

// Compares the root at this size with everything signed about it.
void Verifier::CheckRoot(std::uint64_t size) {
  const std::vector<HeadCheck::Head> heads = heads_->At(size);
  if (heads.empty()) return;
  const core::Digest root = tree_.Root();
  bool holds = true;
  for (const HeadCheck::Head& head : heads) {
    if (head.root == root) {
      ++report_.checkpoints;
      newest_note_ = head.note;
      if (!options_.witness_keys.empty()) cosigned_.emplace_back(size, head.note);
      continue;
    }
    holds = false;
    NameBrokenLinks();
    if (size > 0) {
      findings_.Range(report_.signed_entries, size, "is not the one that " + head.by + " signed");
    }
  }
  if (holds && heads_->trusted() && !findings_.any() && !chain_->has_broken_links()) {
    report_.signed_entries = size;
  }
}

// A stored tile, or a checkpoint that holds, vouches for an entry.
void Verifier::NameBrokenLinks() {
  chain_->NameBrokenLinks([this](std::uint64_t index) {
    return index < report_.signed_entries || (index < in_tiles_ && unlike_tile_.count(index) == 0);
  });
}

core::Status Verifier::CheckEnd() {
  NameBrokenLinks();
  const std::uint64_t size = report_.entries;
  report_.root_hex = core::Hex(tree_.Root());
  if (const auto beyond = heads_->Above(size); !beyond.empty()) {
    findings_.Entry(size, "is missing: " + beyond.front().by + " signed it");
  }
  if (!heads_->trusted()) findings_.General("the pinned key never signed for this log");
  if (!HashesOnly() && payloads_.rows_left() && !findings_.any()) {
    findings_.General("there are payloads of entries that do not exist");
  }
  succession_.End(size);
  report_.closed_with = succession_.closed_with();
  payloads_.End(report_.closed_with ? PayloadCheck::Log::kClosed : PayloadCheck::Log::kOpen);
  INTERLOCK_RETURN_IF_ERROR(ExplainKeyless(size));
  report_.erased = payloads_.elsewhere();
  report_.opened = payloads_.opened();
  report_.opening = succession_.opening();
  report_.keys = heads_->keys();
  INTERLOCK_ASSIGN_OR_RETURN(const std::int64_t tiles,
                             QueryInt(reading_->db(), "SELECT count(*) FROM tile"));
  if (static_cast<std::uint64_t>(tiles) != tiles_ && !findings_.any()) {
    findings_.Entry(size, "is missing: the stored tree is larger than the log");
  }
  if (projections_.watermark() > size && !findings_.any()) {
    findings_.Entry(size, "is missing: the projections had it");
  }
  if (!HashesOnly() && size > 0 && !projections_.has_watermark() && !findings_.any()) {
    findings_.General("the watermark of the projections is missing");
  }
  CheckCoverage(size);
  return core::OkStatus();
}

// Keys are read as they are now, and the log as it was: what a daemon erased meanwhile stands
// behind what was read, in the newest log of the folder.
core::Status Verifier::ExplainKeyless(std::uint64_t size) {
  const bool newest = options_.database.ends_with(kDatabaseName);
  if (!payloads_.keyless() || (!newest && options_.erased_later == nullptr)) {
    return core::OkStatus();
  }
  const std::string folder = options_.database.substr(0, options_.database.rfind('/') + 1);
  INTERLOCK_ASSIGN_OR_RETURN(const auto destroyed,
                             KeysErasedSince(folder + std::string(kDatabaseName),
                                             newest ? size : options_.erased_later->newest_size));
  const std::size_t meanwhile = payloads_.Explain(destroyed);
  if (meanwhile == 0) return core::OkStatus();
  if (!report_.not_checked.empty()) report_.not_checked += ", and ";
  report_.not_checked += std::to_string(meanwhile) + " payloads that were erased meanwhile";
  return core::OkStatus();
}

// A log at rest is covered to its end. Beside a daemon at work a little may wait, and the report
// says so.
void Verifier::CheckCoverage(std::uint64_t size) {
  const bool live = was_live_ || IsLive();  // one that left meanwhile had signed no more by then
  const std::uint64_t uncovered = size - std::min(size, report_.signed_entries);
  const std::uint64_t unfolded = HashesOnly() ? 0 : size - std::min(size, projections_.watermark());
  const bool may_wait = live && uncovered <= kUnsignedWhileLiveMax &&
                        last_time_us_ - waits_since_us_ <= kUnsignedWhileLiveUs;
  if (size > 0 && report_.signed_entries == 0) {
    incomplete_ = "no checkpoint covers any entry; give one that was kept elsewhere";
  } else if (unfolded > (live ? kUnfoldedWhileLiveMax : 0)) {
    incomplete_ = "the projections hold " + std::to_string(projections_.watermark()) + " of " +
                  std::to_string(size) + " entries; open the log once";
  } else if (uncovered > 0 && !may_wait) {
    incomplete_ = "nothing vouches for the last " + std::to_string(uncovered) +
                  " entries: no checkpoint covers them; open the log once, or give a checkpoint "
                  "taken after them";
  } else if (projections_.other_version()) {
    incomplete_ = "projections are of another version and were not compared; open the log once";
  } else if (payloads_.unexplained()) {
    incomplete_ =
        "content was erased after the log was closed: verify the folder with all its logs";
  } else if (!payloads_.keyless_reason().empty()) {
    incomplete_ = payloads_.keyless_reason();
  } else if (report_.opening && options_.scope == VerifyScope::kOneLog) {
    incomplete_ = "it goes on from `" + report_.opening->origin +
                  "`, which was not checked: verify the folder";
  }
  report_.may_pass =
      live && !incomplete_.empty() && report_.signed_entries > 0 && (uncovered > 0 || unfolded > 0);
  if (uncovered > 0) {
    waiting_ = "but for the last " + std::to_string(uncovered) +
               " entries, which wait for a head of the daemon at work: nothing vouches for them";
  }
  if (unfolded == 0) return;
  if (!report_.not_checked.empty()) report_.not_checked += ", and ";
  report_.not_checked += "projections of the last " + std::to_string(unfolded) + " entries";
}

// What a log is closed with is what its entries fold to. Another version may fold them otherwise.
core::Status Verifier::CheckCarried() {
  if (projections_.other_version()) return core::OkStatus();
  INTERLOCK_ASSIGN_OR_RETURN(report_.carried, projections_.Carried(report_.entries));
  if (!report_.closed_with || report_.carried.empty()) return core::OkStatus();
  if (*report_.closed_with == report_.carried) return core::OkStatus();
  findings_.Entry(report_.entries - 1, "names another state than the entries before it fold to");
  return core::OkStatus();
}

core::Status Verifier::CheckBlobs() {
  INTERLOCK_ASSIGN_OR_RETURN(
      Statement rows,
      Statement::Prepare(reading_->db(), "SELECT digest, bytes FROM blob ORDER BY digest"));
  std::set<std::string> kept;
  std::set<std::string> parts;
  while (true) {
    INTERLOCK_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    const std::string name = "sha256:" + core::Hex(rows.Bytes(0));
    if (core::AsBytes(core::Sha256(rows.Bytes(1))) != rows.Bytes(0)) {
      findings_.General("file " + name + " was changed");
      return core::OkStatus();
    }
    for (const std::string& part : PartsNamedIn(rows.Bytes(1))) parts.insert(part);
    kept.insert(name);
  }
  for (const auto& [name, index] : cited_) {
    if (kept.count(name) == 0) {
      findings_.Entry(index, "cites the file " + name + ", which is missing");
    }
  }
  for (const std::string& name : parts) {
    if (kept.count(name) == 0) findings_.General("file " + name + " is missing");
  }
  return core::OkStatus();
}

// Whoever appends an entry that cites a file keeps the file.
void Verifier::NoteCites(std::uint64_t index, std::string_view cites) {
  constexpr std::size_t kNameBytes = 71;
  for (std::size_t at = cites.find('"'); at != std::string_view::npos;
       at = cites.find('"', at + kNameBytes + 2)) {
    const std::string_view name = cites.substr(at + 1, kNameBytes);
    if (cited_.find(name) == cited_.end()) cited_.emplace(name, index);
  }
}

bool Verifier::IsLive() const {
  const std::size_t slash = options_.database.rfind('/');
  return FolderLock::IsTaken(slash == std::string::npos ? "." : options_.database.substr(0, slash));
}

// Entries that a head covers which holds and which this witness cosigned.
core::StatusOr<std::uint64_t> Verifier::CosignedBy(const std::string& key) {
  std::uint64_t covered = 0;
  for (const auto& [size, note] : cosigned_) {
    const auto time = CosignedAt(note, key);
    if (time.ok()) covered = std::max(covered, size);
    if (time.status().code() == core::StatusCode::kInvalidArgument) return time.status();
    if (time.status().code() == core::StatusCode::kPermissionDenied) {
      findings_.General(std::string(core::Message(time.status())));
    }
  }
  return covered;
}

core::Status Verifier::CheckWitnesses() {
  INTERLOCK_ASSIGN_OR_RETURN(const std::size_t needed,
                             WitnessesNeeded(options_.witness_keys, options_.witnesses_needed));
  std::vector<std::uint64_t> covered;
  for (const std::string& key : options_.witness_keys) {
    INTERLOCK_ASSIGN_OR_RETURN(covered.emplace_back(), CosignedBy(key));
  }
  report_.unchecked_signers = UncheckedSigners(newest_note_, heads_->keys(), options_.witness_keys);
  if (needed == 0) return core::OkStatus();
  std::sort(covered.begin(), covered.end(), std::greater<>());
  if (covered[needed - 1] < report_.signed_entries && incomplete_.empty()) {
    incomplete_ = UnwitnessedReason(covered[needed - 1], report_.signed_entries, needed);
  }
  return core::OkStatus();
}

}  // namespace

VerifyReport WrittenTo(const std::string& path) {
  VerifyReport report;
  report.written_to = true;
  report.reason = "`" + path + "` was written to while it was read; verify it again";
  return report;
}

bool IsVerifierKey(std::string_view text) { return ParseVerifierKey(text).ok(); }

VerifyReport Verify(const VerifyOptions& options) { return Verifier(options).Run(); }

VerifyReport VerifyAgain(VerifyOptions options, const MakeProjector& projectors) {
  for (int reading = 1;; ++reading) {
    const auto fresh = projectors();
    options.projectors.clear();
    for (const auto& projector : fresh) options.projectors.push_back(projector.get());
    VerifyReport report = Verify(options);
    if (!report.written_to || reading == kReadingsMax) return report;
  }
}

}  // namespace interlock::audit
