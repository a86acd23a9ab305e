#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "compensate_check.h"
#include "manifest.h"
#include "tools/tool.h"
#include "tools/yaml.h"

namespace interlock::tools {
namespace {

namespace fs = std::filesystem;

using ToolPtr = std::shared_ptr<const Tool>;

class RegistryImpl final : public Registry {
 public:
  explicit RegistryImpl(std::vector<ToolPtr> sorted) : tools_(std::move(sorted)) {}

  ToolPtr Find(std::string_view name) const override {
    const auto it = std::lower_bound(tools_.begin(), tools_.end(), name,
                                     [](const ToolPtr& tool, std::string_view wanted) {
                                       return tool->manifest().name < wanted;
                                     });
    return it != tools_.end() && (*it)->manifest().name == name ? *it : nullptr;
  }
  const std::vector<ToolPtr>& tools() const override { return tools_; }

 private:
  const std::vector<ToolPtr> tools_;
};

std::string Place(const Manifest& manifest) {
  return (manifest.source.empty() ? "" : manifest.source + ": ") + "tool `" + manifest.name + "`: ";
}

core::Status CheckReconcile(const Registry& registry, const Manifest& manifest) {
  if (!manifest.reconcile) return core::OkStatus();
  const Reconcile& reconcile = *manifest.reconcile;
  const ToolPtr look_up = registry.Find(reconcile.tool);
  if (look_up == nullptr) {
    return core::InvalidArgument(Place(manifest) + "`reconcile` names an unknown tool `" +
                                 reconcile.tool + "`");
  }
  if (look_up->manifest().effect != Effect::kRead) {
    return core::InvalidArgument(
        Place(manifest) + "`reconcile` needs a tool of effect read, and `" + reconcile.tool +
        "` is of effect " + std::string(EffectName(look_up->manifest().effect)));
  }
  for (const core::Json& name :
       look_up->manifest().input_schema.value("required", core::Json::array())) {
    if (name.is_string() && !reconcile.args.contains(name.get<std::string>())) {
      return core::InvalidArgument(Place(manifest) + "`reconcile.args` lacks `" +
                                   name.get<std::string>() + "`, which `" + reconcile.tool +
                                   "` requires");
    }
  }
  return core::OkStatus();
}

// The manifests of a folder, by name. Sub-folders (programs, data) are left alone.
core::StatusOr<std::vector<fs::path>> ManifestFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    if (path.extension() == ".yml") {
      return core::InvalidArgument("`" + path.string() + "` would not be read; call it .yaml");
    }
    if (path.extension() == ".yaml") files.push_back(path);
  }
  if (error)
    return core::NotFound("cannot read folder `" + folder.string() + "`: " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

core::Status LoadFile(const fs::path& path, const std::string& folder, const Vars& vars,
                      std::vector<ToolPtr>& tools) {
  const std::string file = path.string();
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<YamlNode> documents, LoadYaml(file));
  for (const YamlNode& document : documents) {
    if (document.kind == YamlNode::Kind::kNull) continue;  // a `---` with nothing after it
    if (tools.size() >= kToolsMax) return core::ResourceExhausted(file + ": too many tools");
    INTERLOCK_ASSIGN_OR_RETURN(
        Manifest manifest,
        ManifestFromYaml(document, {.file = file, .folder = folder, .vars = vars}));
    INTERLOCK_ASSIGN_OR_RETURN(ToolPtr tool, Tool::FromManifest(std::move(manifest)));
    tools.push_back(std::move(tool));
  }
  return core::OkStatus();
}

}  // namespace

core::StatusOr<std::shared_ptr<const Registry>> Registry::Of(std::vector<ToolPtr> tools) {
  std::sort(tools.begin(), tools.end(), [](const ToolPtr& a, const ToolPtr& b) {
    return a->manifest().name < b->manifest().name;
  });
  const auto twin = std::adjacent_find(
      tools.begin(), tools.end(),
      [](const ToolPtr& a, const ToolPtr& b) { return a->manifest().name == b->manifest().name; });
  if (twin != tools.end()) {
    const Manifest& other = (*(twin + 1))->manifest();
    return core::InvalidArgument(Place((*twin)->manifest()) + "the name is taken twice" +
                                 (other.source.empty() ? "" : ", also at " + other.source));
  }
  auto registry = std::make_shared<const RegistryImpl>(std::move(tools));
  for (const ToolPtr& tool : registry->tools()) {
    INTERLOCK_RETURN_IF_ERROR(CheckReconcile(*registry, tool->manifest()));
    INTERLOCK_RETURN_IF_ERROR(CheckCompensate(*registry, tool->manifest()));
  }
  return std::shared_ptr<const Registry>(std::move(registry));
}

core::StatusOr<std::shared_ptr<const Registry>> Registry::Load(const std::string& folder,
                                                               const Vars& vars) {
  // The launcher refuses symlinks in a mount, so relative paths start from where the folder really
  // is.
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (error) return core::NotFound("no folder `" + folder + "` of tool manifests");
  INTERLOCK_ASSIGN_OR_RETURN(const std::vector<fs::path> files, ManifestFiles(real));
  std::vector<ToolPtr> tools;
  for (const fs::path& file : files) {
    INTERLOCK_RETURN_IF_ERROR(LoadFile(file, real.string(), vars, tools));
  }
  return Of(std::move(tools));
}

}  // namespace interlock::tools
