#include "canonical.h"

#include <string>

#include "core/digest.h"

namespace interlock::tools {
namespace {

using core::Json;

Json LimitNumbers(const sandbox::Limits& limits) {
  return {{"cpu_ms", limits.cpu_ms},
          {"file_bytes", limits.file_bytes},
          {"memory_bytes", limits.memory_bytes},
          {"pids", limits.pids},
          {"stderr_bytes", limits.stderr_bytes},
          {"stdout_bytes", limits.stdout_bytes},
          {"tmp_bytes", limits.tmp_bytes},
          {"tmp_inodes", limits.tmp_inodes},
          {"wall_ms", limits.wall_ms}};
}

Json ProcessJson(const ProcessSpec& process) {
  Json mounts = Json::array();
  for (const sandbox::Mount& mount : process.mounts) {
    Json shown = {
        {"access", mount.access == sandbox::Access::kReadWrite ? "read-write" : "read-only"},
        {"box", mount.box_path},
        {"host", mount.host_path}};
    if (mount.quota.bytes != 0) {
      shown["quota_bytes"] = mount.quota.bytes;
      shown["quota_files"] = mount.quota.files;
    }
    mounts.push_back(std::move(shown));
  }
  Json env = Json::object();
  for (const auto& [name, value] : process.env) env[name] = value;
  Json json = {{"command", process.command},
               {"env", std::move(env)},
               {"level", std::string(sandbox::LevelName(process.level_min))},
               {"mounts", std::move(mounts)},
               {"profile", std::string(sandbox::ProfileName(process.profile))},
               {"work_dir", process.work_dir}};
  // Only where there is something: manifests from before keep their digest.
  if (!process.connect.empty()) {
    json["connect"] = Json::array();
    for (const sandbox::Destination& place : process.connect) {
      json["connect"].push_back(place.host + ":" + std::to_string(place.port));
    }
    json["networks"] = process.networks;
  }
  if (process.artifacts) {
    json["artifacts"] = {{"bytes", process.artifacts->limits.bytes_max},
                         {"files", process.artifacts->files},
                         {"folder", process.artifacts->folder}};
  }
  return json;
}

Json HttpJson(const HttpSpec& http) {
  Json headers = Json::object();
  for (const auto& [name, value] : http.headers) headers[name] = value;
  Json files = Json::object();
  for (const auto& [name, path] : http.header_files) files[name] = path;
  return {{"header_files", std::move(files)},
          {"headers", std::move(headers)},
          {"method", http.method},
          {"networks", http.networks},
          {"redirects", http.redirects},
          {"send", http.sends_args ? "args" : "nothing"},
          {"url", http.url}};
}

Json MoneyJson(const MoneyResult& money) {
  return {{"amount", money.amount_path},
          {"currency", money.currency_path},
          {"currency_code", money.currency_code},
          {"unit", money.minor_units ? "minor" : "major"}};
}

}  // namespace

Json LimitsJson(const Manifest& manifest) {
  Json json = {{"limits", LimitNumbers(manifest.limits)}};
  if (manifest.process) {
    json["process"] = ProcessJson(*manifest.process);
  } else if (manifest.http) {
    json["http"] = HttpJson(*manifest.http);
  } else {
    json["builtin"] = manifest.builtin;
  }
  return json;
}

Json ManifestJson(const Manifest& manifest) {
  Json json = LimitsJson(manifest);
  json["name"] = manifest.name;
  json["description"] = manifest.description;
  json["input"] = manifest.input_schema;
  json["result"] = manifest.result_schema;
  json["effect"] = std::string(EffectName(manifest.effect));
  json["effect_key"] = manifest.effect_key;
  json["locks"] = manifest.locks;
  json["idempotency"] = {{"supported", manifest.idempotency.supported},
                         {"window_ms", manifest.idempotency.window_ms}};
  json["failure"] = manifest.failure == FailureMeaning::kNoEffect ? "no_effect" : "unknown";
  json["cancel"] = manifest.cancel == CancelMeaning::kSafe ? "safe" : "never";
  json["trust"] = manifest.trust == ResultTrust::kTrusted ? "trusted" : "untrusted";
  if (manifest.reconcile) {
    json["reconcile"] = {{"args", manifest.reconcile->args},
                         {"settle_after_ms", manifest.reconcile->settle_after_ms},
                         {"tool", manifest.reconcile->tool}};
  }
  if (manifest.compensate) {
    json["compensate"] = {{"args", manifest.compensate->args}, {"tool", manifest.compensate->tool}};
  }
  if (manifest.money) json["money"] = MoneyJson(*manifest.money);
  if (manifest.mcp) {
    const std::string pinned = core::CanonicalJson(manifest.mcp->pinned);
    json["mcp"] = {{"session_ms", manifest.mcp->session_ms},
                   {"tool", manifest.mcp->tool},
                   {"tools", core::DigestName(core::Sha256(pinned))}};
  }
  return json;
}

}  // namespace interlock::tools
