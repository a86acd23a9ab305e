// The logs of a folder, one after the other: each begins where the one before it ended.
#include <algorithm>
#include <filesystem>
#include <map>

#include "audit/checkpoint.h"
#include "audit/rotate.h"
#include "audit/verify.h"
#include "findings.h"
#include "note_text.h"
#include "read_only.h"
#include "schema.h"
#include "succession.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;

class FolderVerifier {
 public:
  FolderVerifier(const std::string& folder, const VerifyOptions& options,
                 const MakeProjector& projectors)
      : folder_(folder), options_(options), projectors_(projectors) {}

  FolderReport Run() {
    for (int reading = 1;; ++reading) {
      const std::vector<std::string> files = Files();
      const auto before = ClosedIn(files);
      FolderReport out = RunOnce(files);
      if (out.report.verdict == Verdict::kIntact || AllStill(files, before)) return out;
      if (reading == kReadingsMax) {
        out.report = WrittenTo(folder_);
        return out;
      }
    }
  }

 private:
  // What erases from a closed log has said so in the newest one before: which is read first, and
  // may not have it yet.
  std::vector<StillFile> ClosedIn(const std::vector<std::string>& files) const {
    std::vector<StillFile> closed;
    for (const std::string& name : files) {
      auto file = StillFile::At(Path(name));
      if (name != kDatabaseName && file.ok()) closed.push_back(*std::move(file));
    }
    return closed;
  }
  bool AllStill(const std::vector<std::string>& files, const std::vector<StillFile>& closed) const {
    return Files() == files && std::all_of(closed.begin(), closed.end(),
                                           [](const StillFile& file) { return file.IsStill(); });
  }

  FolderReport RunOnce(const std::vector<std::string>& files) {
    FolderReport out;
    notes_.clear();
    later_ = {};
    later_known_ = true;
    VerifyReport unread;
    if (!SortNotes(files, unread)) {
      out.report = std::move(unread);
      out.log = std::string(kDatabaseName);
      return out;
    }
    // Newest first: what was erased from a closed log stands in a later one.
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
      out.logs.emplace(out.logs.begin(), *file, CheckOne(*file));
    }
    for (std::size_t i = 0; i < out.logs.size(); ++i) {
      CheckBegin(i == 0 ? nullptr : &out.logs[i - 1].second, out.logs[i].second);
    }
    CheckPin(out);
    Choose(out);
    return out;
  }

  std::vector<std::string> Files() const {
    std::vector<std::string> files = ArchivesIn(folder_);
    std::error_code error;
    // Between two steps of a rotation the newest archive is the same file by another name.
    if (!files.empty() &&
        fs::equivalent(Path(files.back()), Path(std::string(kDatabaseName)), error)) {
      files.pop_back();
    }
    files.emplace_back(kDatabaseName);
    return files;
  }
  std::string Path(const std::string& file) const { return folder_ + "/" + file; }

  std::string OriginOfFile(const std::string& file) const {
    const auto db = OpenForReading(Path(file));
    if (!db.ok()) return {};
    const auto identity = ReadIdentity(db->get());
    return identity.ok() ? identity->origin : std::string();
  }

  // Outside checkpoints go to the log whose origin they name, all others to the newest.
  bool SortNotes(const std::vector<std::string>& files, VerifyReport& unread) {
    std::map<std::string, std::string> by_origin;
    if (files.size() > 1 && !options_.outside_checkpoints.empty()) {
      for (const std::string& file : files) by_origin[OriginOfFile(file)] = file;
    }
    for (const std::string& note : options_.outside_checkpoints) {
      const auto head = ReadCheckpoint(note);
      if (!head.ok()) {
        unread.reason = core::Message(head.status());
        return false;
      }
      const auto found = by_origin.find(head->origin);
      notes_[found == by_origin.end() ? files.back() : found->second].push_back(note);
    }
    return true;
  }

  VerifyReport CheckOne(const std::string& file) {
    VerifyOptions options = options_;
    options.database = Path(file);
    options.outside_checkpoints = notes_[file];
    options.scope = VerifyScope::kOfFolder;
    // A key may be one that a later log has: looked for in all of them together.
    const bool alone = ArchivesIn(folder_).empty();
    if (!alone) options.verifier_key.clear();
    if (file != kDatabaseName) {  // the newest cites those before it
      options.witness_keys.clear();
      options.witnesses_needed = 0;
    }
    if (later_known_) options.erased_later = &later_;
    VerifyReport report = VerifyAgain(std::move(options), projectors_);
    later_known_ = later_known_ && report.verdict != Verdict::kCouldNotCheck;
    if (file == kDatabaseName) later_.newest_size = report.entries;
    later_.keys.merge(report.erased.keys);
    for (auto& [origin, ids] : report.erased.payloads) later_.payloads[origin].merge(ids);
    report.key_pinned = !options_.verifier_key.empty();
    return report;
  }

  static void Find(VerifyReport& report, std::optional<std::uint64_t> index,
                   const std::string& what) {
    const bool known = report.verdict == Verdict::kTampered;
    if (known && (!index || (report.first_bad && *report.first_bad <= *index))) return;
    report.verdict = Verdict::kTampered;
    report.first_bad = index;
    report.reason = index ? "entry " + std::to_string(*index) + " " + what : what;
  }
  static void Lacks(VerifyReport& report, const std::string& what) {
    if (report.verdict != Verdict::kIntact) return;
    report.verdict = Verdict::kIncomplete;
    report.reason = what;
  }

  static void CheckBegin(const VerifyReport* before, VerifyReport& report) {
    // What could not be read has no citation to compare; findings of its own come first.
    if (report.verdict == Verdict::kCouldNotCheck) return;
    if (!report.opening) {
      if (before != nullptr) Find(report, 0, "does not cite the log before");
      return;
    }
    const Opening& cited = *report.opening;
    if (before == nullptr) {
      Lacks(report, "the log before, `" + cited.origin + "`, is not here; entry 0 cites it");
      return;
    }
    if (before->verdict == Verdict::kCouldNotCheck) return;
    if (cited.origin != before->origin || report.tenant != before->tenant) {
      Find(report, 0,
           "cites `" + cited.origin + "`, and the log before is `" + before->origin + "`");
    } else if (cited.size != before->entries || cited.root_hex != before->root_hex) {
      Find(report, 0,
           "cites " + std::to_string(cited.size) +
               " entries with another root than the log before has");
    } else if (!CheckpointHolds(cited, *before)) {
      Find(report, 0, "cites a checkpoint that the log before did not sign");
    } else if (!cited.restored && !before->closed_with) {
      Find(report, 0, "cites a log that was not closed");
    } else if (before->closed_with.value_or(cited.carried) != cited.carried ||
               (!before->carried.empty() && before->carried != cited.carried)) {
      Find(report, 0, "carries another state than the log before folds to");
    } else if (!report.keys.empty() && !before->keys.empty() &&
               report.keys.front() != before->keys.back()) {
      Find(report, std::nullopt, "the log before did not hand over to the key that signs this one");
    } else if (cited.restored) {
      Lacks(report, "lost before a restore: " + cited.lost);
    }
  }

  static bool CheckpointHolds(const Opening& cited, const VerifyReport& before) {
    if (cited.checkpoint.empty()) return cited.restored;
    for (const std::string& key : before.keys) {
      const auto head = OpenCheckpoint(cited.checkpoint, key);
      if (!head.ok()) continue;
      if (head->origin != before.origin || head->size > cited.size) return false;
      if (cited.restored && head->size < cited.size) return true;
      return head->size == cited.size && core::Hex(head->root) == cited.root_hex;
    }
    return false;
  }

  void CheckPin(FolderReport& out) const {
    if (options_.verifier_key.empty() || out.logs.size() == 1) return;
    for (const auto& [file, report] : out.logs) {
      if (report.verdict == Verdict::kCouldNotCheck) return;
      if (std::find(report.keys.begin(), report.keys.end(), options_.verifier_key) !=
          report.keys.end()) {
        return;
      }
    }
    Find(out.logs.back().second, std::nullopt, "the pinned key never signed for these logs");
  }

  // Tampered before what could not be checked, that before what is incomplete; oldest first.
  static void Choose(FolderReport& out) {
    const std::pair<std::string, VerifyReport>* chosen = &out.logs.back();
    for (const Verdict verdict :
         {Verdict::kTampered, Verdict::kCouldNotCheck, Verdict::kIncomplete}) {
      const auto found = std::find_if(out.logs.begin(), out.logs.end(), [&](const auto& log) {
        return log.second.verdict == verdict;
      });
      if (found == out.logs.end()) continue;
      chosen = &*found;
      break;
    }
    out.log = chosen->first;
    out.report = chosen->second;
  }

  const std::string& folder_;
  const VerifyOptions& options_;
  const MakeProjector& projectors_;
  std::map<std::string, std::vector<std::string>> notes_;
  ErasedElsewhere later_;
  bool later_known_ = true;
};

}  // namespace

FolderReport VerifyFolder(const std::string& folder, const VerifyOptions& options,
                          const MakeProjector& projectors) {
  return FolderVerifier(folder, options, projectors).Run();
}

}  // namespace interlock::audit
