#include "cli/eval/suite.h"

#include <algorithm>
#include <filesystem>

#include "tools/yaml.h"

namespace interlock::runtime::cli {
namespace {

namespace fs = std::filesystem;

std::string Below(const std::string& folder, const std::string& path) {
  return (fs::path(folder) / path).lexically_normal().string();
}

// A text or a list of texts.
std::vector<std::string> FoldersOf(tools::YamlFields& root, const std::string& folder,
                                   std::string_view key) {
  const tools::YamlNode* node = root.Node(key);
  const bool list = node != nullptr && node->kind == tools::YamlNode::Kind::kList;
  std::vector<std::string> out = list ? root.TextsOr(key) : std::vector{root.Text(key)};
  for (std::string& path : out) path = Below(folder, path);
  if (out.empty()) root.Fail(root.LineOf(key), "`" + std::string(key) + "` is empty");
  return out;
}

core::Status ReadDatabase(const std::string& path, const tools::YamlNode& node, Suite& suite) {
  tools::YamlFields database(node, path, "`database`");
  suite.database_file = database.Text("file");
  suite.import_command = database.TextsOr("import");
  suite.export_command = database.TextsOr("export");
  INTERLOCK_RETURN_IF_ERROR(database.Finish());
  if (!suite.import_command.empty() && !suite.export_command.empty()) return core::OkStatus();
  return tools::YamlError(path, database.LineOf("import"),
                          "`database` needs `import` and `export` commands");
}

core::StatusOr<Suite> ReadSuite(const std::string& path, const tools::YamlNode& node) {
  Suite suite;
  suite.folder = fs::absolute(path).parent_path().lexically_normal().string();
  tools::YamlFields root(node, path, "the suite");
  suite.name = root.Text("suite");
  suite.agent = root.Text("agent");
  suite.policies = FoldersOf(root, suite.folder, "policies");
  suite.prepare_command = root.TextsOr("prepare");
  if (suite.prepare_command.empty()) suite.tools = Below(suite.folder, root.Text("tools"));
  suite.agents = Below(suite.folder, root.Text("agents"));
  suite.vars = root.PairsOr("vars");
  suite.asking.confirm = root.TextsOr("confirm");
  suite.asking.ask_is_denial = root.TextsOr("ask_is_denial");
  const tools::YamlNode none;
  const tools::YamlNode* data_node = root.Node("data");
  tools::YamlFields data(data_node != nullptr ? *data_node : none, path, "`data`");
  suite.data_marker = data.Text("marker");
  suite.data_folders = data.TextsOr("folders");
  const tools::YamlNode* database = root.Node("database");
  INTERLOCK_RETURN_IF_ERROR(root.Finish());
  INTERLOCK_RETURN_IF_ERROR(data.Finish());
  if (database != nullptr) INTERLOCK_RETURN_IF_ERROR(ReadDatabase(path, *database, suite));
  return suite;
}

}  // namespace

core::StatusOr<Suite> LoadSuite(const std::string& path) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<tools::YamlNode> documents, tools::LoadYaml(path));
  if (documents.size() != 1 || documents[0].kind != tools::YamlNode::Kind::kMap) {
    return core::InvalidArgument(path + ":1: a suite is one YAML map");
  }
  return ReadSuite(path, documents[0]);
}

core::StatusOr<std::string> FindData(const Suite& suite, const std::string& data) {
  std::string looked;
  for (const std::string& folder : suite.data_folders) {
    const fs::path candidate = (fs::absolute(data) / folder).lexically_normal();
    std::error_code error;
    if (fs::exists(candidate / suite.data_marker, error)) {
      std::string found = candidate.string();
      if (found.size() > 1 && found.back() == '/') found.pop_back();
      return found;
    }
    looked += (looked.empty() ? "`" : ", `") + candidate.string() + "`";
  }
  return core::NotFound("no `" + suite.data_marker + "` in " + looked +
                        "; give the data's folder with --data");
}

core::StatusOr<std::string> ExpandVars(std::string_view text, const Vars& vars) {
  std::string out;
  while (true) {
    const std::size_t start = text.find("${");
    out += text.substr(0, start);
    if (start == std::string_view::npos) return out;
    const std::size_t end = text.find('}', start);
    if (end == std::string_view::npos)
      return core::InvalidArgument("`${` without `}` in the suite");
    const std::string_view name = text.substr(start + 2, end - start - 2);
    const auto it =
        std::find_if(vars.begin(), vars.end(), [&](const auto& v) { return v.first == name; });
    if (it == vars.end()) {
      return core::InvalidArgument("unknown variable `${" + std::string(name) + "}` in the suite");
    }
    out += it->second;
    text.remove_prefix(end + 1);
  }
}

core::StatusOr<std::vector<std::string>> ExpandCommand(const std::vector<std::string>& words,
                                                       const Vars& vars) {
  std::vector<std::string> out;
  for (const std::string& word : words) {
    INTERLOCK_ASSIGN_OR_RETURN(std::string expanded, ExpandVars(word, vars));
    out.push_back(std::move(expanded));
  }
  if (out.empty()) return core::InvalidArgument("an empty command in the suite");
  return out;
}

}  // namespace interlock::runtime::cli
