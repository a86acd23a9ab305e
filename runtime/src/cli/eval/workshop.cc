#include "cli/eval/workshop.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "core/random.h"

namespace interlock::runtime::cli {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr std::chrono::minutes kImportLimit{2};
constexpr std::chrono::seconds kExportLimit{30};
constexpr std::chrono::seconds kStartLimit{60};
constexpr std::chrono::milliseconds kStartPause{50};

core::Status WriteFile(const std::string& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  return out ? core::OkStatus() : core::Internal("cannot write `" + path + "`");
}

core::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return core::NotFound("cannot read `" + path + "`");
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

std::string NewToken() {
  std::array<std::uint8_t, 32> bytes{};
  core::SystemRandom random;
  random.Fill(bytes);
  return core::Hex(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

core::Status System(const std::string& what, const std::error_code& error) {
  return core::Internal(what + ": " + error.message());
}

}  // namespace

core::StatusOr<std::unique_ptr<Workshop>> Workshop::Open(WorkshopSpec spec) {
  std::unique_ptr<Workshop> workshop(new Workshop(std::move(spec)));
  INTERLOCK_RETURN_IF_ERROR(workshop->MakeFolders());
  INTERLOCK_RETURN_IF_ERROR(workshop->Import());
  INTERLOCK_RETURN_IF_ERROR(workshop->PrepareData());
  INTERLOCK_RETURN_IF_ERROR(workshop->JoinPolicies());
  INTERLOCK_RETURN_IF_ERROR(workshop->WriteConfig());
  INTERLOCK_RETURN_IF_ERROR(workshop->StartDaemon());
  INTERLOCK_RETURN_IF_ERROR(workshop->WaitUntilServing());
  return workshop;
}

Workshop::~Workshop() {
  StopDaemon();
  std::error_code ignored;
  if (temporary_) fs::remove_all(folder_, ignored);
}

core::Status Workshop::MakeFolders() {
  std::error_code error;
  if (spec_.out.empty()) {
    std::string pattern = (fs::temp_directory_path(error) / "interlock-eval-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) return core::Internal("cannot make `" + pattern + "`");
    folder_ = pattern;
    temporary_ = true;
  } else {
    folder_ = fs::absolute(spec_.out, error).lexically_normal().string();
    if (fs::exists(folder_, error) && !fs::is_empty(folder_, error)) {
      return core::FailedPrecondition("`" + folder_ +
                                      "` is not empty; name a new folder with --out");
    }
  }
  for (const char* part : {"", "/databases", "/scripts", "/data"}) {
    fs::create_directories(folder_ + part, error);
    if (error) return System("cannot make `" + folder_ + part + "`", error);
  }
  fs::permissions(folder_ + "/data", fs::perms::owner_all, error);
  return core::OkStatus();
}

Vars Workshop::AllVars() const {
  Vars vars = spec_.suite.vars;
  vars.emplace_back("bin", spec_.program_folder);
  vars.emplace_back("data", spec_.data);
  vars.emplace_back("suite", spec_.suite.folder);
  vars.emplace_back("work", work());
  return vars;
}

core::Status Workshop::Import() {
  if (!has_database()) return core::OkStatus();
  Vars vars = AllVars();
  vars.emplace_back("database", folder_ + "/template.db");
  INTERLOCK_ASSIGN_OR_RETURN(const auto argv, ExpandCommand(spec_.suite.import_command, vars));
  const auto out = RunProgram(argv, folder_ + "/import.log", kImportLimit);
  return out.status();
}

core::Status Workshop::PrepareData() {
  if (spec_.suite.prepare_command.empty()) return core::OkStatus();
  std::error_code error;
  fs::create_directories(made(), error);
  if (error) return System("cannot make `" + made() + "`", error);
  Vars vars = AllVars();
  vars.emplace_back("cases", spec_.cases);
  vars.emplace_back("made", made());
  INTERLOCK_ASSIGN_OR_RETURN(const auto argv, ExpandCommand(spec_.suite.prepare_command, vars));
  return RunProgram(argv, folder_ + "/prepare.log", kImportLimit).status();
}

std::string Workshop::cases_file() const {
  return spec_.suite.prepare_command.empty() ? spec_.cases : made() + "/cases.jsonl";
}

std::string Workshop::policies_folder() const {
  const std::vector<std::string>& folders = spec_.suite.policies;
  return folders.size() == 1 ? folders[0] : folder_ + "/policies";
}

// The daemon reads one folder.
core::Status Workshop::JoinPolicies() {
  if (spec_.suite.policies.size() == 1) return core::OkStatus();
  std::error_code error;
  fs::create_directories(policies_folder(), error);
  if (error) return System("cannot make `" + policies_folder() + "`", error);
  for (const std::string& folder : spec_.suite.policies) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      if (entry.path().extension() != ".lua" || name.ends_with("_test.lua")) continue;
      fs::copy_file(entry.path(), policies_folder() + "/" + name, error);
      if (error) return System("cannot copy `" + entry.path().string() + "`", error);
    }
    if (error) return System("cannot read `" + folder + "`", error);
  }
  return core::OkStatus();
}

// Written as JSON, which is YAML too. The token stays in this process; the file holds its hash.
core::Status Workshop::WriteConfig() {
  endpoint_.token = NewToken();
  Json vars = Json::object();
  for (const auto& [name, value] : AllVars()) vars[name] = value;
  const Json config = {
      {"data_dir", folder_ + "/data"},
      {"listen", "127.0.0.1:0"},
      {"origin", "interlock.eval"},
      {"log", {{"level", "warn"}, {"file", "-"}}},
      {"tenants",
       {{{"id", "main"},
         {"policies", policies_folder()},
         {"tools", spec_.suite.tools.empty() ? made() + "/tools" : spec_.suite.tools},
         {"agents", spec_.suite.agents},
         {"vars", vars}}}},
      {"principals",
       {{{"id", "eval"},
         {"tenant", "main"},
         {"roles", {"integrator", "user-relay", "auditor"}},
         {"token_sha256", core::Hex(core::Sha256(endpoint_.token))}}}},
      {"planners",
       {{{"name", "scripted"}, {"kind", "scripted"}, {"folder", folder_ + "/scripts"}}}},
  };
  return WriteFile(folder_ + "/interlockd.yaml", config.dump(1) + "\n");
}

core::Status Workshop::StartDaemon() {
  const std::string program = spec_.daemon.empty() ? spec_.program_folder + "/interlockd"
                                                   : fs::absolute(spec_.daemon).string();
  if (access(program.c_str(), X_OK) != 0) {
    return core::NotFound("no program `" + program + "`; build it, or name it with --daemon");
  }
  INTERLOCK_ASSIGN_OR_RETURN(daemon_,
                             Child::Start({program, "--config", folder_ + "/interlockd.yaml"},
                                          folder_ + "/interlockd.log"));
  return core::OkStatus();
}

core::Status Workshop::WaitUntilServing() {
  const auto limit = std::chrono::steady_clock::now() + kStartLimit;
  const std::string address_file = folder_ + "/data/interlockd.addr";
  while (std::chrono::steady_clock::now() < limit) {
    if (!daemon_->Running()) {
      return core::Unavailable("interlockd ended at its start: " +
                               LastLine(folder_ + "/interlockd.log"));
    }
    endpoint_.address = LastLine(address_file);
    if (!endpoint_.address.empty()) {
      const auto healthy = Client(endpoint_).Healthy();
      if (healthy.ok() && *healthy) return core::OkStatus();
    }
    std::this_thread::sleep_for(kStartPause);
  }
  return core::Unavailable("interlockd did not serve in time: " +
                           LastLine(folder_ + "/interlockd.log"));
}

core::Status Workshop::Prepare(const Case& the_case) const {
  std::error_code error;
  fs::create_directory(CaseFolder(the_case), error);
  if (error) return System("cannot make `" + CaseFolder(the_case) + "`", error);
  if (has_database()) {
    fs::copy_file(folder_ + "/template.db", CaseFolder(the_case) + "/" + spec_.suite.database_file,
                  error);
    if (error) return System("cannot copy the database", error);
  } else {
    INTERLOCK_RETURN_IF_ERROR(
        WriteFile(CaseFolder(the_case) + "/recorded.json", RecordedOf(the_case)));
  }
  return WriteFile(folder_ + "/scripts/" + the_case.name + ".yaml", ScriptOf(the_case));
}

void Workshop::Clear(const Case& the_case) const {
  std::error_code ignored;
  if (!temporary_) return;
  fs::remove_all(CaseFolder(the_case), ignored);
  fs::remove(folder_ + "/scripts/" + the_case.name + ".yaml", ignored);
}

core::StatusOr<Json> Workshop::Export(const Case& the_case, const Json& wanted) const {
  Vars vars = AllVars();
  vars.emplace_back("database", CaseFolder(the_case) + "/" + spec_.suite.database_file);
  INTERLOCK_ASSIGN_OR_RETURN(auto argv, ExpandCommand(spec_.suite.export_command, vars));
  for (const auto& [collection, objects] : wanted.items()) {
    for (const auto& [id, object] : objects.items()) {
      argv.push_back(collection);
      argv.push_back(id);
    }
  }
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text,
                             RunProgram(argv, folder_ + "/export.log", kExportLimit));
  Json exported = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!exported.is_object()) return core::Internal("`" + argv[0] + "` did not print a JSON object");
  return exported;
}

core::StatusOr<core::Digest> Workshop::DatabaseDigest(const Case& the_case) const {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string bytes,
                             ReadFile(CaseFolder(the_case) + "/" + spec_.suite.database_file));
  return core::Sha256(bytes);
}

void Workshop::StopDaemon() { daemon_.reset(); }

}  // namespace interlock::runtime::cli
