#include "cli/verify.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>

#include "audit/bundle.h"
#include "audit/keys.h"
#include "core/random.h"
#include "runtime/projectors.h"

namespace interlock::runtime::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> TenantsIn(const fs::path& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error)) {
    if (fs::exists(item.path() / "audit.db", error)) out.push_back(item.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

core::StatusOr<std::string> FindLog(const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return path;
  if (fs::exists(fs::path(path) / "audit.db", error)) return (fs::path(path) / "audit.db").string();
  std::vector<std::string> tenants;
  for (const char* below : {"tenants", "data/tenants"}) {
    if (tenants.empty()) tenants = TenantsIn(fs::path(path) / below);
  }
  if (tenants.size() == 1) return tenants[0] + "/audit.db";
  if (tenants.empty())
    return core::NotFound("no audit.db in `" + path + "`; name a tenant's folder");
  std::string names;
  for (const std::string& tenant : tenants) names += (names.empty() ? "`" : ", `") + tenant + "`";
  return core::InvalidArgument("several logs; name one of " + names);
}

namespace {

audit::VerifyOptions OptionsOf(const VerifySpec& spec) {
  audit::VerifyOptions options;
  options.database = spec.database;
  options.verifier_key = spec.verifier_key;
  options.outside_checkpoints = spec.checkpoints;
  options.witness_keys = spec.witness_keys;
  options.witnesses_needed = spec.witnesses_needed;
  options.progress = spec.progress;
  if (spec.hashes_only) options.depth = audit::VerifyDepth::kHashes;
  return options;
}

std::vector<std::unique_ptr<audit::Projector>> ProjectorsFor(const VerifySpec& spec) {
  if (spec.entries_only) return {};
  return MakeProjectors();
}

}  // namespace

namespace {

// The keys that the spec names, if any.
core::StatusOr<std::unique_ptr<audit::KeyStore>> KeysOf(const VerifySpec& spec,
                                                        core::Random* random) {
  if (spec.keys_folder.empty()) return std::unique_ptr<audit::KeyStore>();
  return audit::KeyStore::OpenForReading(spec.keys_folder, random);
}

}  // namespace

audit::FolderReport VerifyLogs(const VerifySpec& spec) {
  core::SystemRandom random;
  const auto keys = KeysOf(spec, &random);
  if (!keys.ok()) {
    audit::FolderReport unread;
    unread.report.reason = core::Message(keys.status());
    return unread;
  }
  audit::VerifyOptions options = OptionsOf(spec);
  options.keys = keys->get();
  const std::string folder = fs::path(spec.database).parent_path().string();
  return audit::VerifyFolder(folder, options, [&spec] { return ProjectorsFor(spec); });
}

audit::VerifyReport VerifyLog(const VerifySpec& spec) {
  core::SystemRandom random;
  const auto keys = KeysOf(spec, &random);
  if (!keys.ok()) {
    audit::VerifyReport unread;
    unread.reason = core::Message(keys.status());
    return unread;
  }
  audit::VerifyOptions options = OptionsOf(spec);
  options.keys = keys->get();
  return audit::VerifyAgain(std::move(options), [&spec] { return ProjectorsFor(spec); });
}

audit::VerifyReport VerifyEvidence(const VerifySpec& spec) {
  std::ifstream in(spec.bundle, std::ios::binary);
  if (!in) {
    audit::VerifyReport report;
    report.reason = "cannot read `" + spec.bundle + "`";
    return report;
  }
  const std::string archive{std::istreambuf_iterator<char>(in), {}};
  return audit::VerifyBundle(archive, {.verifier_key = spec.verifier_key,
                                       .outside_checkpoints = spec.checkpoints,
                                       .witness_keys = spec.witness_keys,
                                       .witnesses_needed = spec.witnesses_needed});
}

core::Json ReportJson(const audit::VerifyReport& report) {
  return {
      {"verdict", VerdictText(report.verdict)},
      {"reason", report.reason},
      {"first_bad", report.first_bad.has_value() ? core::Json(*report.first_bad) : core::Json()},
      {"entries", report.entries},
      {"checkpoints", report.checkpoints},
      {"signed_entries", report.signed_entries},
      {"root", report.root_hex},
      {"key_pinned", report.key_pinned},
      {"follows", report.opening ? report.opening->origin : ""},
      {"opened", report.opened},
      {"may_pass", report.may_pass},
      {"unchecked_signers", report.unchecked_signers},
      {"not_checked", report.not_checked},
      {"claimed", report.claimed},
      {"scope", report.scope}};
}

void PrintReport(const Io& io, const audit::VerifyReport& report) {
  if (io.json) return PrintJson(io, ReportJson(report));
  const bool intact = report.verdict == audit::Verdict::kIntact;
  io.out << io.Paint(intact ? Style::kGreen : Style::kRed, VerdictText(report.verdict));
  if (report.first_bad.has_value()) io.out << " at entry " << *report.first_bad;
  if (!report.reason.empty()) io.out << ": " << EscapeForTerminal(report.reason);
  io.out << '\n'
         << "entries " << report.entries << " (" << report.signed_entries
         << " under a checkpoint), checkpoints " << report.checkpoints << ", root "
         << report.root_hex << '\n';
  if (report.opened > 0) io.out << "payloads opened " << report.opened << '\n';
  if (report.opening) {
    io.out << "goes on from `" << EscapeForTerminal(report.opening->origin) << "`\n";
  }
  if (!report.unchecked_signers.empty()) {
    io.out << "signature lines that were not checked (no key given):";
    for (const std::string& name : report.unchecked_signers) {
      io.out << ' ' << EscapeForTerminal(name);
    }
    io.out << '\n';
  }
  if (!report.not_checked.empty()) io.out << "not checked: " << report.not_checked << '\n';
  if (!report.scope.empty()) io.out << EscapeForTerminal(report.scope) << '\n';
  if (!report.claimed.empty()) {
    io.out << "claimed, not proven: " << EscapeForTerminal(report.claimed) << '\n';
  }
  if (intact && !report.key_pinned) {
    io.out
        << "the key is the log's own; pin it with --key, and give a checkpoint kept elsewhere with "
           "--checkpoint\n";
  }
}

void PrintReport(const Io& io, const audit::FolderReport& folder) {
  if (folder.logs.size() <= 1) return PrintReport(io, folder.report);
  if (io.json) {
    core::Json all = ReportJson(folder.report);
    all["log"] = folder.log;
    all["logs"] = core::Json::array();
    for (const auto& [file, report] : folder.logs) {
      core::Json one = ReportJson(report);
      one["log"] = file;
      one["origin"] = report.origin;
      all["logs"].push_back(std::move(one));
    }
    return PrintJson(io, all);
  }
  for (const auto& [file, report] : folder.logs) {
    io.out << file << "  " << EscapeForTerminal(report.origin) << "  " << report.entries
           << " entries: " << VerdictText(report.verdict) << '\n';
  }
  io.out << folder.log << ": ";
  PrintReport(io, folder.report);
}

int ExitCodeOf(audit::Verdict verdict) {
  switch (verdict) {
    case audit::Verdict::kIntact:
      return kYes;
    case audit::Verdict::kTampered:
      return kNo;
    case audit::Verdict::kCouldNotCheck:
      return kCouldNotTell;
    case audit::Verdict::kIncomplete:
      return kIncomplete;
  }
  return kCouldNotTell;
}

std::string_view VerdictText(audit::Verdict verdict) {
  switch (verdict) {
    case audit::Verdict::kIntact:
      return "intact";
    case audit::Verdict::kTampered:
      return "tampered";
    case audit::Verdict::kCouldNotCheck:
      return "could not check";
    case audit::Verdict::kIncomplete:
      return "incomplete";
  }
  return "?";
}

}  // namespace interlock::runtime::cli
