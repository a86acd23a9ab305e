// doctor: is everything as it should be, and what to do where not.
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <ostream>

#include "cli/cli.h"
#include "runtime/config.h"
#include "sandbox/launcher.h"

namespace interlock::runtime::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFreeBytesMin = 128ull << 20;  // twice the log's ballast
constexpr std::uint64_t kFreeBytesGood = 1ull << 30;
constexpr std::uint64_t kWalBytesGood = 1ull << 30;  // above: health warning (rule 29)

enum class Finding { kGood, kWarning, kBad, kUnknown };

struct CheckResult {
  std::string name;
  Finding finding;
  std::string detail;
};

std::string_view FindingText(Finding finding) {
  switch (finding) {
    case Finding::kGood:
      return "ok";
    case Finding::kWarning:
      return "warning";
    case Finding::kBad:
      return "bad";
    case Finding::kUnknown:
      return "unknown";
  }
  return "?";
}

Style StyleOf(Finding finding) {
  if (finding == Finding::kGood) return Style::kGreen;
  return finding == Finding::kBad ? Style::kRed : Style::kYellow;
}

using Results = std::vector<CheckResult>;

std::string Mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

// Starts the launcher, so it comes before anything that has threads.
void CheckSandbox(const Session& session, const std::optional<Config>& config, Results& results) {
  sandbox::LauncherOptions options;
  const bool named = config.has_value() && !config->launcher.empty();
  options.program = named ? config->launcher : session.program_folder + "/interlock-launcher";
  options.pool_per_profile = 0;
  if (config.has_value()) options.level_cap = config->sandbox.level_cap;
  const auto launcher = sandbox::StartLauncher(options);
  if (!launcher.ok()) {
    results.push_back({"sandbox", Finding::kBad, std::string(core::Message(launcher.status()))});
    return;
  }
  const sandbox::Level level = (*launcher)->capabilities().level;
  const Finding finding = level == sandbox::Level::kFull   ? Finding::kGood
                          : level == sandbox::Level::kNone ? Finding::kBad
                                                           : Finding::kWarning;
  results.push_back({"sandbox", finding,
                     "level " + std::string(sandbox::LevelName(level)) +
                         (finding == Finding::kGood ? "" : "; see `interlock sandbox probe`")});
}

void CheckDisk(const std::string& data_dir, Results& results) {
  struct statvfs disk {};
  if (statvfs(data_dir.c_str(), &disk) != 0) {
    results.push_back(
        {"disk", Finding::kUnknown, "`" + data_dir + "` is not there yet; interlockd makes it"});
    return;
  }
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  const Finding finding = free < kFreeBytesMin    ? Finding::kBad
                          : free < kFreeBytesGood ? Finding::kWarning
                                                  : Finding::kGood;
  results.push_back({"disk", finding, Mebibytes(free) + " free for `" + data_dir + "`"});
}

bool HoldsKeys(const std::string& name) {
  return name == "keys.db" || name.ends_with(".key") || name.starts_with("signer") ||
         name == "salt";
}

// Whatever holds keys is for its owner alone; the log's write-ahead file must not grow without
// bound.
void CheckTenant(const fs::path& folder, Results& results) {
  const std::string name = "tenant " + folder.filename().string();
  std::string wide;
  std::error_code error;
  for (const auto& item : fs::recursive_directory_iterator(folder, error)) {
    struct stat info {};
    if (!item.is_regular_file(error) || !HoldsKeys(item.path().filename().string())) continue;
    if (stat(item.path().c_str(), &info) == 0 && (info.st_mode & 077) != 0)
      wide = item.path().string();
  }
  if (!wide.empty()) {
    results.push_back({name, Finding::kBad, "`" + wide + "` can be read by others; chmod 600 it"});
    return;
  }
  const auto wal = fs::file_size(folder / "audit.db-wal", error);
  if (!error && wal > kWalBytesGood) {
    results.push_back({name, Finding::kWarning,
                       "write-ahead log of " + Mebibytes(wal) +
                           "; a reader holds it open, or restart interlockd"});
    return;
  }
  results.push_back({name, Finding::kGood, "key files are private"});
}

void CheckTenants(const std::string& data_dir, Results& results) {
  std::error_code error;
  for (const auto& item : fs::directory_iterator(fs::path(data_dir) / "tenants", error)) {
    if (item.is_directory(error)) CheckTenant(item.path(), results);
  }
}

void CheckDaemon(Session& session, Results& results) {
  auto client = session.Connect();
  if (!client.ok()) {
    results.push_back({"daemon", Finding::kUnknown, std::string(core::Message(client.status()))});
    return;
  }
  const auto healthy = (*client)->Healthy();
  if (!healthy.ok()) {
    results.push_back({"daemon", Finding::kUnknown, std::string(core::Message(healthy.status()))});
    return;
  }
  results.push_back({"daemon", *healthy ? Finding::kGood : Finding::kBad,
                     *healthy ? "serving at " + session.endpoint.address
                              : "not serving; its log on standard error says why"});
  wire::GetCheckpointRequest request;
  request.set_parent((*client)->parent());
  const auto head =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::GetCheckpoint, request);
  results.push_back(
      head.ok()
          ? CheckResult{"log", Finding::kGood,
                        head->origin() + ", " + std::to_string(head->tree_size()) + " entries"}
          : CheckResult{"log", Finding::kUnknown, std::string(core::Message(head.status()))});
  wire::GetLogStatusRequest ask;
  ask.set_parent((*client)->parent());
  const auto status =
      (*client)->Call((*client)->audit, &wire::AuditService::Stub::GetLogStatus, ask);
  if (!status.ok()) return;
  if (!status->problem().empty()) results.push_back({"log", Finding::kBad, status->problem()});
  for (const std::string& warning : status->warnings()) {
    results.push_back({"log", Finding::kWarning, warning});
  }
}

std::optional<Config> CheckConfig(const std::string& file, Session& session, Results& results) {
  if (file.empty()) return std::nullopt;
  auto config = LoadConfig(file);
  if (!config.ok()) {
    results.push_back({"config", Finding::kBad, std::string(core::Message(config.status()))});
    return std::nullopt;
  }
  results.push_back({"config", Finding::kGood,
                     std::to_string(config->tenants.size()) + " tenants, " +
                         std::to_string(config->principals.size()) + " principals"});
  std::ifstream in(fs::path(config->data_dir) / "interlockd.addr");
  if (std::string address; std::getline(in, address) && !address.empty())
    session.endpoint.address = address;
  return std::move(*config);
}

int Print(const Io& io, const Results& results) {
  Finding worst = Finding::kGood;
  core::Json list = core::Json::array();
  for (const CheckResult& result : results) {
    const std::string_view text = FindingText(result.finding);
    list.push_back({{"check", result.name}, {"finding", text}, {"detail", result.detail}});
    if (!io.json) {
      io.out << io.Paint(StyleOf(result.finding), text) << std::string(9 - text.size(), ' ')
             << EscapeForTerminal(result.name) << ": " << EscapeForTerminal(result.detail) << '\n';
    }
    const bool worse = result.finding == Finding::kBad ||
                       (result.finding == Finding::kUnknown && worst != Finding::kBad);
    if (worse) worst = result.finding;
  }
  if (io.json) PrintJson(io, {{"checks", list}});
  if (worst == Finding::kBad) return kNo;
  return worst == Finding::kUnknown ? kIncomplete : kYes;
}

int Doctor(Session& session, const std::string& config_file) {
  Results results;
  const std::optional<Config> config = CheckConfig(config_file, session, results);
  CheckSandbox(session, config, results);
  if (config.has_value()) {
    CheckDisk(config->data_dir, results);
    CheckTenants(config->data_dir, results);
  }
  CheckDaemon(session, results);
  return Print(session.io, results);
}

}  // namespace

void AddDoctorCommand(CLI::App& app, Session& session) {
  auto config = std::make_shared<std::string>();
  CLI::App* doctor =
      app.add_subcommand("doctor", "Check configuration, sandbox, disk, key files, daemon and log");
  doctor->add_option("--config", *config, "The daemon's configuration file");
  Does(doctor, session, [&session, config] { return Doctor(session, *config); });
}

}  // namespace interlock::runtime::cli
