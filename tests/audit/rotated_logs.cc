// Makes folders of two or three logs that follow each other, damages most of them at random, in an
// old log, in a citation, in carried state or anywhere else, and prints for each what our verifier
// says: one JSON object a line. tests/audit/agree.py asks the second verifier the same.
// Usage: audit_rotated_logs FOLDER COUNT SEED
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "core/json.h"
#include "make_logs.h"
#include "rotate_fixture.h"
#include "tamper.h"

namespace interlock::audit {
namespace {

namespace fs = std::filesystem;

std::string Number(std::uint64_t value) { return std::to_string(value); }

class Maker {
 public:
  Maker(std::string folder, std::uint64_t seed) : folder_(std::move(folder)), random_(seed) {}

  core::Json Make(std::uint64_t number) {
    path_ = folder_ + "/" + Number(number);
    auto signer = OpenFileSigner(folder_ + "/signer" + Number(number), "interlock.example/main");
    if (!signer.ok()) std::abort();
    signer_ = *std::move(signer);
    notes_.clear();
    first_key_ = signer_->verifier_key();
    const std::uint64_t logs = 2 + Pick(2);
    for (std::uint64_t i = 0; i < logs; ++i) {
      Fill();
      if (i + 1 < logs) RotateNow();
    }
    const std::string damage = Pick(5) == 0 ? "none" : Damage();
    VerifyOptions options;
    const std::uint64_t key = Pick(5);
    if (key == 0) options.verifier_key = first_key_;
    if (key == 1) options.verifier_key = signer_->verifier_key();
    if (key == 2 && Pick(4) == 0) {
      options.verifier_key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    }
    if (Pick(2) == 0) options.outside_checkpoints = {notes_[Pick(notes_.size())]};
    // Without the fold of a runtime, which the second verifier does not have either.
    FolderReport report;
    std::string path = path_;
    if (Pick(4) == 0) {  // one file by itself
      std::vector<std::string> files = ArchivesIn(path_);
      files.emplace_back("audit.db");
      report.log = files[Pick(files.size())];
      path = options.database = path_ + "/" + report.log;
      report.report = Verify(options);
    } else {
      report =
          VerifyFolder(path_, options, [] { return std::vector<std::unique_ptr<Projector>>(); });
    }
    core::Json job = {{"path", path}, {"damage", damage}, {"key", options.verifier_key}};
    job["checkpoints"] = options.outside_checkpoints;
    job["verdict"] = static_cast<int>(report.report.verdict);
    job["first_bad"] =
        report.report.first_bad ? core::Json(*report.report.first_bad) : core::Json();
    job["reason"] = report.log + ": " + report.report.reason;
    job["log"] = report.log;
    return job;
  }

 private:
  std::uint64_t Pick(std::uint64_t below) { return random_() % below; }

  LogOptions Options() {
    LogOptions options;
    options.folder = path_;
    options.tenant = "main";
    options.origin = "interlock.example/main";
    options.clock = &clock_;
    options.signer = signer_.get();
    options.ballast_bytes = 0;
    options.projectors = {&marks_};
    return options;
  }

  void Fill() {
    auto log = Log::Open(Options());
    if (!log.ok()) std::abort();
    for (std::uint64_t i = 0, n = Pick(Pick(8) == 0 ? 300 : 12); i < n; ++i) {
      clock_.Advance(static_cast<std::int64_t>(Pick(1000)));
      const std::string body = MarkProjector::Body("k" + Number(Pick(5)), "v" + Number(Pick(1000)));
      if (!(*log)->Append(EntryOf("mark.set", Pick(3) == 0 ? kRunA : "", body)).ok()) std::abort();
    }
    if (Pick(4) == 0 && !(*log)->RotateSignerKey("principal:ops").ok()) std::abort();
    notes_.push_back((*log)->CheckpointNow()->note);
  }

  void RotateNow() {
    RotateOptions options;
    options.log = Options();
    options.actor = "local:uid-0";
    options.reason = "tests";
    if (const auto report = Rotate(options); !report.ok()) std::abort();
  }

  // A runtime's projections are not the second verifier's matter: p_ tables stay as they are.
  std::string Damage() {
    std::vector<std::string> files = ArchivesIn(path_);
    files.emplace_back("audit.db");
    const std::string file = files[Pick(files.size())];
    const std::string path = path_ + "/" + file;
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    const std::uint64_t kind = Pick(8);
    if (kind == 0) {
      fs::remove(path);
      return file + " removed";
    }
    if (kind == 1) {
      const std::string other = path_ + "/" + files[Pick(files.size())];
      if (other != path) fs::copy_file(other, path, fs::copy_options::overwrite_existing);
      return file + " replaced by " + other;
    }
    if (kind == 2) return file + " " + FlipBytes(path);
    RawDb db(path);
    const std::uint64_t size = std::stoull(db.Column("SELECT count(*) FROM entry").at(0));
    const std::uint64_t entry = Pick(3) == 0 ? 0 : Pick(2) == 0 ? size - 1 : Pick(size);
    const std::string at = Number(entry);
    if (kind == 3) {
      db.DoWithoutTriggers(
          {"DELETE FROM entry WHERE idx >= " + at, "DELETE FROM checkpoint WHERE size > " + at,
           "DELETE FROM p_entry_run WHERE idx >= " + at, "DELETE FROM tile WHERE id >= 0",
           "UPDATE p_watermark SET next_idx = min(next_idx, " + at + ")"});
      return file + " cut at " + at;
    }
    if (kind == 4) {
      db.DoWithoutTriggers({"DELETE FROM checkpoint"});
      return file + " without checkpoints";
    }
    return file + " " + Rewrite(db, entry);
  }

  // A word of an entry is another one, and its hash fits.
  std::string Rewrite(RawDb& db, std::uint64_t entry) {
    const std::vector<std::pair<std::string, std::string>> words = {
        {"\"number\":2", "\"number\":3"},  {"\"size\":", "\"size\":1"},
        {"\"root\":\"", "\"root\":\"00"},  {"state.carried", "state.carries"},
        {"\"v\":\"v", "\"v\":\"w"},        {"sha256:", "sha512:"},
        {"\"entries\":", "\"entries\":1"}, {"log.closed", "log.cloned"},
        {"mark.set", "log.closed"},        {"mark.set", "state.carried"},
        {"mark.set", "log.opened"},        {"example/main\"", "example/else\""},
        {"\"kind\"", "\"kinf\""},          {"engine", "engime"}};
    std::string bytes = db.EntryBytes(entry);
    for (int tries = 0; tries < 40; ++tries) {
      const auto& [from, to] = words[Pick(words.size())];
      const std::size_t at = bytes.find(from);
      if (at == std::string::npos) continue;
      bytes.replace(at, from.size(), to);
      std::vector<std::string> edits = {RawDb::Rewrite(entry, bytes)};
      // Sometimes the tree is left to say it: no signed head, no tile.
      if (Pick(2) == 0) edits.emplace_back("DELETE FROM checkpoint");
      if (Pick(2) == 0) edits.emplace_back("DELETE FROM tile WHERE id >= 0");
      db.DoWithoutTriggers(edits);
      return Number(entry) + ": " + from + " to " + to;
    }
    return "as it was";
  }

  std::string FlipBytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    bytes[Pick(bytes.size())] ^= static_cast<char>(1 << Pick(8));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return "bytes";
  }

  const std::string folder_;
  std::mt19937_64 random_;
  ManualClock clock_;
  MarkProjector marks_;
  std::unique_ptr<Signer> signer_;
  std::string path_;
  std::string first_key_;
  std::vector<std::string> notes_;
};

}  // namespace
}  // namespace interlock::audit

int main(int argc, char** argv) {
  return interlock::audit::MakeLogs<interlock::audit::Maker>(argc, argv);
}
