#include "tools/tool.h"

#include <algorithm>

#include "canonical.h"
#include "core/check.h"
#include "manifest_check.h"
#include "schema.h"
#include "text.h"

namespace interlock::tools {
namespace {

using core::Json;

const std::vector<std::string>& KeyRoots() {
  static const std::vector<std::string> kRoots = {"args", "session", "call", "tenant"};
  return kRoots;
}

// The same values as our own strict parser would have made them (1.0 is 1, no NaN, no huge
// integer).
core::StatusOr<Json> Normalised(const Json& value, const core::JsonLimits& limits) {
  return core::ParseJson(value.dump(-1, ' ', false, Json::error_handler_t::replace), limits);
}

core::Template MustParse(const std::string& text) {
  auto parsed = core::Template::Parse(text, KeyRoots());
  INTERLOCK_CHECK(parsed.ok());  // CheckManifest parsed it before
  return *std::move(parsed);
}

class ToolImpl final : public Tool {
 public:
  ToolImpl(Manifest manifest, std::unique_ptr<const Schema> input,
           std::unique_ptr<const Schema> result)
      : manifest_(std::move(manifest)),
        canonical_(core::CanonicalJson(ManifestJson(manifest_))),
        digest_(core::Sha256(canonical_)),
        limits_digest_(core::Sha256(core::CanonicalJson(LimitsJson(manifest_)))),
        input_(std::move(input)),
        result_(std::move(result)) {
    if (!manifest_.effect_key.empty()) effect_key_ = MustParse(manifest_.effect_key);
    for (const std::string& lock : manifest_.locks) locks_.push_back(MustParse(lock));
  }

  const Manifest& manifest() const override { return manifest_; }
  const core::Digest& digest() const override { return digest_; }
  const std::string& canonical_manifest() const override { return canonical_; }
  const core::Digest& limits_digest() const override { return limits_digest_; }

  core::StatusOr<CanonicalArgs> ValidateArgs(std::string_view args_text) const override {
    auto value = core::ParseJson(args_text, core::kArgsLimits);
    if (!value.ok()) {
      return core::Error(value.status().code(), "arguments of `" + manifest_.name + "`: " +
                                                    OneLine(core::Message(value.status()), 300));
    }
    return Checked(*std::move(value));
  }

  core::StatusOr<CanonicalArgs> ValidateArgs(const Json& args) const override {
    auto value = Normalised(args, core::kArgsLimits);
    if (!value.ok()) {
      return core::Error(value.status().code(), "arguments of `" + manifest_.name + "`: " +
                                                    OneLine(core::Message(value.status()), 300));
    }
    return Checked(*std::move(value));
  }

  core::Status ValidateResult(const Json& result) const override {
    return result_ == nullptr ? core::OkStatus() : result_->Check(result);
  }

  core::StatusOr<std::optional<std::string>> EffectKey(const Json& scope) const override {
    if (!effect_key_) return std::optional<std::string>();
    INTERLOCK_ASSIGN_OR_RETURN(std::string key, effect_key_->Expand(scope));
    return std::optional<std::string>(std::move(key));
  }

  core::StatusOr<std::vector<std::string>> Locks(const Json& scope) const override {
    std::vector<std::string> keys;
    for (const core::Template& lock : locks_) {
      INTERLOCK_ASSIGN_OR_RETURN(std::string key, lock.Expand(scope));
      keys.push_back(std::move(key));
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return keys;
  }

 private:
  core::StatusOr<CanonicalArgs> Checked(Json value) const {
    if (const core::Status status = input_->Check(value); !status.ok()) {
      return core::Error(status.code(), "arguments of `" + manifest_.name +
                                            "`: " + std::string(core::Message(status)));
    }
    CanonicalArgs args;
    args.text = core::CanonicalJson(value);
    args.digest = core::Sha256(args.text);
    args.value = std::move(value);
    return args;
  }

  const Manifest manifest_;
  const std::string canonical_;
  const core::Digest digest_;
  const core::Digest limits_digest_;
  const std::unique_ptr<const Schema> input_;
  const std::unique_ptr<const Schema> result_;  // null: any result
  std::optional<core::Template> effect_key_;
  std::vector<core::Template> locks_;
};

core::StatusOr<std::unique_ptr<const Schema>> CompileSchema(Json& schema, std::string_view which) {
  auto normalised = Normalised(schema, {.bytes_max = kSchemaBytesMax, .depth_max = 64});
  if (!normalised.ok()) {
    return core::InvalidArgument("`" + std::string(which) +
                                 "`: " + OneLine(core::Message(normalised.status()), 300));
  }
  schema = *std::move(normalised);
  auto compiled = Schema::Compile(schema);
  if (compiled.ok()) return compiled;
  return core::InvalidArgument("`" + std::string(which) +
                               "`: " + std::string(core::Message(compiled.status())));
}

core::StatusOr<std::shared_ptr<const Tool>> MakeTool(Manifest manifest) {
  INTERLOCK_RETURN_IF_ERROR(CheckManifest(manifest));
  INTERLOCK_ASSIGN_OR_RETURN(auto input, CompileSchema(manifest.input_schema, "input"));
  std::unique_ptr<const Schema> result;
  if (!manifest.result_schema.is_null()) {
    INTERLOCK_ASSIGN_OR_RETURN(result, CompileSchema(manifest.result_schema, "result"));
  }
  if (manifest.reconcile) {
    INTERLOCK_ASSIGN_OR_RETURN(manifest.reconcile->args,
                               Normalised(manifest.reconcile->args, core::kArgsLimits));
  }
  if (manifest.compensate) {
    INTERLOCK_ASSIGN_OR_RETURN(manifest.compensate->args,
                               Normalised(manifest.compensate->args, core::kArgsLimits));
  }
  return std::shared_ptr<const Tool>(
      std::make_shared<ToolImpl>(std::move(manifest), std::move(input), std::move(result)));
}

}  // namespace

core::StatusOr<std::shared_ptr<const Tool>> Tool::FromManifest(Manifest manifest) {
  const std::string source = manifest.source;
  const std::string name = OneLine(manifest.name, 80);
  auto tool = MakeTool(std::move(manifest));
  if (tool.ok()) return tool;
  return core::InvalidArgument((source.empty() ? "" : source + ": ") + "tool `" + name +
                               "`: " + std::string(core::Message(tool.status())));
}

}  // namespace interlock::tools
