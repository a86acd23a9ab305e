#include "manifest_check.h"

#include <algorithm>
#include <set>
#include <string>

#include "compensate_check.h"
#include "core/money.h"
#include "core/template.h"
#include "http_check.h"
#include "mcp/dialogue.h"
#include "names.h"
#include "text.h"

namespace interlock::tools {
namespace {

using core::InvalidArgument;
using core::Json;
using core::Status;

constexpr std::int64_t kSafeIntegerMax = (std::int64_t{1} << 53) - 1;

const std::vector<std::string>& KeyRoots() {
  static const std::vector<std::string> kRoots = {"args", "session", "call", "tenant"};
  return kRoots;
}

// A key over an argument that the schema lets a caller leave out would refuse good calls one by
// one.
Status CheckArgPath(const Json& schema, const std::string& path, std::string_view where) {
  if (path.rfind("args.", 0) != 0) return core::OkStatus();
  const std::string name = path.substr(5, path.find('.', 5) - 5);
  const Json properties = schema.value("properties", Json::object());
  const Json required = schema.value("required", Json::array());
  const bool needed = std::find(required.begin(), required.end(), name) != required.end();
  if (properties.contains(name) && !needed) {
    return InvalidArgument("`" + std::string(where) + "` uses `args." + name +
                           "`, which `input` does not require");
  }
  if (!properties.contains(name) &&
      schema.value("additionalProperties", Json(true)) == Json(false)) {
    return InvalidArgument("`" + std::string(where) + "` uses `args." + name +
                           "`, which `input` does not have");
  }
  return core::OkStatus();
}

Status CheckKeyTemplate(const Manifest& manifest, const std::string& text, std::string_view where) {
  auto parsed = core::Template::Parse(text, KeyRoots());
  if (!parsed.ok()) {
    return InvalidArgument("`" + std::string(where) +
                           "`: " + std::string(core::Message(parsed.status())));
  }
  for (const std::string& path : parsed->paths()) {
    INTERLOCK_RETURN_IF_ERROR(CheckArgPath(manifest.input_schema, path, where));
  }
  return core::OkStatus();
}

Status CheckKeys(const Manifest& manifest) {
  const bool reads = manifest.effect == Effect::kRead;
  if (manifest.effect == Effect::kMoney && manifest.effect_key.empty()) {
    return InvalidArgument(
        "effect money needs `effect_key`, for instance `refund:{args.order_id}`");
  }
  if (reads && !manifest.effect_key.empty()) {
    return InvalidArgument("`effect_key` has no meaning for effect read");
  }
  if (!manifest.effect_key.empty()) {
    INTERLOCK_RETURN_IF_ERROR(CheckKeyTemplate(manifest, manifest.effect_key, "effect_key"));
  }
  if (manifest.locks.size() > kLocksMax) return InvalidArgument("too many `locks`");
  for (const std::string& lock : manifest.locks) {
    if (lock.empty()) return InvalidArgument("a lock must not be empty");
    INTERLOCK_RETURN_IF_ERROR(CheckKeyTemplate(manifest, lock, "locks"));
  }
  return core::OkStatus();
}

Status CheckRecovery(const Manifest& manifest) {
  const Idempotency& idempotency = manifest.idempotency;
  if (idempotency.supported != (idempotency.window_ms > 0)) {
    return InvalidArgument(
        "`idempotency` needs `supported: true` together with `window_ms`, for how long a key is "
        "kept");
  }
  if (!manifest.reconcile) return core::OkStatus();
  const Reconcile& reconcile = *manifest.reconcile;
  if (manifest.effect == Effect::kRead) {
    return InvalidArgument("`reconcile` has no meaning for effect read");
  }
  if (reconcile.tool == manifest.name) return InvalidArgument("`reconcile` names the tool itself");
  if (!reconcile.args.is_object()) return InvalidArgument("`reconcile.args` must be a map");
  if (reconcile.settle_after_ms < 0) return InvalidArgument("`settle_after_ms` is negative");
  const Status status = core::CheckTemplates(reconcile.args, {"args", "call"});
  if (status.ok()) return status;
  return InvalidArgument("`reconcile.args`: " + std::string(core::Message(status)));
}

Status CheckMoney(const Manifest& manifest) {
  if (!manifest.money) return core::OkStatus();
  const MoneyResult& money = *manifest.money;
  if (manifest.effect != Effect::kMoney) return InvalidArgument("`money` is only for effect money");
  if (money.amount_path.empty()) return InvalidArgument("`money` needs `amount`");
  if (money.currency_path.empty() == money.currency_code.empty()) {
    return InvalidArgument("`money` needs one of `currency` (a path) and `currency_code`");
  }
  if (money.currency_code.empty()) return core::OkStatus();
  if (!core::MinorDigits(money.currency_code).ok()) {
    return InvalidArgument("unknown currency `" + OneLine(money.currency_code, 16) + "`");
  }
  return core::OkStatus();
}

Status CheckLimits(const sandbox::Limits& limits) {
  const std::pair<std::string_view, std::int64_t> values[] = {
      {"wall_ms", limits.wall_ms},           {"cpu_ms", limits.cpu_ms},
      {"memory_bytes", limits.memory_bytes}, {"pids", limits.pids},
      {"stdout_bytes", limits.stdout_bytes}, {"stderr_bytes", limits.stderr_bytes},
      {"file_bytes", limits.file_bytes},     {"tmp_bytes", limits.tmp_bytes},
      {"tmp_inodes", limits.tmp_inodes}};
  for (const auto& [name, value] : values) {
    if (value < 1 || value > kSafeIntegerMax) {
      return InvalidArgument("limit `" + std::string(name) + "` must be above 0");
    }
  }
  return core::OkStatus();
}

// Absolute, without `.` and `..` parts, whatever a session value makes of it later.
bool IsPlainPath(const std::string& path) {
  if (path == "/") return true;
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos) return false;
  const std::string padded = path + "/";
  return padded.find("/../") == std::string::npos && padded.find("/./") == std::string::npos &&
         padded.find("//") == std::string::npos;
}

Status CheckSessionTemplate(const std::string& text, std::string_view where) {
  auto parsed = core::Template::Parse(text, {"session"});
  if (parsed.ok()) return core::OkStatus();
  return InvalidArgument("`" + std::string(where) +
                         "`: " + std::string(core::Message(parsed.status())));
}

Status CheckMounts(const ProcessSpec& process) {
  if (process.mounts.size() > kMountsMax) return InvalidArgument("too many `mounts`");
  std::set<std::string> boxes;
  for (const sandbox::Mount& mount : process.mounts) {
    if (!IsPlainPath(mount.host_path) || !IsPlainPath(mount.box_path)) {
      return InvalidArgument("mount `" + OneLine(mount.host_path, 120) + "` to `" +
                             OneLine(mount.box_path, 120) +
                             "` needs absolute paths without `.`, `..` or `//`");
    }
    if (mount.box_path == "/" || mount.host_path == "/") {
      return InvalidArgument("a mount of `/` would undo the box");
    }
    if (!boxes.insert(mount.box_path).second) {
      return InvalidArgument("two mounts at `" + OneLine(mount.box_path, 120) + "`");
    }
    if (mount.quota.bytes != 0 && mount.access != sandbox::Access::kReadWrite) {
      return InvalidArgument("mount `" + OneLine(mount.host_path, 120) +
                             "` is read-only: `quota_bytes` has no meaning there");
    }
    if (process.level_min <= sandbox::Level::kLandlockOnly && mount.host_path != mount.box_path) {
      return InvalidArgument("mount `" + OneLine(mount.host_path, 120) +
                             "` cannot be moved at level landlock-only; leave `box` out");
    }
    INTERLOCK_RETURN_IF_ERROR(CheckSessionTemplate(mount.host_path, "mounts"));
    INTERLOCK_RETURN_IF_ERROR(CheckSessionTemplate(mount.box_path, "mounts"));
  }
  return core::OkStatus();
}

Status CheckEnv(const ProcessSpec& process) {
  if (process.env.size() > kEnvMax) return InvalidArgument("too many `env`");
  std::set<std::string> names;
  for (const auto& [name, value] : process.env) {
    if (!IsEnvName(name)) {
      return InvalidArgument("env name `" + OneLine(name, 80) +
                             "` must be [A-Z_][A-Z0-9_]* and not LD_* or INTERLOCK_*");
    }
    if (!names.insert(name).second) return InvalidArgument("env `" + name + "` is given twice");
    if (value.find('\0') != std::string::npos)
      return InvalidArgument("env `" + name + "` holds a NUL");
    INTERLOCK_RETURN_IF_ERROR(CheckSessionTemplate(value, "env"));
  }
  return core::OkStatus();
}

// Only what a call may write can be its artifact: nothing else of the machine goes to the log.
Status CheckArtifacts(const ProcessSpec& process) {
  if (!process.artifacts) return core::OkStatus();
  const ArtifactSpec& artifacts = *process.artifacts;
  if (!IsPlainPath(artifacts.folder)) {
    return InvalidArgument("artifacts `folder` needs an absolute path without `.`, `..` or `//`");
  }
  INTERLOCK_RETURN_IF_ERROR(CheckSessionTemplate(artifacts.folder, "artifacts"));
  const bool writable =
      std::any_of(process.mounts.begin(), process.mounts.end(), [&](const sandbox::Mount& mount) {
        return mount.access == sandbox::Access::kReadWrite &&
               (artifacts.folder + "/").starts_with(mount.host_path + "/");
      });
  if (!writable) {
    return InvalidArgument("artifacts `folder` `" + OneLine(artifacts.folder, 120) +
                           "` must lie in a mount with `access: read-write`");
  }
  if (artifacts.files.empty() || artifacts.files.size() > kArtifactsMax) {
    return InvalidArgument("artifacts `files` must name 1 to " + std::to_string(kArtifactsMax) +
                           " files");
  }
  for (const std::string& file : artifacts.files) {
    const std::string path = file.ends_with('/') ? file.substr(0, file.size() - 1) : file;
    if (path.empty() || path.size() > 255 || path.front() == '/' || !IsPlainPath("/" + path)) {
      return InvalidArgument("artifact `" + OneLine(file, 120) +
                             "` must be a plain path below the folder");
    }
  }
  return core::OkStatus();
}

Status CheckConnect(const ProcessSpec& process) {
  if (process.connect.size() > sandbox::kDestinationsMax)
    return InvalidArgument("too many `connect`");
  for (const sandbox::Destination& place : process.connect) {
    const bool plain = !place.host.empty() && place.host.size() <= 253 &&
                       place.host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-:") ==
                           std::string::npos;
    if (!plain || place.port == 0) {
      return InvalidArgument("connect `" + OneLine(place.host, 120) +
                             "` must be host:port, the host in lower case");
    }
  }
  if (process.connect.empty() && !process.networks.empty()) {
    return InvalidArgument("`networks` has no meaning without `connect`");
  }
  for (const std::string& network : process.networks) {
    INTERLOCK_RETURN_IF_ERROR(sandbox::Network::Parse(network).status());
  }
  return core::OkStatus();
}

// One place for all calls of a run.
Status CheckMcpPlace(const HttpSpec& http) {
  if (!http.redirects.empty()) {
    return InvalidArgument("`redirects` has no meaning with `mcp`: a session is at one place");
  }
  if (http.sends_args || http.method != "POST") {
    return InvalidArgument("`method` and `send` have no meaning with `mcp`");
  }
  auto url = core::Template::Parse(http.url, {"session"});
  if (url.ok()) return core::OkStatus();
  return InvalidArgument("`url` of an MCP server: " + std::string(core::Message(url.status())));
}

Status CheckMcp(const Manifest& manifest) {
  const McpSpec& mcp = *manifest.mcp;
  if (!manifest.process && !manifest.http) {
    return InvalidArgument("`mcp` needs `process`, its server's command, or `http`, where it is");
  }
  if (manifest.http) {
    INTERLOCK_RETURN_IF_ERROR(CheckMcpPlace(*manifest.http));
  }
  if (manifest.process && manifest.process->artifacts) {
    return InvalidArgument("`artifacts` has no meaning with `mcp`: its server outlives the call");
  }
  INTERLOCK_ASSIGN_OR_RETURN(const Json sorted, McpToolList(mcp.pinned));
  if (sorted != mcp.pinned) return InvalidArgument("the pinned tools are not sorted by name");
  if (core::CanonicalJson(mcp.pinned).size() > kMcpPinnedBytesMax) {
    return InvalidArgument("the pinned tools have more than " + std::to_string(kMcpPinnedBytesMax) +
                           " bytes");
  }
  if (PinnedTool(mcp) == nullptr) {
    return InvalidArgument("mcp tool `" + OneLine(mcp.tool, 80) + "` is not in `tools_from`");
  }
  if (mcp.session_ms < 1) return InvalidArgument("`session_ms` must be above 0");
  return core::OkStatus();
}

Status CheckProcess(const ProcessSpec& process) {
  if (process.command.empty() || process.command.size() > kCommandWordsMax) {
    return InvalidArgument("`command` must have 1 to " + std::to_string(kCommandWordsMax) +
                           " words");
  }
  for (const std::string& word : process.command) {
    if (word.find('\0') != std::string::npos) return InvalidArgument("`command` holds a NUL");
  }
  if (!IsPlainPath(process.command[0])) {
    return InvalidArgument("command `" + OneLine(process.command[0], 120) +
                           "` must be an absolute path in the box, or start with `./`");
  }
  if (!IsPlainPath(process.work_dir)) {
    return InvalidArgument("`work_dir` must be an absolute path");
  }
  INTERLOCK_RETURN_IF_ERROR(CheckMounts(process));
  INTERLOCK_RETURN_IF_ERROR(CheckConnect(process));
  INTERLOCK_RETURN_IF_ERROR(CheckArtifacts(process));
  return CheckEnv(process);
}

}  // namespace

Status CheckManifest(const Manifest& manifest) {
  if (!IsToolName(manifest.name)) {
    return InvalidArgument("tool name `" + OneLine(manifest.name, 80) +
                           "` must be [a-z0-9_]+ parts joined by dots, at most " +
                           std::to_string(kToolNameBytesMax) + " bytes");
  }
  if (manifest.description.empty() || manifest.description.size() > kDescriptionBytesMax) {
    return InvalidArgument("`description` must have 1 to " + std::to_string(kDescriptionBytesMax) +
                           " bytes");
  }
  if (manifest.mcp) {  // where the schema may come from
    INTERLOCK_RETURN_IF_ERROR(CheckMcp(manifest));
  }
  if (!manifest.input_schema.is_object() ||
      manifest.input_schema.value("type", Json(nullptr)) != Json("object")) {
    return InvalidArgument("`input` must be a schema with `type: object`");
  }
  if (int{manifest.process.has_value()} + int{manifest.http.has_value()} +
          int{!manifest.builtin.empty()} !=
      1) {
    return InvalidArgument("a tool needs exactly one of `process`, `http` and `builtin`");
  }
  INTERLOCK_RETURN_IF_ERROR(CheckKeys(manifest));
  INTERLOCK_RETURN_IF_ERROR(CheckRecovery(manifest));
  INTERLOCK_RETURN_IF_ERROR(CheckCompensateForm(manifest));
  INTERLOCK_RETURN_IF_ERROR(CheckMoney(manifest));
  INTERLOCK_RETURN_IF_ERROR(CheckLimits(manifest.limits));
  if (manifest.http) return CheckHttp(*manifest.http);
  return manifest.process ? CheckProcess(*manifest.process) : core::OkStatus();
}

}  // namespace interlock::tools
