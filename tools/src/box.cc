#include "box.h"

#include <algorithm>

#include "core/template.h"
#include "names.h"
#include "text.h"

namespace interlock::tools {
namespace {

// A session value comes from outside; in a path it may only ever be one ordinary name.
core::StatusOr<std::string> FillSession(const std::string& text, const core::Json& scope) {
  if (text.find_first_of("{}") == std::string::npos) return text;
  INTERLOCK_ASSIGN_OR_RETURN(const core::Template parsed, core::Template::Parse(text, {"session"}));
  for (const std::string& path : parsed.paths()) {
    const core::Json* value = core::FindPath(scope, path);
    if (value == nullptr) return core::InvalidArgument("`" + OneLine(path, 80) + "` is missing");
    if (!value->is_string() || !IsPathComponent(value->get_ref<const std::string&>())) {
      return core::InvalidArgument(
          "`" + OneLine(path, 80) +
          "` must be one plain name: [A-Za-z0-9_.-]{1,64}, no leading dot");
    }
  }
  return parsed.ExpandRaw(scope);
}

}  // namespace

core::StatusOr<sandbox::BoxSpec> MakeBox(const CallSpec& call, std::int64_t wall_ms_max) {
  const Manifest& manifest = call.tool->manifest();
  const ProcessSpec& process = *manifest.process;
  const core::Json scope = {{"session", call.session}};
  sandbox::BoxSpec box;
  box.profile = process.profile;
  box.level_min = process.level_min;
  box.argv = process.command;
  box.work_dir = process.work_dir;
  box.limits = manifest.limits;
  box.limits.wall_ms = std::min(box.limits.wall_ms, wall_ms_max);
  for (const sandbox::Mount& mount : process.mounts) {
    INTERLOCK_ASSIGN_OR_RETURN(std::string host, FillSession(mount.host_path, scope));
    INTERLOCK_ASSIGN_OR_RETURN(std::string inside, FillSession(mount.box_path, scope));
    box.mounts.push_back({std::move(host), std::move(inside), mount.access, mount.quota});
  }
  for (const auto& [name, value] : process.env) {
    INTERLOCK_ASSIGN_OR_RETURN(std::string filled, FillSession(value, scope));
    box.env.emplace_back(name, std::move(filled));
  }
  box.destinations = process.connect;
  for (const std::string& text : process.networks) {
    INTERLOCK_ASSIGN_OR_RETURN(const sandbox::Network network, sandbox::Network::Parse(text));
    box.addresses.networks.push_back(network);
  }
  if (manifest.mcp) {  // a server of many calls: what is of one call goes with its request
    box.limits.wall_ms = manifest.mcp->session_ms;
    return box;
  }
  box.stdin_bytes = call.args.text;
  box.on_output = call.on_output;
  box.env.emplace_back("INTERLOCK_CALL_ID", call.call_id);
  box.env.emplace_back("INTERLOCK_IDEMPOTENCY_KEY", call.idempotency_key);
  return box;
}

core::StatusOr<std::optional<ArtifactSpec>> ArtifactsOf(const CallSpec& call) {
  std::optional<ArtifactSpec> artifacts = call.tool->manifest().process->artifacts;
  if (artifacts) {
    INTERLOCK_ASSIGN_OR_RETURN(artifacts->folder,
                               FillSession(artifacts->folder, {{"session", call.session}}));
  }
  return artifacts;
}

}  // namespace interlock::tools
