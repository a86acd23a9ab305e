#include "runtime/config.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "audit/cosignature.h"
#include "config/files.h"
#include "config/planner_reader.h"
#include "config/yaml_reader.h"
#include "core/digest.h"
#include "core/plain_id.h"
#include "policies/seal.h"

namespace interlock::runtime {
namespace {

constexpr std::int64_t kRetentionFloorMonths = 6;

namespace fs = std::filesystem;

// A file or folder that the configuration names, to be checked when it is loaded for use.
struct NamedPath {
  std::string path;
  std::string key;
  int line;
  bool secret = false;  // what stands there is not shown: it may be the secret itself
};

// Everything that one file becomes.
struct Parsed {
  Config config;
  std::vector<NamedPath> folders;
  std::vector<NamedPath> files;
};

class Loader {
 public:
  Loader(std::string_view folder, YamlFaults& faults) : folder_(folder), faults_(faults) {}

  Parsed Read(YamlMap top);

 private:
  void ReadSandbox(YamlMap map);
  void ReadLog(YamlMap map);
  void ReadAudit(YamlMap map);
  void ReadApprovals(YamlMap map);
  void ReadWitness(YamlMap map);
  void ReadRetention(YamlMap map);
  void ReadTenant(YamlMap map);
  void ReadTrust(YamlMap map, TrustConfig& trust);
  void ReadPrincipal(YamlMap map);
  void ReadPlanner(YamlMap map);
  void ReadWebhook(YamlMap map);
  void CheckRoutes(const YamlMap& top);
  void CheckListen(const YamlMap& top);

  std::string Absolute(const std::string& path) const {
    return path.empty() ? path : (fs::path(folder_) / path).lexically_normal().string();
  }
  std::string Folder(YamlMap& map, std::string_view key);

  std::string folder_;
  YamlFaults& faults_;
  Parsed out_;
};

bool IsTenantId(std::string_view id) {
  return !id.empty() && id.size() <= 63 && id[0] >= 'a' && id[0] <= 'z' &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

bool IsLoopback(std::string_view host) {
  return host == "localhost" || host == "[::1]" ||
         (host.substr(0, 4) == "127." &&
          host.find_first_not_of("0123456789.") == std::string_view::npos);
}

std::string Loader::Folder(YamlMap& map, std::string_view key) {
  std::string path = Absolute(map.RequiredText(key));
  out_.folders.push_back({path, std::string(key), map.LineOfKey(key)});
  return path;
}

void Loader::ReadSandbox(YamlMap map) {
  SandboxConfig& sandbox = out_.config.sandbox;
  sandbox.allow_none = map.Bool("allow_none", false);
  sandbox.boxes_max = static_cast<int>(map.Int("boxes_max", sandbox.boxes_max, {1, 512}));
  const std::vector<std::string> names = {"none", "landlock-only", "full-nocgroup", "full"};
  sandbox.level_cap = static_cast<sandbox::Level>(map.Choice("level_cap", names, 3));
  map.Close();
}

void Loader::ReadLog(YamlMap map) {
  const std::vector<std::string> levels = {"trace", "debug", "info", "warn", "error"};
  LogConfig& log = out_.config.log;
  log.level = levels[static_cast<std::size_t>(map.Choice("level", levels, 2))];
  log.file = map.Text("file", "-");
  if (log.file != "-") log.file = Absolute(log.file);
  map.Close();
}

void Loader::ReadAudit(YamlMap map) {
  AuditConfig& audit = out_.config.audit;
  YamlMap signer = map.Map("signer");
  audit.signer_socket = Absolute(signer.Text("socket", ""));
  signer.Close();
  audit.anchor_file = Absolute(map.Text("anchor_file", ""));
  audit.checkpoint_interval_ms =
      map.Int("checkpoint_interval_ms", audit.checkpoint_interval_ms, {1'000, 3'600'000});
  for (const YAML::Node& node : map.List("witnesses")) {
    ReadWitness(YamlMap(node, "an entry of `witnesses`", faults_));
  }
  if (audit.witnesses.size() > kWitnessesMax) {
    faults_.Add(map.LineOfKey("witnesses"), "more than 16 witnesses; a few will do");
  }
  audit.witness_interval_ms =
      map.Int("witness_interval_ms", audit.witness_interval_ms, {10, 3'600'000});
  audit.witness_patience_ms =
      map.Int("witness_patience_ms", audit.witness_patience_ms, {1'000, 86'400'000});
  audit.search = map.Bool("search", true);
  ReadRetention(map.Map("retention"));
  map.Close();
}

void Loader::ReadApprovals(YamlMap map) {
  ApprovalsConfig& approvals = out_.config.approvals;
  approvals.grants_per_minute =
      static_cast<int>(map.Int("grants_per_minute", approvals.grants_per_minute, {1, 1'000}));
  approvals.grant_pause_ms = map.Int("grant_pause_ms", approvals.grant_pause_ms, {0, 60'000});
  map.Close();
}

void Loader::ReadWitness(YamlMap map) {
  WitnessConfig witness{map.RequiredText("url"), map.RequiredText("vkey")};
  map.Close();
  while (witness.url.ends_with('/')) witness.url.pop_back();
  if (!witness.url.starts_with("http://") && !witness.url.starts_with("https://")) {
    faults_.Add(map.LineOfKey("url"), "`url` must start with http:// or https://");
  }
  if (!audit::WitnessName(witness.vkey).ok()) {
    faults_.Add(map.LineOfKey("vkey"),
                "`vkey` must be the key of a witness, NAME+ID+BASE64; `interlock audit witness` "
                "prints its own when it starts");
  }
  for (const WitnessConfig& other : out_.config.audit.witnesses) {
    if (other.url != witness.url && other.vkey != witness.vkey) continue;
    faults_.Add(map.line(), "a witness with this url or vkey is given twice; remove one");
  }
  out_.config.audit.witnesses.push_back(std::move(witness));
}

// Six months is what the EU AI Act (art. 19, 26(6)) asks for; less must be said twice.
void Loader::ReadRetention(YamlMap map) {
  RetentionConfig& retention = out_.config.audit.retention;
  const bool short_is_meant = map.Bool("accept_below_six_months", false);
  const IntRange range{1, 1200};
  const std::int64_t months = map.Int("default_months", 13, range);
  YamlMap classes = map.Map("classes");
  retention.conversation_months = classes.Int("conversation", months, range);
  retention.calls_months = classes.Int("calls", months, range);
  retention.approvals_months = classes.Int("approvals", months, range);
  retention.memory_months = classes.Int("memory", months, range);
  classes.Close();
  map.Close();
  // Notes are no records: who wants them gone sooner need not say it twice.
  const std::int64_t least =
      std::min({retention.conversation_months, retention.calls_months, retention.approvals_months});
  if (least < kRetentionFloorMonths && !short_is_meant) {
    faults_.Add(map.line(),
                "`retention` below 6 months must be said twice; set "
                "`accept_below_six_months: true` as well");
  }
}

void Loader::ReadTrust(YamlMap map, TrustConfig& trust) {
  trust.keys = map.TextList("keys");
  trust.origin = map.Text("origin", "");
  map.Close();
  if (trust.keys.empty()) {
    faults_.Add(map.line(), "`trust` without `keys` trusts nobody; add a key, or take it out");
  }
  if (trust.keys.size() > kTrustKeysMax) faults_.Add(map.line(), "more than 16 keys in `trust`");
  for (const std::string& key : trust.keys) {
    const core::Status good = policies::CheckTrustedKey(key);
    if (!good.ok()) faults_.Add(map.LineOfKey("keys"), std::string(core::Message(good)));
  }
}

void Loader::ReadTenant(YamlMap map) {
  TenantConfig tenant;
  tenant.id = map.RequiredText("id");
  tenant.policies = Folder(map, "policies");
  if (map.Has("candidate")) tenant.candidate = Folder(map, "candidate");
  if (map.Has("trust")) ReadTrust(map.Map("trust"), tenant.trust);
  tenant.tools = Folder(map, "tools");
  tenant.agents = Folder(map, "agents");
  tenant.vars = map.TextMap("vars");
  map.Close();
  if (!IsTenantId(tenant.id)) {
    faults_.Add(map.LineOfKey("id"),
                "`id` must be 1 to 63 characters of a-z, 0-9 and `-`, the first a letter");
  }
  for (const TenantConfig& other : out_.config.tenants) {
    if (other.id != tenant.id) continue;
    faults_.Add(map.LineOfKey("id"), "tenant `" + tenant.id + "` is given twice; remove one");
  }
  // Paths in vars are relative to the configuration too; other values stay as they are.
  for (auto& [name, value] : tenant.vars) {
    if (value.starts_with("./") || value.starts_with("../")) value = Absolute(value);
  }
  out_.config.tenants.push_back(std::move(tenant));
}

void Loader::ReadPrincipal(YamlMap map) {
  PrincipalConfig entry;
  core::Principal& who = entry.principal;
  who.id = map.RequiredText("id");
  who.tenant = map.RequiredText("tenant");
  who.roles = map.TextList("roles");
  entry.token_sha256 = map.RequiredText("token_sha256");
  map.Close();
  if (!core::IsPlainId(who.id)) {
    faults_.Add(map.LineOfKey("id"), "`id` must be 1 to 64 letters, digits, `-`, `_`, `.` or `@`");
  }
  if (!std::all_of(who.roles.begin(), who.roles.end(), core::IsPlainId)) {
    faults_.Add(map.LineOfKey("roles"), "a role must be 1 to 64 letters, digits, `-` or `_`");
  }
  if (!core::DigestFromHex(entry.token_sha256).ok()) {
    faults_.Add(map.LineOfKey("token_sha256"),
                "`token_sha256` must be 64 lower-case hex characters; make it with "
                "`printf %s TOKEN | sha256sum`");
  }
  const auto& tenants = out_.config.tenants;
  if (std::none_of(tenants.begin(), tenants.end(),
                   [&](const TenantConfig& tenant) { return tenant.id == who.tenant; })) {
    faults_.Add(map.LineOfKey("tenant"),
                "tenant `" + who.tenant + "` is not among `tenants`; add it there");
  }
  for (const PrincipalConfig& other : out_.config.principals) {
    if (other.token_sha256 == entry.token_sha256) {
      faults_.Add(map.LineOfKey("token_sha256"),
                  "principal `" + other.principal.id + "` has the same token; give each its own");
    }
    if (other.principal.id == who.id && other.principal.tenant == who.tenant) {
      faults_.Add(map.LineOfKey("id"), "principal `" + who.id + "` is given twice; remove one");
    }
  }
  out_.config.principals.push_back(std::move(entry));
}

void Loader::ReadPlanner(YamlMap map) {
  PlannerConfig planner;
  planner.name = map.RequiredText("name");
  if (!planner.name.empty() && !core::IsPlainId(planner.name)) {
    faults_.Add(map.LineOfKey("name"), "`name` must be 1 to 64 letters, digits, `-` or `_`");
  }
  ReadPlannerKind(map, planner);
  if (planner.kind == PlannerKind::kScripted) planner.folder = Folder(map, "folder");
  if (planner.kind == PlannerKind::kModel) {
    ReadModel(map, planner.model);
    ReadContexts(map, planner.contexts);
  }
  if (planner.kind == PlannerKind::kRouter) ReadRoutes(map, planner);
  planner.model.api_key_file = Absolute(planner.model.api_key_file);
  map.Close();
  for (const PlannerConfig& other : out_.config.planners) {
    if (other.name != planner.name) continue;
    faults_.Add(map.LineOfKey("name"), "planner `" + planner.name + "` is given twice");
  }
  out_.config.planners.push_back(std::move(planner));
}

void Loader::ReadWebhook(YamlMap map) {
  WebhookConfig hook;
  hook.name = map.RequiredText("name");
  hook.tenant = map.RequiredText("tenant");
  hook.url = map.RequiredText("url");
  hook.secret_file = Absolute(map.RequiredText("secret_file"));
  out_.files.push_back({hook.secret_file, "secret_file", map.LineOfKey("secret_file"), true});
  if (auto events = map.TextList("events"); !events.empty()) hook.events = std::move(events);
  hook.body = static_cast<WebhookBody>(map.Choice("body", {"json", "chat"}, 0));
  hook.link = map.Text("link", "");
  hook.details = map.Bool("details", false);
  hook.allow_private = map.Bool("allow_private", false);
  hook.give_up_ms = map.Int("give_up_ms", hook.give_up_ms, {1'000, 604'800'000});
  map.Close();
  if (!core::IsPlainId(hook.name)) {
    faults_.Add(map.LineOfKey("name"), "`name` must be 1 to 64 letters, digits, `-` or `_`");
  }
  const bool plain = hook.url.starts_with("http://") && hook.allow_private;
  if (!hook.url.starts_with("https://") && !plain) {
    faults_.Add(map.LineOfKey("url"),
                "`url` must start with https://; http:// is for `allow_private: true` only");
  }
  const Config& config = out_.config;
  if (std::none_of(config.tenants.begin(), config.tenants.end(),
                   [&](const TenantConfig& tenant) { return tenant.id == hook.tenant; })) {
    faults_.Add(map.LineOfKey("tenant"),
                "tenant `" + hook.tenant + "` is not among `tenants`; add it there");
  }
  for (const WebhookConfig& other : config.webhooks) {
    if (other.name != hook.name || other.tenant != hook.tenant) continue;
    faults_.Add(map.LineOfKey("name"), "webhook `" + hook.name + "` is given twice; remove one");
  }
  out_.config.webhooks.push_back(std::move(hook));
}

// A route leads to planners that do something themselves.
void Loader::CheckRoutes(const YamlMap& top) {
  const auto& planners = out_.config.planners;
  const auto target = [&](const std::string& name) {
    return std::find_if(planners.begin(), planners.end(), [&](const PlannerConfig& planner) {
      return planner.name == name && planner.kind != PlannerKind::kRouter;
    });
  };
  for (const PlannerConfig& planner : planners) {
    for (const Route& route : planner.routes) {
      std::vector<std::string> names = route.use;
      if (!route.canary.empty()) names.push_back(route.canary);
      for (const std::string& name : names) {
        const auto at = target(name);
        // Its requests go to a path of that name, and behind a router no agent gives one.
        const bool lacks_model = at != planners.end() && at->kind == PlannerKind::kModel &&
                                 at->model.dialect == Dialect::kGemini && at->model.model.empty();
        if (lacks_model) {
          faults_.Add(top.LineOfKey("planners"), "planner `" + planner.name + "` routes to `" +
                                                     name + "`, which has no `model`; give it one");
        }
        if (at != planners.end()) continue;
        faults_.Add(top.LineOfKey("planners"), "planner `" + planner.name + "` routes to `" + name +
                                                   "`, which is no planner of a kind other than "
                                                   "router; add it to `planners`");
      }
    }
  }
}

// The wire is plain text, and tokens travel on it: loopback only.
void Loader::CheckListen(const YamlMap& top) {
  const std::string& listen = out_.config.listen;
  const std::size_t colon = listen.rfind(':');
  const int line = top.LineOfKey("listen");
  int port = -1;
  if (colon != std::string::npos) {
    const char* end = listen.data() + listen.size();
    const auto read = std::from_chars(listen.data() + colon + 1, end, port);
    if (read.ptr != end || read.ec != std::errc()) port = -1;
  }
  if (port < 0 || port > 65'535) {
    faults_.Add(line, "`listen` must be host:port with port 0 to 65535, found `" + listen + "`");
  } else if (!IsLoopback(std::string_view(listen).substr(0, colon))) {
    faults_.Add(line, "`listen` must be a loopback address, found `" + listen +
                          "`; put a TLS proxy in front for other machines");
  }
}

Parsed Loader::Read(YamlMap top) {
  Config& config = out_.config;
  config.data_dir = Absolute(top.RequiredText("data_dir"));
  config.listen = top.Text("listen", config.listen);
  config.origin = top.Text("origin", config.origin);
  config.launcher = Absolute(top.Text("launcher", ""));
  if (!config.launcher.empty()) {
    out_.files.push_back({config.launcher, "launcher", top.LineOfKey("launcher")});
  }
  ReadSandbox(top.Map("sandbox"));
  ReadLog(top.Map("log"));
  ReadAudit(top.Map("audit"));
  ReadApprovals(top.Map("approvals"));
  for (const YAML::Node& node : top.List("tenants")) {
    ReadTenant(YamlMap(node, "an entry of `tenants`", faults_));
  }
  for (const YAML::Node& node : top.List("principals")) {
    ReadPrincipal(YamlMap(node, "an entry of `principals`", faults_));
  }
  for (const YAML::Node& node : top.List("planners")) {
    ReadPlanner(YamlMap(node, "an entry of `planners`", faults_));
  }
  for (const YAML::Node& node : top.List("webhooks")) {
    ReadWebhook(YamlMap(node, "an entry of `webhooks`", faults_));
  }
  if (config.webhooks.size() > kWebhooksMax) {
    faults_.Add(top.LineOfKey("webhooks"), "more than 16 webhooks; let one of them pass it on");
  }
  CheckRoutes(top);
  top.Close();
  CheckListen(top);
  if (config.origin.empty() || config.origin.find_first_of(" +\n\t") != std::string::npos) {
    faults_.Add(top.LineOfKey("origin"), "`origin` must have no spaces and no `+`");
  }
  if (config.tenants.empty()) faults_.Add(top.line(), "no tenants; add `tenants:` with one entry");
  return std::move(out_);
}

core::StatusOr<Parsed> Parse(std::string_view file, std::string_view folder,
                             std::string_view text) {
  YamlFaults faults(file);
  if (text.size() > kConfigBytesMax) {
    faults.Add(0, "larger than 1 MiB; this cannot be a configuration");
    return faults.status();
  }
  YamlMap top(ParseYaml(text, faults), "the configuration", faults);
  INTERLOCK_RETURN_IF_ERROR(faults.status());
  Parsed parsed = Loader(folder, faults).Read(std::move(top));
  INTERLOCK_RETURN_IF_ERROR(faults.status());
  parsed.config.file = file;
  return parsed;
}

}  // namespace

core::StatusOr<Config> ParseConfig(std::string_view file, std::string_view folder,
                                   std::string_view text) {
  INTERLOCK_ASSIGN_OR_RETURN(Parsed parsed, Parse(file, folder, text));
  return std::move(parsed.config);
}

core::StatusOr<Config> LoadConfig(const std::string& file) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(file, kConfigBytesMax));
  const std::string folder = fs::absolute(file).parent_path().string();
  INTERLOCK_ASSIGN_OR_RETURN(Parsed parsed, Parse(file, folder, text));
  YamlFaults faults(file);
  std::error_code error;
  for (const NamedPath& named : parsed.folders) {
    if (fs::is_directory(named.path, error)) continue;
    faults.Add(named.line, "`" + named.key + "` names `" + named.path +
                               "`, which is no folder; make it or correct the path");
  }
  for (const NamedPath& named : parsed.files) {
    if (fs::is_regular_file(named.path, error)) continue;
    const std::string what = named.secret ? "no file" : "`" + named.path + "`, which is no file";
    faults.Add(named.line, "`" + named.key + "` names " + what + "; make it or correct the path");
  }
  INTERLOCK_RETURN_IF_ERROR(faults.status());
  return std::move(parsed.config);
}

}  // namespace interlock::runtime
