#include "engine/kept_bundle.h"

#include <algorithm>

namespace interlock::runtime {
namespace {

core::StatusOr<std::shared_ptr<const policies::Bundle>> Load(const audit::Log& log,
                                                             const core::Digest& id,
                                                             const tools::Registry& registry) {
  INTERLOCK_ASSIGN_OR_RETURN(const std::string manifest, log.ReadBlob(id));
  INTERLOCK_ASSIGN_OR_RETURN(const core::Json json,
                             core::ParseJson(manifest, core::kPayloadLimits));
  std::vector<policies::BundleFile> files;
  for (const core::Json& file : json.value("files", core::Json::array())) {
    INTERLOCK_ASSIGN_OR_RETURN(const core::Digest digest, DigestOfBundle(file.value("sha256", "")));
    INTERLOCK_ASSIGN_OR_RETURN(std::string text, log.ReadBlob(digest));
    files.push_back({file.value("path", ""), std::move(text)});
  }
  return policies::Bundle::Load(std::move(files), KnownTools(registry), nullptr);
}

}  // namespace

core::StatusOr<core::Digest> DigestOfBundle(std::string_view id) {
  return core::DigestFromHex(id.substr(std::min<std::size_t>(7, id.size())));
}

std::vector<policies::KnownTool> KnownTools(const tools::Registry& registry) {
  std::vector<policies::KnownTool> known;
  for (const auto& tool : registry.tools()) {
    const tools::Manifest& m = tool->manifest();
    known.push_back(
        {m.name, std::string(tools::EffectName(m.effect)), m.input_schema, m.result_schema});
  }
  return known;
}

core::StatusOr<std::shared_ptr<const policies::Bundle>> KeptBundle(
    const audit::Log& log, const core::Digest& id, const tools::Registry& registry) {
  auto kept = Load(log, id, registry);
  if (kept.ok() && (*kept)->id() == id) return kept;
  return core::FailedPrecondition("bundle " + core::DigestName(id) +
                                  " of then cannot be loaded with the tools of now");
}

}  // namespace interlock::runtime
