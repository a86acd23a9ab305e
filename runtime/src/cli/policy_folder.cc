#include "cli/policy_folder.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <ostream>

#include "cli/output_file.h"
#include "runtime/own_tools.h"

namespace interlock::runtime::cli {
namespace {

// `tools` and `agents` beside `policies` are where examples keep their manifests and agent files.
// Empty: there is none.
std::string Beside(const PolicyFolder& options, std::string_view name) {
  const auto beside = std::filesystem::absolute(options.folder).lexically_normal() / ".." / name;
  std::error_code error;
  return std::filesystem::is_directory(beside, error) ? beside.lexically_normal().string() : "";
}

}  // namespace

core::StatusOr<std::shared_ptr<const tools::Registry>> LoadTools(const PolicyFolder& options) {
  const std::string folder = options.tools.empty() ? Beside(options, "tools") : options.tools;
  if (folder.empty()) return tools::Registry::Of({});
  INTERLOCK_ASSIGN_OR_RETURN(const auto vars, ParsePairs(options.vars));
  INTERLOCK_ASSIGN_OR_RETURN(auto registry, tools::Registry::Load(folder, vars));
  // Rules may speak of what the engine provides for these agents.
  const std::string agents = Beside(options, "agents");
  if (agents.empty()) return registry;
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<AgentFile> files, LoadAgents(agents));
  return WithOwnTools(std::move(registry), files);
}

std::vector<policies::KnownTool> KnownTools(const tools::Registry& registry) {
  std::vector<policies::KnownTool> known;
  for (const auto& tool : registry.tools()) {
    const tools::Manifest& manifest = tool->manifest();
    known.push_back({manifest.name, std::string(tools::EffectName(manifest.effect)),
                     manifest.input_schema, manifest.result_schema});
  }
  return known;
}

core::StatusOr<std::shared_ptr<const policies::Bundle>> LoadBundle(
    const PolicyFolder& options, const tools::Registry& registry,
    std::vector<policies::Finding>* findings) {
  INTERLOCK_ASSIGN_OR_RETURN(auto files, policies::Bundle::ReadFolder(options.folder));
  return policies::Bundle::Load(std::move(files), KnownTools(registry), findings);
}

std::string NoPoliciesIn(const std::string& folder) {
  return "`" + folder + "` holds no policies (*.lua): with it every call is denied";
}

core::Json FindingsJson(const std::vector<policies::Finding>& findings) {
  core::Json list = core::Json::array();
  for (const policies::Finding& f : findings) {
    list.push_back({{"file", f.file},
                    {"line", f.line},
                    {"severity", f.severity},
                    {"code", f.code},
                    {"message", f.message}});
  }
  return list;
}

void PrintFindings(const Io& io, const std::vector<policies::Finding>& findings) {
  for (const policies::Finding& f : findings) {
    const Style style = f.severity == "error" ? Style::kRed : Style::kYellow;
    std::string place = EscapeForTerminal(f.file);
    if (f.line > 0) place += ":" + std::to_string(f.line);
    if (!place.empty()) place += ": ";  // a finding about the whole has none
    io.out << place << io.Paint(style, EscapeForTerminal(f.severity)) << ": "
           << EscapeForTerminal(f.message) << " [" << EscapeForTerminal(f.code) << "]\n";
  }
}

void PrintAnew(const Io& io, const policies::BudgetChange& change) {
  const std::string text = "budget " + change.budget + " begins anew: " + change.before +
                           " becomes " + change.after +
                           ", and what was spent before does not count in it";
  io.out << io.Paint(Style::kYellow, EscapeForTerminal(text)) << '\n';
}

std::string PrettyJson(const core::Json& value) {
  return value.dump(1, ' ', false, core::Json::error_handler_t::replace);
}

core::Status WriteText(const std::string& path, const std::string& text) {
  if (path.ends_with(".lua")) {
    return core::FailedPrecondition("`" + path + "` would be a policy; name another file");
  }
  return WriteWhole(path, text);
}

void AddFolder(CLI::App* command, PolicyFolder& options) {
  command->add_option("FOLDER", options.folder, "Folder of *.lua policies")->required();
  command->add_option("--tools", options.tools,
                      "Folder of manifests (default: tools/ beside FOLDER)");
  command->add_option("--var", options.vars,
                      "NAME=VALUE for ${NAME} in manifests; may be repeated");
}

}  // namespace interlock::runtime::cli
