#include "manifest.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

#include "mcp/dialogue.h"
#include "schema_source.h"
#include "text.h"

namespace interlock::tools {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kWallMsMax = 3'600'000;
constexpr std::int64_t kBytesMax = std::int64_t{64} << 30;
constexpr std::int64_t kStreamBytesMax = 16 << 20;

// Reads one document; every part reports into `fields_` and goes on, the first error is the one
// told.
class Reader {
 public:
  Reader(const YamlNode& document, const ManifestSource& source)
      : source_(source), fields_(document, source.file, "the manifest") {
    manifest_.source = std::string(source.file) + ":" + std::to_string(document.line);
  }

  core::StatusOr<Manifest> Read() {
    manifest_.name = fields_.Text("name");
    manifest_.description = fields_.Text("description");
    McpOf();
    Schemas();
    Meaning();
    IdempotencyOf();
    ReconcileOf();
    CompensateOf();
    MoneyOf();
    LimitsOf();
    ProcessOf();
    HttpOf();
    INTERLOCK_RETURN_IF_ERROR(fields_.Finish());
    return std::move(manifest_);
  }

 private:
  void Schemas() {
    manifest_.input_schema = SchemaOf("input", "input_from");
    if (manifest_.input_schema.is_null() && !manifest_.mcp)
      fields_.Fail(fields_.LineOf("input"), "the manifest needs `input`");
    manifest_.result_schema = SchemaOf("result", "result_from");
  }

  core::Json SchemaOf(std::string_view key, std::string_view from_key) {
    const YamlNode* here = fields_.Node(key);
    const YamlNode* elsewhere = fields_.Node(from_key);
    if (here != nullptr && elsewhere != nullptr) {
      fields_.Fail(elsewhere->line,
                   "`" + std::string(from_key) + "` beside `" + std::string(key) + "`");
    }
    if (here == nullptr && elsewhere == nullptr) {
      return PinnedSchema(key == "input" ? "inputSchema" : "outputSchema");
    }
    auto schema = here != nullptr ? SchemaInline(*here, source_.file) : FromFile(*elsewhere);
    if (!schema.ok()) {
      fields_.Absorb(schema.status());
      return nullptr;
    }
    return *std::move(schema);
  }

  // What the pinned list says of the tool; null: nothing.
  core::Json PinnedSchema(const char* member) const {
    const core::Json* const tool = manifest_.mcp ? PinnedTool(*manifest_.mcp) : nullptr;
    if (tool == nullptr || !tool->contains(member)) return nullptr;
    return tool->at(member);
  }

  void McpOf() {
    const YamlNode* node = fields_.Node("mcp");
    if (node == nullptr) return;
    YamlFields fields(*node, source_.file, "mcp");
    McpSpec mcp;
    mcp.tool = fields.Text("tool");
    const std::string file = Expanded(fields.Text("tools_from"), fields.LineOf("tools_from"));
    mcp.session_ms = fields.IntOr("session_ms", mcp.session_ms, 1, kWallMsMax);
    const core::Status status = fields.Finish();
    fields_.Absorb(status);
    if (!status.ok()) return;
    auto pinned = SchemaFromFile(Absolute(file), "");
    for (const char* member : {"result", "tools"}) {  // as the server's reply has it
      if (pinned.ok() && pinned->is_object() && pinned->contains(member)) {
        pinned = core::Json(pinned->at(member));
      }
    }
    if (pinned.ok()) pinned = McpToolList(*std::move(pinned));
    if (!pinned.ok()) return fields_.Fail(node->line, core::Message(pinned.status()));
    mcp.pinned = *std::move(pinned);
    manifest_.mcp = std::move(mcp);
  }

  core::StatusOr<core::Json> FromFile(const YamlNode& node) {
    YamlFields fields(node, source_.file, "a schema's place");
    const std::string file = Expanded(fields.Text("file"), node.line);
    const std::string pointer = fields.TextOr("pointer", "");
    INTERLOCK_RETURN_IF_ERROR(fields.Finish());
    auto schema = SchemaFromFile(Absolute(file), pointer);
    if (!schema.ok()) return YamlError(source_.file, node.line, core::Message(schema.status()));
    return schema;
  }

  void Meaning() {
    const std::string effect = fields_.OneOf("effect", {"read", "write", "money", "egress"}, "");
    if (auto parsed = ParseEffect(effect); parsed.ok()) manifest_.effect = *parsed;
    manifest_.effect_key = fields_.TextOr("effect_key", "");
    manifest_.locks = fields_.TextsOr("locks");
    manifest_.failure = fields_.OneOf("failure", {"unknown", "no_effect"}, "unknown") == "no_effect"
                            ? FailureMeaning::kNoEffect
                            : FailureMeaning::kUnknown;
    manifest_.cancel = fields_.OneOf("cancel", {"never", "safe"}, "never") == "safe"
                           ? CancelMeaning::kSafe
                           : CancelMeaning::kNever;
    manifest_.trust = fields_.OneOf("trust", {"untrusted", "trusted"}, "untrusted") == "trusted"
                          ? ResultTrust::kTrusted
                          : ResultTrust::kUntrusted;
    manifest_.builtin = fields_.TextOr("builtin", "");
  }

  void IdempotencyOf() {
    const YamlNode* node = fields_.Node("idempotency");
    if (node == nullptr) return;
    YamlFields fields(*node, source_.file, "idempotency");
    manifest_.idempotency.supported = fields.BoolOr("supported", false);
    manifest_.idempotency.window_ms = fields.IntOr("window_ms", 0, 1, 400 * kDayMs);
    fields_.Absorb(fields.Finish());
  }

  core::Json ArgsOf(YamlFields& fields) {
    const YamlNode* args = fields.Node("args");
    if (args == nullptr) return core::Json::object();
    auto json = YamlToJson(*args, source_.file);
    if (!json.ok()) {
      fields.Absorb(json.status());
    } else if (!json->is_object()) {
      fields.Fail(args->line, "`args` must be a map");
    } else {
      return *std::move(json);
    }
    return core::Json::object();
  }

  void CompensateOf() {
    const YamlNode* node = fields_.Node("compensate");
    if (node == nullptr) return;
    YamlFields fields(*node, source_.file, "compensate");
    Compensate compensate;
    compensate.tool = fields.Text("tool");
    compensate.args = ArgsOf(fields);
    manifest_.compensate = std::move(compensate);
    fields_.Absorb(fields.Finish());
  }

  void ReconcileOf() {
    const YamlNode* node = fields_.Node("reconcile");
    if (node == nullptr) return;
    YamlFields fields(*node, source_.file, "reconcile");
    Reconcile reconcile;
    reconcile.tool = fields.Text("tool");
    reconcile.args = ArgsOf(fields);
    reconcile.settle_after_ms = fields.IntOr("settle_after_ms", 0, 0, kDayMs);
    manifest_.reconcile = std::move(reconcile);
    fields_.Absorb(fields.Finish());
  }

  void MoneyOf() {
    const YamlNode* node = fields_.Node("money");
    if (node == nullptr) return;
    YamlFields fields(*node, source_.file, "money");
    MoneyResult money;
    money.amount_path = fields.Text("amount");
    money.currency_path = fields.TextOr("currency", "");
    money.currency_code = fields.TextOr("currency_code", "");
    money.minor_units = fields.OneOf("unit", {"major", "minor"}, "major") == "minor";
    manifest_.money = std::move(money);
    fields_.Absorb(fields.Finish());
  }

  void LimitsOf() {
    const YamlNode* node = fields_.Node("limits");
    if (node == nullptr) return;
    YamlFields fields(*node, source_.file, "limits");
    sandbox::Limits& limits = manifest_.limits;
    limits.wall_ms = fields.IntOr("wall_ms", limits.wall_ms, 1, kWallMsMax);
    limits.cpu_ms = fields.IntOr("cpu_ms", limits.cpu_ms, 1, kWallMsMax);
    limits.memory_bytes = fields.BytesOr("memory_bytes", limits.memory_bytes, kBytesMax);
    limits.pids = fields.IntOr("pids", limits.pids, 1, 4096);
    limits.stdout_bytes = fields.BytesOr("stdout_bytes", limits.stdout_bytes, kStreamBytesMax);
    limits.stderr_bytes = fields.BytesOr("stderr_bytes", limits.stderr_bytes, kStreamBytesMax);
    limits.file_bytes = fields.BytesOr("file_bytes", limits.file_bytes, kBytesMax);
    limits.tmp_bytes = fields.BytesOr("tmp_bytes", limits.tmp_bytes, kBytesMax);
    limits.tmp_inodes = fields.IntOr("tmp_inodes", limits.tmp_inodes, 1, 1 << 24);
    fields_.Absorb(fields.Finish());
  }

  void ProcessOf() {
    const YamlNode* box = fields_.Node("sandbox");
    const YamlNode* node = fields_.Node("process");
    if (node == nullptr) {
      if (box != nullptr) fields_.Fail(box->line, "`sandbox` is only for a process tool");
      return;
    }
    ProcessSpec process;
    if (box != nullptr) BoxOf(*box, process);
    YamlFields fields(*node, source_.file, "process");
    for (const std::string& word : fields.TextsOr("command")) {
      Word(Expanded(word, fields.LineOf("command")), process);
    }
    for (const YamlNode& item : fields.ItemsOr("mounts")) process.mounts.push_back(MountOf(item));
    AddProgramMounts(process);
    for (const auto& [name, value] : fields.PairsOr("env")) {
      process.env.emplace_back(name, Expanded(value, fields.LineOf("env")));
    }
    std::sort(process.env.begin(), process.env.end());
    process.work_dir = Expanded(fields.TextOr("work_dir", "/"), fields.LineOf("work_dir"));
    for (const std::string& place : fields.TextsOr("connect")) {
      process.connect.push_back(DestinationOf(Expanded(place, fields.LineOf("connect"))));
    }
    for (const std::string& network : fields.TextsOr("networks")) {
      process.networks.push_back(Expanded(network, fields.LineOf("networks")));
    }
    if (const YamlNode* artifacts = fields.Node("artifacts"); artifacts != nullptr) {
      process.artifacts = ArtifactsOf(*artifacts);
    }
    fields_.Absorb(fields.Finish());
    manifest_.process = std::move(process);
  }

  ArtifactSpec ArtifactsOf(const YamlNode& node) {
    YamlFields fields(node, source_.file, "artifacts");
    ArtifactSpec artifacts;
    artifacts.folder = Absolute(Expanded(fields.Text("folder"), node.line));
    artifacts.files = fields.TextsOr("files");
    const std::int64_t bytes = fields.BytesOr("bytes", kArtifactBytesDefault, kArtifactBytesMax);
    artifacts.limits = {.files_max = kArtifactsMax,
                        .file_bytes_max = static_cast<std::size_t>(bytes),
                        .bytes_max = static_cast<std::size_t>(bytes)};
    fields_.Absorb(fields.Finish());
    return artifacts;
  }

  // host:port; what is not one has port 0, which the check refuses by name.
  static sandbox::Destination DestinationOf(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    sandbox::Destination place{text.substr(0, colon), 0};
    if (colon == std::string::npos) return place;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, place.port);
    if (error != std::errc() || stop != end) place.port = 0;
    return place;
  }

  void HttpOf() {
    const YamlNode* node = fields_.Node("http");
    if (node == nullptr) return;
    YamlFields fields(*node, source_.file, "http");
    HttpSpec http;
    if (manifest_.mcp) {  // the protocol's
      http.method = fields.OneOf("method", {"POST"}, "POST");
    } else {
      http.method =
          fields.OneOf("method", {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, "GET");
    }
    http.url = Expanded(fields.Text("url"), fields.LineOf("url"));
    for (const auto& [name, value] : fields.PairsOr("headers")) {
      http.headers.emplace_back(name, Expanded(value, fields.LineOf("headers")));
    }
    for (const auto& [name, path] : fields.PairsOr("header_files")) {
      http.header_files.emplace_back(name, Absolute(Expanded(path, fields.LineOf("header_files"))));
    }
    http.sends_args = fields.OneOf("send", {"nothing", "args"}, "nothing") == "args";
    for (const std::string& origin : fields.TextsOr("redirects")) {
      http.redirects.push_back(Expanded(origin, fields.LineOf("redirects")));
    }
    for (const std::string& network : fields.TextsOr("networks")) {
      http.networks.push_back(Expanded(network, fields.LineOf("networks")));
    }
    fields_.Absorb(fields.Finish());
    manifest_.http = std::move(http);
  }

  void BoxOf(const YamlNode& node, ProcessSpec& process) {
    YamlFields fields(node, source_.file, "sandbox");
    const std::string profile =
        fields.OneOf("profile", {"static", "shell", "python", "node"}, "static");
    const std::string level =
        fields.OneOf("level", {"full", "full-nocgroup", "landlock-only", "none"}, "full");
    if (auto parsed = sandbox::ParseProfile(profile); parsed.ok()) process.profile = *parsed;
    if (auto parsed = sandbox::ParseLevel(level); parsed.ok()) process.level_min = *parsed;
    fields_.Absorb(fields.Finish());
  }

  // A word that starts with ./ or ../ is a file beside the manifest, seen in the box at the same
  // path.
  void Word(const std::string& word, ProcessSpec& process) {
    if (word.rfind("./", 0) != 0 && word.rfind("../", 0) != 0) {
      process.command.push_back(word);
      return;
    }
    process.command.push_back(Absolute(word));
    programs_.push_back(process.command.back());
  }

  void AddProgramMounts(ProcessSpec& process) {
    for (const std::string& program : programs_) {
      const bool covered = std::any_of(
          process.mounts.begin(), process.mounts.end(), [&](const sandbox::Mount& mount) {
            return mount.host_path == mount.box_path &&
                   (program == mount.box_path || program.rfind(mount.box_path + "/", 0) == 0);
          });
      if (!covered) process.mounts.push_back({program, program, sandbox::Access::kReadOnly});
    }
  }

  sandbox::Mount MountOf(const YamlNode& node) {
    YamlFields fields(node, source_.file, "a mount");
    sandbox::Mount mount;
    mount.host_path = Absolute(Expanded(fields.Text("host"), node.line));
    mount.box_path = Expanded(fields.TextOr("box", mount.host_path), node.line);
    mount.access = fields.OneOf("access", {"read-only", "read-write"}, "read-only") == "read-write"
                       ? sandbox::Access::kReadWrite
                       : sandbox::Access::kReadOnly;
    mount.quota.bytes = fields.BytesOr("quota_bytes", 0, kBytesMax);
    mount.quota.files =
        fields.IntOr("quota_files", sandbox::kQuotaFilesDefault, 1, sandbox::kQuotaFilesMax);
    if (mount.quota.bytes == 0 && fields.Has("quota_files")) {
      fields_.Fail(node.line, "`quota_files` has no meaning without `quota_bytes`");
    }
    fields_.Absorb(fields.Finish());
    return mount;
  }

  std::string Expanded(std::string_view text, int line) {
    auto expanded = ExpandVars(text, source_.vars);
    if (expanded.ok()) return *std::move(expanded);
    fields_.Fail(line, core::Message(expanded.status()));
    return "";
  }

  std::string Absolute(std::string_view path) const {
    const std::filesystem::path joined = std::filesystem::path(source_.folder) / path;
    std::string text = joined.lexically_normal().string();
    if (text.size() > 1 && text.back() == '/') text.pop_back();
    return text;
  }

  const ManifestSource& source_;
  YamlFields fields_;
  Manifest manifest_;
  std::vector<std::string> programs_;
};

}  // namespace

core::StatusOr<std::string> ExpandVars(std::string_view text, const Vars& vars) {
  std::string out;
  std::size_t at = 0;
  for (;;) {
    const std::size_t start = text.find("${", at);
    out += text.substr(at, start - at);
    if (start == std::string_view::npos) return out;
    const std::size_t end = text.find('}', start);
    if (end == std::string_view::npos) return core::InvalidArgument("`${` without `}`");
    const std::string_view name = text.substr(start + 2, end - start - 2);
    const auto it =
        std::find_if(vars.begin(), vars.end(), [&](const auto& var) { return var.first == name; });
    if (it == vars.end()) {
      return core::InvalidArgument("unknown variable `" + OneLine(name, 80) +
                                   "`; set it under `vars` of the tenant, or with --var");
    }
    out += it->second;
    at = end + 1;
  }
}

core::StatusOr<Manifest> ManifestFromYaml(const YamlNode& document, const ManifestSource& source) {
  return Reader(document, source).Read();
}

}  // namespace interlock::tools
